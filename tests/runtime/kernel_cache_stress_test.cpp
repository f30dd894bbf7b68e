// SPDX-License-Identifier: Apache-2.0
// An engine that holds a third of the kernels its threads use: each use gets one, runs it, compares
// every bit and lets go, while others evict it or make it again. A soak does a million of them;
// the preset tsan watches.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "runtime/engine_state.h"
#include "tests/support/kernels.h"
#include "tests/support/memory_maps.h"
#include "tests/support/soak.h"

namespace convgen {
namespace {

using testing::Random;

constexpr int kThreads = 16;
constexpr int kConvs = 24;
constexpr int kRoom = 8;  // for so many kernels of average size
constexpr int kHot = 6;   // less than there is room for: most uses are hits
constexpr int kUsesPerMove = 256;

// A convolution and the one right answer: on small integers all ways to compute it agree.
struct Case {
  ir::Conv conv;
  testing::HostTensors tensors;
  std::vector<float> expected;
};

std::vector<Case> make_cases() {
  std::vector<Case> cases;
  for (int i = 0; i < kConvs; ++i) {
    const ir::Conv conv = testing::conv_of("conv1d src=f32:nwc:1x" + std::to_string(9 + i) +
                                           "x3 weights=f32:wio:2x3x4");
    const auto tensors =
        testing::random_tensors(conv, static_cast<uint64_t>(i), testing::Data::kIntegers);
    const std::vector<double> reference = ir::interpret(conv, tensors.inputs()).y;
    cases.push_back({conv, tensors, {reference.begin(), reference.end()}});
  }
  return cases;
}

// The bytes of kRoom kernels.
size_t measure_room(const std::vector<Case>& cases) {
  const Engine engine = testing::make_engine();
  for (const Case& each : cases) testing::compile_kernel(engine, each.conv);
  return static_cast<size_t>(engine.stats().bytes) * kRoom / kConvs;
}

// Of use number `use`: mostly one of a few that change slowly, so that a kernel falls out of use,
// and comes back, for all threads at once; now and then any.
size_t choose_case(Random& random, int use) {
  if (random.one_in(kUsesPerMove)) return static_cast<size_t>(random.below(kConvs));
  return static_cast<size_t>((use / kUsesPerMove + random.below(kHot)) % kConvs);
}

bool use_kernel(const Engine& engine, const Case& each, const CompileOptions& how) {
  const Result<Kernel> kernel = engine.compile(each.conv, how);
  if (!kernel.ok()) return false;
  std::vector<float> dst(each.expected.size());
  const RunArgs args{
      .src = each.tensors.src.data(), .weights = each.tensors.weights.data(), .dst = dst.data()};
  return kernel->run(args).ok() && testing::same_bits(each.expected, dst);
}

// Returns how many of `uses`, spread over all threads, went wrong.
int use_kernels(const Engine& engine, const std::vector<Case>& cases, CompileMode mode, int uses) {
  // Relaxed: an order between the threads would hide their races from a sanitizer.
  std::atomic<int> next = 0, wrong = 0;
  // An eighth of the uses wait for machine code, so that the background is never far behind.
  const auto wait = [](int use) { return std::chrono::hours(use % 8 == 0 ? 1 : 0); };
  const auto take = [&] { return next.fetch_add(1, std::memory_order_relaxed); };
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      Random random(testing::mix(testing::test_seed(), t));
      for (int use = take(); use < uses; use = take())
        if (!use_kernel(engine, cases[choose_case(random, use)],
                        {.mode = mode, .deadline = wait(use)}))
          wrong.fetch_add(1, std::memory_order_relaxed);
    });
  }
  for (std::thread& thread : threads) thread.join();
  return wrong;
}

void use_more_than_there_is_room_for(CompileMode mode) {
  const int uses = testing::soak_or(1'000'000, 20'000);
  const std::vector<Case> cases = make_cases();
  const size_t room = measure_room(cases);
  const int code_before = testing::count_code_mappings();
  {
    const auto engine = Engine::create({.memory_max_bytes = room});
    ASSERT_TRUE(engine.ok());
    EXPECT_EQ(use_kernels(*engine, cases, mode, uses), 0);

    const KernelCache::Stats stats = engine->state().requests.stats();
    EXPECT_LE(stats.bytes, static_cast<int64_t>(room));
    EXPECT_EQ(stats.hits + stats.misses, uses);
    EXPECT_EQ(stats.misses - stats.evictions, stats.entries);
    EXPECT_GT(stats.evictions, uses / (2 * kUsesPerMove)) << "each move should evict";
    EXPECT_LT(stats.misses, uses / 20) << "most should be hits";
    ::testing::Test::RecordProperty("uses", uses);
    ::testing::Test::RecordProperty("misses", std::to_string(stats.misses));
    ::testing::Test::RecordProperty("evictions", std::to_string(stats.evictions));
    ::testing::Test::RecordProperty("compiles", std::to_string(engine->stats().compiles));

    const Kernel held = testing::compile_kernel(*engine, cases[0].conv);
    EXPECT_GT(testing::count_code_mappings(), code_before) << "the count sees no code";
  }
  EXPECT_EQ(testing::count_code_mappings(), code_before);
}

TEST(KernelCacheStressTest, MachineCode) {
  use_more_than_there_is_room_for(CompileMode::kBlocking);
}

// Kernels turn into machine code, and grow, while they are used or evicted.
TEST(KernelCacheStressTest, GenericFirst) {
  use_more_than_there_is_room_for(CompileMode::kGenericFirst);
}

}  // namespace
}  // namespace convgen
