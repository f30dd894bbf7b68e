// SPDX-License-Identifier: Apache-2.0
// A small convolution for each way to compute one, for tests that must see all of them.
#pragma once

#include <array>
#include <ostream>
#include <stdexcept>
#include <string>

#include "runtime/engine.h"
#include "tests/support/filters.h"
#include "tests/support/kernels.h"

namespace convgen::testing {

struct AlgorithmCase {
  const char* name;  // as it stands in the name of a test
  const char* conv;  // two images or rows of tiles, padded at every border, tails of lanes
  const char* schedule;
  const char* filter = "";  // constant weights, by filter_named; none: with each call
};

inline constexpr std::array<AlgorithmCase, 12> kAlgorithmCases{{
    {"direct", "conv2d src=f32:nhwc:2x6x13x3 weights=f32:hwio:3x3x3x19 pads=1x1",
     "direct tile=3x2 order=pixel_outer unroll=tile merge_rows=0"},
    {"planar", "conv2d src=f32:nchw:2x3x6x37 weights=f32:oihw:5x3x3x3 pads=1x1",
     "planar tile=16x2 unroll=tile"},
    {"staged", "conv2d src=f32:nhwc:2x6x37x3 weights=f32:hwio:3x3x3x5 pads=1x1",
     "staged tile=16x2 order=pixel_outer unroll=tile merge_rows=0 prefetch=0"},
    {"grouped", "conv2d src=f32:nhwc:2x6x13x20 weights=f32:hwio:3x3x4x20 groups=5 pads=1x1",
     "grouped tile=2x1 unroll=row"},
    {"rotated", "conv2d src=f32:nhwc:2x6x13x20 weights=f32:hwio:3x3x4x20 groups=5 pads=1x1",
     "rotated tile=2x1 unroll=taps"},
    {"depthwise", "conv2d src=f32:nhwc:2x6x13x19 weights=f32:hwio:3x3x1x19 groups=19 pads=1x1",
     "depthwise unroll=taps"},
    {"winograd", "conv2d src=f32:nhwc:2x6x13x3 weights=f32:hwio:3x3x3x19 pads=1x1",
     "winograd tile=3x1 order=oc_outer unroll=tile edges=exact output_tile=4 merge_rows=0 "
     "tiles_per_task=0"},
    {"winograd_nested", "conv2d src=f32:nhwc:2x6x13x3 weights=f32:hwio:3x3x3x19 pads=1x1",
     "winograd tile=3x1 order=oc_outer unroll=tile edges=nested output_tile=4 merge_rows=0 "
     "tiles_per_task=0"},
    {"filter", "conv2d src=f32:nhwc:2x6x70x3 weights=f32:hwio:3x3x1x3 groups=3 pads=1x1",
     "filter passes=1", "box"},
    {"filter_in_two_passes",
     "conv2d src=f32:nhwc:2x7x70x3 weights=f32:hwio:5x5x1x3 groups=3 pads=2x2", "filter passes=2",
     "box"},
    {"generic", "conv2d src=f32:nhwc:2x6x13x3 weights=f32:hwio:3x3x3x19 pads=1x1", ""},
    {"generic_depthwise",
     "conv2d src=f32:nhwc:2x6x13x19 weights=f32:hwio:3x3x1x19 groups=19 pads=1x1", ""},
}};

inline void PrintTo(const AlgorithmCase& one, std::ostream* out) { *out << one.conv; }
inline bool is_generic(const AlgorithmCase& one) { return one.schedule[0] == '\0'; }
inline bool is_winograd(const AlgorithmCase& one) {
  return std::string(one.name).starts_with("winograd");
}

// The kernel of `one`, whose conv may have got further words by now, and which its engine must
// compile as it says.
inline Kernel compile_case(const Engine& engine, const AlgorithmCase& one, const ir::Conv& conv) {
  if (is_generic(one)) return compile_kernel(engine, conv, generic_engine());
  if (one.filter[0] == '\0') return compile_kernel(engine, conv, with_schedule(one.schedule));
  Result<Kernel> kernel =
      engine.compile(conv, filter_named(one.filter, conv), with_schedule(one.schedule));
  if (!kernel.ok()) throw std::runtime_error(kernel.status().message());
  return *std::move(kernel);
}

}  // namespace convgen::testing
