// SPDX-License-Identifier: Apache-2.0
// Callers that flush subnormals to zero, or round another way: what is made for all does not depend
// on it, what is computed for them is within "Flush to zero" of numerics.md, and they find their
// modes as they left them.
#include <gtest/gtest.h>

#if defined(__x86_64__)

#include <fmt/format.h>
#include <xmmintrin.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "ir/text.h"
#include "runtime/verify.h"
#include "tests/support/algorithms.h"
#include "tests/support/isa_levels.h"
#include "tests/support/kernels.h"

namespace convgen::testing {
namespace {

// Of MXCSR.
constexpr unsigned kFlags = 0x3f;
constexpr unsigned kUsual = 0x1f80;
constexpr unsigned kFlush = kUsual | 0x8040;  // results, and operands too
constexpr unsigned kRoundUp = kFlush | 0x4000;

class ScopedModes {
 public:
  explicit ScopedModes(unsigned modes) : before_(_mm_getcsr()) { _mm_setcsr(modes); }
  ~ScopedModes() { _mm_setcsr(before_); }
  ScopedModes(const ScopedModes&) = delete;
  ScopedModes& operator=(const ScopedModes&) = delete;

 private:
  unsigned before_;
};

class FlushToZeroTest : public ::testing::TestWithParam<std::tuple<IsaLevel, AlgorithmCase>> {
 protected:
  void SetUp() override {
    Result<Engine> engine = Engine::create({.mcpu = std::get<0>(GetParam()).mcpu});
    if (!engine.ok()) GTEST_SKIP() << engine.status().message();
    engine_ = *engine;
  }

  const AlgorithmCase& algorithm() const { return std::get<1>(GetParam()); }
  ir::Conv conv() const { return conv_of(algorithm().conv); }
  Kernel compile() const { return compile_case(*engine_, algorithm(), conv()); }

  HostTensors tensors(const Kernel& kernel, Data data) const {
    HostTensors all = random_tensors(kernel.conv(), 1, data);
    if (kernel.constant_weights() != nullptr) all.weights = kernel.constant_weights()->values;
    return all;
  }

  std::optional<Engine> engine_;
};

INSTANTIATE_TEST_SUITE_P(Everywhere, FlushToZeroTest,
                         ::testing::Combine(::testing::ValuesIn(kIsaLevels),
                                            ::testing::ValuesIn(kAlgorithmCases)),
                         [](const auto& test) {
                           return fmt::format("{}_{}", std::get<0>(test.param).name,
                                              std::get<1>(test.param).name);
                         });

std::vector<float> run_under(unsigned modes, const Kernel& kernel, const HostTensors& tensors,
                             const RunSetup& setup = {}) {
  const ScopedModes scope(modes);
  std::vector<float> dst = run_kernel(kernel, tensors, setup);
  EXPECT_EQ(_mm_getcsr() & ~kFlags, modes);
  return dst;
}

TEST_P(FlushToZeroTest, CompilingLeavesEveryBitOfMxcsr) {
  for (const unsigned modes : {kUsual, kFlush, kRoundUp, kFlush | 0x25}) {
    engine_->clear_cache();
    const ScopedModes scope(modes);
    const Kernel kernel = compile();
    EXPECT_EQ(_mm_getcsr(), modes);
    const Result<VerifyReport> report = verify_kernel(kernel);
    EXPECT_EQ(_mm_getcsr(), modes);
    ASSERT_TRUE(report.ok()) << report.status().message();
    EXPECT_TRUE(report->pass) << "judged by other rules: " << report->failure;
  }
}

// Integers: no number on the way is subnormal.
TEST_P(FlushToZeroTest, ChangesNothingWhereNothingIsSubnormal) {
  const Kernel kernel = compile();
  const HostTensors all = tensors(kernel, Data::kIntegers);
  if (is_winograd(algorithm())) {  // thirds cancel to what is not zero, but not subnormal
    EXPECT_TRUE(matches_interpreter(kernel.conv(), all, run_under(kFlush, kernel, all), false,
                                    kernel.summation()));
  }
  EXPECT_TRUE(same_bits(run_kernel(kernel, all), run_under(kFlush, kernel, all)));
}

// The tensors without their subnormals.
HostTensors flushed(HostTensors tensors) {
  for (std::vector<float>* values : {&tensors.src, &tensors.weights})
    for (float& x : *values)
      if (std::fpclassify(x) == FP_SUBNORMAL) x = 0;
  return tensors;
}

// tolerance + (2n + 1) * 2^-126 + the part of S that comes from subnormals; more in two passes.
TEST_P(FlushToZeroTest, KeepsItsBound) {
  if (is_winograd(algorithm())) GTEST_SKIP() << "no bound is promised";
  const Kernel kernel = compile();
  HostTensors all = tensors(kernel, Data::kReals);
  for (size_t i = 0; i < all.src.size(); ++i) all.src[i] *= i % 3 == 0 ? 0x1p-126f : 0x1p-122f;
  const std::vector<float> dst = run_under(kFlush, kernel, all);

  const ir::Reference due = ir::interpret(kernel.conv(), all.inputs());
  const HostTensors without = flushed(all);
  const ir::Reference rest = ir::interpret(kernel.conv(), without.inputs());
  double flush = static_cast<double>(2 * kernel.conv().terms() + 1) * 0x1p-126;
  if (algorithm().name == std::string("filter_in_two_passes"))
    flush *= 2 * std::max(1.0f, *std::max_element(all.weights.begin(), all.weights.end()));
  bool differs = false;
  for (size_t i = 0; i < dst.size(); ++i) {
    const double error = std::abs(static_cast<double>(dst[i]) - due.y[i]);
    ASSERT_LE(error, due.tolerance[i] + flush + (due.s[i] - rest.s[i])) << i;
    differs |= error > due.tolerance[i];
  }
  EXPECT_TRUE(differs) << "nothing was flushed";
}

// The tasks go to a thread that was there before, with modes of its own.
TEST_P(FlushToZeroTest, OtherThreadsWorkByTheModesOfTheCaller) {
  const ParallelFor elsewhere{nullptr, [](void*, int64_t tasks, TaskFunction body, void* context) {
                                std::thread([=] {
                                  _mm_setcsr(kUsual);
                                  body(context, 0, tasks / 2);
                                  EXPECT_EQ(_mm_getcsr() & ~kFlags, kUsual);
                                }).join();
                                body(context, tasks / 2, tasks);
                              }};
  const Kernel kernel = compile();
  if (kernel.tasks() < 2) GTEST_SKIP() << "one task";
  HostTensors all = tensors(kernel, Data::kReals);
  for (float& x : all.src) x *= 0x1p-126f;
  const std::vector<float> expected = run_under(kFlush, kernel, all);
  EXPECT_TRUE(same_bits(expected, run_under(kFlush, kernel, all, {.parallel_for = &elsewhere})));
  EXPECT_FALSE(same_bits(expected, run_kernel(kernel, all))) << "nothing was flushed";
}

// --- What is made once for all ---

// A filter's tap of a subnormal weight, which matters to a large source.
TEST(KeptForAllTest, ConstantsDoNotDependOnWhoCompiles) {
  const ir::Conv conv =
      conv_of("conv2d src=f32:nhwc:1x6x70x3 weights=f32:hwio:3x3x1x3 groups=3 pads=1x1");
  ConstantWeights weights = sharpen_filter(conv);
  for (float& w : weights.values)
    if (w == 0) w = 0x1p-140f;
  HostTensors all = random_tensors(conv, 2, Data::kReals);
  for (float& x : all.src) x *= 0x1p120f;
  all.weights = weights.values;
  for (const unsigned modes : {kFlush, kRoundUp}) {
    std::optional<Kernel> kernel;
    {
      const ScopedModes scope(modes);
      const Result<Kernel> made =
          make_engine().compile(conv, weights, with_schedule("filter passes=1"));
      ASSERT_TRUE(made.ok()) << made.status().message();
      kernel = *made;
    }
    const Result<Kernel> usual =
        make_engine().compile(conv, weights, with_schedule("filter passes=1"));
    ASSERT_TRUE(usual.ok());
    EXPECT_EQ(kernel->schedule(), usual->schedule());
    EXPECT_EQ(kernel->compile_stats().code_bytes, usual->compile_stats().code_bytes);
    EXPECT_TRUE(same_bits(run_kernel(*usual, all), run_kernel(*kernel, all)));
  }
}

TEST(KeptForAllTest, PackedWeightsDoNotDependOnWhoPacks) {
  const AlgorithmCase& winograd = kAlgorithmCases[6];
  ASSERT_TRUE(is_winograd(winograd));
  const ir::Conv conv = conv_of(winograd.conv);
  const Kernel kernel = compile_case(make_engine(), winograd, conv);
  HostTensors all = random_tensors(conv, 3, Data::kReals);
  for (float& w : all.weights) w *= 0x1p-124f;
  const Result<PackedWeights> expected = kernel.pack(all.weights.data());
  ASSERT_TRUE(expected.ok());
  for (const unsigned modes : {kFlush, kRoundUp}) {
    const ScopedModes scope(modes);
    const Result<PackedWeights> found = kernel.pack(all.weights.data());
    EXPECT_EQ(_mm_getcsr(), modes);
    ASSERT_TRUE(found.ok());
    const size_t floats = expected->size_bytes() / sizeof(float);
    EXPECT_TRUE(same_bits({expected->data(), expected->data() + floats},
                          {found->data(), found->data() + floats}));
  }
}

}  // namespace
}  // namespace convgen::testing

#endif  // __x86_64__
