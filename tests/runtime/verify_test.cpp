// SPDX-License-Identifier: Apache-2.0
// verify_kernel must see what is wrong: each kernel here is right but for one fault, put in on
// purpose. A check that nobody has seen fail is no evidence.
#include "runtime/verify.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "runtime/generic_kernel.h"
#include "runtime/kernel_state.h"
#include "tests/support/kernels.h"

namespace convgen {
namespace {

using codegen::KernelArgs;
using testing::conv_of;

const char* const kConv = "conv2d src=f32:nhwc:1x6x7x5 weights=f32:hwio:3x3x5x9 pads=1x1";

// The kernel that faults are put into. Functions of kernels hold no state, so it lies here.
struct RightKernel {
  codegen::KernelFunction function = nullptr;
  int64_t outputs = 0;
};
RightKernel& right() {
  static RightKernel kernel;
  return kernel;
}

void run_right(const KernelArgs* args, int64_t begin, int64_t end) {
  right().function(args, begin, end);
}

// A kernel of conv by the generic path whose function is replaced.
Kernel faulty_kernel(const ir::Conv& conv, codegen::KernelFunction function) {
  std::shared_ptr<KernelState> state = make_generic_state(conv);
  right() = {state->function, conv.dst_elements()};
  state->function = function;
  return Kernel(state);
}

VerifyReport verify(const Kernel& kernel, VerifyData data, uint64_t seed = 1,
                    double max_multiply_adds = 3e8) {
  const Result<VerifyReport> report =
      verify_kernel(kernel, {.seed = seed, .data = data, .max_multiply_adds = max_multiply_adds});
  EXPECT_TRUE(report.ok()) << report.status().message();
  return report.ok() ? *report : VerifyReport();
}

// Fails on integers and on reals, and says where.
void expect_detected(codegen::KernelFunction function, const std::string& conv = kConv) {
  const Kernel kernel = faulty_kernel(conv_of(conv), function);
  for (const VerifyData data : {VerifyData::kIntegers, VerifyData::kReals}) {
    const VerifyReport report = verify(kernel, data);
    EXPECT_FALSE(report.pass);
    EXPECT_FALSE(report.failure.empty());
  }
}

TEST(VerifyTest, PassesWhatIsRight) {
  const Kernel kernel = faulty_kernel(conv_of(kConv), run_right);
  const VerifyReport integers = verify(kernel, VerifyData::kIntegers);
  EXPECT_TRUE(integers.pass) << integers.failure;
  EXPECT_TRUE(integers.bit_exact);
  EXPECT_EQ(integers.max_error, 0);
  EXPECT_EQ(integers.checked_outputs, 6 * 7 * 9);
  EXPECT_GE(integers.nonzero_share, 0.7);

  const VerifyReport reals = verify(kernel, VerifyData::kReals);
  EXPECT_TRUE(reals.pass) << reals.failure;
  EXPECT_FALSE(reals.bit_exact);
  EXPECT_GT(reals.max_error, 0);
  EXPECT_LE(reals.max_error, reals.bound);
  EXPECT_LE(reals.worst_ratio, 1);
}

TEST(VerifyTest, AutoTakesIntegersForEvenSeeds) {
  const Kernel kernel = faulty_kernel(conv_of(kConv), run_right);
  EXPECT_TRUE(verify(kernel, VerifyData::kAuto, 2).bit_exact);
  EXPECT_FALSE(verify(kernel, VerifyData::kAuto, 3).bit_exact);
}

TEST(VerifyTest, SeesAnOutputLeftUnwritten) {
  expect_detected([](const KernelArgs* args, int64_t begin, int64_t end) {
    float& last = args->dst[right().outputs - 1];
    const float before = last;
    run_right(args, begin, end);
    last = before;
  });
  expect_detected([](const KernelArgs*, int64_t, int64_t) {});
}

TEST(VerifyTest, SeesATaskLeftOut) {
  const char* many_tasks = "conv2d src=f32:nhwc:2x40x40x8 weights=f32:hwio:1x1x8x32";
  ASSERT_GT(faulty_kernel(conv_of(many_tasks), run_right).tasks(), 1);
  expect_detected(
      [](const KernelArgs* args, int64_t begin, int64_t end) { run_right(args, begin, end - 1); },
      many_tasks);
}

TEST(VerifyTest, SeesNaN) {
  expect_detected([](const KernelArgs* args, int64_t begin, int64_t end) {
    run_right(args, begin, end);
    args->dst[right().outputs / 2] = std::numeric_limits<float>::quiet_NaN();
  });
}

TEST(VerifyTest, SeesInf) {
  expect_detected([](const KernelArgs* args, int64_t begin, int64_t end) {
    run_right(args, begin, end);
    args->dst[0] = std::numeric_limits<float>::infinity();
  });
}

TEST(VerifyTest, SeesZeros) {
  expect_detected([](const KernelArgs* args, int64_t, int64_t) {
    std::fill_n(args->dst, right().outputs, 0.0f);
  });
}

// The right answer to a neighbouring question: another border, mirrored taps.
TEST(VerifyTest, SeesAnotherConvolution) {
  const char* asked = "conv1d src=f32:nwc:1x9x3 weights=f32:wio:2x3x4 pads=0:1";
  for (const char* answered :
       {"conv1d src=f32:nwc:1x9x3 weights=f32:wio:2x3x4 pads=1:0",
        "conv1d src=f32:nwc:1x9x3 weights=f32:wio:2x3x4 pads=0:1 post=relu",
        "conv1d src=f32:ncw:1x3x9 weights=f32:wio:2x3x4 dst=f32:nwc pads=0:1",
        "conv1d src=f32:nwc:1x9x3 weights=f32:oiw:4x3x2 pads=0:1"}) {
    const std::shared_ptr<KernelState> state = make_generic_state(conv_of(answered));
    state->conv = conv_of(asked);
    for (const VerifyData data : {VerifyData::kIntegers, VerifyData::kReals})
      EXPECT_FALSE(verify(Kernel(state), data).pass) << answered;
  }
}

// One unit in the last place: within the bound on reals, wrong on integers.
TEST(VerifyTest, DemandsBitEqualityOfIntegersOnly) {
  const Kernel kernel =
      faulty_kernel(conv_of(kConv), [](const KernelArgs* args, int64_t begin, int64_t end) {
        run_right(args, begin, end);
        for (int64_t i = 0; i < right().outputs; ++i)
          args->dst[i] = std::nextafter(args->dst[i], 1e9f);
      });
  EXPECT_FALSE(verify(kernel, VerifyData::kIntegers).pass);
  EXPECT_TRUE(verify(kernel, VerifyData::kReals).pass);
}

// A relative error of 2^-16 in every output: more than gamma(47) * S where S is not far above |y|.
TEST(VerifyTest, SeesLostPrecision) {
  expect_detected([](const KernelArgs* args, int64_t begin, int64_t end) {
    run_right(args, begin, end);
    for (int64_t i = 0; i < right().outputs; ++i) args->dst[i] *= 1 + 0x1p-16f;
  });
}

TEST(VerifyTest, SeesResultsThatChangeFromRunToRun) {
  expect_detected([](const KernelArgs* args, int64_t begin, int64_t end) {
    static int runs = 0;
    run_right(args, begin, end);
    if (++runs % 2 == 0) args->dst[0] = std::nextafter(args->dst[0], 1e9f);
  });
}

// Where a sample is checked, corners and borders are in it.
TEST(VerifyTest, SamplesTheBorders) {
  const ir::Conv conv = conv_of("conv2d src=f32:nhwc:1x64x64x8 weights=f32:hwio:3x3x8x16 pads=1x1");
  const double samples = 400;
  const double multiply_adds = samples * static_cast<double>(conv.terms());
  const VerifyReport good =
      verify(faulty_kernel(conv, run_right), VerifyData::kReals, 1, multiply_adds);
  EXPECT_TRUE(good.pass) << good.failure;
  EXPECT_EQ(good.checked_outputs, 400);
  const Kernel corner = faulty_kernel(conv, [](const KernelArgs* args, int64_t begin, int64_t end) {
    run_right(args, begin, end);
    args->dst[right().outputs - 1] += 1;
  });
  EXPECT_FALSE(verify(corner, VerifyData::kReals, 1, multiply_adds).pass);
  const Kernel last_row =
      faulty_kernel(conv, [](const KernelArgs* args, int64_t begin, int64_t end) {
        run_right(args, begin, end);
        for (int64_t i = 1; i < 63 * 16; ++i) args->dst[right().outputs - 1 - 16 - i] += 1;
      });
  EXPECT_FALSE(verify(last_row, VerifyData::kReals, 1, multiply_adds).pass);
}

// Sums of 0 make verify mistrust its data, but not where no tap lies in the image.
TEST(VerifyTest, OutputsOfPaddingAloneAreNoSuspicion) {
  const ir::Conv conv = conv_of("conv1d src=f32:nwc:1x1x1 weights=f32:wio:1x1x1 pads=40:40");
  const VerifyReport report = verify(faulty_kernel(conv, run_right), VerifyData::kIntegers);
  EXPECT_TRUE(report.pass) << report.failure;
}

// A filter of 1, 0, -1 over one row: what the padding adds cancels, and of the image it sees
// nothing.
TEST(VerifyTest, SumsThatWeightsMakeZeroAreNoSuspicion) {
  const ir::Conv conv =
      conv_of("conv2d src=f32:nhwc:1x1x40x1 weights=f32:hwio:3x1x1x1 pads=1:1x0:0 pad_value=1");
  const ConstantWeights constants{{1, 0, -1}};
  const Result<Kernel> kernel = testing::make_engine().compile(conv, constants);
  ASSERT_TRUE(kernel.ok()) << kernel.status().message();
  const VerifyReport report = verify(*kernel, VerifyData::kIntegers);
  EXPECT_TRUE(report.pass) << report.failure;
}

// Two squares leave room for integers up to 1 alone: every second of these sums would be 0.
TEST(VerifyTest, ChainsThatGrowFastLeaveSumsThatProve) {
  const ir::Conv conv = conv_of(
      "conv2d src=f32:nhwc:1x1x12x2 weights=f32:hwio:9x1x2x4 pads=8:0x0:0 post=square,square");
  for (uint64_t seed = 0; seed < 100; seed += 2) {
    const VerifyReport report = verify(faulty_kernel(conv, run_right), VerifyData::kIntegers, seed);
    EXPECT_TRUE(report.pass) << report.failure << ", seed " << seed;
    EXPECT_GE(report.nonzero_share, 0.7);
  }
}

// Two pixels whose eight outputs are one sum: where it is 0 by chance, other data has to do.
TEST(VerifyTest, SumsThatAreZeroByChanceAreDrawnAgain) {
  const ir::Conv conv = conv_of("conv2d src=f32:nhwc:1x1x2x4 weights=f32:hwio:1x1x4x8");
  const ConstantWeights constants{std::vector<float>(32, 1.0f)};
  const Result<Kernel> kernel = testing::make_engine().compile(conv, constants);
  ASSERT_TRUE(kernel.ok()) << kernel.status().message();
  for (uint64_t seed = 0; seed < 400; seed += 2) {
    const VerifyReport report = verify(*kernel, VerifyData::kIntegers, seed);
    EXPECT_TRUE(report.pass) << report.failure << ", seed " << seed;
    EXPECT_TRUE(report.bit_exact);
    EXPECT_GE(report.nonzero_share, 0.7);
  }
}

TEST(VerifyTest, PassesEmptyConvolutions) {
  for (const char* text : {"conv1d src=f32:nwc:0x5x3 weights=f32:wio:2x3x4",
                           "conv1d src=f32:nwc:1x5x3 weights=f32:wio:2x3x0"}) {
    const VerifyReport report =
        verify(Kernel(make_generic_state(conv_of(text))), VerifyData::kReals);
    EXPECT_TRUE(report.pass) << report.failure;
    EXPECT_EQ(report.checked_outputs, 0);
  }
}

// Integers are rounded as well, and a bound takes some 60 times as long as a sum: the sample is as
// much smaller.
TEST(VerifyTest, WinogradIsHeldAgainstItsBound) {
  const ir::Conv conv = conv_of("conv2d src=f32:nhwc:1x40x40x8 weights=f32:hwio:3x3x8x8 pads=1x1");
  const Engine engine = testing::make_engine();
  const auto kernel = [&](const char* words) {
    return testing::compile_kernel(engine, conv, testing::with_schedule(words));
  };
  const Kernel direct = kernel("direct"), winograd = kernel("winograd unroll=tile output_tile=4");
  EXPECT_EQ(direct.summation().winograd_tile, 0);
  EXPECT_EQ(winograd.summation().winograd_tile, 4);
  for (const VerifyData data : {VerifyData::kIntegers, VerifyData::kReals}) {
    const VerifyReport report = verify(winograd, data);
    EXPECT_TRUE(report.pass) << report.failure;
    EXPECT_FALSE(report.bit_exact);
    EXPECT_EQ(report.checked_outputs, 40 * 40 * 8);
    EXPECT_GT(report.max_error, 0);
    EXPECT_GT(report.bound, 4 * verify(direct, VerifyData::kReals).bound);
  }
  const double budget = 9.0 * 8 * 6400;  // half of the sums
  const int64_t sums = verify(direct, VerifyData::kReals, 1, budget).checked_outputs;
  const int64_t bounds = verify(winograd, VerifyData::kReals, 1, budget).checked_outputs;
  EXPECT_EQ(sums, 6400);
  EXPECT_GE(bounds, 6400 / 100);
  EXPECT_LE(bounds, 6400 / 40);
}

TEST(VerifyTest, ReportsTensorsThatDoNotFit) {
  const ir::Conv conv =
      conv_of("conv2d src=f32:nhwc:1x1048576x1048576x256 weights=f32:hwio:1x1x256x1");
  const Result<VerifyReport> report = verify_kernel(Kernel(make_generic_state(conv)));
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.status().code(), StatusCode::kResourceExhausted);
}

// --- Outside the tensors: the guard pages end the process ---

// Any death will do: a sanitizer turns the signal into an exit.
using VerifyDeathTest = ::testing::Test;

void expect_fault(codegen::KernelFunction function) {
  const Kernel kernel = faulty_kernel(conv_of(kConv), function);
  EXPECT_DEATH(verify(kernel, VerifyData::kReals), "");
}

volatile float read_value;

TEST(VerifyDeathTest, ReadingOutsideFaults) {
  expect_fault([](const KernelArgs* args, int64_t, int64_t) { read_value = args->src[-1]; });
  expect_fault([](const KernelArgs* args, int64_t, int64_t) { read_value = args->src[6 * 7 * 5]; });
  // What the chain does not use has no memory at all.
  expect_fault([](const KernelArgs* args, int64_t, int64_t) { read_value = args->bias[0]; });
}

TEST(VerifyDeathTest, WritingOutsideFaults) {
  expect_fault([](const KernelArgs* args, int64_t, int64_t) { args->dst[-1] = 0; });
  expect_fault([](const KernelArgs* args, int64_t, int64_t) { args->dst[right().outputs] = 0; });
}

TEST(VerifyDeathTest, WritingToSrcFaults) {
  expect_fault(
      [](const KernelArgs* args, int64_t, int64_t) { const_cast<float*>(args->src)[0] = 0; });
}

}  // namespace
}  // namespace convgen
