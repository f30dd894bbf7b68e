// SPDX-License-Identifier: Apache-2.0
// Kernels of a build under AddressSanitizer: a tensor on the heap that is one float too short ends
// the process with a report, whichever it is and whichever algorithm reads or writes it. Elsewhere
// unreadable pages stand guard (guarded_buffer_test.cpp), and these tests are skipped.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "codegen/kernel_abi.h"
#include "runtime/kernel_state.h"
#include "runtime/sanitizer.h"
#include "tests/support/filters.h"
#include "tests/support/kernels.h"

namespace convgen {
namespace {

enum class Operand { kNone, kSrc, kWeights, kBias, kAdd, kScale, kDst, kScratch };

struct Case {
  const char* name;
  const char* conv;
  const char* schedule;
  bool has_scratch;
};

constexpr Case kCases[] = {
    {"Direct", "conv2d src=f32:nhwc:1x5x6x3 weights=f32:hwio:3x3x3x10", "direct lanes=4 tile=2x2",
     false},
    {"Planar", "conv2d src=f32:nchw:1x3x5x6 weights=f32:oihw:10x3x3x3", "planar lanes=4 tile=4x2",
     false},
    {"Depthwise", "conv2d src=f32:nhwc:1x5x6x10 weights=f32:hwio:3x3x1x10 groups=10",
     "depthwise lanes=4 tile=2x2", false},
    {"Grouped", "conv2d src=f32:nhwc:1x5x6x6 weights=f32:hwio:3x3x2x6 groups=3",
     "grouped lanes=4 tile=2x2", false},
    {"Rotated", "conv2d src=f32:nhwc:1x5x6x8 weights=f32:hwio:3x3x4x8 groups=2",
     "rotated lanes=4 tile=3x1 unroll=taps", false},
    {"Staged", "conv2d src=f32:nhwc:1x5x6x3 weights=f32:hwio:3x3x3x5",
     "staged lanes=4 tile=4x3 unroll=tile merge_rows=0 rows_per_task=5", true},
    {"Winograd", "conv2d src=f32:nhwc:1x8x8x4 weights=f32:hwio:3x3x4x6",
     "winograd lanes=4 tile=4x1 order=oc_outer unroll=tile merge_rows=0 output_tile=2 "
     "tiles_per_task=0",
     true},
};

// Memory of exactly what the kernel needs, on the heap, but for one operand, which lacks a float;
// scratch half of it, since what it ends with may be padding.
class Call {
 public:
  Call(const Kernel& kernel, Operand shorter)
      : state_(*kernel.state()),
        src_(make(Operand::kSrc, state_.conv.src_elements(), shorter)),
        weights_(make(Operand::kWeights, static_cast<int64_t>(state_.packed_elements), shorter)),
        bias_(make(Operand::kBias, state_.conv.oc, shorter)),
        add_(make(Operand::kAdd, state_.conv.dst_elements(), shorter)),
        scale_(make(Operand::kScale, state_.conv.oc, shorter)),
        dst_(make(Operand::kDst, state_.conv.dst_elements(), shorter)),
        scratch_(make(Operand::kScratch, static_cast<int64_t>(state_.scratch_bytes / sizeof(float)),
                      shorter)) {}

  void run() {
    const codegen::KernelArgs args{src_.data(),   weights_.data(), bias_.data(),    add_.data(),
                                   scale_.data(), dst_.data(),     scratch_.data(), nullptr};
    state_.function(&args, 0, state_.tasks);
  }

 private:
  // As kernels have their weights and scratch: aligned for vectors.
  static PackedWeights make(Operand operand, int64_t elements, Operand shorter) {
    if (operand == shorter) elements -= operand == Operand::kScratch ? elements / 2 : 1;
    PackedWeights floats("", static_cast<size_t>(elements));
    std::fill_n(floats.data(), floats.size_bytes() / sizeof(float), 0.5f);
    return floats;
  }

  const KernelState& state_;
  PackedWeights src_, weights_, bias_, add_, scale_, dst_, scratch_;
};

class InstrumentedDeathTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (kKernelInstrument != codegen::Instrument::kAddresses)
      GTEST_SKIP() << "kernels are instrumented in builds under AddressSanitizer (preset asan)";
  }
};

class InstrumentedKernelDeathTest : public InstrumentedDeathTest,
                                    public ::testing::WithParamInterface<Case> {};

constexpr const char* kRead = "heap-buffer-overflow.*READ of size";
constexpr const char* kWrite = "heap-buffer-overflow.*WRITE of size";

TEST_P(InstrumentedKernelDeathTest, ReportsWhateverIsTooShort) {
  const Kernel kernel = testing::compile_kernel(
      testing::make_engine(),
      testing::conv_of(fmt::format("{} pads=1x1 post=bias,scale,add", GetParam().conv)),
      testing::with_schedule(GetParam().schedule));
  ASSERT_EQ(kernel.engine_name(), "jit");
  ASSERT_EQ(kernel.scratch_bytes() > 0, GetParam().has_scratch);
  Call(kernel, Operand::kNone).run();
  EXPECT_DEATH(Call(kernel, Operand::kSrc).run(), kRead);
  EXPECT_DEATH(Call(kernel, Operand::kWeights).run(), kRead);
  EXPECT_DEATH(Call(kernel, Operand::kBias).run(), kRead);
  EXPECT_DEATH(Call(kernel, Operand::kAdd).run(), kRead);
  EXPECT_DEATH(Call(kernel, Operand::kScale).run(), kRead);
  EXPECT_DEATH(Call(kernel, Operand::kDst).run(), kWrite);
  if (GetParam().has_scratch) {
    EXPECT_DEATH(Call(kernel, Operand::kScratch).run(), kWrite);
  }
}

// Its weights are in its code.
TEST_F(InstrumentedDeathTest, ReportsWhateverAFilterFindsTooShort) {
  const ir::Conv conv = testing::conv_of(
      "conv2d src=f32:nhwc:1x9x20x3 weights=f32:hwio:3x3x1x3 groups=3 pads=1x1 post=bias,add");
  const Result<Kernel> kernel = testing::make_engine().compile(conv, testing::sharpen_filter(conv));
  ASSERT_TRUE(kernel.ok()) << kernel.status().message();
  ASSERT_EQ(kernel->engine_name(), "jit");
  ASSERT_TRUE(kernel->schedule().starts_with("filter ")) << kernel->schedule();
  Call(*kernel, Operand::kNone).run();
  EXPECT_DEATH(Call(*kernel, Operand::kSrc).run(), kRead);
  EXPECT_DEATH(Call(*kernel, Operand::kBias).run(), kRead);
  EXPECT_DEATH(Call(*kernel, Operand::kAdd).run(), kRead);
  EXPECT_DEATH(Call(*kernel, Operand::kDst).run(), kWrite);
}

INSTANTIATE_TEST_SUITE_P(Algorithms, InstrumentedKernelDeathTest, ::testing::ValuesIn(kCases),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace convgen
