// SPDX-License-Identifier: Apache-2.0
// The default thread pool: pthreadpool behind the ParallelFor interface.
#pragma once

#include <memory>

#include "ir/export.h"
#include "runtime/kernel.h"

namespace convgen {

// A pool of `threads` threads, the calling one among them; threads = 1 starts none. Each gets one
// contiguous range of the tasks. A pool serves one run at a time: not from several threads at
// once, and never from within one of its own tasks. Different pools do not disturb each other.
class CONVGEN_API ThreadPool {
 public:
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // The threads there are: fewer than asked for where the system starts no more.
  int threads() const;
  // Valid as long as the pool. With one thread it runs inline.
  ParallelFor parallel_for();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace convgen
