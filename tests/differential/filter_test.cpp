// SPDX-License-Identifier: Apache-2.0
// Kernels made for constant weights, on every instruction set: image filters in one pass and in
// two, and every other algorithm with its weights in the code. What a zero weight hides from the
// fast way through a filter, a NaN or Inf, must show all the same.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "ir/text.h"
#include "runtime/jit_kernel_maker.h"
#include "runtime/thread_pool.h"
#include "runtime/verify.h"
#include "tests/support/filters.h"
#include "tests/support/isa_levels.h"
#include "tests/support/kernels.h"

namespace convgen::testing {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

class FilterTest : public ::testing::TestWithParam<IsaLevel> {
 protected:
  void SetUp() override {
    Result<Engine> engine = Engine::create({.mcpu = GetParam().mcpu});
    if (!engine.ok()) GTEST_SKIP() << engine.status().message();
    engine_ = *engine;
    lanes_ = JitKernelMaker::of(*engine_)->target.max_lanes;
  }
  void TearDown() override {
    if (engine_) engine_->clear_cache();
  }

  // Nothing where the words are refused.
  std::optional<Kernel> compile(const ir::Conv& conv, const ConstantWeights& weights,
                                const std::string& words = "", int threads = 1) {
    Result<Kernel> kernel = engine_->compile(conv, weights, {EngineKind::kJit, words, threads});
    if (kernel.ok()) return *kernel;
    EXPECT_EQ(kernel.status().message().rfind("schedule ", 0), 0u) << kernel.status().message();
    return std::nullopt;
  }
  Kernel must_compile(const ir::Conv& conv, const ConstantWeights& weights,
                      const std::string& words = "", int threads = 1) {
    const std::optional<Kernel> kernel = compile(conv, weights, words, threads);
    if (!kernel) throw std::runtime_error(words + ": " + ir::print_conv(conv));
    return *kernel;
  }

  // A filter with a tile of `vectors` times the fewest whole vectors that hold whole pixels; more
  // where the filter is wider.
  std::string tile(const ir::Conv& conv, int lanes, int vectors, int rows) const {
    const bool channels_last = conv.src_layout == ir::ActivationLayout::kChannelsLast;
    const int64_t period = channels_last ? conv.ic : 1;
    const int64_t reach = (conv.kernel.w - 1) * conv.dilations.w * period + 2 * (period - 1);
    const int64_t step = vectors * std::lcm(int64_t{lanes}, period);
    return fmt::format("filter unroll=tile lanes={} tile={}x{}", lanes,
                       (reach + step - 1) / step * step, rows);
  }

  void expect_right(const Kernel& kernel, const std::string& what) {
    announce_in_case_of_fault(what);
    for (const VerifyData data : {VerifyData::kIntegers, VerifyData::kReals}) {
      const Result<VerifyReport> report = verify_kernel(kernel, {.data = data});
      ASSERT_TRUE(report.ok()) << report.status().message();
      EXPECT_TRUE(report->pass) << report->failure << ": " << what << " " << kernel.schedule();
    }
  }

  // True where the words were followed.
  bool check(const std::string& text, const std::string& filter, const std::string& words) {
    const ir::Conv conv = conv_of(text);
    const std::optional<Kernel> kernel = compile(conv, filter_named(filter, conv), words);
    if (!kernel) return false;
    expect_right(*kernel, fmt::format("{} | {} | {}", text, filter, words));
    engine_->clear_cache();
    return true;
  }

  std::optional<Engine> engine_;
  int lanes_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Levels, FilterTest, ::testing::ValuesIn(kIsaLevels),
                         [](const auto& test) { return test.param.name; });

// --- Shapes ---

// Channels 1 to 6, in groups, in one group, with multipliers; strides, dilations and pads of all
// kinds; planes; rows alone.
const char* const kShapes[] = {
    "conv2d src=f32:nhwc:1x20x40x3 weights=f32:hwio:3x3x3x3 pads=1x1",
    "conv2d src=f32:nhwc:2x9x7x3 weights=f32:hwio:3x3x3x3 pads=1x1 post=bias,relu",
    "conv2d src=f32:nhwc:1x13x50x4 weights=f32:oihw:4x4x3x3 post=bias,add,clamp:0:255",
    "conv2d src=f32:nhwc:1x17x100x1 weights=f32:hwio:3x3x1x2 pads=1x1 post=bias",
    "conv2d src=f32:nhwc:1x9x30x2 weights=f32:hwio:3x3x1x8 groups=2 pads=1x1 post=scale,add",
    "conv2d src=f32:nhwc:1x15x64x3 weights=f32:hwio:3x3x1x3 groups=3 pads=1x1 strides=2x1",
    "conv2d src=f32:nhwc:1x13x40x3 weights=f32:oihw:6x1x3x3 groups=3 pads=2x2 dilations=2x2",
    "conv2d src=f32:nhwc:1x12x50x2 weights=f32:hwio:3x3x2x4 pads=1x1 pad_value=2",
    "conv2d src=f32:nhwc:1x8x90x1 weights=f32:hwio:3x3x1x1 pads=0:2x2:0 post=add",
    "conv2d src=f32:nhwc:1x8x60x1 weights=f32:hwio:3x3x1x1 strides=3x1 pads=4:1x3:4 post=gelu",
    "conv2d src=f32:nhwc:3x7x30x5 weights=f32:hwio:3x3x1x5 groups=5 pads=1x1 accuracy=strict",
    "conv2d src=f32:nhwc:1x9x40x6 weights=f32:hwio:3x3x3x6 groups=2 pads=1x1",
    "conv2d src=f32:nhwc:1x9x40x6 weights=f32:hwio:3x3x2x6 groups=3 pads=1x1 post=bias,gelu,add",
    "conv2d src=f32:nhwc:1x9x60x1 weights=f32:hwio:5x2x1x1 pads=2x1 dilations=1x3",
    "conv2d src=f32:nhwc:1x4x3x4 weights=f32:hwio:5x5x1x4 groups=4 pads=4x6",
    "conv2d src=f32:nchw:1x3x12x40 weights=f32:oihw:3x3x3x3 pads=1x1",
    "conv2d src=f32:nchw:2x2x11x70 weights=f32:oihw:4x1x3x3 groups=2 pads=1x1 post=bias,add",
    "conv2d src=f32:nchw:1x4x9x30 weights=f32:hwio:3x3x4x1 post=bias,scale",
    "conv2d src=f32:nhwc:1x9x33x1 weights=f32:oihw:3x1x3x3 dst=f32:nchw pads=1x1 post=bias,add",
    "conv1d src=f32:nwc:2x70x3 weights=f32:wio:5x3x3 pads=2:2 post=bias,add",
    "conv1d src=f32:ncw:2x2x90 weights=f32:oiw:2x1x7 groups=2 pads=6:0",
};

TEST_P(FilterTest, EveryShape) {
  int refused = 0, cases = 0;
  for (const char* text : kShapes) {
    const ir::Conv conv = conv_of(text);
    EXPECT_TRUE(check(text, "random", "")) << text;
    EXPECT_TRUE(check(text, "sharpen", tile(conv, lanes_, 1, 1))) << text;
    for (const std::string& words : {tile(conv, lanes_, 1, 3) + " epilogue=loop",
                                     tile(conv, lanes_, 2, 2) + " rows_per_task=5"}) {
      ++cases;
      refused += !check(text, "random", words);
    }
  }
  EXPECT_LE(refused, cases / 6) << "tiles of more than 128 floats";
}

TEST_P(FilterTest, RealWeightsKeepTheBound) {
  for (const char* text : kShapes) EXPECT_TRUE(check(text, "reals", ""));
}

// The image narrower than a tile; a last tile of every number of floats; a border that takes one
// tile, and two.
TEST_P(FilterTest, EveryWidth) {
  const auto grey = [](int width, const char* more) {
    return fmt::format("conv2d src=f32:nhwc:1x3x{}x1 weights=f32:hwio:3x3x1x1 {}", width, more);
  };
  for (int width = 3; width <= 14; ++width)
    for (const char* pads : {"", "pads=1x1", "pads=2:0x0:2", "pads=1x4"})
      EXPECT_TRUE(check(grey(width, pads), "sharpen", "filter unroll=tile lanes=4 tile=8x1"));
  for (int tiles : {1, 2, 3})
    for (int more : {-1, 0, 1})
      for (int channels : {1, 3}) {
        const std::string text = fmt::format(
            "conv2d src=f32:nhwc:1x4x{0}x{1} weights=f32:hwio:3x3x1x{1} groups={1} "
            "pads=1x1",
            tiles * lanes_ * (channels == 1 ? 2 : 1) + more, channels);
        EXPECT_TRUE(check(text, "edge", tile(conv_of(text), lanes_, channels == 1 ? 2 : 1, 2)));
      }
}

// Borders alone: every output, from the left to the right, sees what lies outside.
TEST_P(FilterTest, EveryPad) {
  for (const char* pads : {"0", "0:1", "1:0", "2", "3:2", "9:1", "1:9", "7"})
    for (const char* value : {"", " pad_value=-3"})
      for (const char* shape :
           {"1x4x9x3 weights=f32:hwio:3x3x1x3 groups=3", "1x4x9x2 weights=f32:hwio:3x3x2x2"})
        EXPECT_TRUE(
            check(fmt::format("conv2d src=f32:nhwc:{} pads={}x{}{}", shape, pads, pads, value),
                  "random", ""));
}

// --- Streaming stores ---

// Rows of 96 or 192 floats, whole vectors on every instruction set.
const char* const kStreamed[] = {
    "conv2d src=f32:nhwc:1x9x32x3 weights=f32:hwio:3x3x3x3 pads=1x1 post=bias,relu",
    "conv2d src=f32:nhwc:2x7x96x1 weights=f32:hwio:3x3x1x1 pads=1x1",
    "conv2d src=f32:nhwc:1x7x96x1 weights=f32:hwio:3x3x1x2 pads=1x1 post=gelu",
    "conv2d src=f32:nchw:1x2x7x96 weights=f32:oihw:4x1x3x3 groups=2 pads=1x1",
    "conv2d src=f32:nhwc:1x9x98x1 weights=f32:hwio:3x3x1x1",
    "conv2d src=f32:nhwc:1x9x32x3 weights=f32:hwio:5x5x1x3 groups=3 pads=2x2 post=bias",
};

// The same bits as through the caches, wherever dst begins.
TEST_P(FilterTest, StreamedBitsAreTheSame) {
  for (const char* text : kStreamed) {
    const ir::Conv conv = conv_of(text);
    const bool smooth = conv.kernel.h == 5;
    const ConstantWeights weights = filter_named(smooth ? "gauss" : "sharpen", conv);
    HostTensors tensors = random_tensors(conv, 7, Data::kReals);
    tensors.weights = weights.values;
    const std::string words = smooth ? "filter passes=2 stores=" : "filter unroll=tile stores=";
    const Kernel streaming = must_compile(conv, weights, words + "streaming");
    expect_right(streaming, text);
    const std::vector<float> expected =
        run_kernel(must_compile(conv, weights, words + "cached"), tensors);
    for (const size_t skip : {0, 1, 2, 4, 8, 15})
      EXPECT_TRUE(same_bits(
          expected, run_kernel(streaming, tensors, {.flush = Flush::kBegin, .dst_behind = skip})))
          << skip << " " << streaming.schedule() << " " << text;
  }
}

// --- Two passes ---

const char* const kSmooth[] = {
    "conv2d src=f32:nhwc:1x13x70x3 weights=f32:hwio:5x5x1x3 groups=3 pads=2x2",
    "conv2d src=f32:nhwc:1x14x70x1 weights=f32:hwio:5x5x1x1 pads=2x2 post=bias,gelu",
    "conv2d src=f32:nhwc:2x9x30x4 weights=f32:oihw:4x1x5x5 groups=4 pads=0:3x4:1 strides=2x1",
    "conv2d src=f32:nhwc:1x15x40x3 weights=f32:hwio:5x5x3x3 pads=2x2 post=bias,add",
    "conv2d src=f32:nhwc:1x15x40x1 weights=f32:hwio:5x5x1x1 dilations=2x3 pads=4x6",
    "conv2d src=f32:nchw:1x1x9x33 weights=f32:oihw:1x1x5x5 post=bias",
};

TEST_P(FilterTest, TwoPasses) {
  for (const char* text : kSmooth) {
    const ir::Conv conv = conv_of(text);
    for (const char* filter : {"gauss", "box"})
      for (const std::string& words :
           {std::string("filter passes=2"), std::string("filter passes=1"),
            tile(conv, lanes_, 1, 1) + " passes=2",
            tile(conv, lanes_, 2, 3) + " passes=2 rows_per_task=7"})
        EXPECT_TRUE(check(text, filter, words) || words.find("tile=") != std::string::npos) << text;
  }
  const char* const slope =
      "conv2d src=f32:nhwc:1x9x40x1 weights=f32:hwio:3x3x1x1 pads=1x1 post=add";
  EXPECT_TRUE(check(slope, "sobel", "filter passes=2"));
  EXPECT_TRUE(check(slope, "sobel", tile(conv_of(slope), lanes_, 1, 2) + " passes=2"));
}

// Where the numbers are as large, or as small, as floats go. The sums of the first pass must not
// overflow where the output does not, nor lose what its weight keeps.
TEST_P(FilterTest, TwoPassesOnLargeAndTinyNumbers) {
  const ir::Conv five = conv_of("conv2d src=f32:nhwc:1x9x40x1 weights=f32:hwio:5x5x1x1 pads=2x2");
  const ir::Conv three = conv_of("conv2d src=f32:nhwc:1x9x40x1 weights=f32:hwio:3x3x1x1 pads=1x1");
  struct Case {
    const ir::Conv& conv;
    ConstantWeights weights;
    bool is_mean;  // no output is larger than the largest source
  };
  const bool has_fma = JitKernelMaker::of(*engine_)->target.has_fma;
  for (const Case& c : std::vector<Case>{{five, gauss_filter(five), true},
                                         {five, box_filter(five, 0.04f), true},
                                         {five, gauss_filter(five, 0x1p-4f), false},
                                         {five, gauss_filter(five, 1), false},
                                         {five, box_filter(five), false},
                                         {three, sobel_filter(three), false}})
    for (const int rows : {1, 2}) {
      const Kernel kernel =
          must_compile(c.conv, c.weights, tile(c.conv, lanes_, 1, rows) + " passes=2");
      HostTensors tensors = random_tensors(c.conv, 3, Data::kReals);
      tensors.weights = c.weights.values;
      const std::vector<float> random = tensors.src;
      const auto expect_right_times = [&](float scale) {
        for (size_t i = 0; i < random.size(); ++i) tensors.src[i] = random[i] * scale;
        EXPECT_TRUE(matches_interpreter(c.conv, tensors, run_kernel(kernel, tensors)))
            << scale << " " << kernel.signature();
      };
      for (const float scale : {1e36f, 0x1p-120f, 0x1p-130f, 0x1p-140f, 0x1p-146f, 0x1p-148f})
        expect_right_times(scale);
      // Where an output overflows a sum without FMA becomes Inf - Inf in any kernel.
      if (!c.is_mean && !has_fma) continue;
      for (const float scale : {3e38f, 1e38f, 1e37f}) expect_right_times(scale);
      tensors.src.assign(tensors.src.size(), 3.3e38f);
      EXPECT_TRUE(matches_interpreter(c.conv, tensors, run_kernel(kernel, tensors)))
          << kernel.signature();
    }
}

// --- NaN and Inf ---

struct Hidden {
  const char* conv;
  const char* filter;
  const char* words = "";
};

// 4 lanes, so that a small image has inner tiles too. Each has taps of weight 0.
const Hidden kHidden[] = {
    {"conv2d src=f32:nhwc:1x5x13x3 weights=f32:hwio:3x3x3x3 pads=1x1", "sharpen", "tile=12x1"},
    {"conv2d src=f32:nhwc:1x5x13x3 weights=f32:hwio:3x3x1x3 groups=3 pads=1x1", "sharpen",
     "tile=12x2"},
    {"conv2d src=f32:nhwc:1x4x13x2 weights=f32:hwio:3x3x2x4 pads=1x1 post=bias", "random",
     "tile=8x1"},
    {"conv2d src=f32:nhwc:1x5x13x3 weights=f32:hwio:3x3x3x3 pads=1x1 post=add", "edge",
     "tile=12x2"},
    {"conv2d src=f32:nhwc:1x6x19x1 weights=f32:hwio:3x3x1x1 pads=1x1", "sobel",
     "tile=8x2 passes=1"},
    {"conv2d src=f32:nhwc:1x6x19x1 weights=f32:hwio:3x3x1x1 pads=1x1", "sobel",
     "tile=8x2 passes=2"},
    {"conv2d src=f32:nhwc:1x6x19x1 weights=f32:hwio:3x3x1x1 post=add,relu", "sobel",
     "tile=8x1 passes=2"},
    {"conv2d src=f32:nhwc:1x6x19x1 weights=f32:hwio:3x3x1x2 pads=1x1", "sobel", "tile=4x1"},
    {"conv2d src=f32:nhwc:1x9x17x1 weights=f32:hwio:5x5x1x1 pads=2x2", "gauss",
     "tile=8x2 passes=2"},
    {"conv2d src=f32:nchw:1x2x5x13 weights=f32:oihw:2x2x3x3 pads=1x1", "edge", "tile=8x2"},
    {"conv2d src=f32:nhwc:1x9x13x2 weights=f32:hwio:3x3x2x2 strides=2x1 dilations=1x2 pads=0:2x3:0 "
     "pad_value=2",
     "sharpen", "tile=16x1"},
    {"conv1d src=f32:nwc:2x19x3 weights=f32:wio:3x3x3 pads=1:1", "random", "tile=12x1"},
    {"conv2d src=f32:nhwc:1x6x13x1 weights=f32:hwio:3x3x1x1 pads=1x1", "zeros", "tile=8x2"},
};

// Puts `bad` at every `step`-th place of src in turn; the kernel must do as the interpreter does.
void expect_seen_everywhere(const Kernel& kernel, const ConstantWeights& weights, size_t step,
                            float bad) {
  const ir::Conv& conv = kernel.conv();
  HostTensors tensors = random_tensors(conv, 8, Data::kIntegers);
  tensors.weights = weights.values;
  const bool adds = conv.uses(ir::PostOpKind::kAdd);
  for (size_t i = 0; i < tensors.src.size(); i += step) {
    const float good = std::exchange(tensors.src[i], bad);
    const std::vector<float> dst = run_kernel(kernel, tensors, {.add_is_dst = adds});
    ASSERT_TRUE(matches_interpreter(conv, tensors, dst))
        << bad << " at src[" << i << "]: " << kernel.signature() << " " << kernel.schedule();
    tensors.src[i] = good;
  }
}

ConstantWeights weights_of(const Hidden& hidden, const ir::Conv& conv) {
  return hidden.filter == std::string("zeros") ? box_filter(conv, 0)
                                               : filter_named(hidden.filter, conv);
}

TEST_P(FilterTest, ZeroWeightsHideNothing) {
  for (const Hidden& hidden : kHidden) {
    const ir::Conv conv = conv_of(hidden.conv);
    const ConstantWeights weights = weights_of(hidden, conv);
    const Kernel kernel =
        must_compile(conv, weights, std::string("filter unroll=tile lanes=4 ") + hidden.words);
    expect_seen_everywhere(kernel, weights, 1, kNaN);
    expect_seen_everywhere(kernel, weights, 3, kInf);
    expect_seen_everywhere(kernel, weights, 3, -kInf);
  }
}

// As selected, on whole vectors of the host.
TEST_P(FilterTest, ZeroWeightsHideNothingInWideVectors) {
  for (const char* text :
       {"conv2d src=f32:nhwc:1x4x61x3 weights=f32:hwio:3x3x3x3 pads=1x1",
        "conv2d src=f32:nhwc:1x4x61x4 weights=f32:hwio:3x3x1x4 groups=4 pads=1x1 post=add",
        "conv2d src=f32:nchw:1x2x4x61 weights=f32:oihw:3x2x3x3 pads=1x1"}) {
    const ir::Conv conv = conv_of(text);
    const ConstantWeights weights = sharpen_filter(conv);
    expect_seen_everywhere(must_compile(conv, weights, "filter unroll=tile"), weights, 1, kNaN);
  }
}

// Where src is not finite a whole row is computed again: the others keep their bits.
TEST_P(FilterTest, OneNaNLeavesTheRestAlone) {
  const ir::Conv conv = conv_of("conv2d src=f32:nhwc:1x9x61x3 weights=f32:hwio:3x3x3x3 pads=1x1");
  const ConstantWeights weights = sharpen_filter(conv);
  const Kernel kernel = must_compile(conv, weights, "filter unroll=tile");
  HostTensors tensors = random_tensors(conv, 2, Data::kReals);
  tensors.weights = weights.values;
  const std::vector<float> clean = run_kernel(kernel, tensors);
  tensors.src[(4 * 61 + 30) * 3 + 1] = kNaN;
  const std::vector<float> dst = run_kernel(kernel, tensors);
  int64_t nans = 0;
  for (size_t i = 0; i < dst.size(); ++i) {
    if (std::isnan(dst[i]))
      ++nans;
    else
      EXPECT_EQ(dst[i], clean[i]) << i;
  }
  EXPECT_EQ(nans, 27) << "3x3 pixels, all three channels of each";
}

TEST_P(FilterTest, AssumedFiniteSourcesGiveTheSameBits) {
  for (const Hidden& hidden : kHidden) {
    const ir::Conv conv = conv_of(hidden.conv);
    ConstantWeights weights = weights_of(hidden, conv);
    const std::string words = std::string("filter unroll=tile lanes=4 ") + hidden.words;
    HostTensors tensors = random_tensors(conv, 4, Data::kReals);
    tensors.weights = weights.values;
    const std::vector<float> expected = run_kernel(must_compile(conv, weights, words), tensors);
    EXPECT_TRUE(matches_interpreter(conv, tensors, expected));
    weights.assume_finite = true;
    EXPECT_TRUE(same_bits(expected, run_kernel(must_compile(conv, weights, words), tensors)))
        << hidden.conv;
    EXPECT_TRUE(
        matches_interpreter(conv, tensors, run_kernel(must_compile(conv, weights), tensors)))
        << hidden.conv;
  }
}

// --- Threads, tiles, residuals ---

// strict: the bits of the kernel that knows no weights, whatever the tile and the task.
TEST_P(FilterTest, StrictBitsAreThoseOfAnyWeights) {
  for (const char* text :
       {"conv2d src=f32:nhwc:2x13x40x3 weights=f32:hwio:3x3x3x3 pads=1x1 accuracy=strict",
        "conv2d src=f32:nhwc:1x13x40x4 weights=f32:hwio:3x3x1x8 groups=4 strides=2x1 post=bias "
        "accuracy=strict",
        "conv2d src=f32:nchw:1x3x9x40 weights=f32:oihw:2x3x3x3 pads=1x1 accuracy=strict"}) {
    const ir::Conv conv = conv_of(text);
    for (const char* filter : {"reals", "sharpen"}) {
      const ConstantWeights weights = filter_named(filter, conv);
      HostTensors tensors = random_tensors(conv, 6, Data::kReals);
      tensors.weights = weights.values;
      const std::vector<float> expected = run_kernel(compile_kernel(*engine_, conv), tensors);
      for (const std::string& words :
           {std::string("filter unroll=tile"), tile(conv, 4, 2, 1),
            tile(conv, lanes_, 1, 4) + " epilogue=loop", tile(conv, 4, 3, 2) + " rows_per_task=3"})
        EXPECT_TRUE(same_bits(expected, run_kernel(must_compile(conv, weights, words), tensors)))
            << words << " " << filter << " " << text;
    }
  }
}

TEST_P(FilterTest, ThreadsGiveTheSameBits) {
  for (const char* text :
       {"conv2d src=f32:nhwc:2x37x40x3 weights=f32:hwio:5x5x1x3 groups=3 pads=2x2 post=bias,add",
        "conv2d src=f32:nhwc:1x37x40x3 weights=f32:hwio:5x5x3x3 pads=2x2"}) {
    const ir::Conv conv = conv_of(text);
    for (const char* passes : {"passes=1", "passes=2"}) {
      const ConstantWeights weights = gauss_filter(conv);
      HostTensors tensors = random_tensors(conv, 9, Data::kReals);
      tensors.weights = weights.values;
      const Kernel kernel = must_compile(conv, weights, std::string("filter ") + passes, 4);
      EXPECT_GE(kernel.tasks(), 8);
      const std::vector<float> expected = run_kernel(kernel, tensors);
      for (int threads : {2, 3, 4}) {
        ThreadPool pool(threads);
        const ParallelFor parallel_for = pool.parallel_for();
        EXPECT_TRUE(
            same_bits(expected, run_kernel(kernel, tensors, {.parallel_for = &parallel_for})))
            << threads << " threads: " << kernel.schedule();
      }
    }
  }
}

TEST_P(FilterTest, ResidualMayBeDst) {
  for (const char* text :
       {"conv2d src=f32:nhwc:1x9x40x3 weights=f32:hwio:3x3x3x3 pads=1x1 post=add,gelu,bias,add",
        "conv2d src=f32:nchw:1x2x9x40 weights=f32:oihw:4x1x3x3 groups=2 pads=1x1 post=bias,add",
        "conv2d src=f32:nhwc:1x9x40x1 weights=f32:hwio:5x5x1x1 pads=2x2 post=add"})
    for (const char* epilogue : {"inline", "loop"}) {
      const ir::Conv conv = conv_of(text);
      const ConstantWeights weights = filter_named(conv.kernel.h == 5 ? "gauss" : "sharpen", conv);
      const Kernel kernel = must_compile(conv, weights, std::string("filter epilogue=") + epilogue);
      HostTensors tensors = random_tensors(conv, 5, Data::kReals);
      tensors.weights = weights.values;
      const std::vector<float> expected = run_kernel(kernel, tensors);
      EXPECT_TRUE(matches_interpreter(conv, tensors, expected));
      EXPECT_TRUE(same_bits(expected, run_kernel(kernel, tensors, {.add_is_dst = true})))
          << kernel.schedule() << ": " << text;
    }
}

TEST_P(FilterTest, EveryPostOp) {
  for (const char* post :
       {"bias", "add", "scale", "relu", "leaky_relu:0.5", "elu:1", "clamp:-1:1", "min:1", "max:0.5",
        "sigmoid", "tanh", "gelu", "gelu_tanh", "silu", "hard_swish", "hard_sigmoid", "abs",
        "square", "bias,add,scale,relu,add"})
    for (const char* words : {"filter", "filter epilogue=loop"})
      EXPECT_TRUE(check(
          fmt::format("conv1d src=f32:nwc:1x50x3 weights=f32:wio:3x1x6 groups=3 post={}", post),
          "reals", words));
}

// --- Weights that make no filter ---

TEST_P(FilterTest, NonFiniteWeightsAreComputedByOthers) {
  const ir::Conv conv =
      conv_of("conv2d src=f32:nhwc:1x9x20x3 weights=f32:hwio:3x3x1x3 groups=3 pads=1x1");
  for (const float bad : {kInf, -kInf, kNaN}) {
    ConstantWeights weights = edge_filter(conv);
    weights.values[4] = bad;
    const Kernel kernel = must_compile(conv, weights);
    EXPECT_NE(kernel.schedule().rfind("filter", 0), 0u);
    HostTensors tensors = random_tensors(conv, 5, Data::kReals);
    tensors.weights = weights.values;
    EXPECT_TRUE(matches_interpreter(conv, tensors, run_kernel(kernel, tensors))) << bad;
  }
}

// The packed weights are data of the object: whatever the algorithm reads, it finds there.
TEST_P(FilterTest, OtherAlgorithmsHoldTheirWeights) {
  struct Case {
    const char* conv;
    const char* words;
  };
  for (const Case& c : std::vector<Case>{
           {"conv2d src=f32:nhwc:1x9x9x20 weights=f32:hwio:3x3x20x37 pads=1x1 post=bias,relu", ""},
           {"conv2d src=f32:nhwc:1x9x9x20 weights=f32:oihw:37x20x3x3 pads=1x1", "direct"},
           {"conv2d src=f32:nhwc:1x9x9x20 weights=f32:hwio:3x3x20x37 pads=1x1",
            "winograd output_tile=2"},
           {"conv2d src=f32:nhwc:2x13x13x16 weights=f32:hwio:3x3x16x16 pads=1x1",
            "winograd output_tile=4"},
           {"conv2d src=f32:nhwc:1x9x9x37 weights=f32:hwio:3x3x1x37 groups=37 pads=1x1", ""},
           {"conv2d src=f32:nhwc:1x9x9x32 weights=f32:hwio:3x3x4x32 groups=8 pads=1x1", ""},
           {"conv2d src=f32:nchw:1x9x9x20 weights=f32:oihw:5x9x3x3", ""},
           {"conv2d src=f32:nhwc:1x9x40x3 weights=f32:hwio:3x3x3x5 strides=1x2", ""},
           {"conv3d src=f32:ndhwc:1x4x5x9x3 weights=f32:dhwio:3x3x3x3x5 pads=1x1x1", ""},
           {"conv1d src=f32:nwc:1x4x2 weights=f32:wio:2x2x4", "direct unroll=full"},
           {"conv2d src=f32:nhwc:0x9x9x20 weights=f32:hwio:3x3x20x37", ""}}) {
    const ir::Conv conv = conv_of(c.conv);
    const Kernel kernel = must_compile(conv, random_reals(conv, 1), c.words);
    EXPECT_EQ(kernel.schedule().rfind(std::string(c.words).substr(0, 6), 0), 0u);
    expect_right(kernel, c.conv);
    expect_right(must_compile(conv, random_integers(conv, 2), c.words), c.conv);
  }
}

}  // namespace
}  // namespace convgen::testing
