// SPDX-License-Identifier: Apache-2.0
// Kernels out of bundles: the JIT's bits at every level, found without LLVM, and the generic path
// or the compiler for what no bundle has.
#include "runtime/kernel_bundles.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <fstream>

#include "codegen/target.h"
#include "testfilter.h"
#include "testnet.h"
#include "tests/support/bundle_tensors.h"
#include "tests/support/child_process.h"
#include "tests/support/kernels.h"

namespace convgen {
namespace {

using testing::BundleTensors;
using testing::conv_of;

std::vector<std::string> texts() {
  std::ifstream file(CONVGEN_TEST_DATA_DIR "/bundle.conv");
  return testing::bundle_texts(file);
}

// Nothing tuned and nothing kept: what the bundle was made of.
Engine jit_engine(const std::string& mcpu) {
  auto engine = Engine::create({.mcpu = mcpu, .use_tuning = false, .cache_dir = ""});
  if (!engine.ok()) throw std::runtime_error(engine.status().message());
  return *std::move(engine);
}

Engine bundle_engine(const convgen_bundle& bundle) {
  auto engine = Engine::create_without_compiler({.bundles = {&bundle}});
  if (!engine.ok()) throw std::runtime_error(engine.status().message());
  return *std::move(engine);
}

std::vector<float> result_of(const Engine& engine, const ir::Conv& conv,
                             const std::string& engine_name) {
  const Kernel kernel = testing::compile_kernel(engine, conv);
  EXPECT_EQ(kernel.engine_name(), engine_name);
  BundleTensors tensors(conv);
  testing::compute(kernel, tensors, tensors.weights.data());
  return tensors.dst;
}

// testnet_bundle as a CPU sees it whose best level is the number `kLevel`.
template <int32_t kLevel>
convgen_bundle at_level() {
  convgen_bundle bundle = testnet_bundle;
  bundle.level = [] { return kLevel; };
  return bundle;
}

TEST(KernelBundles, GiveTheBitsOfTheJitAtEveryLevel) {
  ASSERT_LE(testnet_bundle.levels, 3);
  const std::array<convgen_bundle, 3> levels = {at_level<0>(), at_level<1>(), at_level<2>()};
  const auto host = codegen::host_target();
  for (int64_t level = 0; level < testnet_bundle.levels; ++level) {
    const std::string mcpu = testnet_bundle.entries[level].level;
    SCOPED_TRACE(mcpu);
    const auto target = codegen::make_target("", mcpu, "");
    if (!codegen::check_runs_on(*target, *host).ok()) continue;
    const Engine bundle = bundle_engine(levels[static_cast<size_t>(level)]);
    const Engine jit = jit_engine(mcpu);
    for (const std::string& text : texts()) {
      const ir::Conv conv = conv_of(text);
      EXPECT_TRUE(
          testing::same_bits(result_of(jit, conv, "jit"), result_of(bundle, conv, "bundle")))
          << text;
    }
  }
}

// The level of the CPU is the best of those that codegen::check_runs_on lets pass.
TEST(KernelBundles, PickTheBestLevelOfTheHost) {
  const auto host = codegen::host_target();
  const char* best = nullptr;
  for (int64_t level = testnet_bundle.levels; level-- > 0;) {
    const char* name = testnet_bundle.entries[level].level;
    const auto target = codegen::make_target("", name, "");
    if (codegen::check_runs_on(*target, *host).ok()) best = name;
  }
  EXPECT_STREQ(testnet_level(), best);
}

// Of a process that links no LLVM.
TEST(KernelBundles, ServeAProgramWithoutLlvm) {
  if (testnet_level() == nullptr) GTEST_SKIP() << "this CPU runs no level of the bundle";
  const auto ran =
      testing::run_child({CONVGEN_TEST_BUNDLE_WORKER, CONVGEN_TEST_DATA_DIR "/bundle.conv"}, {});
  ASSERT_EQ(ran.exit, 0) << ran.out;
  const Engine jit = jit_engine(testnet_level());
  std::string expected;
  for (const std::string& text : texts())
    expected += fmt::format("bundle {:016x} {}\n",
                            testing::checksum_of(result_of(jit, conv_of(text), "jit")), text);
  EXPECT_EQ(ran.out, expected);
  const auto libraries =
      testing::run_child({"/usr/bin/env", "ldd", CONVGEN_TEST_BUNDLE_WORKER}, {});
  EXPECT_EQ(libraries.out.find("LLVM"), std::string::npos) << libraries.out;
}

TEST(KernelBundles, LeaveOtherConvolutionsToOthers) {
  const ir::Conv other =
      conv_of("conv2d src=f32:nhwc:1x9x11x5 weights=f32:hwio:3x3x5x20 pads=same");
  EXPECT_EQ(testing::compile_kernel(bundle_engine(testnet_bundle), other).engine_name(), "generic");
  const auto both = Engine::create({.cache_dir = "", .bundles = {&testnet_bundle}});
  ASSERT_TRUE(both.ok());
  EXPECT_EQ(testing::compile_kernel(*both, other).engine_name(), "jit");
  if (testnet_level() == nullptr) return;
  const ir::Conv known = conv_of(texts()[0]);
  EXPECT_EQ(both->stats().compiles, 1);
  EXPECT_EQ(testing::compile_kernel(*both, known).engine_name(), "bundle");
  EXPECT_EQ(both->stats().compiles, 1) << "nothing is compiled for what a bundle has";
  for (const CompileMode mode : {CompileMode::kGenericFirst, CompileMode::kNever}) {
    CompileOptions options;
    options.mode = mode;
    EXPECT_EQ(testing::compile_kernel(*both, known, options).engine_name(), "bundle");
  }
  EXPECT_EQ(testing::compile_kernel(*both, known, testing::with_schedule("rows_per_task=1"))
                .engine_name(),
            "jit");
  EXPECT_EQ(testing::compile_kernel(*both, known, testing::generic_engine()).engine_name(),
            "generic");
}

TEST(KernelBundles, FindConstantWeightsByValue) {
  if (testfilter_level() == nullptr) GTEST_SKIP() << "this CPU runs no level of the bundle";
  const convgen_bundle_entry& entry = testfilter_bundle.entries[0];
  const ir::Conv conv = conv_of(entry.conv);
  const auto count = static_cast<size_t>(conv.weights_elements());
  ConstantWeights constants{{entry.constants, entry.constants + count}, false};
  const Engine engine = bundle_engine(testfilter_bundle);
  const auto kernel = engine.compile(conv, constants);
  ASSERT_TRUE(kernel.ok());
  EXPECT_EQ(kernel->engine_name(), "bundle");
  const auto jit = jit_engine(testfilter_level()).compile(conv, constants);
  ASSERT_TRUE(jit.ok());
  BundleTensors found(conv), expected(conv);
  testing::compute(*kernel, found, nullptr);
  testing::compute(*jit, expected, nullptr);
  EXPECT_TRUE(testing::same_bits(expected.dst, found.dst));

  const auto name_for = [&](const ConstantWeights& weights) {
    return engine.compile(conv, weights)->engine_name();
  };
  EXPECT_EQ(testing::compile_kernel(engine, conv).engine_name(), "generic") << "weights of calls";
  constants.assume_finite = true;
  EXPECT_EQ(name_for(constants), "generic");
  constants.assume_finite = false;
  constants.values.back() += 1;
  EXPECT_EQ(name_for(constants), "generic");
}

TEST(KernelBundles, RefuseTablesOfAnotherVersion) {
  convgen_bundle other = testnet_bundle;
  other.abi_version = 99;
  EXPECT_EQ(Engine::create_without_compiler({.bundles = {&other}}).status().message(),
            "bundles: a table of version 99 found, expected 1");
  EXPECT_EQ(Engine::create_without_compiler({.bundles = {nullptr}}).status().code(),
            StatusCode::kInvalidArgument);
}

// A CPU that runs no level has no bundled kernels.
TEST(KernelBundles, NoLevelNoKernel) {
  const convgen_bundle none = at_level<-1>();
  EXPECT_EQ(testing::compile_kernel(bundle_engine(none), conv_of(texts()[0])).engine_name(),
            "generic");
}

// The C functions in pieces give the same as in one.
TEST(KernelBundles, TasksMayBeSpread) {
  if (testnet_level() == nullptr) GTEST_SKIP() << "this CPU runs no level of the bundle";
  const ir::Conv conv = conv_of(texts()[6]);
  ASSERT_EQ(conv.name, "fast3x3");
  BundleTensors tensors(conv);
  PackedWeights packed("", FAST3X3_PACKED_WEIGHTS_BYTES / sizeof(float));
  PackedWeights scratch("", FAST3X3_SCRATCH_BYTES / sizeof(float) + 1);
  ASSERT_EQ(fast3x3_pack_weights(tensors.weights.data(), packed.data()), CONVGEN_DONE);
  EXPECT_LE(fast3x3_packed_weights_bytes(), size_t{FAST3X3_PACKED_WEIGHTS_BYTES});
  EXPECT_LE(fast3x3_scratch_bytes(), size_t{FAST3X3_SCRATCH_BYTES});
  std::vector<float> whole(tensors.dst.size());
  fast3x3(tensors.src.data(), packed.data(), tensors.bias.data(), whole.data(), scratch.data());
  ASSERT_GT(fast3x3_tasks(), 1);
  for (int64_t task = fast3x3_tasks(); task-- > 0;)
    fast3x3_run_tasks(tensors.src.data(), packed.data(), tensors.bias.data(), tensors.dst.data(),
                      scratch.data(), task, task + 1);
  EXPECT_TRUE(testing::same_bits(whole, tensors.dst));
}

}  // namespace
}  // namespace convgen
