// SPDX-License-Identifier: Apache-2.0
// KernelCache with makers that only count: once per key however many ask, and failures leave
// nothing behind.
#include "runtime/kernel_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <latch>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "runtime/kernel_state.h"

namespace convgen {
namespace {

constexpr int kThreads = 8;

Kernel fake_kernel(const std::string& name) {
  auto state = std::make_shared<KernelState>();
  state->engine_name = name;
  return Kernel(state);
}

// A maker that counts its calls.
std::function<Result<Kernel>()> counting(std::atomic<int>& calls,
                                         const std::string& name = "fake") {
  return [&calls, name]() -> Result<Kernel> {
    ++calls;
    return fake_kernel(name);
  };
}

// A maker that must not be called: how a hit is proven.
Result<Kernel> must_not_make() {
  ADD_FAILURE() << "made again";
  return fake_kernel("wrong");
}

void wait_for_hits(const KernelCache& cache, int64_t hits) {
  while (cache.hits() < hits) std::this_thread::yield();
}

// Asks for "key" from kThreads - 1 threads and this one, whose maker waits until all others have
// found its slot, and then answers `answer`.
std::vector<Result<Kernel>> ask_together(KernelCache& cache,
                                         const std::function<Result<Kernel>()>& answer) {
  std::vector<Result<Kernel>> found(kThreads, internal_error("never asked"));
  std::latch making(1);
  std::vector<std::thread> waiters;
  for (size_t i = 1; i < kThreads; ++i) {
    waiters.emplace_back([&, i] {
      making.wait();
      found[i] = cache.get_or_make("key", must_not_make);
    });
  }
  const int64_t hits = cache.hits();
  found[0] = cache.get_or_make("key", [&]() -> Result<Kernel> {
    making.count_down();
    wait_for_hits(cache, hits + kThreads - 1);
    return answer();
  });
  for (std::thread& waiter : waiters) waiter.join();
  return found;
}

TEST(KernelCacheTest, MakesOncePerKey) {
  KernelCache cache;
  std::atomic<int> calls = 0;
  EXPECT_EQ(cache.get_or_make("a", counting(calls, "of a"))->engine_name(), "of a");
  EXPECT_EQ(cache.get_or_make("b", counting(calls, "of b"))->engine_name(), "of b");
  EXPECT_EQ(cache.get_or_make("a", must_not_make)->engine_name(), "of a");
  EXPECT_EQ(cache.get_or_make("b", must_not_make)->engine_name(), "of b");
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(cache.misses(), 2);
  EXPECT_EQ(cache.hits(), 2);
}

TEST(KernelCacheTest, ThreadsWaitForTheOneThatMakes) {
  KernelCache cache;
  std::atomic<int> calls = 0;
  for (const Result<Kernel>& kernel : ask_together(cache, counting(calls)))
    EXPECT_TRUE(kernel.ok());
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(cache.misses(), 1);
  EXPECT_EQ(cache.hits(), kThreads - 1);
}

// No order is forced: any thread may be the first.
TEST(KernelCacheTest, AnyThreadMayMake) {
  for (int round = 0; round < 200; ++round) {
    KernelCache cache;
    std::atomic<int> calls = 0;
    std::latch start(kThreads);
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, i] {
        start.arrive_and_wait();
        const std::string key = i % 2 == 0 ? "even" : "odd";
        EXPECT_EQ(cache.get_or_make(key, counting(calls, key))->engine_name(), key);
      });
    }
    for (std::thread& thread : threads) thread.join();
    ASSERT_EQ(calls, 2);
  }
}

TEST(KernelCacheTest, FailureReachesAllWhoWait) {
  KernelCache cache;
  const auto found = ask_together(cache, [] { return compile_failed("no luck"); });
  for (const Result<Kernel>& kernel : found) {
    ASSERT_FALSE(kernel.ok());
    EXPECT_EQ(kernel.status().code(), StatusCode::kCompileFailed);
    EXPECT_EQ(kernel.status().message(), "no luck");
  }
  std::atomic<int> calls = 0;
  EXPECT_TRUE(cache.get_or_make("key", counting(calls)).ok()) << "the failure stayed";
  EXPECT_EQ(calls, 1);
  EXPECT_TRUE(cache.get_or_make("key", must_not_make).ok());
}

TEST(KernelCacheTest, FailureOfOneKeyIsNoneOfAnother) {
  KernelCache cache;
  std::atomic<int> calls = 0;
  EXPECT_TRUE(cache.get_or_make("good", counting(calls)).ok());
  EXPECT_FALSE(cache.get_or_make("bad", [] { return unsupported("bad"); }).ok());
  EXPECT_TRUE(cache.get_or_make("good", must_not_make).ok());
}

TEST(KernelCacheTest, ExceptionsOfAMakerBecomeStatus) {
  KernelCache cache;
  const auto out_of_memory =
      ask_together(cache, []() -> Result<Kernel> { throw std::bad_alloc(); });
  for (const Result<Kernel>& kernel : out_of_memory)
    EXPECT_EQ(kernel.status().code(), StatusCode::kResourceExhausted);
  const auto broken =
      ask_together(cache, []() -> Result<Kernel> { throw std::runtime_error("broken"); });
  for (const Result<Kernel>& kernel : broken) {
    EXPECT_EQ(kernel.status().code(), StatusCode::kInternal);
    EXPECT_NE(kernel.status().message().find("broken"), std::string::npos);
  }
  std::atomic<int> calls = 0;
  EXPECT_TRUE(cache.get_or_make("key", counting(calls)).ok());
  EXPECT_EQ(calls, 1);
}

TEST(KernelCacheTest, ClearDropsWhatIsMade) {
  KernelCache cache;
  auto state = std::make_shared<KernelState>();
  const std::weak_ptr<KernelState> alive = state;
  const auto moved = [&]() -> Result<Kernel> { return Kernel(std::move(state)); };
  EXPECT_TRUE(cache.get_or_make("key", moved).ok());
  EXPECT_FALSE(alive.expired()) << "the cache holds it";
  cache.clear();
  EXPECT_TRUE(alive.expired());
  std::atomic<int> calls = 0;
  EXPECT_TRUE(cache.get_or_make("key", counting(calls)).ok());
  EXPECT_EQ(calls, 1);
}

TEST(KernelCacheTest, HandlesOutliveClear) {
  KernelCache cache;
  std::atomic<int> calls = 0;
  const Kernel kernel = *cache.get_or_make("key", counting(calls, "mine"));
  cache.clear();
  EXPECT_EQ(kernel.engine_name(), "mine");
}

// Whoever waits must get the kernel of the one that makes, cleared or not.
TEST(KernelCacheTest, ClearWhileMaking) {
  KernelCache cache;
  std::atomic<int> calls = 0;
  const auto found = ask_together(cache, [&]() -> Result<Kernel> {
    cache.clear();
    ++calls;
    return fake_kernel("fake");
  });
  for (const Result<Kernel>& kernel : found) EXPECT_TRUE(kernel.ok());
  EXPECT_EQ(calls, 1);
  const auto failed = [&] {
    cache.clear();
    return ask_together(cache, [&] {
      cache.clear();
      return compile_failed("no luck");
    });
  }();
  for (const Result<Kernel>& kernel : failed) EXPECT_FALSE(kernel.ok());
}

TEST(KernelCacheTest, ClearAllTheTime) {
  KernelCache cache;
  std::atomic<int> calls = 0;
  std::atomic<bool> stop = false;
  std::thread clearer([&] {
    while (!stop) cache.clear();
  });
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 2000; ++i) {
        const std::string key = std::to_string(i % 7);
        const Result<Kernel> kernel = cache.get_or_make(key, counting(calls, key));
        ASSERT_TRUE(kernel.ok());
        ASSERT_EQ(kernel->engine_name(), key);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  stop = true;
  clearer.join();
  EXPECT_EQ(cache.misses(), calls);
  EXPECT_EQ(cache.hits() + cache.misses(), 4 * 2000);
}

// --- The bound ---

constexpr size_t kCodeBytes =
    1 << 16;  // all else that is counted, of ten kernels, is less than half

std::function<Result<Kernel>()> large(const std::string& name) {
  return [name]() -> Result<Kernel> {
    auto state = std::make_shared<KernelState>();
    state->engine_name = name;
    state->stats.code_bytes = kCodeBytes;
    return Kernel(state);
  };
}

// Room for so many large kernels.
size_t room_for(size_t kernels) { return kernels * kCodeBytes + kCodeBytes / 2; }

TEST(KernelCacheBoundTest, LeastRecentlyUsedGoesFirst) {
  KernelCache cache(room_for(3));
  for (const char* key : {"a", "b", "c"}) EXPECT_TRUE(cache.get_or_make(key, large(key)).ok());
  EXPECT_TRUE(cache.get_or_make("a", must_not_make).ok());
  EXPECT_TRUE(cache.get_or_make("d", large("d")).ok());
  EXPECT_EQ(cache.stats().evictions, 1);
  EXPECT_EQ(cache.find("b"), nullptr) << "not used since it was made";
  for (const char* key : {"a", "c", "d"}) {
    const auto found = cache.find(key);
    ASSERT_NE(found, nullptr) << key;
    EXPECT_EQ(found->engine_name, key);
  }
  // find() is a use: of c, a, d it is now c that was used last.
  EXPECT_NE(cache.find("c"), nullptr);
  EXPECT_TRUE(cache.get_or_make("e", large("e")).ok());
  EXPECT_EQ(cache.find("a"), nullptr);
  EXPECT_NE(cache.find("c"), nullptr);
}

TEST(KernelCacheBoundTest, BytesStayBelowIt) {
  KernelCache cache(room_for(5));
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(cache.get_or_make(std::to_string(i), large("x")).ok());
    const KernelCache::Stats stats = cache.stats();
    EXPECT_LE(stats.bytes, static_cast<int64_t>(room_for(5)));
    EXPECT_EQ(stats.entries, std::min(i + 1, 5));
    EXPECT_EQ(stats.evictions, std::max(i - 4, 0));
  }
  cache.clear();
  EXPECT_EQ(cache.stats().bytes, 0);
  EXPECT_EQ(cache.stats().entries, 0);
}

TEST(KernelCacheBoundTest, KeysCount) {
  KernelCache cache(room_for(1));
  EXPECT_TRUE(cache.get_or_make(std::string(2 * room_for(1), 'k'), large("x")).ok());
  EXPECT_EQ(cache.stats().entries, 0);
}

TEST(KernelCacheBoundTest, WhoHasAHandleKeepsIt) {
  KernelCache cache(room_for(1));
  const Kernel kernel = *cache.get_or_make("a", large("mine"));
  EXPECT_TRUE(cache.get_or_make("b", large("other")).ok());
  EXPECT_EQ(cache.find("a"), nullptr);
  EXPECT_EQ(kernel.engine_name(), "mine");
}

TEST(KernelCacheBoundTest, WhatIsLargerThanAllGoesToTheCallerAlone) {
  KernelCache cache(kCodeBytes / 2);
  for (int round = 0; round < 2; ++round) {
    const Result<Kernel> kernel = cache.get_or_make("a", large("large"));
    ASSERT_TRUE(kernel.ok());
    EXPECT_EQ(kernel->engine_name(), "large");
    EXPECT_EQ(cache.stats().entries, 0);
    EXPECT_EQ(cache.stats().bytes, 0);
    EXPECT_EQ(cache.stats().misses, round + 1);
  }
}

TEST(KernelCacheBoundTest, RecountSeesAKernelGrow) {
  KernelCache cache(room_for(2));
  auto state = std::make_shared<KernelState>();
  EXPECT_TRUE(cache.get_or_make("old", large("old")).ok());
  EXPECT_TRUE(cache.get_or_make("grows", [&]() -> Result<Kernel> { return Kernel(state); }).ok());
  const int64_t before = cache.stats().bytes;
  state->stats.code_bytes = 2 * kCodeBytes;
  EXPECT_EQ(cache.stats().bytes, before);
  cache.recount("grows");
  EXPECT_EQ(cache.find("old"), nullptr) << "there is no room for both";
  EXPECT_NE(cache.find("grows"), nullptr);
  cache.recount("nobody");
}

TEST(KernelCacheBoundTest, OnlyLivingKeepsNothingAlive) {
  KernelCache cache(KernelCache::kOnlyLiving);
  std::atomic<int> calls = 0;
  {
    const Kernel held = *cache.get_or_make("a", counting(calls, "a"));
    EXPECT_EQ(cache.get_or_make("a", must_not_make)->engine_name(), "a");
    EXPECT_NE(cache.find("a"), nullptr);
  }
  EXPECT_EQ(cache.find("a"), nullptr);
  EXPECT_TRUE(cache.get_or_make("a", counting(calls, "a")).ok());
  EXPECT_EQ(calls, 2);
}

// Kernels that come and go by the thousand leave no entries behind.
TEST(KernelCacheBoundTest, OnlyLivingForgetsTheDead) {
  KernelCache cache(KernelCache::kOnlyLiving);
  std::atomic<int> calls = 0;
  const Kernel held = *cache.get_or_make("held", counting(calls));
  for (int i = 0; i < 10000; ++i)
    EXPECT_TRUE(cache.get_or_make(std::to_string(i), counting(calls)).ok());
  EXPECT_LE(cache.stats().entries, 200);
  EXPECT_TRUE(cache.get_or_make("held", must_not_make).ok());
}

// Acquired, used and let go of by many, in a cache that holds half of them.
TEST(KernelCacheBoundTest, ManyThreadsAtTheBound) {
  constexpr int kRounds = 4000;
  KernelCache cache(room_for(8));
  std::vector<std::thread> threads;
  for (int t = 0; t < 16; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kRounds; ++i) {
        const std::string key = std::to_string((i * 7 + t) % 16);
        const Result<Kernel> kernel = cache.get_or_make(key, large(key));
        ASSERT_TRUE(kernel.ok());
        ASSERT_EQ(kernel->engine_name(), key);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const KernelCache::Stats stats = cache.stats();
  EXPECT_LE(stats.bytes, static_cast<int64_t>(room_for(8)));
  EXPECT_EQ(stats.hits + stats.misses, 16 * kRounds);
  EXPECT_EQ(stats.misses - stats.evictions, stats.entries);
}

}  // namespace
}  // namespace convgen
