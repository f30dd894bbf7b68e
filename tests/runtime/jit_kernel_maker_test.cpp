// SPDX-License-Identifier: Apache-2.0
// The compiler behind an engine: there where Engine::create made it, else missed in words.
#include "runtime/jit_kernel_maker.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "runtime/peak.h"
#include "runtime/tune.h"
#include "tests/support/environment.h"
#include "tests/support/kernels.h"

namespace convgen {
namespace {

using testing::conv_of;

const char* const kConv = "conv2d src=f32:nhwc:1x6x7x5 weights=f32:hwio:3x3x5x9 pads=1x1";

TEST(JitKernelMakerTest, IsFoundBehindTheEngineThatHasOne) {
  const auto with = Engine::create(), without = Engine::create_without_compiler();
  ASSERT_TRUE(with.ok() && without.ok());
  EXPECT_NE(JitKernelMaker::of(*with), nullptr);
  EXPECT_EQ(JitKernelMaker::of(*without), nullptr);
  EXPECT_EQ(with->compile(kConv)->engine_name(), "jit");
  EXPECT_EQ(without->compile(kConv)->engine_name(), "generic");
}

// Equal keys, equal code: what decides the bytes is in it, the spelling is not.
TEST(JitKernelMakerTest, KeysDependOnScheduleAndWeights) {
  const auto engine = Engine::create();
  ASSERT_TRUE(engine.ok());
  const auto key = [&](const SharedConstants& constants, const CompileOptions& options) {
    return JitKernelMaker::of(*engine)->plan(conv_of(kConv), constants, options)->key;
  };
  const SharedConstants zeros = std::make_shared<const ConstantWeights>(
      ConstantWeights{.values = std::vector<float>(3 * 3 * 5 * 9)});
  const std::string plain = key(nullptr, {});
  EXPECT_EQ(plain, key(nullptr, {}));
  EXPECT_NE(plain, key(nullptr, {.schedule = "tile=1x1"}));
  EXPECT_NE(plain, key(zeros, {}));
}

TEST(JitKernelMakerTest, WhatNeedsACompilerSaysSo) {
  const auto engine = Engine::create_without_compiler();
  ASSERT_TRUE(engine.ok());
  const Status peak = measure_peak(*engine).status();
  EXPECT_EQ(peak.code(), StatusCode::kUnsupported);
  EXPECT_EQ(peak.message(), "peak: this engine has no compiler");
  const testing::ScopedDirectory directory;
  const Status tuned =
      tune_conv(*engine, conv_of(kConv), {.file = (directory.path() / "tuning").string()}).status();
  EXPECT_EQ(tuned.code(), StatusCode::kUnsupported);
  EXPECT_EQ(tuned.message(), "tuning: this engine has no compiler");
}

}  // namespace
}  // namespace convgen
