// SPDX-License-Identifier: Apache-2.0
// staged, by schedules given by hand: sources that each task copies into planes, whatever the
// layout, stride, width and number of channels, on every instruction set. On integers it equals the
// interpreter, on reals it has the bits of direct, which sums in the same order.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "ir/text.h"
#include "runtime/jit_kernel_maker.h"
#include "runtime/thread_pool.h"
#include "runtime/verify.h"
#include "tests/support/isa_levels.h"
#include "tests/support/kernels.h"

namespace convgen::testing {
namespace {

// All words, so that nothing depends on what is selected; what a case says stands behind them.
constexpr const char* kPlainWords =
    "ic_unroll=1 order=pixel_outer unroll=tile edges=exact epilogue=inline merge_rows=0 prefetch=0 "
    "rows_per_task=1000 tiles_per_task=0";

class StagedTest : public ::testing::TestWithParam<IsaLevel> {
 protected:
  void SetUp() override {
    Result<Engine> engine = Engine::create({.mcpu = GetParam().mcpu});
    if (!engine.ok()) GTEST_SKIP() << engine.status().message();
    engine_ = *engine;
    lanes_ = JitKernelMaker::of(*engine_)->target.max_lanes;
  }

  std::string staged(const std::string& words) const {
    return fmt::format("staged lanes={} {} {}", lanes_, kPlainWords, words);
  }
  std::string direct() const {
    return fmt::format("direct lanes={} tile=4x1 {} edges=ranged epilogue=loop", lanes_,
                       kPlainWords);
  }
  // `runs` vectors of pixels by `channels`.
  std::string tile(int runs, int channels) const {
    return fmt::format("tile={}x{}", runs * lanes_, channels);
  }

  // False where the schedule is refused, in words.
  bool check(const std::string& text, const std::string& words) {
    const ir::Conv conv = conv_of(text);
    const std::string schedule = staged(words);
    const Reproducer again{.mcpu = GetParam().mcpu, .schedule = schedule};
    SCOPED_TRACE("again: " + again.text(conv));
    announce_in_case_of_fault(again.text(conv));
    const Result<Kernel> kernel = engine_->compile(conv, with_schedule(schedule));
    if (!kernel.ok()) {
      EXPECT_EQ(kernel.status().message().rfind("schedule ", 0), 0u) << kernel.status().message();
      return false;
    }
    check_kernel(*kernel);
    engine_->clear_cache();
    return true;
  }

  void check_kernel(const Kernel& kernel) {
    const Result<VerifyReport> report = verify_kernel(kernel, {.data = VerifyData::kIntegers});
    ASSERT_TRUE(report.ok()) << report.status().message();
    EXPECT_TRUE(report->pass) << report->failure;
    const HostTensors tensors = random_tensors(kernel.conv(), 1, Data::kReals);
    const std::vector<float> expected =
        run_kernel(compile_kernel(*engine_, kernel.conv(), with_schedule(direct())), tensors);
    for (const Flush flush : {Flush::kEnd, Flush::kBegin})
      EXPECT_TRUE(same_bits(expected, run_kernel(kernel, tensors, {.flush = flush})));
  }

  std::optional<Engine> engine_;
  int lanes_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Levels, StagedTest, ::testing::ValuesIn(kIsaLevels),
                         [](const auto& test) { return test.param.name; });

// --- The copy: from memory to planes ---

// Widths around one and two whole runs of columns, at which the last run is full or has one.
std::vector<int> widths_around(int run) { return {1, run - 1, run, run + 1, 2 * run + 3}; }

TEST_P(StagedTest, EveryStrideAndWidthOfPixels) {
  for (const int stride : {1, 2, 3, 4, 5, 6, 7, 8, 9, 40})
    for (const int ic : {2, 3})
      for (const int width : widths_around(stride * lanes_))
        EXPECT_TRUE(check(fmt::format("conv2d src=f32:nhwc:1x3x{}x{} weights=f32:hwio:2x3x{}x3 "
                                      "strides=1x{} pads=0:1x1:2",
                                      width, ic, ic, stride),
                          tile(1, 3)));
}

TEST_P(StagedTest, EveryStrideAndWidthOfPlanes) {
  for (int stride = 1; stride <= 8; ++stride)
    for (const char* src : {"nchw:2x2x3x{}", "nhwc:2x3x{}x1"})
      for (const int width : widths_around(stride * lanes_)) {
        const std::string tensor = fmt::format(fmt::runtime(src), width);
        const int ic = src[1] == 'c' ? 2 : 1;
        EXPECT_TRUE(check(fmt::format("conv2d src=f32:{} weights=f32:oihw:4x{}x2x3 strides=2x{} "
                                      "pads=1:0x2:1",
                                      tensor, ic, stride),
                          tile(2, 3)));
      }
  EXPECT_FALSE(check("conv1d src=f32:ncw:1x2x99 weights=f32:oiw:3x2x3 strides=9", tile(1, 3)));
  EXPECT_FALSE(check("conv1d src=f32:nwc:1x99x1 weights=f32:oiw:3x1x3 strides=9", tile(1, 3)));
}

// By shuffles while phases x channels are few, else in blocks of lanes x lanes, the last narrower.
TEST_P(StagedTest, EveryNumberOfInputChannels) {
  for (int ic = 1; ic <= 40; ++ic)
    for (const int stride : {1, 2})
      EXPECT_TRUE(
          check(fmt::format("conv2d src=f32:nhwc:1x4x{}x{} weights=f32:hwio:2x3x{}x2 strides=1x{} "
                            "pads=1x1",
                            stride * lanes_ + 5, ic, ic, stride),
                tile(1, 2)));
}

TEST_P(StagedTest, EveryTapOfAPhase) {
  for (const int stride : {2, 3, 5})
    for (const int dilation : {1, 2, 3})
      for (const int pad : {0, 1, 4, 11})
        for (const int kernel : {1, 2, 7})
          EXPECT_TRUE(
              check(fmt::format("conv1d src=f32:nwc:1x{}x3 weights=f32:wio:{}x3x2 strides={} "
                                "dilations={} pads={}:{}",
                                stride * lanes_ + 2, kernel, stride, dilation, pad, 11 - pad),
                    tile(1, 2)));
}

// Rows and depths of the image that a task sees, however many of them, and those outside it.
const char* const kRows[] = {
    "conv2d src=f32:nhwc:2x9x40x3 weights=f32:hwio:3x3x3x3 pads=1x1",
    "conv2d src=f32:nhwc:1x12x40x3 weights=f32:hwio:3x3x3x3 strides=2x2 pads=1x1",
    "conv2d src=f32:nhwc:1x13x19x3 weights=f32:hwio:2x3x3x3 strides=5x1 pads=3x1",
    "conv2d src=f32:nhwc:1x13x19x3 weights=f32:hwio:3x3x3x5 strides=2x1 dilations=4x2 pads=5x2",
    "conv2d src=f32:nhwc:1x3x19x3 weights=f32:hwio:5x3x3x2 pads=7x1",
    "conv2d src=f32:nhwc:1x3x5x2 weights=f32:hwio:3x3x2x2 pads=9x30",
    "conv2d src=f32:nchw:1x3x9x37 weights=f32:oihw:5x3x3x3 strides=2x3 pads=0:2x2:0",
    "conv2d src=f32:nhwc:1x9x21x17 weights=f32:hwio:3x3x17x5 dst=f32:nchw pads=1x1",
    "conv2d src=f32:nchw:1x3x9x21 weights=f32:hwio:3x3x3x5 dst=f32:nhwc strides=1x2 pads=1x1",
    "conv2d src=f32:nhwc:1x5x20x12 weights=f32:hwio:3x3x3x8 groups=4 strides=1x2 pads=1x1",
    "conv2d src=f32:nhwc:1x5x20x7 weights=f32:hwio:3x3x1x14 groups=7 pads=1x1",
    "conv2d src=f32:nchw:1x6x5x20 weights=f32:oihw:9x2x3x3 groups=3 strides=2x2 pads=1x1",
    "conv2d src=f32:nhwc:1x9x40x3 weights=f32:hwio:3x3x3x3 strides=2x2 pads=2x2 pad_value=-1.5",
    "conv2d src=f32:nchw:1x3x4x11 weights=f32:oihw:5x3x5x5 strides=1x2 pads=4x6 pad_value=2",
    "conv1d src=f32:nwc:3x50x4 weights=f32:wio:5x4x3 strides=3 pads=2:4",
    "conv1d src=f32:ncw:2x4x50 weights=f32:oiw:3x4x5 dst=f32:nwc strides=2 pads=7:0",
    "conv3d src=f32:ndhwc:2x4x5x20x3 weights=f32:dhwio:3x3x3x3x3 pads=2x1x1",
    "conv3d src=f32:ndhwc:1x2x3x19x3 weights=f32:dhwio:3x2x3x3x4 strides=2x1x2 dilations=2x1x1 "
    "pads=4x1x1",
    "conv3d src=f32:ncdhw:1x3x4x4x18 weights=f32:oidhw:4x3x2x2x3 strides=1x2x2 pads=1x0x1 "
    "pad_value=1",
    "conv2d src=f32:nhwc:1x4x6x40 weights=f32:hwio:1x1x40x3",
    "conv2d src=f32:nhwc:1x5x0x16 weights=f32:hwio:1x3x16x4 pads=0x4",
    "conv2d src=f32:nhwc:1x0x5x3 weights=f32:hwio:3x1x3x4 pads=4x0",
};

TEST_P(StagedTest, EveryCutOfRows) {
  for (const char* text : kRows)
    for (const char* words : {"", "rows_per_task=1", "rows_per_task=3 order=oc_outer",
                              "rows_per_task=2 tiles_per_task=1"})
      EXPECT_TRUE(check(text, tile(1, 3) + " " + words));
}

TEST_P(StagedTest, EveryWayToUnroll) {
  int refused = 0, cases = 0;
  for (const char* text : kRows)
    for (const char* words :
         {"unroll=row", "unroll=taps", "edges=ranged", "unroll=taps edges=ranged rows_per_task=2",
          "epilogue=loop", "lanes=4 tile=7x2", "lanes=4 tile=12x3 ic_unroll=2",
          "unroll=full rows_per_task=2"}) {
      ++cases;
      refused += !check(text, tile(2, 3) + " " + words);
    }
  EXPECT_LE(refused, 22) << "of " << cases << ": only unroll=full may be too much code";
}

// A merged row is all pixels of an image, or of all images.
TEST_P(StagedTest, MergedRows) {
  for (const char* text : {"conv2d src=f32:nhwc:3x5x9x3 weights=f32:hwio:1x1x3x3",
                           "conv2d src=f32:nchw:3x3x5x9 weights=f32:hwio:1x1x3x5",
                           "conv2d src=f32:nhwc:3x5x9x18 weights=f32:hwio:1x1x18x5 dst=f32:nchw"})
    EXPECT_TRUE(check(text, tile(2, 3) + " merge_rows=1"));
}

// --- The way out: pixels of several channels into dst ---

TEST_P(StagedTest, EveryNumberOfOutputChannelsInOneTile) {
  for (int oc = 1; oc <= 12; ++oc)
    for (const char* post : {"", " post=bias,scale,relu"})
      EXPECT_TRUE(check(fmt::format("conv2d src=f32:nhwc:1x3x{}x3 weights=f32:hwio:1x3x3x{}{}",
                                    3 * lanes_ + 5, oc, post),
                        tile(2, oc)));
}

// Channels of other tiles lie between the pixels of one.
TEST_P(StagedTest, EveryNumberOfOutputChannelsInSeveralTiles) {
  for (int oc = 2; oc <= 12; ++oc)
    for (const char* dst : {"nhwc", "nchw"})
      EXPECT_TRUE(check(fmt::format("conv2d src=f32:nhwc:1x3x{}x3 weights=f32:hwio:1x3x3x{} "
                                    "dst=f32:{} post=bias,add,relu",
                                    2 * lanes_ + 3, oc, dst),
                        tile(1, oc == 2 ? 1 : oc / 2 + 1)));
}

// Every number of pixels that a last tile may have.
TEST_P(StagedTest, EveryTail) {
  for (int width = 1; width <= 2 * lanes_ + 1; ++width)
    for (const int oc : {3, 4})
      EXPECT_TRUE(check(fmt::format("conv1d src=f32:nwc:1x{}x3 weights=f32:wio:3x3x{} "
                                    "pads=1:1 post=add",
                                    width, oc),
                        tile(2, oc)));
}

const char* const kEveryPostOp[] = {
    "bias",
    "add",
    "scale",
    "relu",
    "leaky_relu:0.5",
    "elu:1",
    "clamp:-1:1",
    "min:1",
    "max:0.5",
    "sigmoid",
    "tanh",
    "gelu",
    "gelu_tanh",
    "silu",
    "hard_swish",
    "hard_sigmoid",
    "abs",
    "square",
    "bias,add,scale,relu,add",
    "scale,gelu,bias,tanh,add,min:2,sigmoid,elu:0.5,gelu,gelu,gelu,gelu"};

TEST_P(StagedTest, EveryPostOp) {
  for (const char* post : kEveryPostOp)
    for (const char* dst : {"nwc", "ncw"})
      for (const int channels : {3, 2})
        for (const char* epilogue : {"inline", "loop"}) {
          const std::string text =
              fmt::format("conv1d src=f32:nwc:1x{}x3 weights=f32:wio:3x3x3 dst=f32:{} post={}",
                          2 * lanes_ + 7, dst, post);
          EXPECT_TRUE(check(text, fmt::format("{} epilogue={}", tile(2, channels), epilogue)));
        }
}

TEST_P(StagedTest, ResidualMayBeDst) {
  for (const char* dst : {"nhwc", "nchw"})
    for (const int channels : {3, 2})
      for (const char* epilogue : {"inline", "loop"}) {
        const ir::Conv conv = conv_of(
            fmt::format("conv2d src=f32:nhwc:2x5x{}x3 weights=f32:hwio:3x3x3x3 dst=f32:{} pads=1x1 "
                        "post=add,gelu,bias,add",
                        2 * lanes_ + 5, dst));
        const Kernel kernel = compile_kernel(
            *engine_, conv, with_schedule(staged(tile(2, channels) + " epilogue=" + epilogue)));
        const HostTensors tensors = random_tensors(conv, 5, Data::kReals);
        const std::vector<float> expected = run_kernel(kernel, tensors);
        EXPECT_TRUE(matches_interpreter(conv, tensors, expected));
        EXPECT_TRUE(same_bits(expected, run_kernel(kernel, tensors, {.add_is_dst = true})))
            << kernel.schedule() << ": " << ir::print_conv(conv);
      }
}

// Beyond 512 operations a chain takes several passes over the tile.
TEST_P(StagedTest, LongChainsTakeSeveralPasses) {
  std::string post = "bias,add";
  for (int i = 0; i < 20; ++i) post += ",tanh,scale,gelu";
  for (const char* dst : {"nwc", "ncw"})
    for (const int channels : {3, 2})
      EXPECT_TRUE(check(
          fmt::format("conv1d src=f32:nwc:1x{}x3 weights=f32:wio:3x3x3 dst=f32:{} post={},add",
                      2 * lanes_ + 7, dst, post),
          tile(2, channels) + " epilogue=loop"));
}

// Planes as they are, and lanes that leave for channels last.
TEST_P(StagedTest, PlanarLeavesTheSameWay) {
  for (const char* text :
       {"conv2d src=f32:nhwc:2x7x41x1 weights=f32:hwio:3x3x1x5 pads=1x1 post=bias,add",
        "conv2d src=f32:nhwc:2x7x41x1 weights=f32:hwio:3x3x1x5 dst=f32:nchw pads=1x1 pad_value=2",
        "conv2d src=f32:nchw:2x3x7x41 weights=f32:oihw:5x3x3x3 dst=f32:nhwc pads=1x1 post=scale"})
    for (const char* words : {"", "epilogue=loop edges=ranged", "unroll=taps lanes=4"})
      for (const int channels : {5, 3})
        EXPECT_TRUE(check(text, fmt::format("planar {} {}", tile(2, channels), words)));
}

// --- Threads and what may not be seen ---

TEST_P(StagedTest, ThreadsDoNotChangeBits) {
  for (const char* text : {kRows[0], kRows[3], kRows[9], kRows[16]}) {
    const ir::Conv conv = conv_of(text);
    const HostTensors tensors = random_tensors(conv, 3, Data::kReals);
    const std::vector<float> expected =
        run_kernel(compile_kernel(*engine_, conv, with_schedule(direct())), tensors);
    for (const char* words : {"rows_per_task=1", "rows_per_task=2 order=oc_outer"}) {
      const Kernel kernel =
          compile_kernel(*engine_, conv, with_schedule(staged(tile(1, 2) + " " + words)));
      EXPECT_GT(kernel.tasks(), 3);
      for (int threads = 1; threads <= 4; ++threads) {
        ThreadPool pool(threads);
        const ParallelFor parallel_for = pool.parallel_for();
        EXPECT_TRUE(
            same_bits(expected, run_kernel(kernel, tensors, {.parallel_for = &parallel_for})))
            << threads << " threads: " << kernel.schedule() << ": " << text;
      }
    }
  }
}

// The bits of the stage from one image, row or group to the next: each NaN of the first reaches
// its own outputs only, though the next task finds it in scratch.
TEST_P(StagedTest, NothingStaysInTheStage) {
  const ir::Conv conv = conv_of(
      "conv2d src=f32:nhwc:2x6x33x3 weights=f32:hwio:3x3x3x3 strides=1x2 pads=1x1 "
      "accuracy=strict");
  HostTensors tensors = random_tensors(conv, 4, Data::kReals);
  const std::vector<float> clean =
      run_kernel(compile_kernel(*engine_, conv, with_schedule(direct())), tensors);
  const size_t image = tensors.src.size() / 2;
  std::fill_n(tensors.src.begin(), image, std::bit_cast<float>(kUnwritten));
  const Kernel kernel =
      compile_kernel(*engine_, conv, with_schedule(staged(tile(1, 3) + " rows_per_task=2")));
  const std::vector<float> dst = run_kernel(kernel, tensors);
  const auto half = static_cast<std::ptrdiff_t>(dst.size() / 2);
  EXPECT_TRUE(same_bits({clean.begin() + half, clean.end()}, {dst.begin() + half, dst.end()}));
}

}  // namespace
}  // namespace convgen::testing
