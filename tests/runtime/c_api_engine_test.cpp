// SPDX-License-Identifier: Apache-2.0
// Engines of the C interface: options arrive, copies share, many convolutions at once, tuning.
#include <gtest/gtest.h>

#include <string>

#include "tests/support/c_api.h"
#include "tests/support/environment.h"

namespace convgen {
namespace {

using namespace convgen::testing;  // NOLINT: every helper of the file

TEST(CApiEngineTest, CopiesShareTheCache) {
  CEngine engine = c_engine();
  convgen_engine* copied = nullptr;
  ASSERT_C_OK(convgen_engine_copy(engine.get(), &copied));
  const CEngine copy(copied);
  c_kernel(engine, kCConv);
  engine.reset();
  c_kernel(copy, kCConv);
  convgen_engine_stats stats = CONVGEN_ENGINE_STATS_INIT;
  EXPECT_C_OK(convgen_engine_get_stats(copy.get(), &stats));
  EXPECT_EQ(stats.compiles, 1);
  EXPECT_EQ(stats.hits, 1);
  EXPECT_EQ(stats.kernels, 1);
  EXPECT_GT(stats.bytes, 0);
  EXPECT_GT(stats.compile_seconds, 0);
}

TEST(CApiEngineTest, OptionsArrive) {
  const ScopedDirectory directory;
  const std::string cache = (directory.path() / "cache").string();
  convgen_engine_options options = CONVGEN_ENGINE_OPTIONS_INIT;
  options.mcpu = "x86-64-v2";
  options.cache_dir = cache.c_str();
  options.memory_max_bytes = 1;
  options.verify = CONVGEN_VERIFY_FIRST_USE;
  const auto compile_once = [&] {
    convgen_engine* made = nullptr;
    EXPECT_C_OK(convgen_engine_create(CONVGEN_ABI_VERSION, &options, &made));
    const CEngine engine(made);
    c_kernel(engine, kCConv);
    c_kernel(engine, "mb1ic3ih8oc4oh6kh3");
    EXPECT_C_OK(convgen_engine_store_status(engine.get()));
    convgen_engine_stats stats = CONVGEN_ENGINE_STATS_INIT;
    EXPECT_C_OK(convgen_engine_get_stats(engine.get(), &stats));
    const char* target = nullptr;
    EXPECT_C_OK(convgen_engine_target(engine.get(), &target));
    EXPECT_EQ(target, make_engine("x86-64-v2").target_description());
    return stats;
  };
  const convgen_engine_stats cold = compile_once();
  const convgen_engine_stats warm = compile_once();
  EXPECT_EQ(cold.compiles, 2);
  EXPECT_EQ(warm.compiles, 0);
  EXPECT_EQ(warm.store_hits, 2);
  EXPECT_EQ(warm.kernels, 0);  // memory_max_bytes
}

TEST(CApiEngineTest, PrepareGivesEachItsOwn) {
  const CEngine engine = c_engine();
  const CConv good = c_conv("conv1d src=f32:nwc:1x9x3 weights=f32:wio:3x3x4");
  const CConv small = c_conv("mb1ic3ih8oc4oh6kh3");
  const CConv huge = c_conv("conv2d src=f32:nhwc:1x8x8x512 weights=f32:hwio:3x3x512x512");
  const convgen_conv* convs[] = {good.get(), huge.get(), small.get()};
  convgen_kernel* kernels[3];
  convgen_status statuses[3];
  convgen_compile_options compile = CONVGEN_COMPILE_OPTIONS_INIT;
  compile.schedule = "direct lanes=4 tile=2x1 unroll=full";  // too much for `huge`
  convgen_prepare_options options = CONVGEN_PREPARE_OPTIONS_INIT;
  options.compile = &compile;
  options.threads = 2;
  const convgen_status status =
      convgen_engine_prepare(engine.get(), convs, 3, &options, kernels, statuses);
  const CKernel owned[] = {CKernel(kernels[0]), CKernel(kernels[1]), CKernel(kernels[2])};
  EXPECT_NE(status, CONVGEN_OK);
  EXPECT_EQ(std::string(convgen_last_error()).rfind("convs[1]: ", 0), 0u) << convgen_last_error();
  EXPECT_EQ(statuses[0], CONVGEN_OK);
  EXPECT_EQ(statuses[1], status);
  EXPECT_EQ(statuses[2], CONVGEN_OK);
  EXPECT_EQ(owned[1], nullptr);
  ASSERT_NE(owned[0], nullptr);
  ASSERT_NE(owned[2], nullptr);
  EXPECT_EQ(std::string(c_info(owned[0].get()).signature), c_info(good.get()).text);
  EXPECT_EQ(std::string(c_info(owned[2].get()).signature), c_info(small.get()).text);
  EXPECT_C_OK(convgen_engine_prepare(engine.get(), nullptr, 0, nullptr, nullptr, nullptr));
}

TEST(CApiEngineTest, TunesAndKeepsWhatItFound) {
  const ScopedDirectory directory;
  const std::string file = (directory.path() / "tuning").string();
  const CEngine engine = c_engine();
  const CConv conv = c_conv(kCConv);
  convgen_tune_options options = CONVGEN_TUNE_OPTIONS_INIT;
  options.file = file.c_str();
  options.seconds = 0.05;
  options.candidates = 3;
  for (const int32_t end : {CONVGEN_TUNE_KEPT, CONVGEN_TUNE_BEFORE}) {
    convgen_tune_result* made = nullptr;
    ASSERT_C_OK(convgen_engine_tune(engine.get(), conv.get(), &options, &made));
    const CTuneResult result(made);
    convgen_tune_info info = CONVGEN_TUNE_INFO_INIT;
    EXPECT_C_OK(convgen_tune_result_get_info(result.get(), &info));
    EXPECT_EQ(info.end, end);
    EXPECT_STRNE(info.schedule, "");
    EXPECT_STRNE(info.default_schedule, "");
    EXPECT_GT(info.us, 0);
  }
}

}  // namespace
}  // namespace convgen
