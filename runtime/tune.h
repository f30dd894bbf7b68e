// SPDX-License-Identifier: Apache-2.0
// Tuning: times candidate schedules of one convolution and keeps the fastest in the tuning file,
// from which every Engine made later takes it. docs/tuning.md tells how it decides.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "ir/conv.h"
#include "ir/export.h"
#include "ir/status.h"
#include "runtime/engine.h"
#include "runtime/tune_race.h"

namespace convgen {

// Runs a batch of calls of the kernel with this schedule and says how many microseconds that took.
using Stopwatch = std::function<Result<double>(const std::string& schedule,
                                               const std::function<Status()>& batch)>;

struct TuneOptions {
  // For timing one convolution, its compilations among them; checking the winner comes on top. A
  // few rounds are run whatever it says.
  double seconds = 5;
  int threads = 1;  // the kernel is tuned for, and timed on
  // The selected schedule among them; up to half as many eight times over around what is better.
  int candidates = 40;
  uint64_t seed = 1;         // of those drawn at random
  std::string file = {};     // empty: the default tuning file
  bool again = false;        // also where the file has an entry
  Stopwatch stopwatch = {};  // empty: the steady clock
};

enum class TuneEnd {
  kKept,         // the tuning file has what was found
  kBefore,       // it had an entry, nothing was measured
  kInterrupted,  // the journal has what was measured; the same call goes on from there
  kEmpty,        // no outputs, nothing to tune
};

struct TuneResult {
  TuneEnd end = TuneEnd::kKept;
  std::string schedule = {};
  double us = 0;
  std::string default_schedule =
      {};  // the selected one; equal to `schedule` where nothing beats it
  double default_us = 0;
  std::string runner_up = {};  // empty where there was none
  double runner_up_us = 0;
  int candidates = 0;
  int timed = 0;         // besides the default
  int known_slower = 0;  // by the journal, not timed again
  // Candidates that did not compile or computed wrong results.
  std::vector<std::string> failures = {};
};

// Called between measurements; false ends the run.
using TuneCallback = std::function<bool(const TuneProgress&)>;

// Tunes conv on the engine's target. The winner passed verify_kernel, and the default stays unless
// it is beaten beyond noise. The engine's own caches and tuned schedules stay as they are. Not
// while other work runs on these CPUs. Errors: invalid_argument where there is no tuning file or a
// damaged one; io_error; unsupported where executable memory is refused; what compiling or checking
// the default says; resource_exhausted.
CONVGEN_API Result<TuneResult> tune_conv(const Engine& engine, const ir::Conv& conv,
                                         const TuneOptions& options,
                                         const TuneCallback& progress = {});

}  // namespace convgen
