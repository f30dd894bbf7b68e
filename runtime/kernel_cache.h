// SPDX-License-Identifier: Apache-2.0
// KernelCache: kernels by key, each made once however many threads ask. Knows nothing of how a
// kernel is made.
#pragma once

#include <cstdint>
#include <functional>
#include <future>
#include <mutex>
#include <string>
#include <unordered_map>

#include "ir/status.h"
#include "runtime/kernel.h"

namespace convgen {

class KernelCache {
 public:
  using Maker = std::function<Result<Kernel>()>;

  // The kernel of key, or make() called now, by one of the threads that ask; the others wait for
  // it. A failure goes to all who waited and leaves nothing behind. Thread-safe; make must not
  // call the cache.
  Result<Kernel> get_or_make(const std::string& key, const Maker& make);

  void clear();
  int64_t hits() const;
  int64_t misses() const;

 private:
  using Slot = std::shared_future<Result<Kernel>>;

  mutable std::mutex mutex_;
  std::unordered_map<std::string, Slot> slots_;
  int64_t hits_ = 0;
  int64_t misses_ = 0;
};

}  // namespace convgen
