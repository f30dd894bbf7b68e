// SPDX-License-Identifier: Apache-2.0
// Candidates: the selected schedule first, all of them legal, distinct, and the same every time.
#include "codegen/candidate_schedules.h"

#include <gtest/gtest.h>

#include <set>

#include "codegen/code_size.h"
#include "ir/random_conv.h"
#include "tests/codegen/codegen_test_support.h"

namespace convgen::codegen {
namespace {

using testing::conv_of;
using testing::target_of;

constexpr uint64_t kSeed = 47;
constexpr const char* kLarge =
    "conv2d src=f32:nhwc:1x28x28x128 weights=f32:hwio:3x3x128x128 pads=1x1";

std::vector<std::string> texts_of(const std::vector<Schedule>& schedules) {
  std::vector<std::string> texts;
  for (const Schedule& schedule : schedules) texts.push_back(print_schedule(schedule));
  return texts;
}

// Every promise of candidate_schedules.h for one convolution.
void expect_candidates(const ir::Conv& conv, const Target& target, int threads) {
  SCOPED_TRACE(ir::print_conv(conv) + " for " + target.tune_cpu);
  const CandidateOptions options{.best = 6, .sampled = 9, .seed = 3};
  const std::vector<Schedule> candidates = candidate_schedules(conv, target, threads, options);
  const std::vector<std::string> texts = texts_of(candidates);
  ASSERT_FALSE(candidates.empty());
  ASSERT_LE(candidates.size(), 15u);
  ASSERT_EQ(candidates[0], select_schedule(conv, target, threads).schedule);
  ASSERT_EQ(std::set<std::string>(texts.begin(), texts.end()).size(), texts.size());
  ASSERT_EQ(texts_of(candidate_schedules(conv, target, threads, options)), texts);
  for (const Schedule& schedule : candidates) {
    const Status status = check_schedule(schedule, conv, target);
    ASSERT_TRUE(status.ok()) << status.message();
    if (&schedule != &candidates[0]) {
      ASSERT_LE(estimate_code_size(conv, schedule).total, kComfortableOps);
    }
    if (conv.accuracy == ir::Accuracy::kStrict) {
      ASSERT_NE(schedule.algorithm, Algorithm::kRotated);
    }
  }
}

class CandidateSchedules : public ::testing::TestWithParam<std::string> {};

TEST_P(CandidateSchedules, OfRandomConvolutions) {
  const Target target = target_of(GetParam());
  for (uint64_t index = 0; index < 300 && !HasFatalFailure(); ++index) {
    SCOPED_TRACE("random_conv(" + std::to_string(kSeed) + ", " + std::to_string(index) + ")");
    ir::Conv conv = ir::random_conv(kSeed, index);
    expect_candidates(conv, target, index % 2 == 0 ? 1 : 4);
    conv.accuracy = ir::Accuracy::kStrict;
    expect_candidates(conv, target, 1);
  }
}

TEST_P(CandidateSchedules, OfNetworkLayers) {
  const Target target = target_of(GetParam());
  for (const std::string& text : testing::layer_texts()) {
    const ir::Conv conv = conv_of(text);
    for (const int threads : {1, 2}) expect_candidates(conv, target, threads);
    if (HasFatalFailure()) return;
  }
}

TEST_P(CandidateSchedules, OfExtremes) {
  const Target target = target_of(GetParam());
  for (const char* text :
       {"conv2d src=f32:nhwc:1x64x64x1000 weights=f32:hwio:31x31x1000x1000 pads=same",
        "conv2d src=f32:nhwc:1x5x5x3 weights=f32:hwio:3x3x3x8 pads=5000x5000",
        "conv2d src=f32:nhwc:1x2147483649x1x1 weights=f32:hwio:3x1x1x1",
        "conv2d src=f32:nhwc:1x1x1x1 weights=f32:hwio:1x1x1x2147483649",
        "conv3d src=f32:ndhwc:1x2251799813685248x1x1x1 weights=f32:dhwio:3x1x1x1x8",
        "conv1d src=f32:nwc:1x1048600x1 weights=f32:wio:1048576x1x1 pads=20",
        "conv1d src=f32:nwc:1x1x1 weights=f32:wio:1x1x1"}) {
    expect_candidates(conv_of(text), target, 2);
    if (HasFatalFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, CandidateSchedules,
                         ::testing::ValuesIn(testing::all_target_names()),
                         [](const auto& instance) {
                           return testing::test_name_of(instance.param);
                         });

TEST(CandidateSchedulesList, HoldsAsManyAsAskedFor) {
  const Target target = target_of("x86-64-v4");
  const ir::Conv conv = conv_of(kLarge);
  for (const auto& [best, sampled] : {std::pair{1, 0}, {8, 0}, {1, 12}, {16, 24}})
    EXPECT_EQ(candidate_schedules(conv, target, 1, {best, sampled, 1}).size(),
              static_cast<size_t>(best + sampled));
  EXPECT_EQ(candidate_schedules(conv, target, 1, {0, -1, 1}).size(), 1u) << "the selected one";
}

TEST(CandidateSchedulesList, AnotherSeedDrawsOthers) {
  const Target target = target_of("x86-64-v4");
  const auto first = texts_of(candidate_schedules(conv_of(kLarge), target, 1, {4, 60, 1}));
  const auto second = texts_of(candidate_schedules(conv_of(kLarge), target, 1, {4, 60, 2}));
  EXPECT_NE(first, second);
  EXPECT_TRUE(std::equal(first.begin(), first.begin() + 4, second.begin())) << "best are no draw";
}

// Whatever axis matters for a layer, some candidate moves along it.
TEST(CandidateSchedulesList, VariesEveryAxis) {
  const ir::Conv conv = conv_of(std::string(kLarge) + " accuracy=strict");
  const auto candidates =
      candidate_schedules(conv, target_of("x86-64-v4"), 1, {.best = 16, .sampled = 24});
  const Schedule& first = candidates[0];
  const auto some = [&](auto differs) { return std::ranges::any_of(candidates, differs); };
  EXPECT_TRUE(some([&](const Schedule& s) { return s.tile_vectors != first.tile_vectors; }));
  EXPECT_TRUE(some([&](const Schedule& s) { return s.order != first.order; }));
  EXPECT_TRUE(some([&](const Schedule& s) { return s.ic_unroll != first.ic_unroll; }));
  EXPECT_TRUE(some([&](const Schedule& s) { return s.unroll != first.unroll; }));
  EXPECT_TRUE(some([&](const Schedule& s) { return s.edges != first.edges; }));
  EXPECT_TRUE(some([&](const Schedule& s) { return s.epilogue != first.epilogue; }));
  EXPECT_TRUE(some([&](const Schedule& s) { return s.prefetch != first.prefetch; }));
  EXPECT_TRUE(some([&](const Schedule& s) { return s.rows_per_task != first.rows_per_task; }));
  EXPECT_TRUE(some([&](const Schedule& s) { return s.tiles_per_task != first.tiles_per_task; }));
  EXPECT_TRUE(some([&](const Schedule& s) { return s.lanes != first.lanes; }));
}

TEST(CandidateSchedulesList, VariesEveryAxisOfWinograd) {
  const auto candidates =
      candidate_schedules(conv_of(kLarge), target_of("x86-64-v4"), 1, {.best = 16, .sampled = 24});
  const Schedule& first = candidates[0];
  ASSERT_EQ(first.algorithm, Algorithm::kWinograd);
  const auto some = [&](auto differs) { return std::ranges::any_of(candidates, differs); };
  EXPECT_TRUE(some([&](const Schedule& s) { return s.algorithm == Algorithm::kDirect; }));
  const auto some_winograd = [&](auto differs) {
    return some([&](const Schedule& s) { return s.algorithm == first.algorithm && differs(s); });
  };
  EXPECT_TRUE(some_winograd([&](auto& s) { return s.tile_vectors != first.tile_vectors; }));
  EXPECT_TRUE(some_winograd([&](auto& s) { return s.tile_pixels != first.tile_pixels; }));
  EXPECT_TRUE(some_winograd([&](auto& s) { return s.order != first.order; }));
  EXPECT_TRUE(some_winograd([&](auto& s) { return s.output_tile != first.output_tile; }));
  EXPECT_TRUE(some_winograd([&](auto& s) { return s.ic_unroll != first.ic_unroll; }));
  EXPECT_TRUE(some_winograd([&](auto& s) { return s.tiles_per_task != first.tiles_per_task; }));
}

std::set<Algorithm> algorithms_of(const std::string& text) {
  std::set<Algorithm> algorithms;
  for (const Schedule& s : candidate_schedules(conv_of(text), target_of("x86-64-v4"), 1))
    algorithms.insert(s.algorithm);
  return algorithms;
}

TEST(CandidateSchedulesList, TriesOtherAlgorithms) {
  const std::string groups = "conv2d src=f32:nhwc:1x56x56x128 weights=f32:hwio:3x3x4x128 groups=32";
  EXPECT_TRUE(algorithms_of(groups).contains(Algorithm::kGrouped));
  EXPECT_TRUE(algorithms_of(groups).contains(Algorithm::kRotated));
  EXPECT_FALSE(algorithms_of(groups + " accuracy=strict").contains(Algorithm::kRotated));
  const std::string few = "conv2d src=f32:nhwc:1x256x256x3 weights=f32:hwio:3x3x3x8 pads=same";
  EXPECT_TRUE(algorithms_of(few).contains(Algorithm::kStaged));
  EXPECT_TRUE(algorithms_of(few).contains(Algorithm::kDirect));
}

TEST(CandidateSchedulesList, VariationsAreOneStepAway) {
  for (const std::string& name : testing::all_target_names()) {
    const Target target = target_of(name);
    const ir::Conv conv = conv_of(kLarge);
    const Schedule from = select_schedule(conv, target).schedule;
    const std::vector<Schedule> variations = schedule_variations(conv, target, from);
    EXPECT_GE(variations.size(), 12u) << name;
    for (const Schedule& schedule : variations) {
      EXPECT_FALSE(schedule == from);
      EXPECT_TRUE(check_schedule(schedule, conv, target).ok());
      EXPECT_LE(schedule.accumulators(schedule.tile_pixels, schedule.tile_vectors),
                target.vector_registers)
          << print_schedule(schedule);
    }
  }
}

TEST(CandidateSchedulesList, NothingToComputeHasOneCandidate) {
  EXPECT_EQ(candidate_schedules(conv_of("conv2d src=f32:nhwc:0x8x8x3 weights=f32:hwio:3x3x3x4"),
                                target_of("x86-64-v3"), 1)
                .size(),
            1u);
}

}  // namespace
}  // namespace convgen::codegen
