// SPDX-License-Identifier: Apache-2.0
// Emitted packing: the very bits of pack_weights, whatever the weights are; a NaN is a NaN.
#include "codegen/emit_pack.h"

#include <gtest/gtest.h>
#include <llvm/IR/LLVMContext.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "codegen/compile_module.h"
#include "codegen/emit_function.h"
#include "codegen/nest_shape.h"
#include "codegen/winograd.h"
#include "runtime/jit_session.h"
#include "tests/codegen/codegen_test_support.h"
#include "tests/support/random.h"

namespace convgen::codegen {
namespace {

using testing::conv_of;
using testing::target_of;

// Reals, among them what f32 and f64 round differently and what is no number.
std::vector<float> weights_of(const ir::Conv& conv) {
  convgen::testing::Random random(3);
  std::vector<float> weights(static_cast<size_t>(conv.weights_elements()));
  for (float& w : weights) w = random.real() * 1e3f;
  const float odd[] = {-0.0f, 1e-45f, std::numeric_limits<float>::infinity(), std::nanf(""), 3e38f};
  for (size_t i = 0; i < std::size(odd); ++i)
    if (7 * i + 3 < weights.size()) weights[7 * i + 3] = odd[i];
  return weights;
}

std::vector<float> pack_emitted(const ir::Conv& conv, const PackedLayout& layout,
                                const Target& target, const std::vector<float>& weights) {
  llvm::LLVMContext context;
  auto module = make_module(context, target);
  emit_pack(*module, conv, layout, target, "pack");
  CpuStopwatch watch;
  CompileTimes times;
  const auto object = compile_module(Stage::kObject, *module, target, nullptr, watch, times);
  if (!object.ok()) throw std::runtime_error(object.status().message());
  const auto code = JitSession::create()->link(*object, "pack");
  if (!code.ok()) throw std::runtime_error(code.status().message());
  std::vector<float> packed(static_cast<size_t>(layout.elements()) + 1, -7.0f);
  using Pack = void (*)(const float* weights, float* packed);
  const auto pack = reinterpret_cast<Pack>(reinterpret_cast<uintptr_t>((*code)->function()));
  pack(weights.data(), packed.data());
  EXPECT_EQ(packed.back(), -7.0f) << "wrote past the end";
  packed.pop_back();
  return packed;
}

void expect_same_bits(const ir::Conv& conv, const Schedule& schedule, const Target& target) {
  const PackedLayout layout = packed_layout(conv, schedule);
  const std::vector<float> weights = weights_of(conv);
  std::vector<float> expected(static_cast<size_t>(layout.elements()));
  pack_weights(conv, layout, weights.data(), expected.data());
  const std::vector<float> found = pack_emitted(conv, layout, target, weights);
  // Of several NaNs in a sum the host's compiler picks the one that comes out.
  const auto same = [](float a, float b) {
    return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b) ||
           (std::isnan(a) && std::isnan(b));
  };
  EXPECT_TRUE(std::ranges::equal(expected, found, same)) << ir::print_conv(conv) << "\n"
                                                         << print_schedule(schedule);
}

// The instruction set of weights' transforms must not change their rounding: v3 has FMA.
std::vector<Target> runnable_targets() {
  const auto host = host_target();
  std::vector<Target> targets;
  for (const std::string& level : isa_levels())
    if (const Target target = target_of(level); check_runs_on(target, *host).ok())
      targets.push_back(target);
  return targets;
}

TEST(EmitPack, PlainWeights) {
  const char* convs[] = {
      "conv2d src=f32:nhwc:1x9x9x3 weights=f32:hwio:3x3x3x8",
      "conv2d src=f32:nhwc:1x9x9x5 weights=f32:oihw:21x5x2x1",
      "conv2d src=f32:nchw:1x6x9x9 weights=f32:oihw:38x3x3x2 groups=2",
      "conv2d src=f32:nhwc:1x9x9x6 weights=f32:hwio:2x3x2x51 groups=3",
      "conv1d src=f32:nwc:1x9x2 weights=f32:wio:5x2x64",
      "conv3d src=f32:ndhwc:1x9x9x9x2 weights=f32:oidhw:17x2x2x3x4",
      "conv2d src=f32:nhwc:1x9x9x2 weights=f32:hwio:3x3x2x0",
  };
  for (const std::string text : convs) {
    const ir::Conv conv = conv_of(text);
    for (const Target& target : runnable_targets())
      for (const int lanes : {1, 4, 16})
        for (const int vectors : {1, 3})
          expect_same_bits(conv, {.lanes = lanes, .tile_vectors = vectors}, target);
  }
}

TEST(EmitPack, WeightsOfSpanningGroups) {
  for (const std::string weights : {"hwio:3x3x4x24", "oihw:24x4x3x3"}) {
    const ir::Conv conv = conv_of("conv2d src=f32:nhwc:1x9x9x24 groups=6 weights=f32:" + weights);
    for (const Target& target : runnable_targets())
      for (const Algorithm algorithm : {Algorithm::kGrouped, Algorithm::kRotated})
        for (const int vectors : {1, 2, 4})
          expect_same_bits(conv, {.algorithm = algorithm, .lanes = 8, .tile_vectors = vectors},
                           target);
  }
}

TEST(EmitPack, WinogradsTransform) {
  for (const std::string kernel : {"3x3", "1x3", "5x5", "5x1", "3x5"})
    for (const bool oi_first : {false, true}) {
      const std::string weights = oi_first ? "oihw:19x6x" + kernel : "hwio:" + kernel + "x6x19";
      const ir::Conv conv = conv_of("conv2d src=f32:nhwc:1x20x20x6 weights=f32:" + weights);
      for (const Target& target : runnable_targets())
        for (const int tile : {2, 4})
          expect_same_bits(conv,
                           {.algorithm = Algorithm::kWinograd,
                            .lanes = 8,
                            .tile_vectors = 2,
                            .output_tile = tile},
                           target);
    }
}

}  // namespace
}  // namespace convgen::codegen
