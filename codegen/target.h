// SPDX-License-Identifier: Apache-2.0
// Target: what a CPU can do, as plain data: the explicit feature list, and what follows from it for
// schedules. The only place that asks the host; everything downstream is a pure function of it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "codegen/core_model.h"
#include "ir/export.h"
#include "ir/status.h"

namespace convgen::codegen {

struct CONVGEN_API Target {
  std::string triple;
  std::string cpu;                    // the baseline LLVM starts from: "x86-64"
  std::string tune_cpu;               // whose scheduling model is used; never decides features
  std::vector<std::string> features;  // "+avx2", "-avx512f", ...; sorted, complete

  // What the features mean for code generation.
  int max_lanes = 4;  // floats in the widest vector worth using
  int vector_registers = 16;
  bool has_fma = false;               // else multiply and add round separately
  bool has_streaming_stores = false;  // of aligned vectors, past the caches
  bool has_lane_masks = false;        // masked loads and stores cost as plain ones (AVX-512)

  // Bytes of cache one core sees; the defaults where the machine does not tell.
  int64_t l1d_bytes = 32 << 10;
  int64_t l2_bytes = 1 << 20;
  int64_t l3_bytes = 32 << 20;

  // What the cost model knows of the core: the host's own, whatever instructions it is to use.
  CoreModel core;

  // The features joined as LLVM takes them: "+avx,+avx2,...".
  std::string feature_string() const;
  // One line that holds everything that can change emitted bytes; part of every cache key.
  std::string key() const;
};

// The machine this runs on: features from CPUID and XCR0 (an operating system that does not save
// zmm registers hides AVX-512), caches as the kernel reports them.
CONVGEN_API Result<Target> host_target();

// A target by name, for dumps, cross compilation and tests. Empty triple: the host's. Empty cpu:
// the host where the triple is the host's, else the triple's baseline. attrs as LLVM spells them:
// "+avx2,-fma". Errors: invalid_argument for a triple, CPU (lists the known) or attribute LLVM
// does not know.
CONVGEN_API Result<Target> make_target(const std::string& triple, const std::string& cpu,
                                       const std::string& attrs);

// The CPUs that mcpu may name on this machine's triple, in LLVM's order.
std::vector<std::string> known_cpus();

// Ok where host can run code made for target; else unsupported, naming a missing feature.
CONVGEN_API Status check_runs_on(const Target& target, const Target& host);

// The ISA levels kernels are tested at: x86-64-v2 (SSE4.2), v3 (AVX2 + FMA), v4 (AVX-512).
CONVGEN_API std::vector<std::string> isa_levels();

}  // namespace convgen::codegen
