// SPDX-License-Identifier: Apache-2.0
#include "python/threads.h"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <thread>
#include <utility>
#include <vector>

#include "python/arguments.h"
#include "python/errors.h"

namespace convgen::python {
namespace {

constexpr int kMaxThreads = 1024;

// Idle pools by their number of threads; the GIL guards them. They are never destroyed: at exit
// their threads go with the process.
struct IdlePools {
  std::map<int, std::vector<std::unique_ptr<ThreadPool>>> by_threads;
  pid_t owner = getpid();

  // A child of fork() has the pools but none of their threads, so it forgets them.
  void forget_after_fork() {
    if (owner == getpid()) return;
    for (auto& [threads, pools] : by_threads) {
      for (auto& pool : pools) static_cast<void>(pool.release());
    }
    by_threads.clear();
    owner = getpid();
  }
};

IdlePools& idle_pools() {
  static auto* pools = new IdlePools;
  pools->forget_after_fork();
  return *pools;
}

std::unique_ptr<ThreadPool> take_pool(int threads) {
  auto& idle = idle_pools().by_threads[threads];
  if (idle.empty()) return std::make_unique<ThreadPool>(threads);
  auto pool = std::move(idle.back());
  idle.pop_back();
  return pool;
}

}  // namespace

int available_threads() {
  cpu_set_t cpus;
  if (sched_getaffinity(0, sizeof cpus, &cpus) != 0)
    return static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  return std::clamp(CPU_COUNT(&cpus), 1, kMaxThreads);
}

int read_threads(nb::handle threads) {
  const int64_t count = read_int(threads, "threads");
  if (count < 1 || count > kMaxThreads)
    raise(invalid_argument(fmt::format("threads: {} found, expected 1 to {}", count, kMaxThreads)));
  return static_cast<int>(count);
}

PoolLease::PoolLease(int threads) : threads_(threads) {
  if (threads <= 1) return;
  pool_ = take_pool(threads);
  parallel_for_ = pool_->parallel_for();
}

PoolLease::~PoolLease() {
  if (pool_ != nullptr) idle_pools().by_threads[threads_].push_back(std::move(pool_));
}

}  // namespace convgen::python
