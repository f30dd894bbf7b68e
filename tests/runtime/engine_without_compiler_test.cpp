// SPDX-License-Identifier: Apache-2.0
// Engines without a compiler. This binary links convgen::runtime alone, so that it would not link
// if that needed LLVM.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "ir/text.h"
#include "runtime/engine.h"
#include "runtime/verify.h"

namespace convgen {
namespace {

constexpr const char* kConv =
    "conv2d src=f32:nhwc:1x6x7x5 weights=f32:hwio:3x3x5x9 pads=1x1 post=bias,relu";

Engine make_engine(const EngineOptions& options = {}) {
  auto engine = Engine::create_without_compiler(options);
  EXPECT_TRUE(engine.ok()) << engine.status().message();
  return *engine;
}

TEST(EngineWithoutCompilerTest, LoadsNoLlvm) {
  EXPECT_TRUE(make_engine().compile(kConv).ok());
  std::ifstream maps("/proc/self/maps");
  if (!maps) GTEST_SKIP() << "no /proc/self/maps here";
  bool libc = false;
  for (std::string line; std::getline(maps, line);) {
    EXPECT_EQ(line.find("libLLVM"), std::string::npos) << line;
    libc |= line.find("libc.so") != std::string::npos;
  }
  EXPECT_TRUE(libc) << "the list of libraries lacks what it must have";
}

TEST(EngineWithoutCompilerTest, RunsTheGenericPathAndSaysWhy) {
  const auto kernel = make_engine().compile(kConv);
  ASSERT_TRUE(kernel.ok()) << kernel.status().message();
  EXPECT_EQ(kernel->engine_name(), "generic");
  EXPECT_EQ(kernel->compile_status().code(), StatusCode::kUnsupported);
  EXPECT_EQ(kernel->compile_status().message(), "this engine has no compiler");
  const auto report = verify_kernel(*kernel);
  ASSERT_TRUE(report.ok()) << report.status().message();
  EXPECT_TRUE(report->pass) << report->failure;
}

TEST(EngineWithoutCompilerTest, WhoAsksForTheGenericPathIsServed) {
  const Engine engine = make_engine();
  ASSERT_TRUE(engine.compile(kConv).ok());
  const auto kernel = engine.compile(kConv, {.engine = EngineKind::kGeneric});
  ASSERT_TRUE(kernel.ok());
  EXPECT_TRUE(kernel->compile_status().ok()) << kernel->compile_status().message();
  EXPECT_EQ(engine.stats().kernels, 2) << "the two share a kernel";
}

TEST(EngineWithoutCompilerTest, NoModeWaitsForMachineCode) {
  const Engine engine = make_engine();
  for (const CompileMode mode :
       {CompileMode::kBlocking, CompileMode::kGenericFirst, CompileMode::kNever}) {
    const auto kernel = engine.compile(kConv, {.mode = mode});
    ASSERT_TRUE(kernel.ok());
    EXPECT_FALSE(kernel->is_pending());
    EXPECT_EQ(kernel->engine_name(), "generic");
  }
}

TEST(EngineWithoutCompilerTest, KernelsAreKept) {
  const Engine engine = make_engine();
  const auto first = engine.compile(kConv), second = engine.compile(*ir::parse_conv(kConv));
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(first->state(), second->state());
  EXPECT_EQ(engine.stats().compiles, 1);
}

TEST(EngineWithoutCompilerTest, HoldsConstantWeights) {
  const auto conv = ir::parse_conv("conv2d src=f32:nhwc:1x4x4x1 weights=f32:hwio:1x1x1x1");
  ASSERT_TRUE(conv.ok());
  const auto kernel = make_engine().compile(*conv, ConstantWeights{.values = {3}});
  ASSERT_TRUE(kernel.ok()) << kernel.status().message();
  const std::vector<float> src(16, 2);
  std::vector<float> dst(16);
  ASSERT_TRUE(kernel->run({.src = src.data(), .dst = dst.data()}).ok());
  EXPECT_EQ(dst, std::vector<float>(16, 6));
}

// Tensors that no machine holds show that first_use verifies.
TEST(EngineWithoutCompilerTest, VerifiesOnFirstUse) {
  constexpr const char* kTooLargeToRun =
      "conv2d src=f32:nhwc:1x1048576x1048576x256 weights=f32:hwio:1x1x256x1";
  const Engine engine = make_engine({.verify = VerifyMode::kFirstUse});
  EXPECT_TRUE(engine.compile(kConv).ok());
  EXPECT_EQ(engine.compile(kTooLargeToRun).status().code(), StatusCode::kResourceExhausted);
  EXPECT_TRUE(make_engine().compile(kTooLargeToRun).ok());
}

TEST(EngineWithoutCompilerTest, RefusesScheduleWords) {
  const auto kernel = make_engine().compile(kConv, {.schedule = "unroll=tile"});
  ASSERT_FALSE(kernel.ok());
  EXPECT_EQ(kernel.status().code(), StatusCode::kUnsupported);
  EXPECT_EQ(kernel.status().message(), "schedule=unroll=tile: this engine has no compiler");
}

TEST(EngineWithoutCompilerTest, RefusesOptionsThatNeedACompiler) {
  const EngineOptions all[] = {{.mcpu = "haswell"},
                               {.tuning_file = "some_file"},
                               {.cache_dir = "some_directory"},
                               {.jit_profile = "gdb"}};
  for (const EngineOptions& options : all) {
    const auto engine = Engine::create_without_compiler(options);
    ASSERT_FALSE(engine.ok());
    EXPECT_EQ(engine.status().code(), StatusCode::kUnsupported);
  }
  EXPECT_TRUE(Engine::create_without_compiler({.cache_dir = ""}).ok()) << "none is no request";
}

// What is meant for engines that compile does not stop the others.
TEST(EngineWithoutCompilerTest, DoesNotHearTheEnvironmentOfTheCompiler) {
  const char* const names[] = {"CONVGEN_MCPU", "CONVGEN_JIT_PROFILE", "CONVGEN_CACHE_MAX_BYTES"};
  for (const char* name : names) setenv(name, "nonsense", 1);
  EXPECT_TRUE(Engine::create_without_compiler().ok());
  for (const char* name : names) unsetenv(name);
}

TEST(EngineWithoutCompilerTest, DescribesItself) {
  const Engine engine = make_engine();
  EXPECT_TRUE(engine.target_description().starts_with("generic ")) << engine.target_description();
  EXPECT_TRUE(engine.store_status().ok());
}

}  // namespace
}  // namespace convgen
