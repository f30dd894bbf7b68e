// SPDX-License-Identifier: Apache-2.0
// ThreadPool: every task exactly once, whatever the number of threads and tasks.
#include "runtime/thread_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace convgen {
namespace {

// Counts how often each task was run.
struct Tally {
  explicit Tally(int64_t tasks) : runs(static_cast<size_t>(tasks)) {}

  static void count(void* context, int64_t begin, int64_t end) {
    auto& self = *static_cast<Tally*>(context);
    ++self.calls;
    for (int64_t task = begin; task < end; ++task) ++self.runs[static_cast<size_t>(task)];
  }

  std::vector<std::atomic<int>> runs;
  std::atomic<int> calls = 0;
};

TEST(ThreadPoolTest, RunsEveryTaskOnce) {
  for (int threads = 1; threads <= 4; ++threads) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    const ParallelFor parallel_for = pool.parallel_for();
    for (const int64_t tasks : {0, 1, 2, 3, 4, 5, 7, 100, 1001}) {
      Tally tally(tasks);
      parallel_for.run(parallel_for.pool, tasks, Tally::count, &tally);
      for (const std::atomic<int>& runs : tally.runs) EXPECT_EQ(runs, 1);
      EXPECT_EQ(tally.calls, std::min<int64_t>(threads, tasks)) << "ranges of " << tasks;
    }
  }
}

TEST(ThreadPoolTest, OneThreadRunsInline) {
  ThreadPool pool(1);
  const ParallelFor parallel_for = pool.parallel_for();
  std::thread::id seen;
  parallel_for.run(
      parallel_for.pool, 8,
      [](void* context, int64_t, int64_t) {
        *static_cast<std::thread::id*>(context) = std::this_thread::get_id();
      },
      &seen);
  EXPECT_EQ(seen, std::this_thread::get_id());
}

TEST(ThreadPoolTest, FewerThanOneThreadIsOne) { EXPECT_EQ(ThreadPool(0).threads(), 1); }

TEST(ThreadPoolTest, PoolsDoNotDisturbEachOther) {
  std::vector<std::thread> users;
  for (int user = 0; user < 4; ++user) {
    users.emplace_back([] {
      ThreadPool pool(2);
      const ParallelFor parallel_for = pool.parallel_for();
      for (int repeat = 0; repeat < 100; ++repeat) {
        Tally tally(17);
        parallel_for.run(parallel_for.pool, 17, Tally::count, &tally);
        for (const std::atomic<int>& runs : tally.runs) ASSERT_EQ(runs, 1);
      }
    });
  }
  for (std::thread& user : users) user.join();
}

}  // namespace
}  // namespace convgen
