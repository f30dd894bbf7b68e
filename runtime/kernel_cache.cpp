// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernel_cache.h"

#include <xxhash.h>

#include <algorithm>
#include <exception>
#include <new>

#include "runtime/float_modes.h"

namespace convgen {
namespace {

// Short enough for a string that allocates nothing.
Status out_of_memory() { return resource_exhausted("out of memory"); }

}  // namespace

Result<Kernel> without_exceptions(const std::function<Result<Kernel>()>& make) {
  try {
    try {
      return make();
    } catch (const std::bad_alloc&) {
      throw;
    } catch (const std::exception& error) {
      return internal_error(std::string("compile: ") + error.what());
    }
  } catch (const std::bad_alloc&) {
    return out_of_memory();
  }
}

size_t KernelCache::KeyHash::operator()(std::string_view key) const {
  return XXH3_64bits(key.data(), key.size());
}

Result<Kernel> KernelCache::get_or_make(std::string_view key, const Maker& make) {
  std::promise<Result<Kernel>> promise;
  Uses entry, dropped;
  {
    std::unique_lock lock(mutex_);
    if (auto found = slots_.find(key); found != slots_.end()) {
      Slot& slot = found->second;
      if (slot.pending.valid()) {
        ++stats_.hits;
        const auto pending = slot.pending;
        lock.unlock();
        return pending.get();
      }
      if (auto state = use(slot)) {
        ++stats_.hits;
        return Kernel(std::move(state));
      }
      drop(found, dropped);
    }
    ++stats_.misses;
    if (keeps()) entry.emplace_back();
    if (!keeps()) forget_the_dead(dropped);
    slots_[std::string(key)].pending = promise.get_future().share();
  }
  const DefaultFloatModes modes;  // what is kept for all may not depend on who asked first
  // Those who wait must wake: from here on nothing allocates but make.
  Result<Kernel> kernel = without_exceptions(make);
  {
    std::lock_guard lock(mutex_);
    auto found = slots_.find(key);
    if (kernel.ok())
      store(found, *kernel, entry, dropped);
    else
      slots_.erase(found);
  }
  try {
    promise.set_value(kernel);
  } catch (const std::bad_alloc&) {  // the copy of a message
    promise.set_value(out_of_memory());
  }
  return kernel;
}

std::shared_ptr<const KernelState> KernelCache::use(Slot& slot) {
  if (!keeps()) return slot.seen.lock();
  uses_.splice(uses_.begin(), uses_, slot.use);
  return slot.use->kept;
}

std::shared_ptr<const KernelState> KernelCache::find(std::string_view key) {
  std::lock_guard lock(mutex_);
  auto found = slots_.find(key);
  if (found == slots_.end() || found->second.pending.valid()) return nullptr;
  auto state = use(found->second);
  if (state != nullptr) ++stats_.hits;
  return state;
}

void KernelCache::store(Slots::iterator found, const Kernel& kernel, Uses& entry, Uses& dropped) {
  Slot& slot = found->second;
  slot.pending = {};
  slot.seen = kernel.state();
  ++stats_.entries;
  if (!keeps()) return;
  entry.front() = {&found->first, kernel.state()};
  slot.bytes = kernel.memory_bytes() + found->first.size();
  slot.use = entry.begin();
  uses_.splice(uses_.begin(), entry);
  stats_.bytes += static_cast<int64_t>(slot.bytes);
  evict(dropped);
}

void KernelCache::recount(std::string_view key) {
  Uses dropped;
  std::lock_guard lock(mutex_);
  auto found = slots_.find(key);
  if (!keeps() || found == slots_.end() || found->second.pending.valid()) return;
  Slot& slot = found->second;
  const size_t bytes = Kernel(slot.use->kept).memory_bytes() + found->first.size();
  stats_.bytes += static_cast<int64_t>(bytes) - static_cast<int64_t>(slot.bytes);
  slot.bytes = bytes;
  evict(dropped);
}

void KernelCache::evict(Uses& dropped) {
  while (!uses_.empty() && static_cast<size_t>(stats_.bytes) > max_bytes_) {
    ++stats_.evictions;
    drop(slots_.find(*uses_.back().key), dropped);
  }
}

void KernelCache::drop(Slots::iterator found, Uses& dropped) {
  const Slot& slot = found->second;
  stats_.bytes -= static_cast<int64_t>(slot.bytes);
  --stats_.entries;
  if (keeps()) dropped.splice(dropped.end(), uses_, slot.use);
  slots_.erase(found);
}

// Whenever the entries have doubled, so that each costs a constant.
void KernelCache::forget_the_dead(Uses& dropped) {
  if (slots_.size() < next_sweep_) return;
  for (auto slot = slots_.begin(); slot != slots_.end();) {
    const auto at = slot++;
    if (!at->second.pending.valid() && at->second.seen.expired()) drop(at, dropped);
  }
  next_sweep_ = std::max<size_t>(64, 2 * slots_.size());
}

void KernelCache::clear() {
  Uses dropped;
  std::lock_guard lock(mutex_);
  for (auto slot = slots_.begin(); slot != slots_.end();) {
    const auto at = slot++;
    if (!at->second.pending.valid()) drop(at, dropped);
  }
}

KernelCache::Stats KernelCache::stats() const {
  std::lock_guard lock(mutex_);
  return stats_;
}

}  // namespace convgen
