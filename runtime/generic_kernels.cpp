// SPDX-License-Identifier: Apache-2.0
// Compiles the kernel bodies once per instruction set and chooses among them at run time. The
// bodies are included text, not templates over the set: GCC lowers vector types by the target of
// the function they are written in, before it inlines that anywhere.
#include "runtime/generic_kernels.h"

#include <cmath>
#include <utility>

namespace convgen::generic {

// 16 registers of 4 lanes: 4 x 2 accumulators, as multiply and add need room between them.
namespace baseline {
#define CONVGEN_TARGET
#define CONVGEN_LANES 4
#define CONVGEN_TILE_ROWS 4
#include "runtime/generic_kernels_body.h"
}  // namespace baseline

#if defined(__x86_64__)

// 16 registers of 8 lanes: 6 x 2 accumulators, 2 vectors of columns, 1 broadcast, 1 to spare.
namespace avx2 {
#define CONVGEN_TARGET __attribute__((target("avx2,fma")))
#define CONVGEN_LANES 8
#define CONVGEN_TILE_ROWS 6
#include "runtime/generic_kernels_body.h"
}  // namespace avx2

// 32 registers of 16 lanes: 14 x 2 accumulators, 2 vectors of columns, 1 broadcast, 1 to spare.
namespace avx512 {
#define CONVGEN_TARGET \
  __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,prefer-vector-width=512")))
#define CONVGEN_LANES 16
#define CONVGEN_TILE_ROWS 14
#include "runtime/generic_kernels_body.h"
}  // namespace avx512

namespace {

bool host_has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

bool host_has_avx512() {
  return host_has_avx2() && __builtin_cpu_supports("avx512f") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq");
}

constexpr Kernels kBaselineKernels = baseline::make_kernels("sse2");
constexpr Kernels kAvx2Kernels = avx2::make_kernels("avx2+fma");
constexpr Kernels kAvx512Kernels = avx512::make_kernels("avx512f");

}  // namespace

std::vector<Isa> host_isas() {
  std::vector<Isa> isas = {Isa::kBaseline};
  if (host_has_avx2()) isas.push_back(Isa::kAvx2);
  if (host_has_avx512()) isas.push_back(Isa::kAvx512);
  return isas;
}

const Kernels& kernels_for(Isa isa) {
  switch (isa) {
    case Isa::kBaseline:
      break;
    case Isa::kAvx2:
      return kAvx2Kernels;
    case Isa::kAvx512:
      return kAvx512Kernels;
  }
  return kBaselineKernels;
}

#else

namespace {
constexpr Kernels kBaselineKernels = baseline::make_kernels("baseline");
}  // namespace

std::vector<Isa> host_isas() { return {Isa::kBaseline}; }

const Kernels& kernels_for(Isa) { return kBaselineKernels; }

#endif

std::string isa_name(Isa isa) { return kernels_for(isa).name; }

std::string isa_name() { return isa_name(host_isas().back()); }

}  // namespace convgen::generic
