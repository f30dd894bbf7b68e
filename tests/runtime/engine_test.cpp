// SPDX-License-Identifier: Apache-2.0
// Engine: one compile per signature, nothing left of a failed one, targets by name, and what
// happens where executable memory is refused.
#include "runtime/engine.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "ir/text.h"
#include "runtime/engine_state.h"
#include "runtime/verify.h"
#include "tests/support/child.h"
#include "tests/support/environment.h"
#include "tests/support/filters.h"
#include "tests/support/kernels.h"
#include "tests/support/memory_maps.h"
#include "tests/support/soak.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace convgen {
namespace {

using testing::compile_kernel;
using testing::conv_of;
using testing::make_engine;
using testing::ScopedVariable;

constexpr int kThreads = 8;
const char* const kConv = "conv2d src=f32:nhwc:1x6x7x5 weights=f32:hwio:3x3x5x9 pads=1x1";

// Far too much to unroll, and too much memory to verify: 2^50 bytes of src.
const char* const kLarge = "conv2d src=f32:nhwc:1x56x56x64 weights=f32:hwio:3x3x64x64 pads=1x1";
const char* const kTooLargeToRun =
    "conv2d src=f32:nhwc:1x1048576x1048576x256 weights=f32:hwio:1x1x256x1";

// A different convolution for each index.
ir::Conv conv_number(int index) {
  return conv_of("conv1d src=f32:nwc:1x" + std::to_string(9 + index) + "x3 weights=f32:wio:2x3x4");
}

void expect_right(const Kernel& kernel) {
  const Result<VerifyReport> report = verify_kernel(kernel);
  ASSERT_TRUE(report.ok()) << report.status().message();
  EXPECT_TRUE(report->pass) << report->failure;
}

// --- Cache ---

TEST(EngineTest, CompilesASignatureOnce) {
  const Engine engine = make_engine();
  compile_kernel(engine, conv_of(kConv));
  EXPECT_EQ(engine.stats().compiles, 1);
  EXPECT_EQ(engine.stats().misses, 1);
  EXPECT_GT(engine.stats().compile_seconds, 0);
  // Two spellings and another name are still the same convolution.
  for (const char* text :
       {kConv, "conv2d weights=f32:hwio:3x3x5x9 src=f32:nhwc:1x6x7x5 pads=same groups=1",
        "conv2d name=x src=f32:nhwc:1x6x7x5 weights=f32:hwio:3x3x5x9 pads=1x1"})
    compile_kernel(engine, conv_of(text));
  EXPECT_EQ(engine.stats().compiles, 1);
  EXPECT_EQ(engine.stats().hits, 3);
}

TEST(EngineTest, TellsSignaturesApart) {
  const Engine engine = make_engine();
  const char* const texts[] = {
      kConv, "conv2d src=f32:nhwc:1x6x7x5 weights=f32:hwio:3x3x5x9 pads=1x1 post=relu",
      "conv2d src=f32:nhwc:1x6x7x5 weights=f32:hwio:3x3x5x9 pads=1x1 accuracy=strict",
      "conv2d src=f32:nhwc:1x6x7x5 weights=f32:hwio:3x3x5x9 pads=1x1 pad_value=1",
      "conv2d src=f32:nhwc:1x6x7x5 weights=f32:oihw:9x5x3x3 pads=1x1"};
  for (const char* text : texts) expect_right(compile_kernel(engine, conv_of(text)));
  EXPECT_EQ(engine.stats().compiles, 5);
  compile_kernel(engine, conv_of(kConv), testing::generic_engine());
  EXPECT_EQ(engine.stats().compiles, 6) << "the generic path is another kernel";
  compile_kernel(engine, conv_of(kConv), testing::with_schedule("tile=1x1 unroll=tile"));
  EXPECT_EQ(engine.stats().compiles, 7) << "so is another schedule";
  EXPECT_EQ(engine.stats().hits, 0);
}

TEST(EngineTest, ClearedCacheCompilesAgain) {
  const Engine engine = make_engine();
  const Kernel kernel = compile_kernel(engine, conv_of(kConv));
  engine.clear_cache();
  expect_right(kernel);
  compile_kernel(engine, conv_of(kConv));
  EXPECT_EQ(engine.stats().compiles, 2);
}

TEST(EngineTest, KernelOutlivesEngineAndCache) {
  std::optional<Kernel> kernel;
  {
    const Engine engine = make_engine();
    kernel = compile_kernel(engine, conv_of(kConv));
    engine.clear_cache();
  }
  expect_right(*kernel);
}

TEST(EngineTest, EnginesShareNothing) {
  const Engine first = make_engine(), second = make_engine();
  const Kernel a = compile_kernel(first, conv_of(kConv));
  EXPECT_EQ(second.stats().misses, 0);
  const Kernel b = compile_kernel(second, conv_of(kConv));
  EXPECT_EQ(first.stats().compiles, 1);
  EXPECT_EQ(second.stats().compiles, 1);
  first.clear_cache();
  expect_right(a);
  expect_right(b);
}

TEST(EngineTest, OneCompileForManyThreads) {
  constexpr int kMany = 64;
  for (int round = 0; round < testing::soak_or(200, 20); ++round) {
    const Engine engine = make_engine();
    std::latch start(kMany);
    std::atomic<int> failed = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < kMany; ++t) {
      threads.emplace_back([&] {
        start.arrive_and_wait();
        const Result<Kernel> kernel = engine.compile(conv_number(0));
        const auto tensors = testing::random_tensors(conv_number(0), 1, testing::Data::kReals);
        if (!kernel.ok() || !testing::matches_interpreter(conv_number(0), tensors,
                                                          testing::run_kernel(*kernel, tensors)))
          ++failed;
      });
    }
    for (std::thread& thread : threads) thread.join();
    ASSERT_EQ(failed, 0);
    ASSERT_EQ(engine.stats().compiles, 1);
    ASSERT_EQ(engine.stats().misses, 1);
    ASSERT_EQ(engine.stats().hits, kMany - 1);
  }
}

TEST(EngineTest, ManySignaturesAtOnce) {
  for (int round = 0; round < 5; ++round) {
    const Engine engine = make_engine();
    std::latch start(kThreads);
    std::vector<std::optional<Kernel>> kernels(kThreads);
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        start.arrive_and_wait();
        const Result<Kernel> kernel = engine.compile(conv_number(t));
        if (kernel.ok()) kernels[static_cast<size_t>(t)] = *kernel;
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(engine.stats().compiles, kThreads);
    for (int t = 0; t < kThreads; ++t) {
      const auto& kernel = kernels[static_cast<size_t>(t)];
      ASSERT_TRUE(kernel.has_value());
      EXPECT_EQ(kernel->conv(), conv_number(t));
      expect_right(*kernel);
    }
  }
}

// --- Failures ---

TEST(EngineTest, RefusedScheduleLeavesNothingBehind) {
  const Engine engine = make_engine();
  for (int attempt = 0; attempt < 2; ++attempt) {
    const auto refused =
        engine.compile(conv_of(kLarge), testing::with_schedule("direct unroll=full"));
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.status().code(), StatusCode::kResourceExhausted);
    EXPECT_NE(refused.status().message().find("unroll=full"), std::string::npos);
  }
  EXPECT_EQ(engine.compile(conv_of(kConv), testing::with_schedule("tile=0x1")).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(engine.compile(conv_of(kConv), testing::with_schedule("nonsense")).status().code(),
            StatusCode::kInvalidArgument);
  expect_right(compile_kernel(engine, conv_of(kConv)));
  EXPECT_TRUE(engine.compile(conv_of(kLarge)).ok());
}

// A convolution whose tensors no machine holds compiles, but cannot be verified: so it shows that
// first_use verifies, and that its failures are not kept.
TEST(EngineTest, VerifiesOnFirstUse) {
  const Result<Engine> engine = Engine::create({.mcpu = "", .verify = VerifyMode::kFirstUse});
  ASSERT_TRUE(engine.ok());
  EXPECT_TRUE(engine->compile(conv_of(kConv)).ok());
  EXPECT_EQ(engine->stats().compiles, 1);
  for (int attempt = 0; attempt < 2; ++attempt) {
    const Result<Kernel> kernel = engine->compile(conv_of(kTooLargeToRun));
    ASSERT_FALSE(kernel.ok());
    EXPECT_EQ(kernel.status().code(), StatusCode::kResourceExhausted);
  }
  EXPECT_EQ(engine->stats().compiles, 3) << "the failure was cached";
  engine->state().verify = VerifyMode::kNever;
  EXPECT_TRUE(engine->compile(conv_of(kTooLargeToRun)).ok()) << "the failure stayed";
  EXPECT_TRUE(make_engine().compile(conv_of(kTooLargeToRun)).ok());
}

// --- Targets ---

TEST(EngineTest, UnknownCpuIsAnErrorThatListsTheKnown) {
  const Result<Engine> engine = Engine::create({.mcpu = "no-such-cpu"});
  ASSERT_FALSE(engine.ok());
  EXPECT_EQ(engine.status().code(), StatusCode::kInvalidArgument);
  EXPECT_NE(engine.status().message().find("no-such-cpu"), std::string::npos);
  EXPECT_NE(engine.status().message().find("haswell"), std::string::npos);
}

TEST(EngineTest, ReadsTheCpuFromTheEnvironment) {
  const std::string by_name = make_engine("x86-64-v2").target_description();
  const std::string host = make_engine().target_description();
  EXPECT_NE(by_name, host);
  {
    const ScopedVariable variable("CONVGEN_MCPU", "x86-64-v2");
    EXPECT_EQ(make_engine().target_description(), by_name);
    // What code says outranks the variable.
    EXPECT_NE(make_engine("x86-64").target_description(), by_name);
  }
  const ScopedVariable variable("CONVGEN_MCPU", "no-such-cpu");
  const Result<Engine> engine = Engine::create();
  ASSERT_FALSE(engine.ok());
  EXPECT_EQ(engine.status().code(), StatusCode::kInvalidArgument);
}

TEST(EngineTest, VerboseTellsCompilesAndRuns) {
  const ScopedVariable variable("CONVGEN_VERBOSE", "1");
  ::testing::internal::CaptureStderr();
  const Kernel kernel = compile_kernel(make_engine(), conv_of(kConv));
  testing::run_kernel(kernel, testing::random_tensors(kernel.conv(), 1, testing::Data::kReals));
  const std::string log = ::testing::internal::GetCapturedStderr();
  const std::string text = ir::print_conv(conv_of(kConv));
  EXPECT_EQ(log.rfind("convgen,compile,jit,", 0), 0u) << log;
  const size_t run = log.find("\nconvgen,run,jit,");
  ASSERT_NE(run, std::string::npos) << log;
  EXPECT_LT(log.find("," + text), run) << log;
  EXPECT_NE(log.find("," + text, run), std::string::npos) << log;
}

#if defined(__x86_64__)
constexpr unsigned kModes = ~0x3fu;              // of MXCSR: all but the sticky flags
constexpr unsigned kOddModes = 0x8040 | 0x5f80;  // flush to zero, denormals are zero, round up

// Whatever a caller can do, from an engine's beginning to its end.
void do_everything() {
  for (const CompileOptions& options : {CompileOptions(), testing::generic_engine()}) {
    const Kernel kernel = compile_kernel(make_engine(), conv_of(kConv), options);
    const auto tensors = testing::random_tensors(kernel.conv(), 1, testing::Data::kReals);
    testing::run_kernel(kernel, tensors);
    testing::run_kernel(kernel, tensors, {.plain_weights = true});
    (void)verify_kernel(kernel);
  }
}

// F26: nobody's rounding, flush-to-zero or exception masks change, whatever they are.
TEST(EngineTest, LeavesFloatingPointModesAlone) {
  const unsigned before = _mm_getcsr();
  do_everything();
  EXPECT_EQ(_mm_getcsr() & kModes, before & kModes);
  _mm_setcsr(kOddModes);
  do_everything();
  const unsigned after = _mm_getcsr();
  _mm_setcsr(before);
  EXPECT_EQ(after & kModes, kOddModes & kModes);
}
#endif

// --- Memory ---

TEST(EngineTest, KernelsGiveTheirCodeBack) {
  const Engine engine = make_engine();
  const auto compile_and_drop = [&](int index) {
    compile_kernel(engine, conv_number(index));
    engine.clear_cache();
  };
  for (int i = 0; i < 5; ++i) compile_and_drop(i);
  const int before = testing::count_code_mappings();
  for (int i = 0; i < 300; ++i) {
    compile_and_drop(i);
    if (i % 50 == 0) {
      EXPECT_EQ(testing::count_writable_code(), 0);
    }
  }
  EXPECT_EQ(testing::count_code_mappings(), before);
  const Kernel kernel = compile_kernel(engine, conv_number(0));
  EXPECT_GT(testing::count_code_mappings(), before) << "the count sees no code";
}

TEST(EngineTest, EnginesGiveTheirCodeBack) {
  const auto create_and_drop = [] { compile_kernel(make_engine(), conv_number(0)); };
  for (int i = 0; i < 5; ++i) create_and_drop();
  const int code_before = testing::count_code_mappings();
  const int before = testing::count_mappings();
  for (int i = 0; i < testing::soak_or(1'000, 300); ++i) create_and_drop();
  EXPECT_EQ(testing::count_code_mappings(), code_before);
  EXPECT_LE(testing::count_mappings(), before + 2);
}

// All kernels run on `engine_name` and are right: 0, else what went wrong.
int run_everything_on(const std::string& engine_name, const Engine& engine = make_engine()) {
  std::vector<Result<Kernel>> kernels;
  for (int i = 0; i < 3; ++i) kernels.push_back(engine.compile(conv_number(i)));
  // Weights that are known must find their way to the fallback too.
  const ir::Conv filter = conv_of("conv2d src=f32:nhwc:1x9x9x3 weights=f32:hwio:3x3x1x3 groups=3");
  kernels.push_back(engine.compile(filter, testing::sharpen_filter(filter)));
  for (const Result<Kernel>& kernel : kernels) {
    if (!kernel.ok()) return 1;
    if (kernel->engine_name() != engine_name) return 2;
    if (kernel->compile_status().ok() != (engine_name == "jit")) return 3;
    const Result<VerifyReport> report = verify_kernel(*kernel);
    if (!report.ok() || !report->pass) return 4;
  }
  return engine.stats().compiles == 4 ? 0 : 5;
}
const char* const kWhatWentWrong = "1 no kernel, 2 another engine, 3 status, 4 wrong, 5 compiles";

TEST(EngineTest, RunsMachineCodeWhereMemoryCannotBecomeExecutable) {
  const int result = testing::run_in_child([] {
    return testing::refuse_gain_of_execution() ? run_everything_on("jit") : testing::kNoWay;
  });
  if (result == testing::kNoWay) GTEST_SKIP() << "this system has no PR_SET_MDWE";
  EXPECT_EQ(result, 0) << kWhatWentWrong;
}

// A slab made before cannot take another kernel.
TEST(EngineTest, RunsMachineCodeWhereThatIsForbiddenLate) {
  const int result = testing::run_in_child([] {
    const Engine engine = make_engine();
    const Kernel before = compile_kernel(engine, conv_of(kConv));
    engine.state().compiles = 0;
    if (!testing::refuse_gain_of_execution()) return testing::kNoWay;
    const Result<VerifyReport> report = verify_kernel(before);
    return report.ok() && report->pass ? run_everything_on("jit", engine) : 6;
  });
  if (result == testing::kNoWay) GTEST_SKIP() << "this system has no PR_SET_MDWE";
  EXPECT_EQ(result, 0) << kWhatWentWrong << ", 6 the kernel of before";
}

TEST(EngineTest, FallsBackWhereExecutableMemoryIsRefused) {
  const int result = testing::run_in_child([] {
    return testing::refuse_executable_memory() ? run_everything_on("generic") : testing::kNoWay;
  });
  if (result == testing::kNoWay) GTEST_SKIP() << "this system has no seccomp filters";
  EXPECT_EQ(result, 0) << kWhatWentWrong;
}

}  // namespace
}  // namespace convgen
