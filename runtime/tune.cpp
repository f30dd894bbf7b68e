// SPDX-License-Identifier: Apache-2.0
#include "runtime/tune.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include "codegen/candidate_schedules.h"
#include "ir/text.h"
#include "runtime/jit_kernel_maker.h"
#include "runtime/kernel_contest.h"
#include "runtime/tuning_file.h"
#include "runtime/tuning_journal.h"

namespace convgen {
namespace {

using codegen::Schedule;

// Two of five by the cost model, the others around what it says.
codegen::CandidateOptions candidate_options(const TuneOptions& options) {
  const int best = std::max(1, (2 * options.candidates + 4) / 5);
  return {.best = best, .sampled = options.candidates - best, .seed = options.seed};
}

// What the file has, where that can be used.
std::optional<TuneResult> find_result(const TuningTable& table, const ir::Conv& conv, int threads,
                                      const codegen::Target& target) {
  if (!table.find_schedule(conv, threads, target)) return std::nullopt;
  const TuningEntry& entry = *table.find(tuning_key(conv, threads, target));
  const Schedule selected =
      codegen::candidate_schedules(conv, target, threads, {.best = 1, .sampled = 0})[0];
  return TuneResult{.end = TuneEnd::kBefore,
                    .schedule = entry.schedule,
                    .us = entry.us,
                    .default_schedule = codegen::print_schedule(selected),
                    .default_us = entry.default_us,
                    .runner_up = entry.runner_up,
                    .runner_up_us = entry.runner_up_us};
}

// The candidates of one run, without those that an interrupted one saw to be clearly slower.
class CandidateSource {
 public:
  CandidateSource(const ir::Conv& conv, const codegen::Target& target, const TuneOptions& options,
                  std::map<std::string, double> ratios)
      : conv_(conv), target_(target), options_(options), ratios_(std::move(ratios)) {}

  // The default is among them, whatever it was seen at.
  std::vector<Schedule> first() {
    std::vector<Schedule> all =
        codegen::candidate_schedules(conv_, target_, options_.threads, candidate_options(options_));
    all.erase(
        std::remove_if(all.begin() + 1, all.end(), [&](const auto& s) { return is_known(s); }),
        all.end());
    return all;
  }

  // Half as many once more, one step away from `like`.
  void add_like(const Schedule& like, std::vector<Schedule>& schedules) {
    int wanted = options_.candidates / 2;
    for (const Schedule& schedule : codegen::schedule_variations(conv_, target_, like)) {
      if (wanted == 0) return;
      if (std::ranges::find(schedules, schedule) != schedules.end() || is_known(schedule)) continue;
      schedules.push_back(schedule);
      --wanted;
    }
  }

  int known_slower() const { return known_slower_; }

 private:
  bool is_known(const Schedule& schedule) {
    const auto found = ratios_.find(codegen::print_schedule(schedule));
    const bool known = found != ratios_.end() && found->second > kClearlySlower;
    known_slower_ += known;
    return known;
  }

  const ir::Conv& conv_;
  const codegen::Target& target_;
  const TuneOptions& options_;
  const std::map<std::string, double> ratios_;
  int known_slower_ = 0;
};

TuneResult result_of(const RaceResult& raced, const std::vector<Schedule>& candidates) {
  const auto text = [&](size_t i) { return codegen::print_schedule(candidates[i]); };
  TuneResult result{.end = raced.interrupted ? TuneEnd::kInterrupted : TuneEnd::kKept,
                    .schedule = text(raced.winner),
                    .us = raced.winner_us,
                    .default_schedule = text(0),
                    .default_us = raced.default_us,
                    .runner_up = raced.runner_up ? text(*raced.runner_up) : "",
                    .runner_up_us = raced.runner_up_us,
                    .candidates = static_cast<int>(candidates.size()),
                    .timed = raced.timed};
  for (const auto& [candidate, status] : raced.failures)
    result.failures.push_back(fmt::format("{}: {}", text(candidate), status.message()));
  return result;
}

Status keep(const std::string& file, const TuningJournal& journal, const TuningKey& key,
            const TuneResult& result) {
  const TuningEntry entry{
      key, result.schedule, result.us, result.default_us, result.runner_up, result.runner_up_us};
  if (Status status = keep_tuning_entry(file, entry); !status.ok()) return status;
  return journal.finish(key);
}

Result<TuneResult> tune(const Engine& engine, const ir::Conv& conv, const TuneOptions& options,
                        const std::string& file, const TuneCallback& progress) {
  const codegen::Target& target = JitKernelMaker::of(engine)->target;
  const auto table = TuningTable::read(file, false);
  if (!table.ok()) return table.status();
  if (conv.dst_elements() == 0) return TuneResult{.end = TuneEnd::kEmpty};
  if (const auto before = find_result(*table, conv, options.threads, target);
      before && !options.again)
    return *before;

  const auto journal = TuningJournal::open(file);
  if (!journal.ok()) return journal.status();
  const TuningKey key = tuning_key(conv, options.threads, target);
  auto ratios = journal->ratios(key);
  if (!ratios.ok()) return ratios.status();
  CandidateSource source(conv, target, options, std::move(*ratios));
  std::vector<Schedule> candidates = source.first();
  const KernelContest::AddLike add_like = [&](const Schedule& like, auto& schedules) {
    source.add_like(like, schedules);
  };
  KernelContest contest(engine, conv, candidates, add_like, options, progress, *journal, key);
  const auto raced = race(contest, candidates.size(), options.seconds);
  if (!raced.ok()) return raced.status();
  TuneResult result = result_of(*raced, candidates);
  result.known_slower = source.known_slower();
  if (result.end == TuneEnd::kInterrupted) return result;
  if (Status status = keep(file, *journal, key, result); !status.ok()) return status;
  return result;
}

}  // namespace

Result<TuneResult> tune_conv(const Engine& engine, const ir::Conv& conv, const TuneOptions& options,
                             const TuneCallback& progress) {
  if (options.threads < 1)
    return invalid_argument(fmt::format("threads={}: must be at least 1", options.threads));
  const std::string file = options.file.empty() ? default_tuning_file() : options.file;
  if (file.empty())
    return invalid_argument("tuning file: none; CONVGEN_CACHE_DIR is empty, or there is no home");
  if (JitKernelMaker::of(engine) == nullptr)
    return unsupported("tuning: this engine has no compiler");
  try {
    return tune(engine, conv, options, file, progress);
  } catch (const std::bad_alloc&) {
    return resource_exhausted("tuning: out of memory for the tensors");
  }
}

}  // namespace convgen
