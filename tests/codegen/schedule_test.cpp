// SPDX-License-Identifier: Apache-2.0
// The text of schedules, and the rules that a schedule must keep before anything is emitted.
#include "codegen/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/codegen/codegen_test_support.h"

namespace convgen::codegen {
namespace {

using ::testing::AllOf;
using testing::conv_of;
using ::testing::HasSubstr;
using testing::schedule_of;
using ::testing::StartsWith;
using testing::target_of;

constexpr const char* k3x3 =
    "conv2d src=f32:nhwc:1x14x14x64 weights=f32:hwio:3x3x64x64 pads=1x1 post=bias,relu";
constexpr const char* k1x1 = "conv2d src=f32:nhwc:1x14x14x64 weights=f32:hwio:1x1x64x64";

TEST(ScheduleText, HoldsEveryField) {
  Schedule s;
  s.lanes = 16;
  s.tile_pixels = 14;
  s.tile_vectors = 2;
  s.ic_unroll = 2;
  s.rows_per_task = 4;
  const std::string text = print_schedule(s);
  EXPECT_THAT(text, StartsWith("direct lanes=16 tile=14x2 ic_unroll=2 "));
  for (const char* word :
       {" order=oc_outer ", " unroll=tile ", " edges=exact ", " epilogue=inline ",
        " stores=cached ", " output_tile=4 ", " merge_rows=0 ", " rows_per_task=4 "})
    EXPECT_THAT(text, HasSubstr(word));
  EXPECT_THAT(text, ::testing::EndsWith(" blocks_per_task=0"));
}

std::vector<Schedule> schedule_grid() {
  std::vector<Schedule> grid;
  for (Algorithm algorithm : {Algorithm::kDirect, Algorithm::kDepthwise, Algorithm::kGrouped,
                              Algorithm::kRotated, Algorithm::kPlanar, Algorithm::kWinograd})
    for (int lanes : {4, 8, 16})
      for (int pixels : {1, 14, 64})
        for (int vectors : {1, 8})
          for (LoopOrder order : {LoopOrder::kOcOuter, LoopOrder::kPixelOuter, LoopOrder::kOcInner})
            for (Unroll unroll : {Unroll::kTile, Unroll::kRow, Unroll::kTaps, Unroll::kFull})
              for (Edges edges : {Edges::kExact, Edges::kShared, Edges::kRanged})
                for (Epilogue epilogue : {Epilogue::kInline, Epilogue::kLoop})
                  for (bool merge : {false, true})
                    grid.push_back({.algorithm = algorithm,
                                    .lanes = lanes,
                                    .tile_pixels = pixels,
                                    .tile_vectors = vectors,
                                    .ic_unroll = pixels + vectors,
                                    .order = order,
                                    .unroll = unroll,
                                    .edges = edges,
                                    .epilogue = epilogue,
                                    .stores = merge ? Stores::kStreaming : Stores::kCached,
                                    .output_tile = lanes == 8 ? 2 : 4,
                                    .merge_rows = merge,
                                    .prefetch = vectors,
                                    .rows_per_task = int64_t{1} << (pixels / 2),
                                    .tiles_per_task = pixels - 1,
                                    .blocks_per_task = vectors - 1});
  return grid;
}

TEST(ScheduleText, WordsSayWhatTheyMean) {
  EXPECT_EQ(schedule_of("rotated").algorithm, Algorithm::kRotated);
  EXPECT_EQ(schedule_of("order=oc_inner").order, LoopOrder::kOcInner);
  EXPECT_THAT(print_schedule({.algorithm = Algorithm::kRotated, .order = LoopOrder::kOcInner}),
              AllOf(StartsWith("rotated lanes="), HasSubstr(" order=oc_inner ")));
}

TEST(ScheduleText, RoundTripsOverAnyBase) {
  Schedule base = schedule_of(
      "depthwise lanes=8 tile=3x3 ic_unroll=7 order=pixel_outer unroll=full edges=ranged "
      "epilogue=loop merge_rows=1 rows_per_task=9 tiles_per_task=9");
  for (const Schedule& schedule : schedule_grid()) {
    const std::string text = print_schedule(schedule);
    EXPECT_EQ(text.find('\n'), std::string::npos);
    for (const Schedule& over : {Schedule{}, base}) {
      const Result<Schedule> back = parse_schedule(text, over);
      ASSERT_TRUE(back.ok()) << text << ": " << back.status().message();
      ASSERT_EQ(*back, schedule) << text;
    }
  }
}

TEST(ScheduleText, DifferentSchedulesPrintDifferently) {
  std::vector<std::string> texts;
  for (const Schedule& schedule : schedule_grid()) texts.push_back(print_schedule(schedule));
  std::sort(texts.begin(), texts.end());
  EXPECT_EQ(std::adjacent_find(texts.begin(), texts.end()), texts.end());
}

TEST(ScheduleText, WhatIsNotSaidStays) {
  const Schedule base = schedule_of("lanes=8 tile=6x2 unroll=taps rows_per_task=3");
  EXPECT_EQ(schedule_of("", base), base);
  EXPECT_EQ(schedule_of("  \t\n", base), base);
  Schedule expected = base;
  expected.unroll = Unroll::kFull;
  EXPECT_EQ(schedule_of(" unroll=full ", base), expected);
  // The last of two says.
  EXPECT_EQ(schedule_of("unroll=tile unroll=full", base), expected);
}

TEST(ScheduleText, BadWordsAreNamed) {
  for (const auto& [text, message] : std::vector<std::pair<std::string, std::string>>{
           {"lanes=0", "schedule lanes=0: expected a number from 4 to 16"},
           {"lanes=x", "schedule lanes=x: expected a number"},
           {"lanes=", "schedule lanes=: expected a number"},
           {"lanes=8x", "schedule lanes=8x: expected a number"},
           {"lanes=+8", "schedule lanes=+8: expected a number"},
           {"lanes=17", "schedule lanes=17: expected a number"},
           {"tile=3", "schedule tile=3: expected PIXELSxVECTORS"},
           {"tile=0x1", "schedule tile=0: expected a number from 1 to 128"},
           {"tile=129x1", "schedule tile=129: expected a number from 1 to 128"},
           {"tile=1x0", "schedule tile=0: expected a number from 1 to 32"},
           {"tile=1x33", "schedule tile=33: expected a number from 1 to 32"},
           {"tile=1x", "schedule tile=: expected a number"},
           {"tile=x1", "schedule tile=: expected a number"},
           {"tile=2x2x2", "schedule tile=2x2: expected a number"},
           {"ic_unroll=0", "schedule ic_unroll=0: expected a number from 1 to 4096"},
           {"ic_unroll=4097", "schedule ic_unroll=4097: expected a number"},
           {"order=up", "schedule order=up: expected oc_outer, pixel_outer, oc_inner"},
           {"unroll=FULL", "schedule unroll=FULL: expected tile, row, taps, full"},
           {"stores=fast", "schedule stores=fast: expected cached, streaming"},
           {"edges=sharp", "schedule edges=sharp: expected exact, shared, ranged"},
           {"epilogue=", "schedule epilogue=: expected inline, loop"},
           {"merge_rows=2", "schedule merge_rows=2: expected a number from 0 to 1"},
           {"prefetch=65", "schedule prefetch=65: expected a number from 0 to 64"},
           {"rows_per_task=0", "schedule rows_per_task=0: expected a number from 1 to"},
           {"rows_per_task=99999999999999999999", "schedule rows_per_task=99999999999999999999: "},
           {"tiles_per_task=-1", "schedule tiles_per_task=-1: expected a number from 0 to"},
           {"blocks_per_task=-1", "schedule blocks_per_task=-1: expected a number from 0 to"},
           {"output_tile=3", "schedule output_tile=3: expected 2 or 4"},
           {"output_tile=6", "schedule output_tile=6: expected 2 or 4"},
           {"fft",
            "schedule algorithm=fft: expected direct, depthwise, grouped, rotated, planar, "
            "staged, winograd"},
           {"depth=3", "schedule depth=3: unknown word, expected one of lanes, tile"},
           {"=3", "schedule =3: unknown word"},
           {"lanes=\x1b[31m", "schedule lanes=\\x1b[31m: expected a number"},
           {std::string(1000, 'x'),
            "schedule algorithm=" + std::string(120, 'x') + "...: expected"}}) {
    const Result<Schedule> result = parse_schedule("direct " + text + " edges=exact", {});
    ASSERT_FALSE(result.ok()) << text;
    EXPECT_EQ(result.status().code(), StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(result.status().message(), StartsWith(message));
  }
}

TEST(ScheduleText, BadWordsHaveANeighbour) {
  for (const auto& [text, near] : std::vector<std::pair<std::string, std::string>>{
           {"lane=8", "lanes"}, {"unroll=ful", "full"}, {"windograd", "winograd"}})
    EXPECT_TRUE(
        parse_schedule(text, {}).status().message().ends_with("; did you mean '" + near + "'?"))
        << text;
}

struct Broken {
  const char* schedule;
  const char* conv;
  const char* target;
  StatusCode code;
  const char* message;
};

TEST(CheckSchedule, EachRuleIsNamed) {
  constexpr StatusCode kInvalid = StatusCode::kInvalidArgument;
  constexpr StatusCode kExhausted = StatusCode::kResourceExhausted;
  const Broken cases[] = {
      {"lanes=8", k3x3, "x86-64-v2", kInvalid, "lanes=8: expected 4, 8 or 16, at most 4"},
      {"lanes=16", k3x3, "x86-64-v3", kInvalid, "lanes=16: expected 4, 8 or 16, at most 8"},
      {"lanes=8", k3x3, testing::kAArch64, kInvalid, "lanes=8: expected 4, 8 or 16, at most 4"},
      {"lanes=12", k3x3, "x86-64-v4", kInvalid, "lanes=12: expected 4, 8 or 16"},
      {"depthwise", k3x3, "x86-64-v3", kInvalid, "algorithm=depthwise: expected"},
      {"depthwise", "conv2d src=f32:nchw:1x8x9x9 weights=f32:hwio:3x3x1x8 groups=8", "x86-64-v3",
       kInvalid, "algorithm=depthwise: expected"},
      {"depthwise", "conv2d src=f32:nhwc:1x9x9x8 weights=f32:hwio:3x3x1x16 groups=8", "x86-64-v3",
       kInvalid, "algorithm=depthwise: expected"},
      {"grouped lanes=8", k3x3, "x86-64-v3", kInvalid, "algorithm=grouped: expected"},
      {"grouped lanes=4", "conv2d src=f32:nhwc:1x9x9x8 weights=f32:hwio:3x3x2x32 groups=4",
       "x86-64-v3", kInvalid, "algorithm=grouped: expected"},
      {"rotated lanes=8", k3x3, "x86-64-v3", kInvalid, "algorithm=rotated: expected groups of few"},
      {"rotated lanes=8", "conv2d src=f32:nhwc:1x9x9x8 weights=f32:hwio:3x3x2x16 groups=4",
       "x86-64-v3", kInvalid,
       "algorithm=rotated: expected groups of few channels, channels last: as many outputs as "
       "inputs"},
      {"rotated lanes=8", "conv2d src=f32:nhwc:1x9x9x8 weights=f32:hwio:3x3x2x4 groups=4",
       "x86-64-v3", kInvalid, "algorithm=rotated: expected"},
      {"rotated lanes=8", "conv2d src=f32:nhwc:1x9x9x9 weights=f32:hwio:3x3x3x9 groups=3",
       "x86-64-v3", kInvalid, "a power of two that divides 8 lanes"},
      {"rotated lanes=4", "conv2d src=f32:nhwc:1x9x9x16 weights=f32:hwio:3x3x8x16 groups=2",
       "x86-64-v3", kInvalid, "a power of two that divides 4 lanes"},
      {"rotated lanes=8", "conv2d src=f32:nchw:1x8x9x9 weights=f32:hwio:3x3x2x8 groups=4",
       "x86-64-v3", kInvalid, "channels last"},
      {"rotated lanes=8",
       "conv2d src=f32:nhwc:1x9x9x8 weights=f32:hwio:3x3x2x8 groups=4 accuracy=strict", "x86-64-v3",
       kInvalid, "and accuracy=normal"},
      {"merge_rows=1", k3x3, "x86-64-v3", kInvalid, "merge_rows=1: expected a 1x1 filter"},
      {"merge_rows=1", "conv2d src=f32:nhwc:1x9x9x8 weights=f32:hwio:1x1x8x8 strides=2x2",
       "x86-64-v3", kInvalid, "merge_rows=1: expected"},
      {"merge_rows=1", "conv2d src=f32:nhwc:1x9x9x8 weights=f32:hwio:1x1x8x8 pads=1:0x0",
       "x86-64-v3", kInvalid, "merge_rows=1: expected"},
      {"direct lanes=16 stores=streaming", "conv2d src=f32:nhwc:1x9x9x8 weights=f32:hwio:3x3x8x24",
       "x86-64-v4", kInvalid,
       "stores=streaming: expected output channels of a multiple of the lanes"},
      {"direct lanes=8 stores=streaming",
       "conv2d src=f32:nhwc:1x9x9x8 weights=f32:hwio:3x3x4x8 groups=2", "x86-64-v3", kInvalid,
       "output channels of a multiple"},
      {"direct lanes=8 stores=streaming", "conv2d src=f32:nchw:1x8x9x9 weights=f32:oihw:8x8x3x3",
       "x86-64-v3", kInvalid, "stores=streaming: expected a dst with its channels last"},
      {"winograd lanes=8 stores=streaming", "conv2d src=f32:nhwc:1x9x9x8 weights=f32:hwio:3x3x8x9",
       "x86-64-v3", kInvalid, "output channels of a multiple"},
      {"planar lanes=8 tile=9x1 stores=streaming",
       "conv2d src=f32:nchw:1x1x9x32 weights=f32:oihw:1x1x3x3 pads=1x1", "x86-64-v3", kInvalid,
       "stores=streaming: expected rows and tiles of a multiple of the lanes"},
      {"staged lanes=8 tile=8x3 edges=ranged stores=streaming",
       "conv2d src=f32:nhwc:1x9x16x3 weights=f32:hwio:3x3x3x3 pads=1x1", "x86-64-v3", kInvalid,
       "stores=streaming: expected rows and tiles of a multiple of the lanes"},
      {"staged lanes=8 tile=8x2 stores=streaming",
       "conv2d src=f32:nhwc:1x9x16x3 weights=f32:hwio:1x1x3x3", "x86-64-v3", kInvalid,
       "stores=streaming: expected a tile of all channels"},
      {"staged lanes=8 tile=8x3 stores=streaming",
       "conv2d src=f32:nhwc:1x9x17x3 weights=f32:hwio:1x1x3x3", "x86-64-v3", kInvalid,
       "stores=streaming: expected rows and tiles of a multiple of the lanes"},
      {"staged lanes=8 tile=9x3 stores=streaming",
       "conv2d src=f32:nhwc:1x9x16x3 weights=f32:hwio:1x1x3x3", "x86-64-v3", kInvalid,
       "stores=streaming: expected rows and tiles of a multiple of the lanes"},
      {"direct lanes=4 stores=streaming", k3x3, testing::kAArch64, kInvalid,
       "stores=streaming: expected x86"},
      {"unroll=full", k3x3, "x86-64-v4", kExhausted, "unroll=full tile=1x1"},
      // 31 rows of 31 taps without a branch, 8 channels each: 23,064 FMAs.
      {"rotated lanes=16 tile=3x1 unroll=taps",
       "conv2d src=f32:nhwc:1x100x100x64 weights=f32:hwio:31x31x8x64 groups=8", "x86-64-v4",
       kExhausted, "unroll=taps tile=3x1"},
      {"ic_unroll=4096 tile=8x1", "conv2d src=f32:nhwc:1x9x9x8192 weights=f32:hwio:1x1x8192x8",
       "x86-64-v4", kExhausted, "ic_unroll=4096"},
      {"edges=exact", "conv1d src=f32:nwc:1x9x4 weights=f32:wio:3x4x4 pads=99999", "x86-64-v4",
       kExhausted, "edges=exact: "},
      // 2^55 groups of one channel, each padded to 16.
      {"lanes=16",
       "conv1d src=f32:nwc:1x1x36028797018963968 weights=f32:wio:1x1x36028797018963968 "
       "groups=36028797018963968",
       "x86-64-v4", kExhausted, "lanes=16: packed weights would take"},
  };
  for (const Broken& broken : cases) {
    const Status status = check_schedule(schedule_of(broken.schedule), conv_of(broken.conv),
                                         target_of(broken.target));
    EXPECT_EQ(status.code(), broken.code) << broken.schedule << " for " << broken.conv;
    EXPECT_THAT(status.message(), AllOf(StartsWith("schedule "), HasSubstr(broken.message)));
  }
}

// What was not said does not stand in the way of what was.
TEST(RefineSchedule, StoresAndNestingYieldToWords) {
  const Target target = target_of("x86-64-v4");
  const ir::Conv nested =
      conv_of("conv2d src=f32:nhwc:1x14x14x256 weights=f32:hwio:3x3x256x256 pads=1x1");
  const Schedule tiles = schedule_of("winograd lanes=16 tile=8x3 edges=nested");
  const Result<Schedule> direct = refine_schedule(tiles, "direct", nested, target);
  ASSERT_TRUE(direct.ok()) << direct.status().message();
  EXPECT_EQ(direct->edges, Edges::kExact);
  EXPECT_EQ(refine_schedule(tiles, "tile=4x2", nested, target)->edges, Edges::kNested);
  EXPECT_FALSE(refine_schedule(tiles, "direct edges=nested", nested, target).ok());

  const ir::Conv picture =
      conv_of("conv2d src=f32:nhwc:1x1080x1920x3 weights=f32:hwio:3x3x3x3 pads=1x1");
  const Schedule streaming = schedule_of("staged lanes=16 tile=64x3 stores=streaming");
  const Result<Schedule> narrow = refine_schedule(streaming, "tile=64x2", picture, target);
  ASSERT_TRUE(narrow.ok()) << narrow.status().message();
  EXPECT_EQ(narrow->stores, Stores::kCached);
  EXPECT_EQ(refine_schedule(streaming, "rows_per_task=9", picture, target)->stores,
            Stores::kStreaming);
  const Result<Schedule> said =
      refine_schedule(streaming, "tile=64x2 stores=streaming", picture, target);
  EXPECT_THAT(said.status().message(), HasSubstr("stores=streaming: expected a tile of all"));
  EXPECT_THAT(refine_schedule(streaming, "lanes=32", picture, target).status().message(),
              HasSubstr("lanes=32"));
}

TEST(CheckSchedule, WhatIsAllowedPasses) {
  const std::vector<std::array<const char*, 3>> cases = {
      {"lanes=4", k3x3, "x86-64-v4"},
      {"lanes=16 tile=28x1", k3x3, "x86-64-v4"},
      {"lanes=16 tile=9x3 unroll=taps", k3x3, "x86-64-v4"},
      {"lanes=8 merge_rows=1", k1x1, "x86-64-v3"},
      {"lanes=8 edges=ranged epilogue=loop", k3x3, "x86-64-v3"},
      {"lanes=4 unroll=full", "conv2d src=f32:nhwc:1x4x4x3 weights=f32:hwio:3x3x3x4 pads=1x1",
       "x86-64-v2"},
      {"edges=ranged", "conv1d src=f32:nwc:1x9x4 weights=f32:wio:3x4x4 pads=99999", "x86-64-v2"},
      {"depthwise lanes=8 unroll=taps",
       "conv2d src=f32:nhwc:1x9x9x8 weights=f32:hwio:3x3x1x8 groups=8", "x86-64-v3"},
      {"grouped lanes=8",
       "conv2d src=f32:nhwc:1x9x9x8 weights=f32:hwio:3x3x2x8 groups=4 accuracy=strict",
       "x86-64-v3"},
      {"rotated lanes=8 tile=2x3 unroll=taps",
       "conv2d src=f32:nhwc:1x9x9x8 weights=f32:hwio:3x3x2x8 groups=4 dst=f32:nchw", "x86-64-v3"},
      {"rotated lanes=16", "conv2d src=f32:nhwc:1x9x9x32 weights=f32:hwio:3x3x16x32 groups=2",
       "x86-64-v4"},
      {"rotated lanes=4", "conv2d src=f32:nhwc:1x9x9x3 weights=f32:hwio:3x3x1x3 groups=3",
       testing::kAArch64},
      {"lanes=8 order=oc_inner prefetch=2", k3x3, "x86-64-v3"}};
  for (const auto& [schedule, conv, target] : cases) {
    const Status status = check_schedule(schedule_of(schedule), conv_of(conv), target_of(target));
    EXPECT_TRUE(status.ok()) << schedule << ": " << status.message();
  }
}

// Schedules are plain data, so C++ code may put any number into them.
TEST(CheckSchedule, NumbersOutOfRangeAreRefused) {
  const Target target = target_of("x86-64-v3");
  const ir::Conv conv = conv_of(k3x3);
  std::vector<Schedule> broken(12, schedule_of("lanes=8"));
  broken[0].lanes = 0;
  broken[1].lanes = -8;
  broken[2].tile_pixels = 0;
  broken[3].tile_pixels = -1;
  broken[4].tile_vectors = 0;
  broken[5].tile_vectors = 1 << 30;
  broken[6].ic_unroll = 0;
  broken[7].ic_unroll = -4;
  broken[8].rows_per_task = 0;
  broken[9].rows_per_task = INT64_MAX;
  broken[10].tiles_per_task = -1;
  broken[11].prefetch = -1;
  for (const Schedule& schedule : broken)
    EXPECT_EQ(check_schedule(schedule, conv, target).code(), StatusCode::kInvalidArgument)
        << print_schedule(schedule);
}

TEST(ScheduleText, StagedComesBack) {
  const std::string text =
      "staged lanes=8 tile=32x3 ic_unroll=1 order=pixel_outer unroll=taps edges=ranged "
      "epilogue=loop stores=cached output_tile=2 passes=1 merge_rows=0 prefetch=0 rows_per_task=16 "
      "tiles_per_task=2 blocks_per_task=0";
  const Schedule schedule = schedule_of(text);
  EXPECT_EQ(schedule.algorithm, Algorithm::kStaged);
  EXPECT_EQ(schedule.oc_block(), 3);            // V are channels
  EXPECT_EQ(schedule.accumulators(32, 3), 12);  // 32 pixels are 4 vectors
  EXPECT_EQ(schedule.accumulators(33, 3), 15);
  EXPECT_EQ(print_schedule(schedule), text);
}

TEST(CheckSchedule, RulesOfLanesThatArePixels) {
  constexpr StatusCode kInvalid = StatusCode::kInvalidArgument;
  constexpr StatusCode kExhausted = StatusCode::kResourceExhausted;
  const Broken cases[] = {
      {"planar", "conv2d src=f32:nhwc:1x9x9x2 weights=f32:hwio:3x3x2x4", "x86-64-v3", kInvalid,
       "algorithm=planar: expected"},
      {"planar", "conv2d src=f32:nchw:1x2x9x9 weights=f32:oihw:4x2x3x3 strides=1x2", "x86-64-v3",
       kInvalid, "algorithm=planar: expected"},
      {"staged", "conv2d src=f32:nchw:1x2x99x99 weights=f32:oihw:4x2x3x3 strides=1x9", "x86-64-v3",
       kInvalid, "algorithm=staged: expected a stride of at most 8"},
      {"staged", "conv1d src=f32:nwc:1x999x1 weights=f32:wio:3x1x4 strides=9", "x86-64-v3",
       kInvalid, "algorithm=staged: expected a stride of at most 8"},
      // 3 rows x 3 channels x 2,000,000 columns; a row fits, three of them do not.
      {"staged", "conv2d src=f32:nhwc:1x9x2000000x3 weights=f32:hwio:3x3x3x4", "x86-64-v3",
       kExhausted, "staged rows_per_task=1: the sources of a task would take 1.8e+07 floats"},
      {"staged rows_per_task=100", "conv2d src=f32:nhwc:1x900x20000x9 weights=f32:hwio:3x3x9x4",
       "x86-64-v3", kExhausted,
       "staged rows_per_task=100: the sources of a task would take 1.84e+07 floats"},
  };
  for (const Broken& broken : cases) {
    const Status status = check_schedule(schedule_of(broken.schedule), conv_of(broken.conv),
                                         target_of(broken.target));
    EXPECT_EQ(status.code(), broken.code) << broken.schedule << " for " << broken.conv;
    EXPECT_THAT(status.message(), AllOf(StartsWith("schedule "), HasSubstr(broken.message)));
  }
}

TEST(CheckSchedule, RulesOfWinograd) {
  constexpr StatusCode kInvalid = StatusCode::kInvalidArgument;
  constexpr StatusCode kExhausted = StatusCode::kResourceExhausted;
  const std::string long_chain = [] {
    std::string text = std::string(k3x3) + ",gelu";
    for (int i = 0; i < 600; ++i) text += ",gelu";
    return text;
  }();
  const Broken cases[] = {
      {"winograd", k1x1, "x86-64-v3", kInvalid,
       "algorithm=winograd: expected a filter of 3 or 5 taps along height, width or both, stride "
       "1"},
      {"winograd", "conv2d src=f32:nhwc:1x9x9x8 weights=f32:hwio:7x7x8x8", "x86-64-v3", kInvalid,
       "algorithm=winograd: expected"},
      {"winograd", "conv2d src=f32:nhwc:1x9x9x8 weights=f32:hwio:3x3x8x8 accuracy=strict",
       "x86-64-v3", kInvalid, "and accuracy=normal"},
      {"winograd", "conv2d src=f32:nhwc:1x9x9x8 weights=f32:hwio:3x3x8x8 strides=2x2", "x86-64-v3",
       kInvalid, "stride 1"},
      {"winograd unroll=taps", k3x3, "x86-64-v3", kInvalid, "unroll=taps: expected tile"},
      {"winograd unroll=full", k3x3, "x86-64-v3", kInvalid, "unroll=full: expected tile"},
      {"winograd merge_rows=1", k3x3, "x86-64-v3", kInvalid, "merge_rows=1: expected"},
      {"winograd lanes=8", k3x3, "x86-64-v2", kInvalid, "lanes=8: expected"},
      // 36 points of 12,544 tiles, 64 channels in and 8 out each.
      {"winograd lanes=8", "conv2d src=f32:nhwc:1x448x448x64 weights=f32:hwio:3x3x64x64 pads=1x1",
       "x86-64-v3", kExhausted,
       "winograd tiles_per_task=0: transformed tiles would take 3.25e+07 floats"},
      {"winograd ic_unroll=4096 tile=1x2",
       "conv2d src=f32:nhwc:1x9x9x8192 weights=f32:hwio:3x3x8192x8", "x86-64-v3", kExhausted,
       "ic_unroll=4096"},
      {"winograd epilogue=inline", long_chain.c_str(), "x86-64-v3", kExhausted,
       "vector operations"},
      {"winograd epilogue=loop", long_chain.c_str(), "x86-64-v3", kExhausted, "vector operations"},
      {"winograd",
       "conv1d src=f32:nwc:1x100x8 weights=f32:wio:3x8x8 pads=1152921504606846976 "
       "dilations=1152921504606846976",
       "x86-64-v3", kExhausted, "the sources of a tile would lie 5.53e+19 floats apart"},
      // 4 x 10^16 outputs, padded to 16 and transformed.
      {"winograd lanes=16 tile=1x1 order=oc_outer",
       "conv2d src=f32:nhwc:1x1x1x1 weights=f32:hwio:3x3x1x40000000000000000 pads=1x1", "x86-64-v4",
       kExhausted, "lanes=16: packed weights would take"},
  };
  for (const Broken& broken : cases) {
    const Status status = check_schedule(schedule_of(broken.schedule), conv_of(broken.conv),
                                         target_of(broken.target));
    EXPECT_EQ(status.code(), broken.code) << broken.schedule << " for " << broken.conv;
    EXPECT_THAT(status.message(), AllOf(StartsWith("schedule "), HasSubstr(broken.message)));
  }
  for (const char* words : {"winograd", "winograd output_tile=2 order=pixel_outer",
                            "winograd order=oc_inner prefetch=3",
                            "winograd epilogue=loop edges=ranged rows_per_task=7 tiles_per_task=5 "
                            "blocks_per_task=3 tile=6x2 lanes=8"}) {
    const Status status = check_schedule(schedule_of(words), conv_of(k3x3), target_of("x86-64-v3"));
    EXPECT_TRUE(status.ok()) << words << ": " << status.message();
  }
}

TEST(CheckSchedule, LanesThatArePixelsPass) {
  const std::vector<std::array<const char*, 2>> cases = {
      {"planar", "conv2d src=f32:nhwc:1x9x9x1 weights=f32:hwio:3x3x1x4"},
      {"planar merge_rows=1", "conv2d src=f32:nhwc:2x9x9x1 weights=f32:hwio:1x1x1x4"},
      {"planar", "conv2d src=f32:nchw:1x2x9x9 weights=f32:oihw:4x2x3x3 dst=f32:nhwc"},
      {"staged tile=20x3", "conv2d src=f32:nchw:1x2x99x99 weights=f32:oihw:4x2x3x3 strides=9x8"},
      {"staged", "conv2d src=f32:nhwc:1x9x99x2 weights=f32:hwio:3x3x2x4 strides=1x40"},
      {"staged", "conv2d src=f32:nhwc:1x9x9x8 weights=f32:hwio:3x3x1x8 groups=8"},
      {"staged unroll=taps edges=ranged", k3x3},
      {"staged merge_rows=1", k1x1},
      {"staged rows_per_task=100", "conv2d src=f32:nhwc:1x900x20000x7 weights=f32:hwio:3x3x7x4"}};
  for (const auto& [schedule, conv] : cases) {
    const Status status =
        check_schedule(schedule_of(schedule), conv_of(conv), target_of("x86-64-v3"));
    EXPECT_TRUE(status.ok()) << schedule << ": " << status.message();
  }
}

}  // namespace
}  // namespace convgen::codegen
