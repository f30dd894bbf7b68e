// SPDX-License-Identifier: Apache-2.0
#include "runtime/tune_race.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

namespace convgen {
namespace {

constexpr int kScreenRounds = 3;
constexpr double kHopeless = 1.3;     // two rounds are enough to see it
constexpr size_t kMostRunners = 8;    // each holds code and packed weights
constexpr size_t kFewest = 3;         // left for the final, where there are as many
constexpr double kScreenShare = 0.6;  // of the budget
constexpr double kRaceShare = 0.85;   // and until then
constexpr int kMaxSearches = 8;       // around a better one
constexpr double kAsGood = 1.01;      // of two in a screening
constexpr int kCutEvery = 4;          // rounds between two cuts
constexpr int kMinRounds = 12;
constexpr int kMaxRounds = 64;
constexpr int kMinFinalRounds = 8;
constexpr int kMaxFinalRounds = 200;
constexpr double kAtRest = 0.003;  // noise that leaves nothing to wait for

// The least of all samples, and of two halves of them: on a machine at rest these agree. Two by
// two, since each sample taken after another candidate's is followed by one after its own.
struct Samples {
  double best = std::numeric_limits<double>::infinity();
  double half[2] = {best, best};
  double last_two = 0;  // their sum
  double last = 0;
  int count = 0;

  void add(double us) {
    last_two = last + us;
    last = us;
    best = std::min(best, us);
    double& mine = half[count++ / 2 % 2];
    mine = std::min(mine, us);
  }
  double worse_half() const { return std::max(half[0], half[1]); }
  double noise() const { return count < 4 ? 1 : std::abs(half[0] / half[1] - 1); }
};

struct Runner {
  size_t candidate = 0;
  double ratio = 1;  // when it was screened
  Samples samples{};
};

class Race {
 public:
  Race(Contest& contest, size_t candidates, double seconds)
      : contest_(contest), candidates_(candidates), seconds_(seconds) {}

  Result<RaceResult> run() {
    if (Status status = contest_.prepare(0); !status.ok()) return status;
    Status status = screen(1);
    if (status.ok()) status = search();
    if (status.ok() && !result_.interrupted) status = run_rounds();
    if (status.ok() && !result_.interrupted) status = decide();
    if (!status.ok()) return status;
    return result_;
  }

 private:
  // --- Screening: one after the other, each beside the default ---

  bool is_late() { return contest_.seconds() > kScreenShare * seconds_; }

  // All candidates from `first` on.
  Status screen(size_t first) {
    for (size_t i = first; i < candidates_; ++i) {
      if (result_.timed > 0 && is_late()) break;
      const int done = static_cast<int>(i) - 1;
      if (!go_on({TunePhase::kScreening, done, static_cast<int>(candidates_) - 1})) break;
      if (Status status = contest_.prepare(i); !status.ok()) {
        contest_.drop(i);
        result_.failures.emplace_back(i, status);
        continue;
      }
      const Result<double> ratio = screen_one(i);
      if (!ratio.ok()) return ratio.status();
      if (Status status = contest_.note(i, *ratio); !status.ok()) return status;
      ++result_.timed;
      runners_.push_back({i, *ratio});
      best_ratio_ = std::min(best_ratio_, *ratio);
      // Beside the default, not beside the best: one disturbed measurement would cost all others.
      drop_slow(kClearlySlower, 0);
    }
    return Status();
  }

  // The best so far, or what is as good but for noise, around which nobody has looked yet.
  std::optional<size_t> next_to_search() const {
    for (const Runner& runner : runners_) {
      const double limit = std::min(runners_.front().ratio * kAsGood, 1 - kWorthChanging);
      if (runner.ratio > limit) break;
      if (!searched_.contains(runner.candidate)) return runner.candidate;
    }
    return std::nullopt;
  }

  // Those that resemble the best, over and over: the way to a much better one may take several
  // steps.
  Status search() {
    for (int i = 0; i < kMaxSearches && !result_.interrupted && !is_late(); ++i) {
      const std::optional<size_t> next = next_to_search();
      if (!next) break;
      searched_.insert(*next);
      const size_t first = std::exchange(candidates_, contest_.add_like(*next));
      if (Status status = screen(first); !status.ok()) return status;
    }
    return Status();
  }

  Result<double> screen_one(size_t candidate) {
    Samples theirs, ours;
    for (int round = 0; round < kScreenRounds; ++round) {
      if (Status s = sample_both(round, theirs, candidate, ours); !s.ok()) return s;
      if (round > 0 && ours.best > kHopeless * theirs.best) break;
    }
    return ours.best / theirs.best;
  }

  // Keeps the best few of those within the limit, in order; `at_least` so many, whatever it is.
  void drop_slow(double limit, size_t at_least) {
    std::ranges::stable_sort(runners_, {}, &Runner::ratio);
    while (runners_.size() > at_least &&
           (runners_.back().ratio > limit || runners_.size() > kMostRunners)) {
      contest_.drop(runners_.back().candidate);
      runners_.pop_back();
    }
  }

  // --- Rounds: all that are left, and the default, by turns ---

  Status run_rounds() {
    for (int round = 0; round < kMaxRounds && !runners_.empty(); ++round) {
      if (round >= kCutEvery && contest_.seconds() > kRaceShare * seconds_) break;
      if (!go_on({TunePhase::kRacing, round, kMaxRounds})) break;
      if (Status status = run_round(round % 2 == 1); !status.ok()) return status;
      if ((round + 1) % kCutEvery != 0) continue;
      cut((round + 1) / kCutEvery);
      if (round + 1 >= kMinRounds && is_settled()) break;
    }
    return Status();
  }

  // Back and forth, so that who comes after whom does not matter.
  Status run_round(bool backwards) {
    std::vector<std::pair<size_t, Samples*>> order = {{0, &default_}};
    for (Runner& runner : runners_) order.emplace_back(runner.candidate, &runner.samples);
    if (backwards) std::ranges::reverse(order);
    for (const auto& [candidate, samples] : order)
      if (Status status = sample(candidate, *samples); !status.ok()) return status;
    return Status();
  }

  // 5 %, 3 %, 2 %, 1 %, and from then on. Some stay in any case: the best may turn out wrong.
  void cut(int number) {
    constexpr double kMargins[] = {kClearlySlower, 1.03, 1.02, 1.01};
    for (Runner& runner : runners_) runner.ratio = ratio_of(runner);
    best_ratio_ = 1;
    for (const Runner& runner : runners_) best_ratio_ = std::min(best_ratio_, runner.ratio);
    drop_slow(best_ratio_ * kMargins[std::min(number, 4) - 1], kFewest);
  }

  // The best is alone, or far ahead, or as close to the next as the halves of their own samples.
  bool is_settled() const {
    if (runners_.size() < 2) return true;
    const Runner& first = runners_[0];
    const Runner& second = runners_[1];
    const double lead = second.ratio / first.ratio - 1;
    return lead > kClearlySlower - 1 || lead <= noise_of(first.samples, second.samples);
  }

  double ratio_of(const Runner& runner) const { return runner.samples.best / default_.best; }

  // --- The final: the best against the default, until one is faster and right ---

  Status decide() {
    std::ranges::stable_sort(runners_, {}, &Runner::ratio);
    result_.default_us = default_.best;
    for (size_t i = 0; i < runners_.size();) {
      // The best of many was lucky, too: the next may be the better one.
      if (i > 0 && runners_[i].ratio > 1 - kWorthChanging) break;
      const Result<bool> beats = beats_default(runners_[i]);
      if (!beats.ok() || result_.interrupted) return beats.status();
      if (!*beats) {
        ++i;
        continue;
      }
      const Status status = contest_.check(runners_[i].candidate);
      if (status.ok()) return keep_winner(i);
      result_.failures.emplace_back(runners_[i].candidate, status);
      contest_.drop(runners_[i].candidate);
      runners_.erase(runners_.begin() + static_cast<ptrdiff_t>(i));
    }
    return keep_default();
  }

  Result<bool> beats_default(const Runner& runner) {
    Samples theirs, ours;
    int wins = 0, round = 0;
    for (; round < kMaxFinalRounds; ++round) {
      const bool late = contest_.seconds() > seconds_;
      if (round >= kMinFinalRounds && (late || noise_of(theirs, ours) < kAtRest)) break;
      if (!go_on({TunePhase::kFinal, round, kMaxFinalRounds})) return false;
      if (Status s = sample_both(round, theirs, runner.candidate, ours); !s.ok()) return s;
      // Two rounds, one in each order, make a fair comparison.
      if (round % 2 == 1) wins += ours.last_two < theirs.last_two;
    }
    result_.default_us = theirs.best;
    result_.winner_us = ours.best;
    return ours.worse_half() < (1 - kWorthChanging) * theirs.best && 4 * wins > round;
  }

  static double noise_of(const Samples& a, const Samples& b) {
    return std::max(a.noise(), b.noise());
  }

  Status keep_winner(size_t i) {
    result_.winner = runners_[i].candidate;
    result_.runner_up = 0;
    result_.runner_up_us = result_.default_us;
    if (i + 1 == runners_.size()) return Status();
    // Against the winner as the rounds saw them; the default as the final did.
    const double us = result_.winner_us * runners_[i + 1].ratio / runners_[i].ratio;
    if (us >= result_.default_us) return Status();
    result_.runner_up = runners_[i + 1].candidate;
    result_.runner_up_us = us;
    return Status();
  }

  Status keep_default() {
    if (Status status = contest_.check(0); !status.ok()) return status;
    if (std::isinf(result_.default_us)) {
      Samples samples;
      for (int i = 0; i < kScreenRounds; ++i)
        if (Status status = sample(0, samples); !status.ok()) return status;
      result_.default_us = samples.best;
    }
    result_.winner = 0;
    result_.winner_us = result_.default_us;
    if (runners_.empty()) return Status();
    result_.runner_up = runners_.front().candidate;
    result_.runner_up_us = result_.default_us * runners_.front().ratio;
    return Status();
  }

  // --- Both ---

  Status sample(size_t candidate, Samples& samples) {
    const Result<double> us = contest_.sample(candidate);
    if (us.ok()) samples.add(*us);
    return us.status();
  }

  // The default and a candidate, now one first, now the other: who runs twice in a row finds its
  // weights in the cache.
  Status sample_both(int round, Samples& theirs, size_t candidate, Samples& ours) {
    const bool default_first = round % 2 == 0;
    const Status status = default_first ? sample(0, theirs) : sample(candidate, ours);
    if (!status.ok()) return status;
    return default_first ? sample(candidate, ours) : sample(0, theirs);
  }

  bool go_on(TuneProgress progress) {
    progress.best_ratio = best_ratio_;
    if (!contest_.go_on(progress)) result_.interrupted = true;
    return !result_.interrupted;
  }

  Contest& contest_;
  size_t candidates_;
  const double seconds_;
  std::set<size_t> searched_;    // around these
  std::vector<Runner> runners_;  // without the default, best first
  Samples default_;
  double best_ratio_ = 1;
  RaceResult result_;
};

}  // namespace

Result<RaceResult> race(Contest& contest, size_t candidates, double seconds) {
  return Race(contest, candidates, seconds).run();
}

}  // namespace convgen
