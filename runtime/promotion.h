// SPDX-License-Identifier: Apache-2.0
// Promotion: a kernel that runs the generic path for as long as its machine code is compiled
// elsewhere, and what became of that.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>

#include "ir/status.h"

namespace convgen {

class KernelState;

class Promotion {
 public:
  // The machine code; null before it is there, and for ever where there will be none. Wait-free.
  const KernelState* machine() const { return machine_.load(std::memory_order_acquire); }

  // Exactly one of the two, once.
  void succeed(std::shared_ptr<const KernelState> machine);
  void fail(Status why);

  bool pending() const;
  // Ok with machine code, or before it is decided; else why there is none.
  Status status() const;
  // Until it is decided, at most so long. True where it is.
  bool wait_for(std::chrono::nanoseconds longest) const;

 private:
  std::atomic<const KernelState*> machine_ = nullptr;
  mutable std::mutex mutex_;
  mutable std::condition_variable decided_;
  bool pending_ = true;
  Status status_;
  std::shared_ptr<const KernelState> owner_;  // of machine_
};

}  // namespace convgen
