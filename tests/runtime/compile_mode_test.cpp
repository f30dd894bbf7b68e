// SPDX-License-Identifier: Apache-2.0
// CompileMode, Engine::prepare and lookups by text: kernels that begin on the generic path and turn
// into machine code, right before and after.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <latch>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "runtime/engine.h"
#include "runtime/engine_state.h"
#include "runtime/thread_pool.h"
#include "tests/support/environment.h"
#include "tests/support/kernels.h"

namespace convgen {
namespace {

using std::chrono::hours;
using testing::conv_of;
using testing::Data;
using testing::HostTensors;
using testing::make_engine;
using testing::matches_interpreter;
using testing::random_tensors;
using testing::run_kernel;

const char* const kConv =
    "conv2d src=f32:nhwc:1x6x7x5 weights=f32:hwio:3x3x5x9 pads=1x1 post=bias,relu";
const char* const kTooLargeToRun =
    "conv2d src=f32:nhwc:1x1048576x1048576x256 weights=f32:hwio:1x1x256x1";

CompileOptions generic_first() { return {.mode = CompileMode::kGenericFirst}; }

// Holds the engine's compile thread up until it is let go of.
class HeldQueue {
 public:
  explicit HeldQueue(const Engine& engine) {
    engine.state().queue.add({[this] { go_.wait(); }, [] {}});
  }
  ~HeldQueue() { release(); }
  void release() {
    if (!released_) go_.count_down();
    released_ = true;
  }

 private:
  std::latch go_{1};
  bool released_ = false;
};

void expect_right(const Kernel& kernel, const testing::RunSetup& setup = {}) {
  const HostTensors tensors = random_tensors(kernel.conv(), 3, Data::kReals);
  EXPECT_TRUE(matches_interpreter(kernel.conv(), tensors, run_kernel(kernel, tensors, setup)));
}

TEST(CompileModeTest, GenericFirstTurnsIntoMachineCode) {
  const Engine engine = make_engine();
  HeldQueue held(engine);
  const Result<Kernel> kernel = engine.compile(conv_of(kConv), generic_first());
  ASSERT_TRUE(kernel.ok()) << kernel.status().message();
  EXPECT_TRUE(kernel->is_pending());
  EXPECT_EQ(kernel->engine_name(), "generic");
  EXPECT_FALSE(kernel->wait_for(std::chrono::milliseconds(1)));
  expect_right(*kernel);
  held.release();
  EXPECT_TRUE(kernel->wait_for(hours(1)));
  EXPECT_FALSE(kernel->is_pending());
  EXPECT_TRUE(kernel->compile_status().ok());
  EXPECT_EQ(kernel->engine_name(), "jit");
  EXPECT_NE(kernel->schedule(), "");
  expect_right(*kernel);
  EXPECT_EQ(engine.stats().compiles, 1);
}

// Weights that were packed for the generic path, a caller's scratch for it, several threads.
TEST(CompileModeTest, WhatWasPreparedForTheGenericPathStaysGood) {
  const Engine engine = make_engine();
  HeldQueue held(engine);
  const ir::Conv conv = conv_of(kConv);
  const Kernel kernel = *engine.compile(conv, generic_first());
  const HostTensors tensors = random_tensors(conv, 3, Data::kReals);
  const PackedWeights early = *kernel.pack(tensors.weights.data());
  const PackedWeights generic =
      *engine.compile(conv, testing::generic_engine())->pack(tensors.weights.data());
  std::vector<float> scratch(kernel.scratch_bytes() / sizeof(float) + 16);
  auto* aligned =
      reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(scratch.data()) + 63) / 64 * 64);
  ThreadPool pool(2);
  const ParallelFor parallel_for = pool.parallel_for();
  const auto check = [&](const PackedWeights* packed, void* given, const ParallelFor* threads) {
    std::vector<float> dst(static_cast<size_t>(conv.dst_elements()), -1);
    const RunArgs args{.src = tensors.src.data(),
                       .packed = packed,
                       .bias = tensors.bias.data(),
                       .dst = dst.data(),
                       .scratch = given};
    const Status status = kernel.run(args, threads);
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_TRUE(matches_interpreter(conv, tensors, dst));
  };
  const auto check_all = [&] {
    for (const PackedWeights* packed : {&early, &generic})
      for (void* given : {static_cast<void*>(nullptr), static_cast<void*>(aligned)}) {
        check(packed, given, nullptr);
        check(packed, given, &parallel_for);
      }
  };
  check_all();
  held.release();
  ASSERT_TRUE(kernel.wait_for(hours(1)));
  ASSERT_EQ(kernel.engine_name(), "jit");
  check_all();
  const PackedWeights late = *kernel.pack(tensors.weights.data());
  EXPECT_NE(late.tag(), early.tag());
  check(&late, nullptr, nullptr);
}

TEST(CompileModeTest, ForeignWeightsAreRefusedBeforeAndAfter) {
  const Engine engine = make_engine();
  const Kernel other = *engine.compile(conv_of("conv1d src=f32:nwc:1x9x3 weights=f32:wio:2x3x4"));
  const PackedWeights foreign = *other.pack(std::vector<float>(24).data());
  HeldQueue held(engine);
  const Kernel kernel = *engine.compile(conv_of(kConv), generic_first());
  const HostTensors tensors = random_tensors(kernel.conv(), 3, Data::kReals);
  std::vector<float> dst(static_cast<size_t>(kernel.conv().dst_elements()));
  const RunArgs args{.src = tensors.src.data(),
                     .packed = &foreign,
                     .bias = tensors.bias.data(),
                     .dst = dst.data()};
  EXPECT_EQ(kernel.run(args).code(), StatusCode::kInvalidArgument);
  held.release();
  ASSERT_TRUE(kernel.wait_for(hours(1)));
  EXPECT_EQ(kernel.run(args).code(), StatusCode::kInvalidArgument);
}

TEST(CompileModeTest, RunsWhileItTurns) {
  for (int round = 0; round < 20; ++round) {
    const Engine engine = make_engine();
    const Kernel kernel = *engine.compile(conv_of(kConv), generic_first());
    const HostTensors tensors = random_tensors(kernel.conv(), 3, Data::kReals);
    const PackedWeights packed = *kernel.pack(tensors.weights.data());
    std::atomic<int> wrong = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        std::vector<float> dst(static_cast<size_t>(kernel.conv().dst_elements()));
        const RunArgs args{.src = tensors.src.data(),
                           .packed = &packed,
                           .bias = tensors.bias.data(),
                           .dst = dst.data()};
        bool after = false;
        do {
          after = !kernel.is_pending();
          if (!kernel.run(args).ok() || !matches_interpreter(kernel.conv(), tensors, dst)) ++wrong;
        } while (!after);
      });
    }
    for (std::thread& thread : threads) thread.join();
    ASSERT_EQ(wrong, 0);
  }
}

TEST(CompileModeTest, DeadlineWaits) {
  const Engine engine = make_engine();
  CompileOptions patient = generic_first();
  patient.deadline = hours(1);
  const Kernel kernel = *engine.compile(conv_of(kConv), patient);
  EXPECT_FALSE(kernel.is_pending());
  EXPECT_EQ(kernel.engine_name(), "jit");
}

TEST(CompileModeTest, BlockingWaitsForWhatIsUnderWay) {
  const Engine engine = make_engine();
  std::optional<HeldQueue> held(engine);
  const Kernel first = *engine.compile(conv_of(kConv), generic_first());
  std::thread releaser([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    held->release();
  });
  const Result<Kernel> kernel = engine.compile(conv_of(kConv));
  releaser.join();
  ASSERT_TRUE(kernel.ok());
  EXPECT_EQ(kernel->engine_name(), "jit");
  EXPECT_EQ(first.engine_name(), "jit");
  EXPECT_EQ(engine.stats().compiles, 1);
}

TEST(CompileModeTest, GenericFirstFindsWhatIsCompiled) {
  const Engine engine = make_engine();
  ASSERT_TRUE(engine.compile(conv_of(kConv)).ok());
  HeldQueue held(engine);
  const Kernel kernel = *engine.compile(conv_of(kConv), generic_first());
  EXPECT_FALSE(kernel.is_pending());
  EXPECT_EQ(kernel.engine_name(), "jit");
}

// What cannot be verified fails on first use.
TEST(CompileModeTest, FailedCompileKeepsTheGenericPathAndSaysSo) {
  const Result<Engine> engine = Engine::create({.verify = VerifyMode::kFirstUse});
  ASSERT_TRUE(engine.ok());
  const Result<Kernel> kernel = engine->compile(conv_of(kTooLargeToRun), generic_first());
  ASSERT_TRUE(kernel.ok());
  EXPECT_TRUE(kernel->wait_for(hours(1)));
  EXPECT_FALSE(kernel->is_pending());
  EXPECT_EQ(kernel->engine_name(), "generic");
  EXPECT_EQ(kernel->compile_status().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(engine->compile(conv_of(kTooLargeToRun)).status().code(),
            StatusCode::kResourceExhausted);
}

TEST(CompileModeTest, WrongWordsAreAnErrorAtOnce) {
  const Engine engine = make_engine();
  HeldQueue held(engine);
  CompileOptions options = generic_first();
  options.schedule = "nonsense";
  EXPECT_EQ(engine.compile(conv_of(kConv), options).status().code(), StatusCode::kInvalidArgument);
}

TEST(CompileModeTest, EngineMayGoFirst) {
  std::optional<Kernel> running, waiting;
  std::optional<Engine> engine = make_engine();
  std::latch started(1);
  engine->state().queue.add({[&] {
                               started.count_down();
                               std::this_thread::sleep_for(std::chrono::milliseconds(20));
                             },
                             [] {}});
  running = *engine->compile(conv_of(kConv), generic_first());
  started.wait();
  engine.reset();
  EXPECT_FALSE(running->is_pending());
  EXPECT_EQ(running->engine_name(), "generic");
  EXPECT_EQ(running->compile_status().code(), StatusCode::kResourceExhausted);
  expect_right(*running);
}

TEST(CompileModeTest, NeverCompiles) {
  const Engine engine = make_engine();
  const CompileOptions never{.mode = CompileMode::kNever};
  const Kernel generic = *engine.compile(conv_of(kConv), never);
  EXPECT_EQ(generic.engine_name(), "generic");
  EXPECT_FALSE(generic.is_pending());
  expect_right(generic);
  ASSERT_TRUE(engine.compile(conv_of(kConv)).ok());
  EXPECT_EQ(engine.compile(conv_of(kConv), never)->engine_name(), "jit") << "it was there";
}

TEST(CompileModeTest, ConstantWeightsTurnToo) {
  const Engine engine = make_engine();
  const ir::Conv conv = conv_of("conv2d src=f32:nhwc:1x9x20x3 weights=f32:hwio:3x3x1x3 groups=3");
  HostTensors tensors = random_tensors(conv, 3, Data::kReals);
  const ConstantWeights constants{tensors.weights, false};
  HeldQueue held(engine);
  const Kernel kernel = *engine.compile(conv, constants, generic_first());
  const auto check = [&] {
    std::vector<float> dst(static_cast<size_t>(conv.dst_elements()));
    ASSERT_TRUE(kernel.run({.src = tensors.src.data(), .dst = dst.data()}).ok());
    EXPECT_TRUE(matches_interpreter(conv, tensors, dst, false, kernel.summation()));
  };
  EXPECT_EQ(kernel.engine_name(), "generic");
  check();
  held.release();
  ASSERT_TRUE(kernel.wait_for(hours(1)));
  EXPECT_EQ(kernel.engine_name(), "jit");
  check();
}

// --- The engine's memory ---

TEST(EngineMemoryTest, KernelsAreForgottenAtTheBound) {
  const Engine large = make_engine();
  const auto conv_number = [](int i) {
    return conv_of("conv1d src=f32:nwc:1x" + std::to_string(9 + i) + "x3 weights=f32:wio:2x3x4");
  };
  int64_t bytes = 0;
  for (int i = 0; i < 6; ++i) {
    const Kernel kernel = testing::compile_kernel(large, conv_number(i));
    bytes += static_cast<int64_t>(kernel.memory_bytes());
  }
  EXPECT_EQ(large.stats().kernels, 6);
  EXPECT_GE(large.stats().bytes, bytes);
  EXPECT_EQ(large.stats().evictions, 0);

  const Result<Engine> small =
      Engine::create({.memory_max_bytes = static_cast<size_t>(large.stats().bytes / 2)});
  ASSERT_TRUE(small.ok());
  for (int round = 0; round < 2; ++round)
    for (int i = 0; i < 6; ++i) expect_right(testing::compile_kernel(*small, conv_number(i)));
  EXPECT_EQ(small->stats().compiles, 12) << "each was forgotten before it came again";
  EXPECT_LE(small->stats().bytes, large.stats().bytes / 2);
  EXPECT_GE(small->stats().evictions, 9);
}

// What was forgotten and is still in use is found again, not compiled again.
TEST(EngineMemoryTest, KernelsInUseAreFoundAgain) {
  const Result<Engine> engine = Engine::create({.memory_max_bytes = 1});
  ASSERT_TRUE(engine.ok());
  const Kernel held = testing::compile_kernel(*engine, conv_of(kConv));
  EXPECT_EQ(engine->stats().kernels, 0);
  const Kernel again = testing::compile_kernel(*engine, conv_of(kConv));
  EXPECT_EQ(engine->stats().compiles, 1);
  EXPECT_EQ(again.state(), held.state());
}

TEST(EngineMemoryTest, TurningIntoMachineCodeCounts) {
  const Engine engine = make_engine();
  HeldQueue held(engine);
  const Kernel kernel = *engine.compile(conv_of(kConv), generic_first());
  const int64_t before = engine.stats().bytes;
  held.release();
  ASSERT_TRUE(kernel.wait_for(hours(1)));
  // The count follows the kernel, a moment later.
  while (engine.stats().bytes == before) std::this_thread::yield();
  EXPECT_GT(engine.stats().bytes, before);
}

// --- Text ---

TEST(CompileTextTest, IsReadOnceAndRecognised) {
  const Engine engine = make_engine();
  const Result<Kernel> kernel = engine.compile(kConv);
  ASSERT_TRUE(kernel.ok());
  EXPECT_EQ(kernel->conv(), conv_of(kConv));
  EXPECT_EQ(engine.compile(kConv)->state(), kernel->state());
  EXPECT_EQ(engine.compile(conv_of(kConv))->state(), kernel->state());
  EXPECT_EQ(engine.stats().compiles, 1);
  EXPECT_EQ(engine.stats().hits, 2);
}

TEST(CompileTextTest, ErrorsAreThoseOfTheText) {
  const Engine engine = make_engine();
  for (int attempt = 0; attempt < 2; ++attempt)
    EXPECT_EQ(engine.compile("conv2d src=f32:nhwc:1x6x7x5").status().code(),
              StatusCode::kInvalidArgument);
  EXPECT_EQ(engine.stats().misses, 0);
}

TEST(CompileTextTest, AnyNumberOfTexts) {
  const Engine engine = make_engine();
  for (int i = 0; i < 10000; ++i) {
    const std::string text = std::string(kConv) + " name=n" + std::to_string(i);
    ASSERT_TRUE(engine.compile(text).ok());
  }
  EXPECT_EQ(engine.stats().compiles, 1);
}

// --- prepare ---

TEST(PrepareTest, KernelsInOrderErrorsAmongThem) {
  const Engine engine = make_engine();
  std::vector<ir::Conv> convs;
  for (int i = 0; i < 9; ++i)
    convs.push_back(
        conv_of("conv1d src=f32:nwc:1x" + std::to_string(9 + i % 7) + "x3 weights=f32:wio:2x3x4"));
  for (const int threads : {0, 1, 3, 64}) {
    std::vector<size_t> steps;
    const auto kernels =
        engine.prepare(convs, {.threads = threads, .progress = [&](size_t done, size_t all) {
                                 EXPECT_EQ(all, convs.size());
                                 steps.push_back(done);
                               }});
    ASSERT_EQ(kernels.size(), convs.size());
    for (size_t i = 0; i < convs.size(); ++i) {
      ASSERT_TRUE(kernels[i].ok());
      EXPECT_EQ(kernels[i]->conv(), convs[i]);
      EXPECT_EQ(kernels[i]->engine_name(), "jit");
    }
    ASSERT_EQ(steps.size(), convs.size());
    for (size_t i = 0; i < steps.size(); ++i) EXPECT_EQ(steps[i], i + 1);
    EXPECT_EQ(engine.stats().compiles, 7) << "two of them twice, and all before";
  }
  const auto refused = engine.prepare(convs, {.compile = {.schedule = "winograd"}});
  for (const Result<Kernel>& kernel : refused)
    EXPECT_EQ(kernel.status().code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(engine.prepare({}).empty());
}

}  // namespace
}  // namespace convgen
