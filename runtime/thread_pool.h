// SPDX-License-Identifier: Apache-2.0
// The default thread pool: pthreadpool behind the ParallelFor interface.
#pragma once

#include <memory>

#include "runtime/kernel.h"

namespace convgen {

// A pool of `threads` threads, the calling one among them; threads = 1 starts none.
// run() may be called from one thread at a time per pool.
class ThreadPool {
 public:
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const;
  // Valid as long as the pool. Null `run` where threads = 1 is never needed: it runs inline.
  ParallelFor parallel_for();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace convgen
