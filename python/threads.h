// SPDX-License-Identifier: Apache-2.0
// The threads that calls run on. A ThreadPool serves one run at a time, and several Python threads
// may call at once: each call takes an idle pool, or makes one, and gives it back.
#pragma once

#include <nanobind/nanobind.h>

#include <memory>

#include "runtime/thread_pool.h"

namespace convgen::python {

namespace nb = nanobind;

// The CPUs this process may use.
int available_threads();

// Throws where threads is no number from 1 to 1024.
int read_threads(nb::handle threads);

// A pool for the duration of a call; made and destroyed with the GIL held.
class PoolLease {
 public:
  explicit PoolLease(int threads);
  ~PoolLease();
  PoolLease(const PoolLease&) = delete;
  PoolLease& operator=(const PoolLease&) = delete;

  // Null for one thread.
  const ParallelFor* parallel_for() const { return pool_ == nullptr ? nullptr : &parallel_for_; }

 private:
  int threads_;
  std::unique_ptr<ThreadPool> pool_;
  ParallelFor parallel_for_;
};

}  // namespace convgen::python
