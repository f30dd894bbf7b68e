// SPDX-License-Identifier: Apache-2.0
// Tuning from a Conv to an Engine that uses what was found. Kernels are compiled and run, but what
// the stopwatch says is made up: no timing decides.
#include "runtime/tune.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "codegen/candidate_schedules.h"
#include "runtime/jit_kernel_maker.h"
#include "runtime/shared_file.h"
#include "runtime/tuning_file.h"
#include "tests/support/environment.h"
#include "tests/support/kernels.h"
#include "tests/support/memory_maps.h"

namespace convgen {
namespace {

namespace fs = std::filesystem;
using testing::compile_kernel;
using testing::conv_of;
using testing::for_threads;
using testing::ScopedDirectory;
using testing::ScopedVariable;

const char* const kConv = "conv2d src=f32:nhwc:1x6x7x5 weights=f32:hwio:3x3x5x9 pads=1x1";
constexpr int kCandidates = 8;
constexpr int kAround = kCandidates / 2;  // what is better than the default

class TuneTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto candidates =
        codegen::candidate_schedules(conv_of(kConv), JitKernelMaker::of(engine_)->target, 1,
                                     {.best = 4, .sampled = kCandidates - 4});
    ASSERT_EQ(candidates.size(), static_cast<size_t>(kCandidates));
    for (const codegen::Schedule& schedule : candidates)
      schedules_.push_back(codegen::print_schedule(schedule));
  }

  // All take 120 us but the default, 100, and what `us` says otherwise.
  TuneOptions options() {
    TuneOptions options{.seconds = 1e9, .candidates = kCandidates, .file = file_};
    options.stopwatch = [this](const std::string& schedule,
                               const std::function<Status()>& batch) -> Result<double> {
      ++timed_[schedule];
      if (Status status = batch(); !status.ok()) return status;
      if (const auto found = us_.find(schedule); found != us_.end()) return found->second;
      return schedule == schedules_[0] ? 100.0 : 120.0;
    };
    return options;
  }

  TuneResult tuned(const TuneOptions& options, const TuneCallback& progress = {}) {
    const Result<TuneResult> result = tune_conv(engine_, conv_of(kConv), options, progress);
    EXPECT_TRUE(result.ok()) << result.status().message();
    return result.ok() ? *result : TuneResult();
  }

  // What an Engine made now compiles.
  std::string schedule(const CompileOptions& options = {}) const {
    const Engine engine = *Engine::create({.tuning_file = file_});
    return compile_kernel(engine, conv_of(kConv), options).schedule();
  }

  // Compiles of this engine, and since the last call.
  int64_t new_compiles() {
    const int64_t before = compiles_;
    compiles_ = engine_.stats().compiles;
    return compiles_ - before;
  }

  const Engine engine_ = testing::make_engine();
  const ScopedDirectory directory_;
  const std::string file_ = directory_.path() / "cache/tuning";
  std::vector<std::string> schedules_;  // of the candidates
  std::map<std::string, double> us_;
  std::map<std::string, int> timed_;
  int64_t compiles_ = 0;
};

TEST_F(TuneTest, EngineCompilesTheWinner) {
  us_[schedules_[5]] = 80;
  us_[schedules_[2]] = 84;
  const TuneResult result = tuned(options());
  EXPECT_EQ(result.end, TuneEnd::kKept);
  EXPECT_EQ(result.schedule, schedules_[5]);
  EXPECT_EQ(result.default_schedule, schedules_[0]);
  EXPECT_EQ(result.runner_up, schedules_[2]);
  EXPECT_DOUBLE_EQ(result.default_us / result.us, 100.0 / 80);
  EXPECT_DOUBLE_EQ(result.runner_up_us / result.us, 84.0 / 80);
  EXPECT_EQ(result.timed, kCandidates - 1 + kAround);
  EXPECT_TRUE(result.failures.empty());
  EXPECT_EQ(schedule(), schedules_[5]);
  EXPECT_EQ(compile_kernel(engine_, conv_of(kConv)).schedule(), schedules_[0])
      << "an engine made before stays as it was";
  EXPECT_FALSE(fs::exists(file_ + ".journal")) << "nothing is left to resume";
}

TEST_F(TuneTest, LooksAroundWhatIsBetter) {
  us_[schedules_[5]] = 80;
  const auto around =
      codegen::schedule_variations(conv_of(kConv), JitKernelMaker::of(engine_)->target,
                                   *codegen::parse_schedule(schedules_[5], {}));
  std::string found;
  for (const codegen::Schedule& schedule : around)
    if (found.empty() && !std::ranges::count(schedules_, codegen::print_schedule(schedule)))
      found = codegen::print_schedule(schedule);
  us_[found] = 60;
  EXPECT_EQ(tuned(options()).schedule, found);
  EXPECT_EQ(schedule(), found);
}

TEST_F(TuneTest, TheDefaultIsKeptToo) {
  EXPECT_EQ(tuned(options()).schedule, schedules_[0]);
  EXPECT_EQ(schedule(), schedules_[0]);
  new_compiles();
  const TuneResult again = tuned(options());
  EXPECT_EQ(again.end, TuneEnd::kBefore);
  EXPECT_EQ(again.schedule, schedules_[0]);
  EXPECT_EQ(again.default_schedule, schedules_[0]);
  EXPECT_EQ(new_compiles(), 0) << "nothing is measured twice";
}

TEST_F(TuneTest, AgainMeasuresAgain) {
  us_[schedules_[3]] = 80;
  EXPECT_EQ(tuned(options()).schedule, schedules_[3]);
  us_.clear();
  us_[schedules_[4]] = 80;
  TuneOptions again = options();
  again.again = true;
  EXPECT_EQ(tuned(again).schedule, schedules_[4]);
  EXPECT_EQ(schedule(), schedules_[4]);
}

// Where it stopped it goes on: what was seen to be slower is neither compiled nor timed again.
TEST_F(TuneTest, InterruptedRunsAreResumed) {
  us_[schedules_[2]] = 80;
  us_[schedules_[6]] = 70;
  int asked = 0;
  const TuneResult first = tuned(options(), [&](const TuneProgress&) { return ++asked <= 4; });
  EXPECT_EQ(first.end, TuneEnd::kInterrupted);
  EXPECT_EQ(first.timed, 4);
  EXPECT_EQ(new_compiles(), 5) << "the default and four others";
  EXPECT_FALSE(fs::exists(file_)) << "nothing is decided yet";
  EXPECT_TRUE(fs::exists(file_ + ".journal"));

  timed_.clear();
  const TuneResult second = tuned(options());
  EXPECT_EQ(second.end, TuneEnd::kKept);
  EXPECT_EQ(second.known_slower, 3);
  EXPECT_EQ(second.timed, kCandidates - 1 - 3 + kAround);
  EXPECT_EQ(new_compiles(), kCandidates - 3 + kAround);
  for (const size_t slow : {1, 3, 4}) EXPECT_EQ(timed_.count(schedules_[slow]), 0u) << slow;
  EXPECT_EQ(second.schedule, schedules_[6]);
  EXPECT_FALSE(fs::exists(file_ + ".journal"));
}

TEST_F(TuneTest, JournalsOfOtherKeysDoNotCount) {
  int asked = 0;
  tuned(options(), [&](const TuneProgress&) { return ++asked <= 4; });
  TuneOptions two = options();
  two.threads = 2;
  EXPECT_EQ(tuned(two).known_slower, 0);
  EXPECT_TRUE(fs::exists(file_ + ".journal")) << "the other one can still be resumed";
}

TEST_F(TuneTest, ThreadsHaveEntriesOfTheirOwn) {
  us_[schedules_[1]] = 80;
  tuned(options());
  EXPECT_EQ(schedule(), schedules_[1]);
  const auto candidates = codegen::candidate_schedules(
      conv_of(kConv), JitKernelMaker::of(engine_)->target, 2, {.best = 4});
  const std::string other = codegen::print_schedule(candidates[3]);
  us_ = {{other, 50}, {codegen::print_schedule(candidates[0]), 100}};
  TuneOptions two = options();
  two.threads = 2;
  EXPECT_EQ(tuned(two).schedule, other);
  EXPECT_EQ(schedule(for_threads(2)), other);
  EXPECT_EQ(schedule(), schedules_[1]);
}

TEST_F(TuneTest, TargetsHaveEntriesOfTheirOwn) {
  us_[schedules_[1]] = 80;
  tuned(options());
  const Engine lower = *Engine::create({.mcpu = "x86-64-v2", .tuning_file = file_});
  EXPECT_NE(compile_kernel(lower, conv_of(kConv)).schedule(), schedules_[1]);
  const Result<TuneResult> result = tune_conv(lower, conv_of(kConv), options());
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_EQ(result->end, TuneEnd::kKept) << "not what the host measured";
}

// By the real clock: whatever it says, something right is kept.
TEST_F(TuneTest, TheClockDecidesSomething) {
  TuneOptions real{.seconds = 0.05, .threads = 2, .candidates = kCandidates, .file = file_};
  const TuneResult result = tuned(real);
  EXPECT_EQ(result.end, TuneEnd::kKept);
  EXPECT_GT(result.us, 0);
  EXPECT_LE(result.us, result.default_us);
  EXPECT_EQ(schedule(for_threads(2)), result.schedule);
}

TEST_F(TuneTest, EngineIsLeftAlone) {
  const Kernel kernel = compile_kernel(engine_, conv_of(kConv));
  const int64_t misses = engine_.stats().misses;
  tuned(options());
  EXPECT_EQ(engine_.stats().misses, misses);
  compile_kernel(engine_, conv_of(kConv));
  EXPECT_EQ(engine_.stats().misses, misses) << "its kernels are still there";
}

TEST_F(TuneTest, KernelsGiveTheirCodeBack) {
  TuneOptions again = options();
  again.again = true;
  tuned(again);
  const int before = testing::count_mappings("r-xp");
  for (int i = 0; i < 5; ++i) tuned(again);
  EXPECT_EQ(testing::count_mappings("r-xp"), before);
}

TEST_F(TuneTest, NothingToComputeNeedsNoTuning) {
  const Result<TuneResult> result =
      tune_conv(engine_, conv_of("conv1d src=f32:nwc:0x8x3 weights=f32:wio:2x3x4"), options());
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->end, TuneEnd::kEmpty);
  EXPECT_FALSE(fs::exists(file_));
}

// --- Failures ---

TEST_F(TuneTest, SaysWhereThereIsNoFile) {
  TuneOptions none = options();
  none.file = "";  // and CONVGEN_CACHE_DIR is empty in tests
  const Result<TuneResult> refused = tune_conv(engine_, conv_of(kConv), none);
  EXPECT_EQ(refused.status().code(), StatusCode::kInvalidArgument);
  const ScopedVariable cache("CONVGEN_CACHE_DIR", directory_.path());
  EXPECT_TRUE(tune_conv(engine_, conv_of(kConv), none).ok());
  EXPECT_TRUE(fs::exists(directory_.path() / "tuning"));
}

TEST_F(TuneTest, DamagedFilesEndItBeforeAnythingIsMeasured) {
  ASSERT_TRUE(make_directories_for(file_).ok());
  ASSERT_TRUE(replace_file(file_, "nonsense\n").ok());
  EXPECT_EQ(tune_conv(engine_, conv_of(kConv), options()).status().code(),
            StatusCode::kInvalidArgument);
  fs::remove(file_);
  ASSERT_TRUE(replace_file(file_ + ".journal", "nonsense\n").ok());
  EXPECT_EQ(tune_conv(engine_, conv_of(kConv), options()).status().code(),
            StatusCode::kInvalidArgument);
  fs::remove_all(directory_.path() / "cache");
  ASSERT_TRUE(replace_file(directory_.path() / "cache", "").ok());
  EXPECT_EQ(tune_conv(engine_, conv_of(kConv), options()).status().code(), StatusCode::kIoError);
  EXPECT_EQ(new_compiles(), 0);
}

TEST_F(TuneTest, RefusesBadThreads) {
  TuneOptions bad = options();
  bad.threads = 0;
  EXPECT_EQ(tune_conv(engine_, conv_of(kConv), bad).status().code(), StatusCode::kInvalidArgument);
}

TEST_F(TuneTest, TensorsBeyondMemoryAreAnError) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the sanitizer ends a process that asks for so much";
#endif
  const Result<TuneResult> result = tune_conv(
      engine_, conv_of("conv2d src=f32:nhwc:1x1048576x1048576x256 weights=f32:hwio:1x1x256x1"),
      options());
  EXPECT_EQ(result.status().code(), StatusCode::kResourceExhausted);
}

// In a child: 0 refused as it should be, kNoWay where the system cannot refuse.
constexpr int kNoWay = 77;
int tune_without_executable_memory(const std::string& file) {
  if (!testing::refuse_executable_memory()) return kNoWay;
  const Engine engine = testing::make_engine();
  const auto refused = tune_conv(engine, conv_of(kConv), {.file = file});
  return refused.status().code() == StatusCode::kUnsupported ? 0 : 1;
}

TEST_F(TuneTest, RefusesToCompareGenericKernels) {
  fflush(nullptr);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) _exit(tune_without_executable_memory(file_));
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  if (WEXITSTATUS(status) == kNoWay)
    GTEST_SKIP() << "this system has neither MDWE nor seccomp filters";
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_FALSE(fs::exists(file_));
}

TEST_F(TuneTest, StopwatchFailuresAreErrors) {
  TuneOptions broken = options();
  broken.stopwatch = [](const std::string&, const std::function<Status()>&) -> Result<double> {
    return internal_error("no clock");
  };
  EXPECT_EQ(tune_conv(engine_, conv_of(kConv), broken).status().message(), "no clock");
}

// --- strict ---

// One order of summation, whatever tuning chooses.
TEST(TuneStrictTest, CandidatesGiveTheSameBits) {
  const Engine engine = testing::make_engine();
  for (const char* text :
       {"conv2d src=f32:nhwc:1x9x21x6 weights=f32:hwio:3x3x6x10 pads=1x1 accuracy=strict",
        "conv2d src=f32:nchw:1x3x9x40 weights=f32:oihw:8x3x3x3 pads=1x1 accuracy=strict",
        "conv2d src=f32:nhwc:1x9x21x16 weights=f32:hwio:3x3x4x16 groups=4 pads=1x1 accuracy=strict",
        "conv2d src=f32:nhwc:1x9x21x16 weights=f32:hwio:3x3x1x16 groups=16 accuracy=strict"}) {
    const ir::Conv conv = conv_of(text);
    const auto tensors = testing::random_tensors(conv, 1, testing::Data::kReals);
    const auto candidates = codegen::candidate_schedules(conv, JitKernelMaker::of(engine)->target,
                                                         1, {.best = 12, .sampled = 12});
    std::vector<float> first;
    for (const codegen::Schedule& schedule : candidates) {
      SCOPED_TRACE(std::string(text) + ": " + codegen::print_schedule(schedule));
      const Kernel kernel =
          compile_kernel(engine, conv, testing::with_schedule(codegen::print_schedule(schedule)));
      const std::vector<float> dst = testing::run_kernel(kernel, tensors);
      if (first.empty()) first = dst;
      EXPECT_TRUE(testing::same_bits(first, dst));
    }
  }
}

}  // namespace
}  // namespace convgen
