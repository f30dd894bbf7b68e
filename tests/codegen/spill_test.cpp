// SPDX-License-Identifier: Apache-2.0
// Every register tile the selector may offer keeps its accumulators in registers: the assembly of
// a convolution with borders, and of a 1x1, spills and reloads no vector in its loops.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>

#include "codegen/code_size.h"
#include "codegen/compile.h"
#include "codegen/cost_model.h"
#include "codegen/select_winograd.h"
#include "tests/codegen/codegen_test_support.h"
#include "tests/support/filters.h"

namespace convgen::codegen {
namespace {

using testing::conv_of;
using testing::target_of;

struct TileFamily {
  std::string target{};
  Algorithm algorithm = Algorithm::kDirect;
  int lanes = 4;
  int vectors = 1;   // planar: runs of pixels, and its "pixels" are channels
  int channels = 1;  // in and out of a group, where lanes span groups
  LoopOrder order = LoopOrder::kPixelOuter;  // where lanes span groups; else what is selected
};

// "rotated_c4_oc_inner": the algorithm's word, and what tells its families apart.
std::string kind_of(const TileFamily& family) {
  const std::string schedule = print_schedule({.algorithm = family.algorithm});
  std::string kind = schedule.substr(0, schedule.find(' '));
  if (family.algorithm == Algorithm::kRotated) kind += "_c" + std::to_string(family.channels);
  return kind + (family.order == LoopOrder::kOcInner ? "_oc_inner" : "");
}

std::string name_of(const TileFamily& family) {
  return testing::test_name_of(fmt::format("{}_{}_lanes{}_v{}", family.target, kind_of(family),
                                           family.lanes, family.vectors));
}

std::ostream& operator<<(std::ostream& out, const TileFamily& f) { return out << name_of(f); }

// What select_schedule.cpp offers of one algorithm and size of groups: the widest vectors, as many
// as max_tile_pixels has tiles for (most where a row is one tap), and a single narrower one where
// that holds all channels.
void append_families(const std::string& name, TileFamily family, std::vector<TileFamily>& result) {
  const Target target = target_of(name);
  family.target = name;
  for (family.lanes = 4; family.lanes <= target.max_lanes; family.lanes *= 2) {
    const int most_vectors = family.lanes < target.max_lanes ? 1 : kMaxTileVectors;
    for (family.vectors = 1; family.vectors <= most_vectors; ++family.vectors)
      if (family.lanes % family.channels == 0 &&
          max_tile_pixels(target, family.algorithm, family.vectors, 1, family.channels) > 0)
        result.push_back(family);
  }
}

std::vector<TileFamily> families() {
  std::vector<TileFamily> result;
  for (const std::string& name : isa_levels()) {
    append_families(name, {.algorithm = Algorithm::kDirect}, result);
    for (LoopOrder order : {LoopOrder::kPixelOuter, LoopOrder::kOcInner}) {
      append_families(name, {.algorithm = Algorithm::kDepthwise, .order = order}, result);
      append_families(name, {.algorithm = Algorithm::kGrouped, .channels = 2, .order = order},
                      result);
      for (int channels : {2, 4, 8, 16})
        append_families(
            name, {.algorithm = Algorithm::kRotated, .channels = channels, .order = order}, result);
    }
    for (int runs = 1; runs <= kMaxPlanarRuns; ++runs)
      result.push_back({name, Algorithm::kPlanar, target_of(name).max_lanes, runs});
  }
  return result;
}

// Input channels, output channels, groups: full vectors, or the last one some channels short.
struct Channels {
  int ic, oc, groups;
};

Channels channels_of(const TileFamily& family, bool tail) {
  const int block = family.lanes * family.vectors;
  if (!lanes_span_groups(family.algorithm)) return {8, block - tail, 1};
  // Several blocks where they are a loop in the tile; a tail stands behind them, a group short.
  const int blocks = (family.order == LoopOrder::kOcInner ? 3 : 1) + tail;
  const int channels = std::max(2 * family.channels, blocks * block - tail * family.channels);
  return {channels, channels, channels / family.channels};
}

// Planes with a left border tile, interior tiles, a narrower tail and a right border; twice
// `channels` outputs, and one less where the last block shall be narrower.
ir::Conv conv_with_planes(const TileFamily& family, int channels, int kernel, bool tail) {
  const int width = 3 * family.lanes * family.vectors + 1;
  return conv_of(
      fmt::format("conv2d src=f32:nchw:1x8x8x{} weights=f32:oihw:{}x8x{}x{} pads={}x{} "
                  "post=bias,relu",
                  width, 2 * channels - tail, kernel, kernel, kernel / 2, kernel / 2));
}

// A square filter over a row with a left border tile, interior tiles, a narrower tail and a right
// border.
ir::Conv conv_with_tiles(const TileFamily& family, int pixels, int kernel, int stride = 1,
                         bool tail = false) {
  if (family.algorithm == Algorithm::kPlanar) return conv_with_planes(family, pixels, kernel, tail);
  const Channels c = channels_of(family, tail);
  const int width = stride * (3 * pixels + 1) + 1;
  return conv_of(
      fmt::format("conv2d src=f32:nhwc:1x8x{}x{} weights=f32:hwio:{}x{}x{}x{} groups={} pads={}x{} "
                  "strides=1x{} post=bias,relu",
                  width, c.ic, kernel, kernel, c.ic / c.groups, c.oc, c.groups, kernel / 2,
                  kernel / 2, stride));
}

// The selected schedule with another tile, and the ic_unroll that goes with it.
Schedule schedule_with_tile(const ir::Conv& conv, const Target& target, const TileFamily& family,
                            int pixels) {
  Schedule schedule = select_schedule(conv, target).schedule;
  schedule.algorithm = family.algorithm;
  schedule.lanes = family.lanes;
  schedule.tile_pixels = pixels;
  schedule.tile_vectors = family.vectors;
  if (lanes_span_groups(family.algorithm)) schedule.order = family.order;
  schedule.unroll = family.algorithm == Algorithm::kGrouped ? Unroll::kRow
                    : lanes_span_groups(family.algorithm)   ? Unroll::kTaps
                                                            : Unroll::kTile;
  schedule.epilogue = Epilogue::kInline;
  schedule.ic_unroll = 1;
  if (family.algorithm == Algorithm::kPlanar) {
    schedule.tile_pixels = family.lanes * family.vectors;
    schedule.tile_vectors = pixels;
  }
  if (!lanes_span_groups(family.algorithm)) {
    const int64_t steps =
        family.algorithm == Algorithm::kDirect ? conv.kernel.w * conv.ic : conv.ic;
    schedule.ic_unroll = select_ic_unroll(schedule, target, steps);
  }
  return schedule;
}

struct Spills {
  int in_loops = 0;  // over channels or taps
  int elsewhere = 0;
  int filter_rows = 0;  // loops over kh
};

// Lines such as "vmovups %zmm3, 64(%rsp)  # 64-byte Spill", by the loop whose label stands above.
// Loop counters and pointers may spill.
Spills count_vector_spills(const std::string& assembly) {
  std::istringstream lines(assembly);
  Spills spills;
  bool in_loop = false;
  for (std::string line; std::getline(lines, line);) {
    const auto has = [&](const char* text) { return line.find(text) != std::string::npos; };
    if (line.rfind(".LBB", 0) == 0 && has("%kh.loop")) ++spills.filter_rows;
    if (line.rfind(".LBB", 0) == 0 || line.rfind("# %bb", 0) == 0)
      in_loop = has("%ic.loop") || has("%kw.loop");
    const bool vector = has("mm");  // xmm, ymm, zmm
    if ((has("Spill") || has("Reload")) && vector) ++(in_loop ? spills.in_loops : spills.elsewhere);
  }
  return spills;
}

Spills vector_spills_of(const ir::Conv& conv, const Schedule& schedule, const Target& target) {
  const Result<std::string> assembly = compile(Stage::kAssembly, conv, schedule, target);
  EXPECT_TRUE(assembly.ok()) << assembly.status().message();
  return assembly.ok() ? count_vector_spills(*assembly) : Spills{};
}

class Spill : public ::testing::TestWithParam<TileFamily> {
 protected:
  void expect_no_spill(const ir::Conv& conv, int pixels) {
    const Target target = target_of(GetParam().target);
    const Schedule schedule = schedule_with_tile(conv, target, GetParam(), pixels);
    const Spills spills = vector_spills_of(conv, schedule, target);
    SCOPED_TRACE(ir::print_conv(conv) + "\n  " + print_schedule(schedule));
    EXPECT_EQ(spills.in_loops, 0);
    // Where a row of taps enters its loop the accumulators change places; with all registers taken
    // one of them passes through memory, once for hundreds of FMAs.
    EXPECT_LE(spills.elsewhere, 2 * spills.filter_rows);
  }
  // The largest tile for a filter of this width.
  int max_pixels(int kernel) const {
    const TileFamily& family = GetParam();
    const Target target = target_of(family.target);
    if (family.algorithm == Algorithm::kPlanar) return max_planar_channels(target, family.vectors);
    return max_tile_pixels(target, family.algorithm, family.vectors, kernel, family.channels);
  }
};

TEST_P(Spill, NoTileWithBordersSpills) {
  for (int pixels = 1; pixels <= max_pixels(3); ++pixels)
    expect_no_spill(conv_with_tiles(GetParam(), pixels, 3), pixels);
}

TEST_P(Spill, NoTileOf1x1Spills) {
  for (int pixels = 1; pixels <= max_pixels(1); ++pixels)
    expect_no_spill(conv_with_tiles(GetParam(), pixels, 1), pixels);
}

// The largest tile again where addresses, taps or lanes take more.
TEST_P(Spill, LargestTileWithStrideTapsOrTailSpillsNothing) {
  if (const int pixels = max_pixels(3); pixels > 0) {
    expect_no_spill(conv_with_tiles(GetParam(), pixels, 3, 2), pixels);
    expect_no_spill(conv_with_tiles(GetParam(), pixels, 3, 1, true), pixels);
  }
  if (const int pixels = max_pixels(5); pixels > 0)
    expect_no_spill(conv_with_tiles(GetParam(), pixels, 5), pixels);
}

INSTANTIATE_TEST_SUITE_P(Tiles, Spill, ::testing::ValuesIn(families()),
                         [](const auto& instance) { return name_of(instance.param); });

// With one to three channels, taps of neighbouring pixels load the same floats; kept from step to
// step they would push sums out.
class FewChannelsSpill : public ::testing::TestWithParam<std::string> {};

TEST_P(FewChannelsSpill, NoDirectTileSpills) {
  const Target target = target_of(GetParam());
  for (int vectors = 1; vectors <= kMaxTileVectors; ++vectors)
    for (int channels : {1, 2, 3})
      for (int kernel : {3, 5}) {
        Schedule tile;
        tile.lanes = target.max_lanes;
        tile.tile_vectors = vectors;
        tile.tile_pixels = max_tile_pixels(target, Algorithm::kDirect, vectors);
        if (tile.tile_pixels == 0) continue;
        const ir::Conv conv = conv_of(fmt::format(
            "conv2d src=f32:nhwc:1x64x64x{0} weights=f32:hwio:{1}x{1}x{0}x{2} pads=same", channels,
            kernel, tile.oc_block()));
        const Schedule schedule = finish_schedule(conv, target, 1, tile);
        const Spills spills = vector_spills_of(conv, schedule, target);
        SCOPED_TRACE(ir::print_conv(conv) + "\n  " + print_schedule(schedule));
        EXPECT_EQ(spills.in_loops, 0);
        // At borders a row of taps falls into spans too short to be loops, where sums of another
        // vector may change places too. 50 and more were seen where taps met in a block.
        const int most = target.vector_registers < 32 ? 6 : 4;
        EXPECT_LE(spills.elsewhere, most * spills.filter_rows);
      }
}

INSTANTIATE_TEST_SUITE_P(Targets, FewChannelsSpill, ::testing::ValuesIn(isa_levels()),
                         [](const auto& instance) {
                           return testing::test_name_of(instance.param);
                         });

// The measure must be able to see a spill: far more accumulators than registers.
TEST(SpillMeasure, SeesATileThatCannotFit) {
  const Target target = target_of("x86-64-v3");
  const TileFamily family{"x86-64-v3", Algorithm::kDirect, 8, 4};
  const ir::Conv conv = conv_with_tiles(family, 12, 3);
  const Spills spills =
      vector_spills_of(conv, schedule_with_tile(conv, target, family, 12), target);
  EXPECT_GT(spills.in_loops, 20);
  EXPECT_GT(spills.elsewhere, 20);
}

// --- Lanes that are pixels of a stage, or leave for channels that come last ---

struct PixelTile {
  std::string target;
  int lanes;
  int runs;
};

std::ostream& operator<<(std::ostream& out, const PixelTile& f) {
  return out << testing::test_name_of(f.target) << "_lanes" << f.lanes << "_runs" << f.runs;
}

// What best_planar_tile() offers: all widths of vectors, so that short rows fill them.
std::vector<PixelTile> pixel_tiles() {
  std::vector<PixelTile> result;
  for (const std::string& name : isa_levels())
    for (int lanes = 4; lanes <= target_of(name).max_lanes; lanes *= 2)
      for (int runs = 1; runs <= kMaxPlanarRuns; ++runs) result.push_back({name, lanes, runs});
  return result;
}

class PixelTileSpill : public ::testing::TestWithParam<PixelTile> {
 protected:
  int most_channels(bool interleaved) const {
    return max_planar_channels(target_of(GetParam().target), GetParam().runs, GetParam().lanes,
                               interleaved);
  }

  // `words` with {width} and {oc} in it: borders, interior tiles and a narrower tail.
  void expect_no_spill(const char* words, Algorithm algorithm, int stride, int channels, int oc) {
    const Target target = target_of(GetParam().target);
    const int width = stride * (3 * GetParam().lanes * GetParam().runs + 1) + 1;
    const ir::Conv conv = conv_of(fmt::format(fmt::runtime(words), fmt::arg("width", width),
                                              fmt::arg("oc", oc), fmt::arg("stride", stride)) +
                                  " post=bias,relu");
    Schedule schedule;
    schedule.algorithm = algorithm;
    schedule.lanes = GetParam().lanes;
    schedule.tile_pixels = GetParam().lanes * GetParam().runs;
    schedule.tile_vectors = channels;
    schedule.order = LoopOrder::kPixelOuter;
    schedule.rows_per_task = 4;
    const Status status = check_schedule(schedule, conv, target);
    ASSERT_TRUE(status.ok()) << status.message();
    const Spills spills = vector_spills_of(conv, schedule, target);
    SCOPED_TRACE(ir::print_conv(conv) + "\n  " + print_schedule(schedule));
    EXPECT_EQ(spills.in_loops, 0);
    // Among the shuffles behind all products every sum may go to memory and come back, once a tile.
    const bool interleaved =
        oc == channels && conv.dst_layout == ir::ActivationLayout::kChannelsLast;
    const int shuffled = interleaved ? channels * GetParam().runs : 0;
    EXPECT_LE(spills.elsewhere, 2 * spills.filter_rows * (1 + shuffled));
  }
};

constexpr const char* kImage =
    "conv2d src=f32:nhwc:1x8x{width}x3 weights=f32:hwio:3x3x3x{oc} pads=1x1 strides=1x{stride}";
constexpr const char* kManyChannels =
    "conv2d src=f32:nhwc:1x8x{width}x40 weights=f32:hwio:3x3x40x{oc} pads=1x1 strides=1x{stride}";
constexpr const char* kToPlanes =
    "conv2d src=f32:nhwc:1x8x{width}x3 weights=f32:hwio:3x3x3x{oc} dst=f32:nchw pads=1x1 "
    "strides=1x{stride}";
constexpr const char* kPlanes =
    "conv2d src=f32:nchw:1x8x8x{width} weights=f32:oihw:{oc}x8x3x3 pads=1x1 strides=1x{stride}";
constexpr const char* kFromPlanes =
    "conv2d src=f32:nchw:1x8x8x{width} weights=f32:oihw:{oc}x8x3x3 dst=f32:nhwc pads=1x1 "
    "strides=1x{stride}";

// Channels that come last leave a tile together.
TEST_P(PixelTileSpill, InterleavedStagesSpillNoSumOfALoop) {
  for (int channels = 1; channels <= most_channels(true); ++channels)
    for (int stride : {1, 2})
      expect_no_spill(kImage, Algorithm::kStaged, stride, channels, channels);
}

TEST_P(PixelTileSpill, InterleavedPlanesSpillNoSumOfALoop) {
  for (int channels = 1; channels <= most_channels(true); ++channels)
    expect_no_spill(kFromPlanes, Algorithm::kPlanar, 1, channels, channels);
}

TEST_P(PixelTileSpill, StagesOfPlanesSpillNothing) {
  for (int channels = 1; channels <= most_channels(false); ++channels) {
    expect_no_spill(kToPlanes, Algorithm::kStaged, 1, channels, 2 * channels);
    expect_no_spill(kPlanes, Algorithm::kStaged, 2, channels, 2 * channels);
  }
}

// Blocks of many channels are transposed on the way in; the last block is a channel short.
TEST_P(PixelTileSpill, TransposedStagesAndTailsSpillNothing) {
  const int together = most_channels(true);
  const int channels = most_channels(false);
  for (int stride : {1, 2, 3}) {
    expect_no_spill(kManyChannels, Algorithm::kStaged, stride, together, together);
    expect_no_spill(kToPlanes, Algorithm::kStaged, stride, channels, 2 * channels - 1);
    expect_no_spill(kPlanes, Algorithm::kStaged, stride + 2, channels, 2 * channels - 1);
  }
}

INSTANTIATE_TEST_SUITE_P(Tiles, PixelTileSpill, ::testing::ValuesIn(pixel_tiles()),
                         ::testing::PrintToStringParamName());

// --- Winograd ---

struct WinogradTiles {
  std::string target;
  const char* taps;
  int output_tile;
};

std::ostream& operator<<(std::ostream& out, const WinogradTiles& t) {
  return out << testing::test_name_of(t.target) << "_" << t.taps << "_tile" << t.output_tile;
}

std::vector<WinogradTiles> winograd_tiles() {
  std::vector<WinogradTiles> result;
  for (const std::string& name : isa_levels())
    for (const char* taps : {"3x3", "5x5", "1x3"})
      for (const int tile : {2, 4})
        if (tile == (taps[0] == '3' ? tile : 4)) result.push_back({name, taps, tile});
  return result;
}

// Tiles whose transforms are quickly compiled.
std::vector<WinogradTiles> small_winograd_tiles() {
  std::vector<WinogradTiles> result;
  for (const std::string& name : isa_levels()) result.push_back({name, "3x3", 2});
  return result;
}

struct WinogradSpills {
  int products = 0;         // in the loop over channels and around it
  int worst_transform = 0;  // in one block of a transform
};

// Spills by the name of the block they stand in: source.*, output.* or what makes the products.
WinogradSpills count_winograd_spills(const std::string& assembly) {
  std::istringstream lines(assembly);
  WinogradSpills spills;
  bool transform = false;
  int here = 0;
  for (std::string line; std::getline(lines, line);) {
    const auto has = [&](const char* text) { return line.find(text) != std::string::npos; };
    if (line.rfind(".LBB", 0) == 0 || line.rfind("# %bb", 0) == 0) {
      transform = has("%source.") || has("%output.") || has("%pixel.");
      here = 0;
    }
    if (!(has("Spill") || has("Reload")) || !has("mm")) continue;
    if (transform)
      spills.worst_transform = std::max(spills.worst_transform, ++here);
    else
      ++spills.products;
  }
  return spills;
}

class WinogradSpill : public ::testing::TestWithParam<WinogradTiles> {
 protected:
  // Two blocks of channels and a narrower one, tiles inside and at borders.
  WinogradSpills spills_of(int pixels, int vectors, int prefetch) const {
    const Target target = target_of(GetParam().target);
    const int lanes = target.max_lanes;
    const ir::Conv conv = conv_of(fmt::format(
        "conv2d src=f32:nhwc:1x20x20x64 weights=f32:hwio:{}x64x{} pads=same post=bias,relu",
        GetParam().taps, 2 * lanes * vectors + 1));
    Schedule schedule;
    schedule.algorithm = Algorithm::kWinograd;
    schedule.lanes = lanes;
    schedule.tile_pixels = pixels;
    schedule.tile_vectors = vectors;
    schedule.output_tile = GetParam().output_tile;
    schedule.tiles_per_task = 2 * pixels;
    schedule.prefetch = prefetch;
    schedule.ic_unroll = select_ic_unroll(schedule, target, conv.ic);
    const Result<std::string> assembly = compile(Stage::kAssembly, conv, schedule, target);
    EXPECT_TRUE(assembly.ok()) << assembly.status().message();
    return assembly.ok() ? count_winograd_spills(*assembly) : WinogradSpills{};
  }
};

// Four rows of six columns are 24 values on their way from columns to rows: more than 16 registers
// hold beside sources. With 32 a few sources spill, up to 10 instructions seen, and along one axis
// nothing.
TEST_P(WinogradSpill, TransformsSpillNoMoreThanTheirValues) {
  const int registers = target_of(GetParam().target).vector_registers;
  const bool square = GetParam().taps[0] != '1';
  const bool six = GetParam().output_tile == 4 || GetParam().taps[0] == '5';
  const bool many = registers >= 32;
  const int most = !square ? 0 : many ? (six ? 12 : 0) : six ? 40 : 4;
  EXPECT_LE(spills_of(2, 2, 0).worst_transform, most);
  EXPECT_LE(spills_of(4, 1, 1).worst_transform, most);
}

// Every tile that select_winograd.cpp offers, fetching ahead or not; of each width the larger half,
// since small ones are far from the limit.
using WinogradSumSpill = WinogradSpill;

TEST_P(WinogradSumSpill, NoSumOfProductsSpills) {
  const Target target = target_of(GetParam().target);
  for (int vectors = 1; vectors <= kMaxTileVectors; ++vectors)
    for (const int prefetch : {0, 2, 3}) {
      const int most = most_winograd_tile_pixels(target, vectors, prefetch > 0);
      for (int pixels = most / 2 + 1; pixels <= most; ++pixels)
        EXPECT_EQ(spills_of(pixels, vectors, prefetch).products, 0)
            << pixels << "x" << vectors << " prefetch=" << prefetch;
    }
}

INSTANTIATE_TEST_SUITE_P(Tiles, WinogradSumSpill, ::testing::ValuesIn(small_winograd_tiles()),
                         ::testing::PrintToStringParamName());

INSTANTIATE_TEST_SUITE_P(Tiles, WinogradSpill, ::testing::ValuesIn(winograd_tiles()),
                         ::testing::PrintToStringParamName());

TEST(SpillMeasure, SeesSumsOfWinogradThatCannotFit) {
  const Target target = target_of("x86-64-v3");
  const ir::Conv conv =
      conv_of("conv2d src=f32:nhwc:1x20x20x64 weights=f32:hwio:3x3x64x64 pads=same");
  Schedule schedule;
  schedule.algorithm = Algorithm::kWinograd;
  schedule.lanes = 8;
  schedule.tile_pixels = 12;
  schedule.tile_vectors = 4;
  const Result<std::string> assembly = compile(Stage::kAssembly, conv, schedule, target);
  ASSERT_TRUE(assembly.ok()) << assembly.status().message();
  EXPECT_GT(count_winograd_spills(*assembly).products, 20);
}

// --- Filters with known weights, as they are selected ---

// Spills and reloads of vectors in the worst of the loops over tiles of a row, in one pass and in
// the two of two. What computes a row again with all taps, exact.tile, may spill.
int count_tile_spills(const std::string& assembly) {
  std::istringstream lines(assembly);
  bool in_tile = false;
  int spills = 0, most = 0;
  for (std::string line; std::getline(lines, line);) {
    const auto has = [&](const char* text) { return line.find(text) != std::string::npos; };
    if (line.starts_with(".LBB") || line.starts_with("# %bb")) {
      in_tile = has("%tile.loop") || has("%column.loop");
      spills = 0;
    }
    spills += in_tile && (has("Spill") || has("Reload")) && has("mm");
    most = std::max(most, spills);
  }
  return most;
}

class FilterSpill : public ::testing::TestWithParam<std::string> {
 protected:
  void expect_no_spill(const std::string& text, const std::string& filter) {
    const Target target = target_of(GetParam());
    const ir::Conv conv = conv_of(text);
    ConstantWeights weights = convgen::testing::filter_named(filter, conv);
    for (const bool finite : {false, true}) {
      weights.assume_finite = finite;
      const Schedule schedule = select_schedule(conv, target, 1, &weights).schedule;
      ASSERT_EQ(schedule.algorithm, Algorithm::kFilter);
      const Result<std::string> assembly =
          compile(Stage::kAssembly, conv, schedule, target, {.constants = &weights});
      ASSERT_TRUE(assembly.ok()) << assembly.status().message();
      ASSERT_NE(assembly->find("%tile.loop"), std::string::npos);
      // Tiles of narrow vectors wait for memory, and take more rows than leave every sum its
      // register: it is faster all the same (codegen/core_model.cpp).
      const bool narrow = schedule.lanes < target.max_lanes;
      EXPECT_LE(count_tile_spills(*assembly), narrow ? 26 : 0)
          << filter << (finite ? " finite " : " ") << text << "\n  " << print_schedule(schedule);
    }
  }
};

TEST_P(FilterSpill, SelectedFiltersOfPicturesSpillNothing) {
  for (const char* filter : {"edge", "sharpen", "gauss", "sobel"})
    for (const int channels : {1, 3, 4})
      for (const bool grouped : {true, false})
        for (const char* post : {"", " post=relu,min:255"}) {
          const int kernel = filter == std::string("gauss") ? 5 : 3;
          expect_no_spill(
              fmt::format("conv2d src=f32:nhwc:1x1080x1920x{0} weights=f32:hwio:{1}x{1}x{2}x{0} "
                          "groups={3} pads=same{4}",
                          channels, kernel, grouped ? 1 : channels, grouped ? channels : 1, post),
              filter);
        }
}

// Two outputs side by side for each float of src.
TEST_P(FilterSpill, PairsOfFiltersSpillNothing) {
  for (const int channels : {1, 3})
    expect_no_spill(
        fmt::format("conv2d src=f32:nhwc:1x1080x1920x{0} weights=f32:hwio:3x3x1x{1} groups={0} "
                    "pads=same",
                    channels, 2 * channels),
        "sobel");
}

INSTANTIATE_TEST_SUITE_P(Tiles, FilterSpill, ::testing::Values("x86-64-v3", "x86-64-v4", "znver5"),
                         [](const auto& test) { return testing::test_name_of(test.param); });

}  // namespace
}  // namespace convgen::codegen
