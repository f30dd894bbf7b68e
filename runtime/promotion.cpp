// SPDX-License-Identifier: Apache-2.0
#include "runtime/promotion.h"

#include <algorithm>
#include <utility>

namespace convgen {

void Promotion::succeed(std::shared_ptr<const KernelState> machine) {
  std::lock_guard lock(mutex_);
  owner_ = std::move(machine);
  machine_.store(owner_.get(), std::memory_order_release);
  pending_ = false;
  decided_.notify_all();
}

void Promotion::fail(Status why) {
  std::lock_guard lock(mutex_);
  status_ = std::move(why);
  pending_ = false;
  decided_.notify_all();
}

bool Promotion::pending() const {
  std::lock_guard lock(mutex_);
  return pending_;
}

Status Promotion::status() const {
  std::lock_guard lock(mutex_);
  return status_;
}

bool Promotion::wait_for(std::chrono::nanoseconds longest) const {
  // A day is for ever, and far from overflowing the clock.
  constexpr std::chrono::nanoseconds kForEver = std::chrono::hours(24);
  std::unique_lock lock(mutex_);
  return decided_.wait_for(lock, std::min(longest, kForEver), [&] { return !pending_; });
}

}  // namespace convgen
