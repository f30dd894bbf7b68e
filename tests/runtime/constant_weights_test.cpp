// SPDX-License-Identifier: Apache-2.0
// Engine::compile with weights that are known: what makes two kernels one, what run() may be given,
// and that nothing of the caller's is kept.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <bit>
#include <filesystem>
#include <latch>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "ir/text.h"
#include "runtime/engine.h"
#include "runtime/verify.h"
#include "tests/support/environment.h"
#include "tests/support/filters.h"
#include "tests/support/kernels.h"

namespace convgen {
namespace {

using testing::conv_of;
using testing::edge_filter;
using testing::HostTensors;
using testing::make_engine;
using testing::ScopedDirectory;
using testing::ScopedVariable;

const char* const kFilter =
    "conv2d src=f32:nhwc:1x9x20x3 weights=f32:hwio:3x3x1x3 groups=3 pads=1x1 post=relu";
const char* const kDense = "conv2d src=f32:nhwc:1x6x7x20 weights=f32:hwio:3x3x20x33 pads=1x1";

Kernel compile(const Engine& engine, const ir::Conv& conv, const ConstantWeights& weights,
               const CompileOptions& options = {}) {
  const Result<Kernel> kernel = engine.compile(conv, weights, options);
  if (!kernel.ok()) throw std::runtime_error(kernel.status().message());
  return *kernel;
}

void expect_right(const Kernel& kernel) {
  for (const VerifyData data : {VerifyData::kIntegers, VerifyData::kReals}) {
    const Result<VerifyReport> report = verify_kernel(kernel, {.data = data});
    ASSERT_TRUE(report.ok()) << report.status().message();
    EXPECT_TRUE(report->pass) << report->failure << " " << kernel.signature();
  }
}

// --- Keys ---

TEST(ConstantWeightsTest, AreAsManyAsTheConvolutionHas) {
  const Engine engine = make_engine();
  const ir::Conv conv = conv_of(kFilter);
  for (const size_t count : {0u, 26u, 28u}) {
    const Result<Kernel> kernel =
        engine.compile(conv, ConstantWeights{std::vector<float>(count, 1.0f), false});
    ASSERT_FALSE(kernel.ok());
    EXPECT_EQ(kernel.status().code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(kernel.status().message(),
              fmt::format("constant weights: {} values found, the conv has 27", count));
  }
  EXPECT_EQ(engine.stats().compiles, 0);
}

TEST(ConstantWeightsTest, EqualValuesShareAKernel) {
  const Engine engine = make_engine();
  for (int i = 0; i < 3; ++i) compile(engine, conv_of(kFilter), edge_filter(conv_of(kFilter)));
  EXPECT_EQ(engine.stats().compiles, 1);
  EXPECT_EQ(engine.stats().hits, 2);
}

// By value, bit by bit: the last bit of a weight, the sign of a zero, the word about src, and that
// there are constants at all.
TEST(ConstantWeightsTest, OtherValuesAreOtherKernels) {
  const Engine engine = make_engine();
  const ir::Conv conv = conv_of(kFilter);
  std::vector<ConstantWeights> all(4, testing::sharpen_filter(conv));
  float& last = all[1].values.back();
  last = std::bit_cast<float>(std::bit_cast<uint32_t>(last) ^ 1);
  for (float& w : all[2].values)
    if (w == 0) w = -0.0f;
  all[3].assume_finite = true;
  std::set<std::string> signatures;
  for (const ConstantWeights& weights : all) {
    const Kernel kernel = compile(engine, conv, weights);
    expect_right(kernel);
    signatures.insert(kernel.signature());
  }
  EXPECT_EQ(engine.stats().compiles, 4);
  EXPECT_EQ(signatures.size(), 4u);
  testing::compile_kernel(engine, conv);
  EXPECT_EQ(engine.stats().compiles, 5) << "weights that come with each call";
  compile(engine, conv, all[0], testing::generic_engine());
  EXPECT_EQ(engine.stats().compiles, 6) << "the generic path";
  for (const ConstantWeights& weights : all) compile(engine, conv, weights);
  EXPECT_EQ(engine.stats().compiles, 6);
}

TEST(ConstantWeightsTest, OneCompileForManyThreads) {
  const Engine engine = make_engine();
  constexpr int kThreads = 8;
  std::latch start(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&] {
      const ir::Conv conv = conv_of(kFilter);
      start.arrive_and_wait();
      EXPECT_TRUE(engine.compile(conv, edge_filter(conv)).ok());
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(engine.stats().compiles, 1);
  EXPECT_EQ(engine.stats().hits, kThreads - 1);
}

// --- Running ---

TEST(ConstantWeightsTest, RunTakesNoWeights) {
  for (const CompileOptions& how : {CompileOptions{}, testing::generic_engine()})
    for (const char* text : {kFilter, kDense}) {
      const Engine engine = make_engine();
      const ir::Conv conv = conv_of(text);
      const ConstantWeights weights = testing::random_reals(conv, 1);
      const Kernel kernel = compile(engine, conv, weights, how);
      ASSERT_NE(kernel.constant_weights(), nullptr);
      EXPECT_EQ(kernel.constant_weights()->values, weights.values);
      HostTensors tensors = testing::random_tensors(conv, 1, testing::Data::kReals);
      tensors.weights = weights.values;
      std::vector<float> dst(static_cast<size_t>(conv.dst_elements()));
      RunArgs args{.src = tensors.src.data(), .dst = dst.data()};
      ASSERT_TRUE(kernel.run(args).ok());
      EXPECT_TRUE(testing::matches_interpreter(conv, tensors, dst));

      // What is packed says nothing, but may be given: code for both kinds of kernels stays one.
      const Result<PackedWeights> packed = kernel.pack(tensors.weights.data());
      ASSERT_TRUE(packed.ok());
      EXPECT_EQ(packed->tag(), kernel.packed_tag());
      EXPECT_EQ(packed->size_bytes(), 0u);
      const std::vector<float> first = dst;
      args.packed = &*packed;
      ASSERT_TRUE(kernel.run(args).ok());
      EXPECT_TRUE(testing::same_bits(first, dst));

      args.packed = nullptr;
      args.weights = tensors.weights.data();
      EXPECT_EQ(kernel.run(args).message(),
                "weights: must be null, the kernel was made for constant ones");
      const Kernel variable = testing::compile_kernel(engine, conv, how);
      const Result<PackedWeights> foreign = variable.pack(tensors.weights.data());
      args.weights = nullptr;
      args.packed = &*foreign;
      EXPECT_EQ(kernel.run(args).code(), StatusCode::kInvalidArgument);
      args.packed = &*packed;
      EXPECT_EQ(variable.run(args).code(), StatusCode::kInvalidArgument)
          << "nothing is packed for a kernel that needs weights";
      EXPECT_EQ(variable.constant_weights(), nullptr);
    }
}

TEST(ConstantWeightsTest, GenericPathIsRight) {
  const Engine engine = make_engine();
  for (const char* text : {kFilter, kDense}) {
    const ir::Conv conv = conv_of(text);
    const Kernel kernel =
        compile(engine, conv, testing::random_integers(conv, 2), testing::generic_engine());
    EXPECT_EQ(kernel.engine_name(), "generic");
    expect_right(kernel);
  }
}

TEST(ConstantWeightsTest, KernelOutlivesEngineAndValues) {
  for (const char* text : {kFilter, kDense})
    for (const CompileOptions& how : {CompileOptions{}, testing::generic_engine()}) {
      std::optional<Kernel> kernel;
      {
        const Engine engine = make_engine();
        ConstantWeights weights = testing::random_integers(conv_of(text), 3);
        kernel = compile(engine, conv_of(text), weights, how);
        weights.values.assign(weights.values.size(), 1e9f);
        engine.clear_cache();
      }
      expect_right(*kernel);
    }
}

TEST(ConstantWeightsTest, EmptyConvolutionsDoNothing) {
  const ir::Conv conv = conv_of("conv2d src=f32:nhwc:0x9x20x3 weights=f32:hwio:3x3x1x3 groups=3");
  const Kernel kernel = compile(make_engine(), conv, edge_filter(conv));
  EXPECT_TRUE(kernel.run({}).ok());
  EXPECT_EQ(kernel.tasks(), 0);
}

TEST(ConstantWeightsTest, VerifiedOnFirstUse) {
  const Result<Engine> engine = Engine::create({.mcpu = "", .verify = VerifyMode::kFirstUse});
  ASSERT_TRUE(engine.ok());
  const ir::Conv conv =
      conv_of("conv2d src=f32:nhwc:1x9x20x3 weights=f32:hwio:3x3x3x3 pads=1x1 post=bias");
  // All weights 0, and two channels of three without any.
  ConstantWeights weights = testing::box_filter(conv, 0);
  EXPECT_TRUE(engine->compile(conv, weights).ok());
  weights.values[9 * 4 + 3] = 2;
  const Result<Kernel> kernel = engine->compile(conv, weights);
  EXPECT_TRUE(kernel.ok()) << kernel.status().message();
}

// --- Names ---

TEST(ConstantWeightsTest, SignatureShowsAHash) {
  const Engine engine = make_engine();
  const ir::Conv conv = conv_of(kFilter);
  const std::string text = ir::print_conv(conv);
  EXPECT_EQ(testing::compile_kernel(engine, conv).signature(), text);
  ConstantWeights weights = edge_filter(conv);
  const std::string signature = compile(engine, conv, weights).signature();
  ASSERT_EQ(signature.size(), text.size() + 11 + 16) << signature;
  EXPECT_EQ(signature.rfind(text + " constants=", 0), 0u) << signature;
  EXPECT_EQ(signature.find_first_not_of("0123456789abcdef", text.size() + 11), std::string::npos);
  EXPECT_EQ(print_signature(conv, &weights), signature);
  weights.assume_finite = true;
  EXPECT_EQ(compile(engine, conv, weights).signature(), signature + " finite");
  weights.values[0] += 1;
  EXPECT_NE(print_signature(conv, &weights), signature + " finite");
}

TEST(ConstantWeightsTest, VerboseLinesTellKernelsApart) {
  const ScopedVariable variable("CONVGEN_VERBOSE", "1");
  const ir::Conv conv = conv_of(kFilter);
  ::testing::internal::CaptureStderr();
  const Kernel kernel = compile(make_engine(), conv, edge_filter(conv));
  testing::run_kernel(kernel, testing::random_tensors(conv, 1, testing::Data::kReals));
  const std::string log = ::testing::internal::GetCapturedStderr();
  const std::string end = "," + kernel.signature() + "\n";
  EXPECT_EQ(log.rfind("convgen,compile,jit,", 0), 0u) << log;
  const size_t compiled = log.find(end);
  ASSERT_NE(compiled, std::string::npos) << log;
  EXPECT_EQ(log.find("convgen,run,jit,"), compiled + end.size()) << log;
  EXPECT_NE(log.find(end, compiled + 1), std::string::npos) << log;
}

TEST(ConstantWeightsTest, DumpsHaveFilesOfTheirOwn) {
  const ScopedDirectory directory;
  const ScopedVariable variable("CONVGEN_DUMP_DIR", directory.path());
  const Engine engine = make_engine();
  const ir::Conv conv = conv_of(kFilter);
  const auto count_files = [&] {
    size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(directory.path()))
      count += entry.file_size() > 0;
    return count;
  };
  ConstantWeights weights = edge_filter(conv);
  compile(engine, conv, weights);
  EXPECT_EQ(count_files(), 5u);
  weights.values[5] = 3;
  compile(engine, conv, weights);
  EXPECT_EQ(count_files(), 10u);
  weights.assume_finite = true;
  compile(engine, conv, weights);
  EXPECT_EQ(count_files(), 15u);
}

}  // namespace
}  // namespace convgen
