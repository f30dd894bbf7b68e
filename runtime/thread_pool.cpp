// SPDX-License-Identifier: Apache-2.0
// ThreadPool over pthreadpool: one contiguous range of tasks per thread, cut evenly. Static on
// purpose: a kernel's tasks are alike, and neighbouring tasks share what they read.
#include "runtime/thread_pool.h"

#include <pthreadpool.h>

#include <algorithm>

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace convgen {
namespace {

// ThreadSanitizer cannot see how pthreadpool, which it did not compile, hands work over and waits
// for it. These two tell: what came before give(call) is seen after take(call).
#if defined(__SANITIZE_THREAD__)
void give(const void* call) { __tsan_release(const_cast<void*>(call)); }
void take(const void* call) { __tsan_acquire(const_cast<void*>(call)); }
#else
void give(const void*) {}
void take(const void*) {}
#endif

struct PoolDeleter {
  void operator()(pthreadpool* pool) const { pthreadpool_destroy(pool); }
};

// One call of run(): what every range needs to know.
struct Call {
  TaskFunction body;
  void* body_context;
  int64_t tasks;
  int64_t ranges;
};

// Range number `index`; the first tasks % ranges of them are one task longer.
void run_range(void* context, size_t index) {
  take(context);
  const Call& call = *static_cast<const Call*>(context);
  const auto range = static_cast<int64_t>(index);
  const int64_t size = call.tasks / call.ranges;
  const int64_t longer = call.tasks % call.ranges;
  const int64_t begin = range * size + std::min(range, longer);
  call.body(call.body_context, begin, begin + size + (range < longer ? 1 : 0));
  give(context);
}

}  // namespace

struct ThreadPool::State {
  int threads = 1;
  std::unique_ptr<pthreadpool, PoolDeleter> pool;  // null where one thread is all there is

  static void run(void* state, int64_t tasks, TaskFunction body, void* body_context);
};

void ThreadPool::State::run(void* state, int64_t tasks, TaskFunction body, void* body_context) {
  const auto& self = *static_cast<const State*>(state);
  const int64_t ranges = std::min<int64_t>(self.threads, tasks);
  if (ranges <= 0) return;
  if (ranges == 1) return body(body_context, 0, tasks);
  Call call{body, body_context, tasks, ranges};
  give(&call);
  pthreadpool_parallelize_1d(self.pool.get(), run_range, &call, static_cast<size_t>(ranges),
                             /*flags=*/0);
  take(&call);
}

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>()) {
  if (threads <= 1) return;
  state_->pool.reset(pthreadpool_create(static_cast<size_t>(threads)));
  // Where the system starts no more threads the caller's own does all the work.
  if (state_->pool != nullptr) {
    state_->threads = static_cast<int>(pthreadpool_get_threads_count(state_->pool.get()));
  }
}

ThreadPool::~ThreadPool() = default;

int ThreadPool::threads() const { return state_->threads; }

ParallelFor ThreadPool::parallel_for() { return {state_.get(), State::run}; }

}  // namespace convgen
