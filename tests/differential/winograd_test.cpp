// SPDX-License-Identifier: Apache-2.0
// winograd, by schedules given by hand: filters, tiles, borders, phases, channels and the way out,
// on every instruction set, against the interpreter and the bound of Winograd, between guard pages.
// The bound itself: kept, and of some use.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
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
    "winograd tile=3x2 ic_unroll=1 order=oc_outer unroll=tile edges=exact epilogue=inline "
    "output_tile=4 merge_rows=0 prefetch=0 rows_per_task=1 tiles_per_task=0 blocks_per_task=0";

// What decides the bits of outputs. Nested tasks are whole images and phases.
constexpr const char* kForms[] = {"output_tile=2 edges=exact", "output_tile=4 edges=exact",
                                  "output_tile=2 edges=nested", "output_tile=4 edges=nested"};

class WinogradTest : public ::testing::TestWithParam<IsaLevel> {
 protected:
  void SetUp() override {
    Result<Engine> engine = Engine::create({.mcpu = GetParam().mcpu});
    if (!engine.ok()) GTEST_SKIP() << engine.status().message();
    engine_ = *engine;
    lanes_ = JitKernelMaker::of(*engine_)->target.max_lanes;
  }

  std::string words_of(const std::string& words) const {
    return fmt::format("{} lanes={} {}", kPlainWords, lanes_, words);
  }

  Kernel compile(const std::string& text, const std::string& words) const {
    return compile_kernel(*engine_, conv_of(text), with_schedule(words_of(words)));
  }

  // On integers and on reals, both within the bound: the transforms round integers too.
  void check(const std::string& text, const std::string& words) {
    const Reproducer again{.mcpu = GetParam().mcpu, .schedule = words_of(words)};
    SCOPED_TRACE("again: " + again.text(conv_of(text)));
    announce_in_case_of_fault(again.text(conv_of(text)));
    const Kernel kernel = compile(text, words);
    ASSERT_NE(kernel.summation().winograd_tile, 0);
    for (const VerifyData data : {VerifyData::kIntegers, VerifyData::kReals}) {
      const Result<VerifyReport> report = verify_kernel(kernel, {.data = data});
      ASSERT_TRUE(report.ok()) << report.status().message();
      EXPECT_TRUE(report->pass) << report->failure;
      EXPECT_FALSE(report->bit_exact);
      EXPECT_EQ(report->checked_outputs, kernel.conv().dst_elements());
    }
    engine_->clear_cache();
  }

  void check_all_forms(const std::string& text, const std::string& words = "") {
    for (const char* form : kForms) check(text, fmt::format("{} {}", words, form));
  }

  std::optional<Engine> engine_;
  int lanes_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Levels, WinogradTest, ::testing::ValuesIn(kIsaLevels),
                         [](const auto& test) { return test.param.name; });

// --- Filters, images, borders ---

TEST_P(WinogradTest, EveryFilter) {
  for (const char* taps : {"3x3", "1x3", "3x1", "5x5", "1x5", "5x1", "3x5", "5x3"})
    for (const char* rest : {"pads=same", "pads=2:1x0:3 pad_value=-1.5"})
      check_all_forms(
          fmt::format("conv2d src=f32:nhwc:1x9x11x5 weights=f32:hwio:{}x5x7 {}", taps, rest));
}

// Around one, two and three tiles of 2 and of 4, with a border on all sides and none.
TEST_P(WinogradTest, EverySize) {
  const char* const sizes[] = {"1x1", "1x8", "9x1", "2x3", "3x5",  "4x4",
                               "5x2", "6x7", "7x6", "8x9", "10x8", "13x12"};
  for (const char* size : sizes)
    check_all_forms(
        fmt::format("conv2d src=f32:nhwc:1x{}x3 weights=f32:hwio:3x3x3x4 pads=same", size));
  for (const char* size : {"3x3", "4x6", "6x4", "7x7", "8x10"})
    check_all_forms(fmt::format("conv2d src=f32:nhwc:1x{}x3 weights=f32:hwio:3x3x3x4", size));
}

// Tiles of padding alone among them, and pad values that are terms.
TEST_P(WinogradTest, EveryPad) {
  for (const char* pads : {"0:1x0:1", "1:0x2:0", "2x2", "0:2x3:1", "7x0", "5:9x8:6"})
    for (const char* value : {"", " pad_value=2"})
      check_all_forms(fmt::format("conv2d src=f32:nhwc:2x5x6x3 weights=f32:hwio:3x3x3x4 pads={}{}",
                                  pads, value));
}

// Phases of unlike length, of one output, and more of them than outputs.
TEST_P(WinogradTest, EveryDilation) {
  for (const char* rest :
       {"3x3x3x4 dilations=2x2 pads=2x2", "3x3x3x4 dilations=1x3 pads=0x3",
        "3x3x3x4 dilations=4x1 pads=5:3x0", "3x3x3x4 dilations=3x2 pads=1:4x2:0 pad_value=1",
        "3x3x3x4 dilations=20x30 pads=20x30", "5x5x3x4 dilations=2x3 pads=4x6",
        "1x3x3x4 dilations=2x2 pads=0x2", "5x1x3x4 dilations=3x1 pads=6x0"})
    check_all_forms(fmt::format("conv2d src=f32:nhwc:1x11x10x3 weights=f32:hwio:{}", rest));
}

// --- Channels ---

TEST_P(WinogradTest, EveryNumberOfChannels) {
  const std::vector<int> channels = {1,          lanes_ - 1,     lanes_,        lanes_ + 1,
                                     2 * lanes_, 2 * lanes_ + 3, 3 * lanes_ + 2};
  for (size_t i = 0; i < channels.size(); ++i)
    for (const char* words : {"tile=2x1 order=pixel_outer", "tile=3x2 ic_unroll=3 output_tile=2"}) {
      const int ic = channels[i], oc = channels[(i + 2) % channels.size()];
      check(fmt::format("conv2d src=f32:nhwc:1x6x7x{0} weights=f32:hwio:3x3x{0}x{1} pads=1x1 "
                        "post=bias",
                        ic, oc),
            words);
    }
}

TEST_P(WinogradTest, EveryWidthOfVectors) {
  for (int lanes = 4; lanes < lanes_; lanes *= 2)
    for (const char* order : {"oc_outer", "pixel_outer"})
      check_all_forms(
          "conv2d src=f32:nhwc:1x7x6x13 weights=f32:hwio:3x3x13x21 pads=1x1 post=bias,relu",
          fmt::format("lanes={} order={}", lanes, order));
}

// --- The way out ---

TEST_P(WinogradTest, EveryWayOut) {
  for (const char* post : {" post=bias,add,scale,relu", " post=add,gelu,bias"})
    for (const char* dst : {"nhwc", "nchw"})
      for (const char* epilogue : {"inline", "loop"})
        for (const int oc : {3, 2 * lanes_ + 1}) {
          check(fmt::format("conv2d src=f32:nhwc:2x6x7x3 weights=f32:hwio:3x3x3x{} dst=f32:{} "
                            "pads=1x1{}",
                            oc, dst, post),
                fmt::format("epilogue={} output_tile={}", epilogue, oc == 3 ? 4 : 2));
        }
}

// Beyond 512 operations a chain takes several passes.
TEST_P(WinogradTest, LongChainTakesSeveralPasses) {
  std::string post = "bias,add";
  for (int i = 0; i < 6; ++i) post += ",tanh,scale,gelu";
  for (const char* dst : {"nhwc", "nchw"})
    check(fmt::format(
              "conv2d src=f32:nhwc:1x5x5x3 weights=f32:hwio:3x3x3x{} dst=f32:{} pads=1x1 post={}",
              lanes_, dst, post),
          "epilogue=loop output_tile=2");
}

TEST_P(WinogradTest, ResidualMayBeDst) {
  for (const char* dst : {"nhwc", "nchw"})
    for (const char* order : {"oc_outer", "pixel_outer"}) {
      const Kernel kernel = compile(
          fmt::format("conv2d src=f32:nhwc:2x6x7x3 weights=f32:hwio:3x3x3x19 dst=f32:{} pads=1x1 "
                      "post=add,gelu,bias,add",
                      dst),
          fmt::format("epilogue=loop order={} tiles_per_task=3", order));
      const HostTensors tensors = random_tensors(kernel.conv(), 5, Data::kReals);
      const std::vector<float> expected = run_kernel(kernel, tensors);
      EXPECT_TRUE(matches_interpreter(kernel.conv(), tensors, expected, false, kernel.summation()));
      EXPECT_TRUE(same_bits(expected, run_kernel(kernel, tensors, {.add_is_dst = true})));
    }
}

// --- Ranks, layouts, batches ---

TEST_P(WinogradTest, RanksLayoutsAndBatches) {
  for (const char* text :
       {"conv1d src=f32:nwc:3x17x5 weights=f32:wio:3x5x6 pads=1:1 post=bias",
        "conv1d src=f32:nwc:2x17x5 weights=f32:oiw:6x5x5 dst=f32:ncw pads=2:2 post=bias",
        "conv1d src=f32:nwc:1x17x5 weights=f32:wio:3x5x6 dilations=4 pads=4:4",
        "conv2d src=f32:nhwc:3x6x7x5 weights=f32:oihw:9x5x3x3 pads=1x1 post=add",
        "conv2d src=f32:nhwc:2x6x7x5 weights=f32:oihw:9x5x5x3 dst=f32:nchw pads=2x1",
        "conv3d src=f32:ndhwc:2x3x6x7x4 weights=f32:dhwio:1x3x3x4x5 pads=0x1x1 post=bias",
        "conv3d src=f32:ndhwc:2x3x6x7x4 weights=f32:oidhw:5x4x1x3x3 dilations=1x2x2 pads=0x2x2",
        "conv3d src=f32:ndhwc:2x1x6x7x4 weights=f32:dhwio:1x3x3x4x5 dst=f32:ncdhw pads=0x1x1"})
    check_all_forms(text, "tiles_per_task=4");
}

TEST_P(WinogradTest, NothingToCompute) {
  for (const char* text : {"conv2d src=f32:nhwc:0x6x7x5 weights=f32:hwio:3x3x5x6 pads=1x1",
                           "conv2d src=f32:nhwc:1x6x7x5 weights=f32:hwio:3x3x5x0 pads=1x1",
                           "conv2d src=f32:nhwc:1x0x7x5 weights=f32:hwio:3x3x5x6 pads=1x1"}) {
    const Kernel kernel = compile(text, "");
    EXPECT_EQ(kernel.tasks(), 0) << text;
    EXPECT_TRUE(kernel.run({}).ok()) << text;
  }
}

// --- Schedules: what is decided changes no bit, but the form of tiles and FMA ---

const char* const kCuts[] = {"",
                             "tile=1x1 tiles_per_task=1",
                             "tile=5x3 tiles_per_task=5 order=pixel_outer",
                             "tile=4x2 tiles_per_task=9 ic_unroll=4",
                             "tile=2x4 order=pixel_outer prefetch=3",
                             "tile=6x1 tiles_per_task=7 prefetch=2 ic_unroll=2",
                             "tile=1x2 tiles_per_task=1000 order=oc_inner epilogue=loop",
                             "tile=7x2 lanes=4 ic_unroll=5",
                             "tile=3x1 lanes=4 blocks_per_task=1",
                             "tile=4x1 lanes=4 blocks_per_task=2 tiles_per_task=4",
                             "tile=2x2 lanes=4 blocks_per_task=3 order=pixel_outer prefetch=1",
                             "tile=3x1 lanes=4 blocks_per_task=4 order=pixel_outer "
                             "tiles_per_task=6",
                             "tile=2x1 blocks_per_task=1000"};

const char* const kCutConvs[] = {
    "conv2d src=f32:nhwc:2x9x10x7 weights=f32:hwio:3x3x7x37 pads=1x1 post=bias,relu",
    "conv2d src=f32:nhwc:1x9x10x19 weights=f32:hwio:5x5x19x9 dilations=2x1 pads=2x2",
    "conv2d src=f32:nhwc:3x7x11x5 weights=f32:hwio:3x3x5x21 dilations=1x2 pads=1x2"};

TEST_P(WinogradTest, CutsDoNotChangeBits) {
  for (const char* text : kCutConvs)
    for (const char* form : kForms) {
      const HostTensors tensors = random_tensors(conv_of(text), 2, Data::kReals);
      std::vector<float> expected;
      for (const char* cut : kCuts) {
        const Kernel kernel = compile(text, fmt::format("{} {}", cut, form));
        const std::vector<float> found = run_kernel(kernel, tensors);
        if (expected.empty()) {
          expected = found;
          EXPECT_TRUE(
              matches_interpreter(kernel.conv(), tensors, expected, false, kernel.summation()));
        }
        EXPECT_TRUE(same_bits(expected, found)) << cut << " " << form << ": " << text;
        EXPECT_TRUE(same_bits(expected, run_kernel(kernel, tensors, {.flush = Flush::kBegin})));
        EXPECT_TRUE(same_bits(expected, run_kernel(kernel, tensors, {.plain_weights = true})));
      }
    }
}

TEST_P(WinogradTest, ThreadsDoNotChangeBits) {
  for (const char* text : kCutConvs)
    for (const char* words :
         {"order=oc_outer", "order=pixel_outer", "edges=nested blocks_per_task=1"}) {
      const Kernel kernel =
          compile(text, fmt::format("lanes=4 tile=2x2 tiles_per_task=2 output_tile=2 {}", words));
      EXPECT_GT(kernel.tasks(), 3);
      const HostTensors tensors = random_tensors(kernel.conv(), 3, Data::kReals);
      const std::vector<float> expected = run_kernel(kernel, tensors);
      for (const int threads : {2, 3, 5}) {
        ThreadPool pool(threads);
        const ParallelFor parallel_for = pool.parallel_for();
        EXPECT_TRUE(
            same_bits(expected, run_kernel(kernel, tensors, {.parallel_for = &parallel_for})))
            << threads << " threads: " << kernel.schedule() << ": " << text;
      }
    }
}

template <typename T>
std::vector<T> part(const std::vector<T>& values, size_t index, size_t parts) {
  const size_t size = values.size() / parts;
  const auto begin = values.begin() + static_cast<std::ptrdiff_t>(index * size);
  return {begin, begin + static_cast<std::ptrdiff_t>(size)};
}

TEST_P(WinogradTest, BatchSizeDoesNotChangeBits) {
  const char* const text =
      "conv2d src=f32:nhwc:{}x5x6x7 weights=f32:hwio:3x3x7x9 pads=1x1 post=bias";
  // Nested: of two images a task the last one has one.
  for (const char* words :
       {"tile=4x1 tiles_per_task=4", "tile=4x1 tiles_per_task=8 edges=nested"}) {
    const Kernel one = compile(fmt::format(fmt::runtime(text), 1), words);
    const Kernel three = compile(fmt::format(fmt::runtime(text), 3), words);
    const HostTensors tensors = random_tensors(three.conv(), 4, Data::kReals);
    const std::vector<float> dst = run_kernel(three, tensors);
    for (size_t image = 0; image < 3; ++image) {
      HostTensors single = tensors;
      single.src = part(tensors.src, image, 3);
      EXPECT_TRUE(same_bits(part(dst, image, 3), run_kernel(one, single))) << "image " << image;
    }
  }
}

// A number that is none reaches every output that uses it, and beyond those only outputs of tiles
// that see it: what numerics.md says. No trace of it stays in scratch for the tasks that follow.
void expect_nan_in_its_tiles(const Kernel& kernel, int64_t size, int64_t m, bool nested) {
  HostTensors tensors = random_tensors(kernel.conv(), 6, Data::kReals);
  const std::vector<float> clean = run_kernel(kernel, tensors);
  const int64_t h = 10, w = 11;
  tensors.src[static_cast<size_t>((h * size + w) * 3 + 1)] =
      std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> dst = run_kernel(kernel, tensors);
  const auto in_tile = [&](int64_t out, int64_t in) {
    const int64_t first = out / m * m;
    const int64_t outputs = nested ? std::min(m, size - first) : m;
    return in >= first - 1 && in < first - 1 + outputs + 2;
  };
  for (int64_t i = 0; i < static_cast<int64_t>(dst.size()); ++i) {
    const int64_t n = i / (size * size * 5), oh = i / (size * 5) % size, ow = i / 5 % size;
    const bool uses = n == 0 && std::abs(oh - h) <= 1 && std::abs(ow - w) <= 1;
    const bool may = n == 0 && in_tile(oh, h) && in_tile(ow, w);
    const float value = dst[static_cast<size_t>(i)];
    if (uses) {
      EXPECT_TRUE(std::isnan(value)) << oh << " " << ow;
    }
    if (!may) {
      EXPECT_EQ(value, clean[static_cast<size_t>(i)]) << oh << " " << ow;
    }
  }
}

TEST_P(WinogradTest, NaNStaysWithTilesThatSeeIt) {
  for (const int m : {2, 4})
    for (const int64_t size : {12, 13, 14})
      for (const bool nested : {false, true}) {
        const Kernel kernel = compile(
            fmt::format("conv2d src=f32:nhwc:2x{0}x{0}x3 weights=f32:hwio:3x3x3x5 pads=1x1", size),
            fmt::format("tile=2x1 tiles_per_task=2 output_tile={} edges={}", m,
                        nested ? "nested" : "exact"));
        SCOPED_TRACE(kernel.schedule());
        expect_nan_in_its_tiles(kernel, size, m, nested);
      }
}

// --- The bound ---

struct Looseness {
  double worst_ratio = 0;    // of an error to its bound
  double worst_error = 0;    // of all outputs, against
  double largest_bound = 0;  // of all outputs
};

Looseness measure(const Kernel& kernel, uint64_t seed) {
  const HostTensors tensors = random_tensors(kernel.conv(), seed, Data::kReals);
  const std::vector<float> dst = run_kernel(kernel, tensors);
  const ir::Reference reference =
      ir::interpret(kernel.conv(), tensors.inputs(), kernel.summation());
  Looseness looseness;
  for (size_t i = 0; i < dst.size(); ++i) {
    const double error = std::abs(static_cast<double>(dst[i]) - reference.y[i]);
    looseness.worst_ratio = std::max(looseness.worst_ratio, error / reference.tolerance[i]);
    looseness.worst_error = std::max(looseness.worst_error, error);
    looseness.largest_bound = std::max(looseness.largest_bound, reference.tolerance[i]);
  }
  return looseness;
}

// Neither violated nor looser than 1000 times the worst error of a few thousand outputs.
TEST_P(WinogradTest, BoundHoldsAndIsOfUse) {
  double loosest = 0;
  for (const char* text :
       {"conv2d src=f32:nhwc:1x16x16x1 weights=f32:hwio:3x3x1x8 pads=1x1",
        "conv2d src=f32:nhwc:1x16x16x8 weights=f32:hwio:3x3x8x8 pads=1x1",
        "conv2d src=f32:nhwc:1x16x16x32 weights=f32:hwio:3x3x32x8 pads=1x1",
        "conv2d src=f32:nhwc:1x20x20x12 weights=f32:hwio:3x3x12x8 pads=1x1 post=bias,add",
        "conv2d src=f32:nhwc:1x16x16x12 weights=f32:hwio:5x5x12x8 pads=2x2",
        "conv2d src=f32:nhwc:1x40x40x16 weights=f32:hwio:1x3x16x8 pads=0x1",
        "conv2d src=f32:nhwc:1x40x40x64 weights=f32:hwio:5x1x64x8 pads=2x0",
        "conv2d src=f32:nhwc:1x17x17x16 weights=f32:hwio:3x3x16x8 pads=1x1",
        "conv2d src=f32:nhwc:1x18x19x16 weights=f32:hwio:3x3x16x8 pads=1x1",
        "conv2d src=f32:nhwc:1x17x17x12 weights=f32:hwio:5x5x12x8 pads=2x2"})
    for (const char* form : kForms) {
      const Kernel kernel = compile(text, form);
      const Looseness looseness = measure(kernel, 8);
      SCOPED_TRACE(fmt::format("{} {}", form, text));
      EXPECT_LE(looseness.worst_ratio, 1);
      EXPECT_LE(looseness.largest_bound, 1000 * looseness.worst_error);
      loosest = std::max(loosest, looseness.largest_bound / looseness.worst_error);
    }
  RecordProperty("loosest", std::to_string(loosest));
}

}  // namespace
}  // namespace convgen::testing
