// SPDX-License-Identifier: Apache-2.0
// Shapes that broke other libraries: sizes of 0 and 1, kernels
// larger than the image, pads larger than the kernel, one output, odd groups, three axes.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "ir/text.h"
#include "runtime/verify.h"
#include "tests/support/isa_levels.h"
#include "tests/support/kernels.h"

namespace convgen::testing {
namespace {

// Right on integers and on reals, by the JIT and by the generic path.
void expect_right(const Engine& engine, const ir::Conv& conv) {
  for (const CompileOptions& options : {CompileOptions(), generic_engine()}) {
    const Kernel kernel = compile_kernel(engine, conv, options);
    for (const VerifyData data : {VerifyData::kIntegers, VerifyData::kReals}) {
      const Result<VerifyReport> report = verify_kernel(kernel, {.seed = 1, .data = data});
      ASSERT_TRUE(report.ok()) << report.status().message();
      const Reproducer again{.data = data == VerifyData::kIntegers ? "integers" : "reals",
                             .engine = kernel.engine_name()};
      EXPECT_TRUE(report->pass) << report->failure << "\n  again: " << again.text(conv);
      EXPECT_EQ(report->checked_outputs, conv.dst_elements());
    }
  }
}

// --- Every size 0 or 1 ---

struct Sizes {
  int64_t n, ih, iw, ic, kh, kw, oc, pad;
};

// The rules, said once more: no taps and no channels are errors. A kernel of one tap fits into
// any image that has a pixel, and into an empty one there is nothing to fit.
bool is_legal(const Sizes& s) { return s.ic == 1 && s.kh == 1 && s.kw == 1; }

// One tap: as many outputs as padded pixels.
int64_t expected_outputs(const Sizes& s) {
  const int64_t pads = 2 * s.pad;
  return s.n * s.oc * (s.ih + pads) * (s.iw + pads);
}

void check_sizes(const Engine& engine, const Sizes& s, int* legal) {
  const std::string text =
      fmt::format("conv2d src=f32:nhwc:{}x{}x{}x{} weights=f32:hwio:{}x{}x{}x{} pads={}x{}", s.n,
                  s.ih, s.iw, s.ic, s.kh, s.kw, s.ic, s.oc, s.pad, s.pad);
  const Result<ir::Conv> conv = ir::parse_conv(text);
  EXPECT_EQ(conv.ok(), is_legal(s)) << text << ": " << conv.status().message();
  if (!conv.ok()) {
    EXPECT_EQ(conv.status().code(), StatusCode::kInvalidArgument) << text;
    EXPECT_NE(conv.status().message().find("must be at least 1"), std::string::npos) << text;
    return;
  }
  ++*legal;
  EXPECT_EQ(conv->dst_elements(), expected_outputs(s)) << text;
  expect_right(engine, *conv);
  for (const CompileOptions& options : {CompileOptions(), generic_engine()}) {
    const Kernel kernel = compile_kernel(engine, *conv, options);
    if (conv->dst_elements() != 0) continue;
    // Nothing is read and nothing is written, so nothing need be there.
    EXPECT_TRUE(kernel.run({}).ok()) << text;
    EXPECT_EQ(kernel.tasks(), 0) << text;
  }
}

TEST(EdgeCasesTest, EverySizeZeroOrOne) {
  const Engine engine = make_engine();
  int legal = 0;
  for (int bits = 0; bits < 256; ++bits) {
    const auto bit = [&](int i) { return static_cast<int64_t>(bits >> i & 1); };
    check_sizes(engine, {bit(0), bit(1), bit(2), bit(3), bit(4), bit(5), bit(6), bit(7)}, &legal);
  }
  EXPECT_EQ(legal, 32);
}

// The same under SAME, whose rule divides by the stride.
TEST(EdgeCasesTest, EmptyImagesUnderSame) {
  const Engine engine = make_engine();
  for (const char* pads : {"same", "same_lower"}) {
    for (const char* dims : {"0x4x4x3", "1x0x4x3", "1x4x0x3", "2x0x0x3"}) {
      const ir::Conv conv = conv_of(fmt::format(
          "conv2d src=f32:nhwc:{} weights=f32:hwio:3x3x3x5 strides=2x2 pads={}", dims, pads));
      EXPECT_EQ(conv.dst_elements(), 0) << dims;
      EXPECT_TRUE(compile_kernel(engine, conv).run({}).ok()) << dims;
    }
  }
}

TEST(EdgeCasesTest, NoOutputChannels) {
  const ir::Conv conv =
      conv_of("conv2d src=f32:nhwc:1x4x4x3 weights=f32:hwio:3x3x3x0 post=bias,relu,add");
  const Engine engine = make_engine();
  EXPECT_TRUE(compile_kernel(engine, conv).run({}).ok());
  EXPECT_TRUE(compile_kernel(engine, conv, generic_engine()).run({}).ok());
}

// --- Lists of shapes ---

class ShapesTest : public ::testing::TestWithParam<std::vector<const char*>> {};

TEST_P(ShapesTest, AreRight) {
  const Engine engine = make_engine();
  for (const char* text : GetParam()) expect_right(engine, conv_of(text));
}

const std::vector<const char*> kLargeKernels = {
    // size-1 axes, a kernel far beyond the image, odd strides
    "conv1d src=f32:nwc:1x1x3 weights=f32:wio:125x3x5 strides=7 pads=63:63",
    "conv2d src=f32:nhwc:1x1x1x16 weights=f32:hwio:125x1x16x8 strides=3x5 pads=63x0",
    "conv2d src=f32:nchw:2x4x1x1 weights=f32:oihw:4x4x9x9 strides=11x13 pads=4x4",
    "conv2d src=f32:nhwc:1x1x20x8 weights=f32:hwio:7x7x1x8 groups=8 pads=3x3 strides=5x1",
    "conv2d src=f32:nhwc:1x3x2x4 weights=f32:hwio:7x9x4x17 pads=3x4",
    "conv2d src=f32:nhwc:1x2x2x3 weights=f32:hwio:5x5x3x4 dilations=3x2 pads=6x4",
    "conv1d src=f32:ncw:1x2x2 weights=f32:oiw:3x2x31 pads=29:0",
    "conv1d src=f32:nwc:1x2x2 weights=f32:wio:31x2x3 pads=0:29",
};

const std::vector<const char*> kStridesAndPads = {
    // strides beyond the kernel: pixels that no output reads
    "conv2d src=f32:nhwc:1x17x19x5 weights=f32:hwio:2x3x5x9 strides=5x7",
    "conv2d src=f32:nhwc:2x9x9x32 weights=f32:hwio:1x1x32x33 strides=4x4",
    "conv2d src=f32:nhwc:1x9x11x16 weights=f32:hwio:1x1x1x16 groups=16 strides=3x2",
    "conv1d src=f32:ncw:1x3x50 weights=f32:oiw:5x3x2 strides=9 pads=1:8",
    // pads beyond the kernel: outputs that read padding alone
    "conv2d src=f32:nhwc:1x3x3x3 weights=f32:hwio:1x1x3x4 pads=2x3",
    "conv2d src=f32:nhwc:1x4x4x8 weights=f32:hwio:2x2x8x16 pads=5:3x4:7 post=bias",
    "conv2d src=f32:nhwc:1x4x4x7 weights=f32:hwio:3x3x1x7 groups=7 pads=6x5 post=bias",
    "conv1d src=f32:nwc:2x1x1 weights=f32:wio:1x1x1 pads=40:41 post=bias,add",
    "conv2d src=f32:nhwc:1x4x4x8 weights=f32:hwio:2x2x8x16 pads=5:3x4:7 pad_value=3",
    "conv2d src=f32:nchw:1x2x3x3 weights=f32:oihw:2x2x3x3 strides=9x9 pads=20x20",
    // asymmetric pads
    "conv2d src=f32:nhwc:1x9x9x16 weights=f32:hwio:3x3x16x16 pads=0:1x0:1",
    "conv2d src=f32:nhwc:1x9x9x16 weights=f32:hwio:3x3x16x16 pads=1:0x1:0",
    "conv2d src=f32:nhwc:1x9x9x16 weights=f32:hwio:3x3x16x16 pads=2:0x0:2 strides=2x2",
    "conv2d src=f32:nchw:1x5x9x9 weights=f32:oihw:7x5x4x4 pads=3:0x0:3",
    // AlexNet's first layer, and more padding to the right than to the left
    "conv2d src=f32:nhwc:1x27x27x3 weights=f32:hwio:11x11x3x24 strides=4x4",
    "conv2d src=f32:nhwc:1x25x25x3 weights=f32:hwio:11x11x3x24 strides=4x4 pads=0:9x0:9",
    "conv2d src=f32:nchw:1x3x25x25 weights=f32:oihw:24x3x11x11 strides=4x4 pads=1:8x1:8",
};

const std::vector<const char*> kOneOutput = {
    "conv2d src=f32:nhwc:1x7x7x33 weights=f32:hwio:7x7x33x5",
    "conv2d src=f32:nhwc:1x1x1x64 weights=f32:hwio:1x1x64x100",
    "conv2d src=f32:nchw:3x5x3x3 weights=f32:oihw:1x5x3x3",
    "conv1d src=f32:nwc:1x9x4 weights=f32:wio:3x4x6 strides=20",
    "conv2d src=f32:nhwc:1x5x5x16 weights=f32:hwio:5x5x1x16 groups=16",
    "conv3d src=f32:ndhwc:1x2x2x2x3 weights=f32:dhwio:2x2x2x3x17",
};

const std::vector<const char*> kGroups = {
    "conv2d src=f32:nhwc:1x5x6x6 weights=f32:hwio:3x3x2x9 groups=3 pads=1x1",
    "conv2d src=f32:nhwc:1x5x6x34 weights=f32:hwio:3x3x17x38 groups=2 pads=1x1",
    "conv2d src=f32:nchw:1x15x6x5 weights=f32:oihw:10x3x2x2 groups=5",
    "conv2d src=f32:nhwc:1x6x6x32 weights=f32:hwio:3x3x1x64 groups=32 pads=1x1",
    "conv2d src=f32:nhwc:1x6x6x36 weights=f32:hwio:3x3x4x36 groups=9 pads=1x1",
    "conv2d src=f32:nhwc:1x6x6x48 weights=f32:hwio:3x3x16x48 groups=3 pads=1x1",
    "conv2d src=f32:nhwc:1x6x6x5 weights=f32:hwio:3x3x1x15 groups=5 pads=1x1 strides=2x2",
    "conv2d src=f32:nchw:1x7x6x6 weights=f32:oihw:7x1x3x3 groups=7 pads=1x1",
    "conv2d src=f32:nhwc:1x6x6x31 weights=f32:oihw:31x1x5x5 groups=31 dst=f32:nchw pads=2x2",
    "conv1d src=f32:nwc:2x19x47 weights=f32:wio:3x1x47 groups=47 dilations=4 pads=4:4",
    "conv3d src=f32:ndhwc:1x3x3x3x18 weights=f32:dhwio:3x3x3x1x18 groups=18 pads=1x1x1",
};

const std::vector<const char*> kThreeAxes = {
    "conv3d src=f32:ndhwc:1x4x5x6x3 weights=f32:dhwio:3x3x3x3x8 pads=1x1x1",
    "conv3d src=f32:ncdhw:2x3x5x4x7 weights=f32:oidhw:5x3x2x3x1 strides=2x1x3 pads=0:1x1:0x0",
    "conv3d src=f32:ndhwc:1x7x6x5x2 weights=f32:dhwio:2x2x2x2x21 dilations=3x2x2",
    "conv3d src=f32:ncdhw:1x4x3x3x3 weights=f32:dhwio:1x1x1x4x16 dst=f32:ndhwc",
    "conv3d src=f32:ndhwc:1x1x1x9x4 weights=f32:oidhw:4x4x5x3x3 pads=2x1x1 pad_value=-1",
    "conv3d src=f32:ndhwc:1x3x4x4x4 weights=f32:dhwio:3x3x3x2x6 groups=2 pads=3x0x2 post=relu",
};

// Tasks that stage their sources, by whatever tile was selected for another algorithm.
void expect_right_from_a_stage(const Engine& engine, const ir::Conv& conv) {
  const std::string words = "staged order=pixel_outer unroll=tile merge_rows=0 prefetch=0";
  const Result<Kernel> kernel = engine.compile(conv, with_schedule(words));
  if (!kernel.ok()) {  // channels first with a stride beyond 8
    EXPECT_NE(kernel.status().message().find("algorithm=staged"), std::string::npos)
        << kernel.status().message();
    return;
  }
  for (const VerifyData data : {VerifyData::kIntegers, VerifyData::kReals}) {
    const Result<VerifyReport> report = verify_kernel(*kernel, {.seed = 1, .data = data});
    ASSERT_TRUE(report.ok()) << report.status().message();
    const Reproducer again{.data = data == VerifyData::kIntegers ? "integers" : "reals",
                           .schedule = words};
    EXPECT_TRUE(report->pass) << report->failure << "\n  again: " << again.text(conv);
  }
}

TEST_P(ShapesTest, AreRightFromAStage) {
  const Engine engine = make_engine();
  for (const char* text : GetParam()) expect_right_from_a_stage(engine, conv_of(text));
}

// Images without a row or a column, which pads alone give outputs.
TEST(EdgeCasesTest, StagesOfNothing) {
  const Engine engine = make_engine();
  for (const char* src : {"nhwc:1x{}x{}x3", "nhwc:1x{}x{}x20", "nchw:1x3x{}x{}", "nhwc:1x{}x{}x1"})
    for (const int ih : {0, 1, 4})
      for (const int iw : {0, 1, 40})
        for (const char* rest : {"pads=2x5", "pads=2x5 pad_value=3", "pads=3x1 strides=2x2"}) {
          const std::string tensor = fmt::format(fmt::runtime(src), ih, iw);
          const std::string ic = tensor[1] == 'c' ? "3" : tensor.substr(tensor.rfind('x') + 1);
          expect_right_from_a_stage(
              engine, conv_of(fmt::format("conv2d src=f32:{} weights=f32:hwio:3x3x{}x3 {}", tensor,
                                          ic, rest)));
        }
}

INSTANTIATE_TEST_SUITE_P(LargeKernels, ShapesTest, ::testing::Values(kLargeKernels));
INSTANTIATE_TEST_SUITE_P(StridesAndPads, ShapesTest, ::testing::Values(kStridesAndPads));
INSTANTIATE_TEST_SUITE_P(OneOutput, ShapesTest, ::testing::Values(kOneOutput));
INSTANTIATE_TEST_SUITE_P(Groups, ShapesTest, ::testing::Values(kGroups));
INSTANTIATE_TEST_SUITE_P(ThreeAxes, ShapesTest, ::testing::Values(kThreeAxes));

// Small groups side by side in one vector: every pair of channel counts, by every algorithm that
// takes it and every vector width, full vectors and tails.
TEST(EdgeCasesTest, GroupsOfFewChannels) {
  const Engine engine = make_engine();
  int accepted = 0;
  for (const int ic : {1, 2, 3, 4, 5, 8})
    for (const int oc : {1, 2, 3, 4, 8, 16})
      for (const int groups : {2, 3, 8, 11}) {
        const ir::Conv conv =
            conv_of(fmt::format("conv2d src=f32:nhwc:1x4x5x{} weights=f32:hwio:3x2x{}x{} groups={} "
                                "pads=1:1x1:0 post=bias",
                                ic * groups, ic, oc * groups, groups));
        for (const char* schedule :
             {"", "grouped lanes=4 tile=3x1", "grouped lanes=16 tile=2x2",
              "grouped lanes=8 edges=ranged tile=1x1", "direct lanes=4",
              "grouped lanes=4 tile=2x3 order=oc_inner", "direct lanes=4 tile=2x2 order=oc_inner",
              "rotated lanes=8 tile=3x1 unroll=taps"}) {
          const Result<Kernel> kernel = engine.compile(conv, with_schedule(schedule));
          if (!kernel.ok()) continue;
          ++accepted;
          const Result<VerifyReport> report = verify_kernel(*kernel, {.seed = 2});
          ASSERT_TRUE(report.ok()) << report.status().message();
          const Reproducer again{.seed = 2, .schedule = schedule};
          EXPECT_TRUE(report->pass) << report->failure << "\n  again: " << again.text(conv);
          EXPECT_TRUE(report->bit_exact);
        }
        engine.clear_cache();
      }
  EXPECT_GE(accepted, 3 * 6 * 6 * 4);
}

// --- Groups with as many outputs as inputs, on every instruction set ---

// Borders, stride, dilation, pad_value, weights and dst the other way round, one and three axes,
// merged rows. To be filled in: all channels, those of a group, groups.
const char* const kSquareGroups[] = {
    "conv2d src=f32:nhwc:1x5x9x{0} weights=f32:hwio:3x3x{1}x{0} groups={2} pads=1x1 post=bias,relu",
    "conv2d src=f32:nhwc:2x6x9x{0} weights=f32:oihw:{0}x{1}x3x2 groups={2} strides=2x2 "
    "pads=1:0x0:1",
    "conv2d src=f32:nhwc:1x7x8x{0} weights=f32:hwio:3x3x{1}x{0} groups={2} dilations=2x2 pads=2x2",
    "conv2d src=f32:nhwc:1x4x7x{0} weights=f32:hwio:2x3x{1}x{0} groups={2} pads=1x2 pad_value=-2",
    "conv2d src=f32:nhwc:1x4x9x{0} weights=f32:hwio:3x3x{1}x{0} groups={2} dst=f32:nchw pads=1x1",
    "conv2d src=f32:nhwc:2x3x5x{0} weights=f32:hwio:1x1x{1}x{0} groups={2} post=add",
    "conv1d src=f32:nwc:2x11x{0} weights=f32:wio:4x{1}x{0} groups={2} pads=3:2",
    "conv3d src=f32:ndhwc:1x3x4x5x{0} weights=f32:dhwio:2x3x2x{1}x{0} groups={2} pads=1x1x0",
};

const char* const kRotated[] = {
    "rotated lanes={} tile=3x1 unroll=taps order=pixel_outer",
    "rotated lanes={} tile=2x2 unroll=tile order=oc_inner edges=ranged tiles_per_task=1",
    "rotated lanes={} tile=1x3 unroll=row order=oc_outer epilogue=loop rows_per_task=2",
};

class SquareGroupsTest : public ::testing::TestWithParam<IsaLevel> {
 protected:
  // Integers bit by bit and reals within the bound, by every schedule that fits.
  void check(const Engine& engine, const ir::Conv& conv) {
    for (const int lanes : {4, 8, 16})
      for (const char* words : kRotated) {
        const std::string schedule = fmt::format(fmt::runtime(words), lanes);
        const Result<Kernel> kernel = engine.compile(conv, with_schedule(schedule));
        if (!kernel.ok()) {
          // Vectors wider than the target's, or groups wider than a vector, and nothing else.
          const bool wide = kernel.status().message().rfind("schedule lanes=", 0) == 0;
          EXPECT_TRUE(wide || lanes < conv.ic_per_group())
              << kernel.status().message() << ": " << ir::print_conv(conv);
          continue;
        }
        ++accepted_;
        for (const VerifyData data : {VerifyData::kIntegers, VerifyData::kReals}) {
          const Result<VerifyReport> report = verify_kernel(*kernel, {.seed = 3, .data = data});
          ASSERT_TRUE(report.ok()) << report.status().message();
          const bool integers = data == VerifyData::kIntegers;
          const Reproducer again{.mcpu = GetParam().mcpu,
                                 .seed = 3,
                                 .data = integers ? "integers" : "reals",
                                 .schedule = schedule};
          EXPECT_TRUE(report->pass) << report->failure << "\n  again: " << again.text(conv);
          EXPECT_EQ(report->bit_exact, integers);
        }
      }
  }

  int accepted_ = 0;
};

TEST_P(SquareGroupsTest, RotatedIsRight) {
  const Result<Engine> engine = Engine::create({.mcpu = GetParam().mcpu});
  if (!engine.ok() && engine.status().code() == StatusCode::kUnsupported)
    GTEST_SKIP() << engine.status().message();
  ASSERT_TRUE(engine.ok()) << engine.status().message();
  for (const char* shape : kSquareGroups)
    for (const int channels : {1, 2, 4, 8, 16})
      for (const int groups : {2, 5, 9}) {  // less than a vector, a vector and a tail, several
        check(*engine,
              conv_of(fmt::format(fmt::runtime(shape), channels * groups, channels, groups)));
        if (HasFatalFailure()) return;
        engine->clear_cache();
      }
  EXPECT_GE(accepted_, 8 * 3 * 3 * 3) << "groups of 1, 2 and 4 fit a vector of 4";
}

INSTANTIATE_TEST_SUITE_P(Levels, SquareGroupsTest, ::testing::ValuesIn(kIsaLevels),
                         [](const auto& test) { return test.param.name; });

// A single output, whose stride is anything, that lies deep in the padding.
TEST(EdgeCasesTest, OneOutputThatSeesPaddingAlone) {
  const Engine engine = make_engine();
  for (const int pad : {2, 3, 4, 5})
    for (const char* pad_value : {"", " pad_value=2"})
      for (const char* words :
           {"direct edges=ranged", "direct edges=exact", "direct edges=shared",
            "planar edges=ranged", "staged edges=ranged", "staged edges=exact"}) {
        const std::string text = fmt::format(
            "conv1d src=f32:nwc:1x1x1 weights=f32:wio:2x1x1 strides=5 pads={}:0{}", pad, pad_value);
        const Kernel kernel = compile_kernel(
            engine, conv_of(text), with_schedule(std::string(words) + " lanes=4 tile=4x1"));
        const Result<VerifyReport> report = verify_kernel(kernel);
        ASSERT_TRUE(report.ok()) << report.status().message();
        EXPECT_TRUE(report->pass) << report->failure << ": " << words << ": " << text;
      }
}

// The whole of a small convolution unrolled, no loop left.
TEST(EdgeCasesTest, FullyUnrolled) {
  const Engine engine = make_engine();
  for (const char* text :
       {"conv2d src=f32:nhwc:1x6x2x3 weights=f32:hwio:3x3x3x3 pads=1x1",
        "conv2d src=f32:nchw:1x2x4x5 weights=f32:oihw:3x2x3x3 strides=2x1 pads=1x0",
        "conv1d src=f32:nwc:1x9x7 weights=f32:wio:3x1x7 groups=7 pads=1:1",
        "conv1d src=f32:nwc:2x7x10 weights=f32:wio:3x2x10 groups=5 pads=1:1"}) {
    const ir::Conv conv = conv_of(text);
    for (const char* words : {"", " order=oc_inner", " rotated lanes=4 tile=2x2"}) {
      const Result<Kernel> kernel =
          engine.compile(conv, with_schedule(std::string("unroll=full") + words));
      const bool rotated = std::string(words).starts_with(" rotated");
      EXPECT_EQ(kernel.ok(), !rotated || conv.groups > 1) << words << ": " << text;
      if (!kernel.ok()) continue;
      EXPECT_NE(kernel->schedule().find("unroll=full"), std::string::npos);
      for (const uint64_t seed : {1, 2}) {
        const Result<VerifyReport> report = verify_kernel(*kernel, {.seed = seed});
        ASSERT_TRUE(report.ok()) << report.status().message();
        EXPECT_TRUE(report->pass) << report->failure << ": " << words << ": " << text;
      }
    }
  }
}

}  // namespace
}  // namespace convgen::testing
