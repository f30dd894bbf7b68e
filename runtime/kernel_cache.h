// SPDX-License-Identifier: Apache-2.0
// KernelCache: kernels by key, each made once however many threads ask. Knows nothing of how a
// kernel is made.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <limits>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "ir/status.h"
#include "runtime/kernel.h"

namespace convgen {

// What make returns; memory that runs out and other exceptions as a Status.
Result<Kernel> without_exceptions(const std::function<Result<Kernel>()>& make);

class KernelCache {
 public:
  using Maker = std::function<Result<Kernel>()>;

  struct Stats {
    int64_t hits = 0;
    int64_t misses = 0;
    int64_t evictions = 0;
    int64_t entries = 0;
    int64_t bytes = 0;  // Kernel::memory_bytes() of all entries, and their keys
  };

  static constexpr size_t kUnbounded = std::numeric_limits<size_t>::max();
  // Keeps nothing alive: finds the kernels that somebody holds.
  static constexpr size_t kOnlyLiving = 0;

  // max_bytes bounds Stats::bytes: the least recently used go first. Whoever has a handle keeps it.
  explicit KernelCache(size_t max_bytes = kUnbounded) : max_bytes_(max_bytes) {}

  // The kernel of key, or make() called now, by one of the threads that ask; the others wait for
  // it. A failure goes to all who waited and leaves nothing behind. Thread-safe; make must not
  // call the cache.
  Result<Kernel> get_or_make(std::string_view key, const Maker& make);

  // The kernel of key where there is one that is made: a hit. Else null, and no miss.
  std::shared_ptr<const KernelState> find(std::string_view key);

  // Counts the bytes of key's kernel again, which grew.
  void recount(std::string_view key);

  // Kernels that are being made stay: someone waits for them.
  void clear();
  Stats stats() const;
  int64_t hits() const { return stats().hits; }
  int64_t misses() const { return stats().misses; }

 private:
  struct KeyHash {
    using is_transparent = void;
    size_t operator()(std::string_view key) const;
  };
  // What is kept, the last used first. What is dropped moves to such a list as well, without an
  // allocation, and is destroyed where no lock is held.
  struct Use {
    const std::string* key;
    std::shared_ptr<const KernelState> kept;
  };
  using Uses = std::list<Use>;
  struct Slot {
    std::shared_future<Result<Kernel>> pending;  // valid while the kernel is made
    std::weak_ptr<const KernelState> seen;
    size_t bytes = 0;
    Uses::iterator use;  // unless kOnlyLiving
  };
  using Slots = std::unordered_map<std::string, Slot, KeyHash, std::equal_to<>>;

  std::shared_ptr<const KernelState> use(Slot& slot);
  bool keeps() const { return max_bytes_ != kOnlyLiving; }
  void store(Slots::iterator found, const Kernel& kernel, Uses& entry, Uses& dropped);
  void evict(Uses& dropped);
  void drop(Slots::iterator found, Uses& dropped);
  void forget_the_dead(Uses& dropped);

  const size_t max_bytes_;
  mutable std::mutex mutex_;
  Slots slots_;
  Uses uses_;
  size_t next_sweep_ = 64;  // entries, of kOnlyLiving
  Stats stats_;
};

}  // namespace convgen
