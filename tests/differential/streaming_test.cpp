// SPDX-License-Identifier: Apache-2.0
// stores=streaming, by schedules given by hand, on every instruction set: right, and the bits of
// the same schedule through the caches, wherever dst begins. A vector that is not aligned faults.
// The filter's own are in filter_test.cpp.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "runtime/thread_pool.h"
#include "runtime/verify.h"
#include "tests/support/isa_levels.h"
#include "tests/support/kernels.h"
#include "tests/support/odd_schedules.h"
#include "tests/support/random.h"

namespace convgen::testing {
namespace {

struct StreamedCase {
  const char* conv;
  std::vector<const char*> schedules;
};

// Channels or rows of whole vectors on every instruction set.
const StreamedCase kStreamed[] = {
    {"conv2d src=f32:nhwc:2x7x19x5 weights=f32:hwio:3x3x5x48 pads=1x1 post=bias,relu",
     {"direct tile=4x2", "direct tile=3x1 edges=shared order=oc_inner", "direct edges=ranged",
      "winograd tile=3x2", "winograd edges=nested",
      "winograd output_tile=2 epilogue=loop order=pixel_outer"}},
    {"conv2d src=f32:nhwc:1x4x5x2 weights=f32:hwio:3x3x2x16 post=bias", {"direct unroll=full"}},
    {"conv2d src=f32:nhwc:1x6x9x8 weights=f32:hwio:1x1x8x32 post=gelu,add",
     {"direct merge_rows=1 tile=4x2", "direct merge_rows=0 tile=3x2 epilogue=loop"}},
    {"conv2d src=f32:nhwc:1x7x9x6 weights=f32:hwio:3x3x3x64 groups=2 pads=1x1 strides=2x2",
     {"direct tile=3x2", "direct tile=3x1 order=oc_outer"}},
    {"conv2d src=f32:nhwc:2x7x17x32 weights=f32:hwio:3x3x1x32 groups=32 pads=1x1 post=scale",
     {"depthwise tile=6x1", "depthwise tile=4x2 edges=shared tiles_per_task=1",
      "depthwise tile=5x1 order=oc_inner unroll=row"}},
    {"conv2d src=f32:nhwc:1x7x17x32 weights=f32:hwio:3x3x4x32 groups=8 pads=1x1 accuracy=strict",
     {"grouped tile=3x1", "grouped tile=2x2 epilogue=loop"}},
    {"conv2d src=f32:nhwc:1x7x17x32 weights=f32:hwio:3x3x4x32 groups=8 pads=1x1 post=bias,add",
     {"rotated tile=3x1 unroll=taps"}},
    {"conv2d src=f32:nhwc:2x7x32x3 weights=f32:hwio:3x3x3x3 pads=1x1 post=bias,relu",
     {"staged tile=32x3", "staged tile=16x3 epilogue=loop", "staged tile=48x3 rows_per_task=2"}},
    {"conv2d src=f32:nchw:2x3x7x48 weights=f32:oihw:5x3x3x3 pads=1x1 post=bias",
     {"staged tile=16x2", "staged tile=32x3 epilogue=loop", "staged tile=32x5"}},
    {"conv2d src=f32:nchw:2x2x7x48 weights=f32:oihw:5x2x3x3 pads=1:1x0:2 post=bias",
     {"planar tile=16x2", "planar tile=32x3 epilogue=loop", "planar tile=32x5 unroll=taps"}},
    {"conv3d src=f32:ndhwc:1x4x5x9x3 weights=f32:dhwio:2x3x3x3x32 pads=1x1x1 post=relu",
     {"direct tile=4x2"}},
    {"conv1d src=f32:nwc:2x30x6 weights=f32:wio:5x6x16 pads=2 post=bias",
     {"direct tile=6x1", "winograd tile=4x1"}},
};

class StreamingTest : public ::testing::TestWithParam<IsaLevel> {
 protected:
  void SetUp() override {
    Result<Engine> engine = Engine::create({.mcpu = GetParam().mcpu});
    if (!engine.ok()) GTEST_SKIP() << engine.status().message();
    engine_ = *engine;
  }

  std::optional<Engine> engine_;
};

INSTANTIATE_TEST_SUITE_P(Levels, StreamingTest, ::testing::ValuesIn(kIsaLevels),
                         [](const auto& level) { return level.param.name; });

TEST_P(StreamingTest, BitsAreThoseThroughTheCaches) {
  for (const StreamedCase& one : kStreamed)
    for (const std::string words : one.schedules) {
      const ir::Conv conv = conv_of(one.conv);
      const std::string schedule = words + " stores=streaming";
      const Reproducer again{.mcpu = GetParam().mcpu, .schedule = schedule};
      SCOPED_TRACE("again: " + again.text(conv));
      announce_in_case_of_fault(again.text(conv));
      const Kernel streaming = compile_kernel(*engine_, conv, with_schedule(schedule));
      ThreadPool pool(2);
      const ParallelFor parallel_for = pool.parallel_for();
      for (const VerifyData data : {VerifyData::kIntegers, VerifyData::kReals}) {
        const Result<VerifyReport> report =
            verify_kernel(streaming, {.data = data, .parallel_for = &parallel_for});
        ASSERT_TRUE(report.ok()) << report.status().message();
        EXPECT_TRUE(report->pass) << report->failure;
      }
      const HostTensors tensors = random_tensors(conv, 3, Data::kReals);
      const std::vector<float> expected = run_kernel(
          compile_kernel(*engine_, conv, with_schedule(words + " stores=cached")), tensors);
      for (const size_t skip : {0, 1, 2, 4, 8, 15})
        EXPECT_TRUE(same_bits(
            expected, run_kernel(streaming, tensors, {.flush = Flush::kBegin, .dst_behind = skip})))
            << skip;
      engine_->clear_cache();
    }
}

// Rows of whole vectors on every instruction set, few channels; borders that shift them and such
// that do not.
ir::Conv draw_rows(Random& random) {
  const int64_t ic = 1 + random.below(4), oc = 1 + random.below(4);
  const int64_t width = 16 * (1 + random.below(4));
  const std::string src = random.one_in(2) ? fmt::format("nhwc:1x5x{}x{}", width, ic)
                                           : fmt::format("nchw:1x{}x5x{}", ic, width);
  const char* const kPads[] = {"1:1", "0:2", "2:0"};
  return conv_of(fmt::format("conv2d src=f32:{} weights=f32:hwio:3x3x{}x{} pads=1:1x{}{}", src, ic,
                             oc, kPads[random.below(3)], random.one_in(3) ? " pad_value=2" : ""));
}

// Channels of whole vectors.
ir::Conv draw_channels(Random& random) {
  const int64_t channels = 16 * (1 + random.below(2));
  const bool depthwise = random.one_in(2);
  return conv_of(
      fmt::format("conv2d src=f32:nhwc:2x5x{}x{} weights=f32:hwio:3x3x{}x{} groups={} "
                  "pads=1x1 post=bias",
                  3 + random.below(20), channels, depthwise ? 1 : channels, channels,
                  depthwise ? channels : 1));
}

TEST_P(StreamingTest, OddSchedules) {
  int accepted = 0;
  for (uint64_t i = 0; i < 120; ++i) {
    Random random(mix(test_seed(), i));
    const ir::Conv conv = random.one_in(3) ? draw_channels(random) : draw_rows(random);
    const std::string words =
        random.one_in(3) ? draw_schedule(random) : draw_staged_schedule(random);
    const std::string schedule = words + " stores=streaming";
    const Reproducer again{.mcpu = GetParam().mcpu, .schedule = schedule};
    SCOPED_TRACE("again: " + again.text(conv));
    announce_in_case_of_fault(again.text(conv));
    const Result<Kernel> kernel = engine_->compile(conv, with_schedule(schedule));
    if (!kernel.ok()) {
      EXPECT_EQ(kernel.status().message().rfind("schedule ", 0), 0u) << kernel.status().message();
      continue;
    }
    ++accepted;
    const Result<VerifyReport> report = verify_kernel(*kernel, {.data = VerifyData::kIntegers});
    ASSERT_TRUE(report.ok()) << report.status().message();
    EXPECT_TRUE(report->pass) << report->failure;
    engine_->clear_cache();
  }
  EXPECT_GE(accepted, 20);
  RecordProperty("accepted", accepted);
}

}  // namespace
}  // namespace convgen::testing
