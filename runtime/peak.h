// SPDX-License-Identifier: Apache-2.0
// The machine's FMA rate, measured: the figure every benchmark is held against.
#pragma once

#include "ir/export.h"
#include "ir/status.h"
#include "runtime/engine.h"

namespace convgen {

struct PeakRate {
  double gflops = 0;    // of one thread, f32, counting an FMA as two
  int vector_bits = 0;  // of the vectors that reached it
};

// Compiles a loop of independent register-only FMAs for the engine's target and times it, best of
// several short runs (about 20 ms in all). Errors: as Engine::compile.
CONVGEN_API Result<PeakRate> measure_peak(const Engine& engine);

}  // namespace convgen
