// SPDX-License-Identifier: Apache-2.0
// The race of a tuning run: which candidate is the fastest, in as few measurements as its lead
// allows, and where to look for a faster one. Pure strategy; what a candidate is, how it is timed
// and what the clock says is the Contest's. docs/tuning.md tells the rules.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ir/status.h"

namespace convgen {

enum class TunePhase { kScreening, kRacing, kFinal };

struct TuneProgress {
  TunePhase phase = TunePhase::kScreening;
  int done = 0;  // of this phase: candidates screened, rounds run
  int total = 0;
  double best_ratio = 1;  // the best candidate's time over the default's, so far
};

// Candidates 0, 1, ...; 0 is the default, the one to beat.
class Contest {
 public:
  virtual ~Contest() = default;
  // Readies a candidate for sample(); once, 0 first. It stays ready until drop().
  virtual Status prepare(size_t candidate) = 0;
  // One measurement: microseconds a run.
  virtual Result<double> sample(size_t candidate) = 0;
  virtual void drop(size_t candidate) = 0;
  // Adds candidates that resemble a good one, behind all others; how many there are then.
  virtual size_t add_like(size_t candidate) = 0;
  // Ok where a ready candidate computes what it should.
  virtual Status check(size_t candidate) = 0;
  // Since the race began; the budget is held against it.
  virtual double seconds() = 0;
  // A candidate's time over the default's, as soon as it is known.
  virtual Status note(size_t candidate, double ratio) = 0;
  // Asked between measurements; false ends the race.
  virtual bool go_on(const TuneProgress& progress) = 0;
};

struct RaceResult {
  bool interrupted = false;  // nothing below is decided then
  size_t winner = 0;
  double winner_us = 0;
  double default_us = 0;
  std::optional<size_t> runner_up;
  double runner_up_us = 0;
  int timed = 0;  // candidates besides the default
  std::vector<std::pair<size_t, Status>> failures;
};

// Slower than the best by more than this is out after a few rounds.
inline constexpr double kClearlySlower = 1.05;
// The default stays unless it is beaten by more than this, in either half of the measurements.
inline constexpr double kWorthChanging = 0.01;

// Errors: the default's, and note()'s.
Result<RaceResult> race(Contest& contest, size_t candidates, double seconds);

}  // namespace convgen
