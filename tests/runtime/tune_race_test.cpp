// SPDX-License-Identifier: Apache-2.0
// The race, on candidates whose times are made up: who wins, who is not bothered with, and what
// noise, failures, an empty budget and Ctrl-C do to it.
#include "runtime/tune_race.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <set>
#include <utility>
#include <vector>

namespace convgen {
namespace {

// Candidates that take as long as they are said to; a clock that only samples move.
class FakeContest : public Contest {
 public:
  explicit FakeContest(std::vector<double> times) : us(std::move(times)) {}

  Status prepare(size_t candidate) override {
    EXPECT_TRUE(ready.insert(candidate).second) << candidate << " prepared twice";
    most_ready = std::max(most_ready, ready.size());
    return broken.contains(candidate) ? compile_failed("does not compile") : Status();
  }
  Result<double> sample(size_t candidate) override {
    EXPECT_TRUE(ready.contains(candidate)) << candidate << " is not ready";
    const int number = samples[candidate]++;
    clock += us[candidate] * 1e-6;
    const double slower = std::exchange(last, candidate) == candidate ? 1 : cold;
    return us[candidate] * slower * (noise ? noise(candidate, number) : 1);
  }
  void drop(size_t candidate) override {
    EXPECT_EQ(ready.erase(candidate), 1u) << candidate << " was not ready";
  }
  size_t add_like(size_t candidate) override {
    asked_like.push_back(candidate);
    const auto found = like.find(candidate);
    if (found != like.end()) us.insert(us.end(), found->second.begin(), found->second.end());
    return us.size();
  }
  Status check(size_t candidate) override {
    EXPECT_TRUE(ready.contains(candidate));
    checked.push_back(candidate);
    return wrong.contains(candidate) ? internal_error("wrong results") : Status();
  }
  double seconds() override { return clock; }
  Status note(size_t candidate, double ratio) override {
    notes[candidate] = ratio;
    return notes_fail ? io_error("disk full") : Status();
  }
  bool go_on(const TuneProgress& progress) override {
    EXPECT_LE(progress.done, progress.total);
    EXPECT_LE(progress.best_ratio, 1);
    return asked++ != stop_at;
  }

  std::vector<double> us;
  std::function<double(size_t candidate, int number)> noise;
  double cold = 1;  // how much slower a candidate is after another one
  size_t last = 0;
  std::map<size_t, std::vector<double>> like;  // times of what resembles a candidate
  std::set<size_t> broken, wrong, ready;
  bool notes_fail = false;
  int stop_at = -1;

  std::map<size_t, int> samples;
  std::map<size_t, double> notes;
  std::vector<size_t> checked, asked_like;
  size_t most_ready = 0;
  int asked = 0;
  double clock = 0;
};

constexpr double kLong = 1e9;  // seconds: the budget ends nothing

RaceResult raced(FakeContest& contest, double seconds = kLong) {
  const Result<RaceResult> result = race(contest, contest.us.size(), seconds);
  EXPECT_TRUE(result.ok()) << result.status().message();
  return result.ok() ? *result : RaceResult();
}

TEST(TuneRaceTest, TheFastestWins) {
  FakeContest contest({100, 96, 130, 80, 102, 83});
  const RaceResult result = raced(contest);
  EXPECT_EQ(result.winner, 3u);
  EXPECT_DOUBLE_EQ(result.winner_us, 80);
  EXPECT_DOUBLE_EQ(result.default_us, 100);
  EXPECT_EQ(result.runner_up, 5u);
  EXPECT_DOUBLE_EQ(result.runner_up_us, 83);
  EXPECT_EQ(result.timed, 5);
  EXPECT_FALSE(result.interrupted);
  EXPECT_TRUE(result.failures.empty());
  EXPECT_EQ(contest.checked, std::vector<size_t>{3}) << "what is kept has been checked";
  EXPECT_DOUBLE_EQ(contest.notes.at(2), 1.3);
  EXPECT_EQ(contest.notes.size(), 5u);
}

TEST(TuneRaceTest, TheDefaultStaysWhereNothingIsWorthIt) {
  FakeContest contest({100, 99.5, 120, 101});
  const RaceResult result = raced(contest);
  EXPECT_EQ(result.winner, 0u);
  EXPECT_DOUBLE_EQ(result.winner_us, 100);
  EXPECT_DOUBLE_EQ(result.default_us, 100);
  EXPECT_EQ(result.runner_up, 1u);
  EXPECT_DOUBLE_EQ(result.runner_up_us, 99.5);
  EXPECT_EQ(contest.checked, std::vector<size_t>{0});
}

TEST(TuneRaceTest, TheDefaultAlone) {
  FakeContest contest({100});
  const RaceResult result = raced(contest);
  EXPECT_EQ(result.winner, 0u);
  EXPECT_DOUBLE_EQ(result.default_us, 100);
  EXPECT_FALSE(result.runner_up.has_value());
}

TEST(TuneRaceTest, RunnerUpMayBeTheDefault) {
  FakeContest contest({100, 80, 150});
  const RaceResult result = raced(contest);
  EXPECT_EQ(result.winner, 1u);
  EXPECT_EQ(result.runner_up, 0u);
  EXPECT_DOUBLE_EQ(result.runner_up_us, 100);
}

TEST(TuneRaceTest, SlowOnesAreTimedOnlyTwice) {
  FakeContest contest({100, 200, 110, 98});
  raced(contest);
  EXPECT_EQ(contest.samples[1], 2) << "hopeless";
  EXPECT_EQ(contest.samples[2], 3) << "clearly slower";
  EXPECT_GT(contest.samples[3], 3);
}

TEST(TuneRaceTest, FieldShrinksToTheBest) {
  FakeContest contest({100, 100, 97, 94, 90});
  raced(contest);
  EXPECT_LT(contest.samples[1], contest.samples[3]) << "out while others still run";
  EXPECT_LT(contest.samples[3], contest.samples[4]) << "only the best is in the final";
}

TEST(TuneRaceTest, HoldsFewKernelsAtOnce) {
  std::vector<double> times(200, 100);
  for (size_t i = 1; i < times.size(); ++i) times[i] = 100 - 0.05 * static_cast<double>(i);
  FakeContest contest(times);
  EXPECT_EQ(raced(contest).winner, 199u);
  EXPECT_LE(contest.most_ready, 10u);
}

// Two samples of five are disturbed, differently each time: minima see through.
TEST(TuneRaceTest, DisturbancesDoNotDecide) {
  FakeContest contest({100, 90, 95, 104});
  contest.noise = [](size_t candidate, int number) {
    const bool disturbed = (number * 7 + static_cast<int>(candidate) * 3) % 5 < 2;
    return disturbed ? 1.2 + 0.1 * (number % 4) : 1;
  };
  EXPECT_EQ(raced(contest).winner, 1u);
}

TEST(TuneRaceTest, SearchesAroundTheBestAsLongAsItGetsBetter) {
  FakeContest contest({100, 96, 90, 95});
  contest.like = {{2, {92, 85, 99}}, {5, {86, 86.5}}};
  const RaceResult result = raced(contest);
  EXPECT_EQ(contest.asked_like, (std::vector<size_t>{2, 5})) << "nothing beats 5";
  EXPECT_EQ(result.winner, 5u);
  EXPECT_EQ(result.timed, 8);
}

TEST(TuneRaceTest, SearchesAroundWhatIsAsGoodToo) {
  FakeContest contest({100, 96, 90, 90.5, 92});
  contest.like = {{3, {80}}};
  const RaceResult result = raced(contest);
  EXPECT_EQ(contest.asked_like, (std::vector<size_t>{2, 3, 5})) << "4 is behind by more than noise";
  EXPECT_EQ(result.winner, 5u);
}

TEST(TuneRaceTest, SearchesNowhereWhereNothingIsBetter) {
  FakeContest contest({100, 99.5, 101});
  raced(contest);
  EXPECT_TRUE(contest.asked_like.empty());
}

TEST(TuneRaceTest, SearchingEnds) {
  FakeContest contest({100, 90});
  for (size_t i = 1; i < 50; ++i) contest.like[i] = {90 - static_cast<double>(i)};
  raced(contest);
  EXPECT_LE(contest.asked_like.size(), 8u);
}

// A small lead is worth the wait for a second undisturbed measurement.
TEST(TuneRaceTest, TheFinalWaitsForQuiet) {
  FakeContest contest({100, 98.5});
  contest.noise = [](size_t, int number) { return number % 22 != 0 ? 1.03 : 1; };
  EXPECT_EQ(raced(contest).winner, 1u);
}

TEST(TuneRaceTest, TheNextIsTriedWhereTheBestWasLucky) {
  FakeContest contest({100, 90, 95, 99.8});
  contest.noise = [](size_t candidate, int number) {
    return candidate == 1 && number > 8 ? 1.2 : 1;
  };
  EXPECT_EQ(raced(contest).winner, 2u);
}

// After another's measurement is slower than after its own: no noise, both have as many of each.
TEST(TuneRaceTest, ColdCachesAreNoNoise) {
  FakeContest contest({100, 97});
  contest.cold = 1.1;
  EXPECT_EQ(raced(contest).winner, 1u);
  EXPECT_LT(contest.samples[1], 60) << "the final need not wait";
}

// One lucky measurement proves nothing.
TEST(TuneRaceTest, ALeadWithinNoiseIsNone) {
  for (int lucky = 0; lucky < 60; ++lucky) {
    FakeContest contest({100, 99.8});
    contest.noise = [&](size_t candidate, int number) {
      return candidate == 1 && number == lucky ? 0.9 : 1;
    };
    EXPECT_EQ(raced(contest).winner, 0u) << lucky;
  }
}

TEST(TuneRaceTest, StopsWhereTwoCannotBeToldApart) {
  FakeContest equal({100, 90, 90}), apart({100, 90, 90.5});
  raced(equal);
  raced(apart);
  EXPECT_LT(equal.samples[1], apart.samples[1]);
}

TEST(TuneRaceTest, WrongResultsAreDroppedAndTheNextIsTaken) {
  FakeContest contest({100, 80, 83, 85});
  contest.wrong = {1};
  const RaceResult result = raced(contest);
  EXPECT_EQ(result.winner, 2u);
  ASSERT_EQ(result.failures.size(), 1u);
  EXPECT_EQ(result.failures[0].first, 1u);
  EXPECT_EQ(result.failures[0].second.message(), "wrong results");
  EXPECT_NE(result.runner_up, 1u);
  contest = FakeContest({100, 80, 81});
  contest.wrong = {1, 2};
  EXPECT_EQ(raced(contest).winner, 0u) << "none is right but the default";
}

TEST(TuneRaceTest, WrongDefaultIsAnError) {
  FakeContest contest({100, 120});
  contest.wrong = {0};
  EXPECT_EQ(race(contest, 2, kLong).status().code(), StatusCode::kInternal);
}

TEST(TuneRaceTest, WhatDoesNotCompileIsReported) {
  FakeContest contest({100, 80, 90});
  contest.broken = {1};
  const RaceResult result = raced(contest);
  EXPECT_EQ(result.winner, 2u);
  ASSERT_EQ(result.failures.size(), 1u);
  EXPECT_EQ(result.failures[0].first, 1u);
  contest = FakeContest({100, 80});
  contest.broken = {0};
  EXPECT_EQ(race(contest, 2, kLong).status().code(), StatusCode::kCompileFailed);
}

TEST(TuneRaceTest, NotesThatCannotBeKeptEndTheRace) {
  FakeContest contest({100, 80, 90});
  contest.notes_fail = true;
  EXPECT_EQ(race(contest, 3, kLong).status().code(), StatusCode::kIoError);
  EXPECT_EQ(contest.notes.size(), 1u);
}

TEST(TuneRaceTest, BudgetEndsTheScreening) {
  FakeContest contest(std::vector<double>(1000, 1e6));  // a second each
  for (size_t i = 1; i < contest.us.size(); ++i) contest.us[i] = 0.9e6;
  const RaceResult result = raced(contest, 100);
  EXPECT_GT(result.timed, 5);
  EXPECT_LT(result.timed, 20);
  EXPECT_LT(contest.clock, 160) << "a few rounds and a final on top at most";
  EXPECT_NE(result.winner, 0u);
}

TEST(TuneRaceTest, WithoutBudgetOneIsTimed) {
  FakeContest contest({100, 80, 60});
  const RaceResult result = raced(contest, 0);
  EXPECT_EQ(result.timed, 1);
  EXPECT_EQ(result.winner, 1u);
}

TEST(TuneRaceTest, MayBeInterruptedAnywhere) {
  FakeContest whole({100, 96, 130, 80, 102, 83});
  raced(whole);
  for (int stop = 0; stop < whole.asked; ++stop) {
    FakeContest contest(whole.us);
    contest.stop_at = stop;
    const RaceResult result = raced(contest);
    EXPECT_TRUE(result.interrupted) << stop;
    EXPECT_EQ(contest.asked, stop + 1) << "nothing is asked or timed afterwards";
    EXPECT_EQ(contest.notes.size(), static_cast<size_t>(std::min(stop, 5))) << "all are noted";
    EXPECT_TRUE(contest.checked.empty());
  }
}

}  // namespace
}  // namespace convgen
