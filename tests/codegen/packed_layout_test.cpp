// SPDX-License-Identifier: Apache-2.0
// Packed weights: each weight lands once and where the definition says, the rest is zero.
#include "codegen/packed_layout.h"

#include <gtest/gtest.h>

#include <map>
#include <numeric>

#include "codegen/nest_shape.h"
#include "tests/codegen/codegen_test_support.h"

namespace convgen::codegen {
namespace {

using testing::conv_of;

struct Case {
  const char* src;
  const char* shared;  // what follows the weights
  int64_t kd, kh, kw, i, o;
  int groups;
};

const Case kCases[] = {
    {"conv2d src=f32:nhwc:1x9x9x3", "", 1, 3, 3, 3, 8, 1},
    {"conv2d src=f32:nhwc:1x9x9x5", "", 1, 1, 1, 5, 1, 1},
    {"conv2d src=f32:nchw:1x6x9x9", "groups=2", 1, 3, 2, 3, 38, 2},
    {"conv2d src=f32:nhwc:1x9x9x6", "groups=3", 1, 2, 3, 2, 51, 3},
    {"conv2d src=f32:nhwc:1x9x9x21", "groups=21", 1, 3, 3, 1, 21, 21},
    {"conv2d src=f32:nhwc:1x9x9x4", "groups=4", 1, 3, 3, 1, 8, 4},
    {"conv2d src=f32:nhwc:1x9x9x10", "groups=5", 1, 2, 3, 2, 20, 5},
    {"conv2d src=f32:nhwc:1x9x9x7", "groups=7", 1, 3, 3, 1, 14, 7},
    {"conv2d src=f32:nhwc:1x9x9x22", "groups=11", 1, 3, 3, 2, 22, 11},
    {"conv2d src=f32:nhwc:1x9x9x20", "groups=5", 1, 2, 3, 4, 20, 5},
    {"conv2d src=f32:nhwc:1x9x9x72", "groups=9", 1, 3, 2, 8, 72, 9},
    {"conv1d src=f32:nwc:1x9x48", "groups=3", 1, 1, 2, 16, 48, 3},
    {"conv3d src=f32:ndhwc:1x9x9x9x12", "groups=3", 2, 3, 2, 4, 12, 3},
    {"conv3d src=f32:ndhwc:1x9x9x9x2", "", 2, 3, 4, 2, 17, 1},
    {"conv1d src=f32:nwc:1x9x2", "", 1, 1, 5, 2, 64, 1},
    {"conv2d src=f32:nhwc:1x9x9x2", "", 1, 3, 3, 2, 0, 1},
};

ir::Conv make(const Case& c, bool oi_first) {
  const std::string op = c.src;
  std::string layout = oi_first ? "oi" : "", taps, letters;
  if (op[4] == '3') letters += "d", taps += std::to_string(c.kd) + "x";
  if (op[4] != '1') letters += "h", taps += std::to_string(c.kh) + "x";
  letters += "w", taps += std::to_string(c.kw);
  layout += letters + (oi_first ? "" : "io");
  const std::string io = std::to_string(c.i) + "x" + std::to_string(c.o);
  const std::string oi = std::to_string(c.o) + "x" + std::to_string(c.i);
  return conv_of(op + " weights=f32:" + layout + ":" +
                 (oi_first ? oi + "x" + taps : taps + "x" + io) + " " + c.shared);
}

// Index of a weight in the user's tensor, from the layouts' letters.
int64_t weights_index(const Case& c, bool oi_first, int64_t o, int64_t i, int64_t tap) {
  const int64_t taps = c.kd * c.kh * c.kw;
  return oi_first ? (o * c.i + i) * taps + tap : (tap * c.i + i) * c.o + o;
}

std::vector<Schedule> schedules(const ir::Conv& conv) {
  std::vector<Schedule> result;
  for (int lanes : {4, 8, 16})
    for (int vectors : {1, 2, 3, 4}) {
      result.push_back({.lanes = lanes, .tile_vectors = vectors});
      if (can_run_depthwise(conv))
        result.push_back(
            {.algorithm = Algorithm::kDepthwise, .lanes = lanes, .tile_vectors = vectors});
      if (can_run_grouped(conv, lanes))
        result.push_back(
            {.algorithm = Algorithm::kGrouped, .lanes = lanes, .tile_vectors = vectors});
      if (can_run_rotated(conv, lanes))
        result.push_back(
            {.algorithm = Algorithm::kRotated, .lanes = lanes, .tile_vectors = vectors});
    }
  return result;
}

constexpr float kCanary = -7;

// Weights are numbered from 1, so that zeros are seen.
std::vector<float> packed_of(const ir::Conv& conv, const Schedule& schedule,
                             const std::vector<float>& weights) {
  const PackedLayout layout = packed_layout(conv, schedule);
  std::vector<float> packed(layout.elements() + 16, kCanary);
  pack_weights(conv, layout, weights.data(), packed.data());
  for (int i = 0; i < 16; ++i)
    EXPECT_EQ(packed[layout.elements() + i], kCanary) << "written beyond the end";
  packed.resize(layout.elements());
  return packed;
}

std::vector<float> iota(int64_t count) {
  std::vector<float> weights(count);
  std::iota(weights.begin(), weights.end(), 1.0f);
  return weights;
}

// Where lanes span groups: the weight of row (tap, step) in the lane of a channel counted over all
// groups. Grouped: from input `step` of its group to that channel. Rotated: from that channel, as
// an input, to the output `step` places on in its group.
int64_t group_weights_index(const Case& c, bool oi_first, const Schedule& schedule, int64_t channel,
                            int64_t tap, int64_t step) {
  if (schedule.algorithm != Algorithm::kRotated)
    return weights_index(c, oi_first, channel, step, tap);
  const int64_t group = channel / c.i, input = channel % c.i;
  int64_t output = input + step;
  if (output >= c.i) output -= c.i;
  return weights_index(c, oi_first, group * c.i + output, input, tap);
}

// The documented order, walked: [group][block of oc][tap][ic][lanes x vectors].
std::vector<float> expected_order(const Case& c, bool oi_first, const Schedule& schedule) {
  const int64_t groups = lanes_span_groups(schedule.algorithm) ? 1 : c.groups;
  const int64_t oc = c.o / groups;
  std::vector<float> order;
  for (int64_t g = 0; g < groups; ++g)
    for (int64_t first = 0; first < oc; first += schedule.lanes * schedule.tile_vectors) {
      const int64_t left = std::min<int64_t>(oc - first, schedule.lanes * schedule.tile_vectors);
      const int64_t width = (left + schedule.lanes - 1) / schedule.lanes * schedule.lanes;
      for (int64_t tap = 0; tap < c.kd * c.kh * c.kw; ++tap)
        for (int64_t i = 0; i < c.i; ++i)
          for (int64_t lane = 0; lane < width; ++lane)
            order.push_back(
                lane >= left ? 0.0f
                             : 1.0f + static_cast<float>(group_weights_index(
                                          c, oi_first, schedule, g * oc + first + lane, tap, i)));
    }
  return order;
}

TEST(PackedLayout, WeightsLieInTheDocumentedOrder) {
  for (const Case& c : kCases)
    for (bool oi_first : {false, true}) {
      const ir::Conv conv = make(c, oi_first);
      for (const Schedule& schedule : schedules(conv))
        ASSERT_EQ(packed_of(conv, schedule, iota(conv.weights_elements())),
                  expected_order(c, oi_first, schedule))
            << ir::print_conv(conv) << " " << print_schedule(schedule);
    }
}

// By hand: three groups of 4, the weight from i to o of group g being g i o as digits behind a 1;
// the third group alone in the second vector.
TEST(PackedLayout, RotatedWeightsByHand) {
  const ir::Conv conv = conv_of("conv1d src=f32:nwc:1x9x12 weights=f32:wio:1x4x12 groups=3");
  const std::vector<float> weights = {
      1000, 1001, 1002, 1003, 1100, 1101, 1102, 1103, 1200, 1201, 1202, 1203,   // from input 0
      1010, 1011, 1012, 1013, 1110, 1111, 1112, 1113, 1210, 1211, 1212, 1213,   // from input 1
      1020, 1021, 1022, 1023, 1120, 1121, 1122, 1123, 1220, 1221, 1222, 1223,   //
      1030, 1031, 1032, 1033, 1130, 1131, 1132, 1133, 1230, 1231, 1232, 1233};  //
  const Schedule schedule{.algorithm = Algorithm::kRotated, .lanes = 8};
  EXPECT_EQ(packed_of(conv, schedule, weights),
            (std::vector<float>{1000, 1011, 1022, 1033, 1100, 1111, 1122, 1133,  // 0 to 0, 1 to 1
                                1001, 1012, 1023, 1030, 1101, 1112, 1123, 1130,  // 0 to 1, 1 to 2
                                1002, 1013, 1020, 1031, 1102, 1113, 1120, 1131,  // 0 to 2, 1 to 3
                                1003, 1010, 1021, 1032, 1103, 1110, 1121, 1132,  // 0 to 3, 1 to 0
                                1200, 1211, 1222, 1233, 0,    0,    0,    0,     // the next block
                                1201, 1212, 1223, 1230, 0,    0,    0,    0,     //
                                1202, 1213, 1220, 1231, 0,    0,    0,    0,     //
                                1203, 1210, 1221, 1232, 0,    0,    0,    0}));
}

TEST(PackedLayout, EachWeightLandsOnceAndTailsAreZero) {
  for (const Case& c : kCases) {
    const ir::Conv conv = make(c, false);
    for (const Schedule& schedule : schedules(conv)) {
      std::map<float, int> seen;
      for (float value : packed_of(conv, schedule, iota(conv.weights_elements()))) ++seen[value];
      SCOPED_TRACE(ir::print_conv(conv) + " " + print_schedule(schedule));
      const int64_t padding = packed_layout(conv, schedule).elements() - conv.weights_elements();
      EXPECT_EQ(seen.count(0) ? seen[0] : 0, padding);
      seen.erase(0);
      EXPECT_EQ(static_cast<int64_t>(seen.size()), conv.weights_elements());
      for (const auto& [value, times] : seen) ASSERT_EQ(times, 1) << value;
    }
  }
}

TEST(PackedLayout, RowsAreWholeVectors) {
  for (const Case& c : kCases) {
    const ir::Conv conv = make(c, false);
    for (const Schedule& schedule : schedules(conv))
      EXPECT_EQ(packed_layout(conv, schedule).elements() % schedule.lanes, 0);
  }
}

// A tag stands for an order: the user's weights layout plays no part in it, and what lies
// differently has another tag.
TEST(PackedLayout, EqualTagsMeanEqualOrder) {
  std::map<std::string, std::vector<float>> order_of_tag;
  for (const Case& c : kCases)
    for (bool oi_first : {false, true}) {
      const ir::Conv conv = make(c, oi_first);
      for (const Schedule& schedule : schedules(conv)) {
        // Weight (o, i, tap) holds the same number in both layouts.
        std::vector<float> weights(conv.weights_elements());
        for (int64_t o = 0; o < c.o; ++o)
          for (int64_t i = 0; i < c.i; ++i)
            for (int64_t t = 0; t < c.kd * c.kh * c.kw; ++t)
              weights[weights_index(c, oi_first, o, i, t)] =
                  1.0f + static_cast<float>(weights_index(c, false, o, i, t));
        const std::string tag = packed_tag(conv, schedule);
        const auto packed = packed_of(conv, schedule, weights);
        const auto [at, first] = order_of_tag.emplace(tag, packed);
        EXPECT_TRUE(first || at->second == packed) << tag;
      }
    }
  EXPECT_GT(order_of_tag.size(), 60u);
}

TEST(PackedLayout, TagNamesWhatMattersAndNothingElse) {
  const std::string weights = " weights=f32:hwio:3x3x16x48";
  const Schedule schedule{.lanes = 8, .tile_pixels = 6, .tile_vectors = 2};
  const auto tag = [](const std::string& conv, const Schedule& s) {
    return packed_tag(conv_of(conv), s);
  };
  const std::string base = "conv2d src=f32:nhwc:1x9x9x16" + weights;
  Schedule other = schedule;
  other.tile_pixels = 3;
  other.unroll = Unroll::kTaps;
  other.rows_per_task = 2;
  EXPECT_EQ(tag(base, schedule), tag(base, other));
  for (const char* rest : {" strides=2x2", " pads=1x1 post=relu", " dilations=2x2"})
    EXPECT_EQ(tag(base, schedule), tag(base + rest, schedule)) << rest;
  EXPECT_EQ(tag(base, schedule), tag("conv2d src=f32:nchw:7x16x5x8" + weights, schedule));

  Schedule wide = schedule, more = schedule;
  wide.lanes = 16;
  more.tile_vectors = 3;
  EXPECT_NE(tag(base, schedule), tag(base, wide));
  EXPECT_NE(tag(base, schedule), tag(base, more));
  for (const char* text : {"conv2d src=f32:nhwc:1x9x9x16 weights=f32:hwio:3x3x16x49",
                           "conv2d src=f32:nhwc:1x9x9x16 weights=f32:hwio:2x3x16x48",
                           "conv2d src=f32:nhwc:1x9x9x16 weights=f32:hwio:3x2x16x48",
                           "conv2d src=f32:nhwc:1x9x9x32 weights=f32:hwio:3x3x16x48 groups=2",
                           "conv2d src=f32:nhwc:1x9x9x17 weights=f32:hwio:3x3x17x48"})
    EXPECT_NE(tag(base, schedule), tag(text, schedule)) << text;
}

}  // namespace
}  // namespace convgen::codegen
