// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernel_cache.h"

#include <llvm/ADT/StringRef.h>
#include <llvm/Support/xxhash.h>

#include <algorithm>
#include <exception>
#include <new>

#include "runtime/float_modes.h"

namespace convgen {

Result<Kernel> without_exceptions(const std::function<Result<Kernel>()>& make) {
  try {
    return make();
  } catch (const std::bad_alloc&) {
    return resource_exhausted("compile: out of memory");
  } catch (const std::exception& error) {
    return internal_error(std::string("compile: ") + error.what());
  }
}

size_t KernelCache::KeyHash::operator()(std::string_view key) const {
  return llvm::xxh3_64bits(llvm::StringRef(key));
}

Result<Kernel> KernelCache::get_or_make(std::string_view key, const Maker& make) {
  std::promise<Result<Kernel>> promise;
  Dropped dropped;
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
    if (!keeps()) forget_the_dead(dropped);
    slots_[std::string(key)].pending = promise.get_future().share();
  }
  const DefaultFloatModes modes;  // what is kept for all may not depend on who asked first
  Result<Kernel> kernel = without_exceptions(make);  // those who wait must wake
  {
    std::lock_guard lock(mutex_);
    auto found = slots_.find(key);
    if (kernel.ok())
      store(found, *kernel, dropped);
    else
      slots_.erase(found);
  }
  promise.set_value(kernel);
  return kernel;
}

std::shared_ptr<const KernelState> KernelCache::use(Slot& slot) {
  if (!keeps()) return slot.seen.lock();
  uses_.splice(uses_.begin(), uses_, slot.use);
  return slot.kept;
}

std::shared_ptr<const KernelState> KernelCache::find(std::string_view key) {
  std::lock_guard lock(mutex_);
  auto found = slots_.find(key);
  if (found == slots_.end() || found->second.pending.valid()) return nullptr;
  auto state = use(found->second);
  if (state != nullptr) ++stats_.hits;
  return state;
}

void KernelCache::store(Slots::iterator found, const Kernel& kernel, Dropped& dropped) {
  Slot& slot = found->second;
  slot.pending = {};
  slot.seen = kernel.state();
  ++stats_.entries;
  if (!keeps()) return;
  slot.kept = kernel.state();
  slot.bytes = kernel.memory_bytes() + found->first.size();
  slot.use = uses_.insert(uses_.begin(), &found->first);
  stats_.bytes += static_cast<int64_t>(slot.bytes);
  evict(dropped);
}

void KernelCache::recount(std::string_view key) {
  Dropped dropped;
  std::lock_guard lock(mutex_);
  auto found = slots_.find(key);
  if (found == slots_.end() || found->second.kept == nullptr) return;
  Slot& slot = found->second;
  const size_t bytes = Kernel(slot.kept).memory_bytes() + found->first.size();
  stats_.bytes += static_cast<int64_t>(bytes) - static_cast<int64_t>(slot.bytes);
  slot.bytes = bytes;
  evict(dropped);
}

void KernelCache::evict(Dropped& dropped) {
  while (!uses_.empty() && static_cast<size_t>(stats_.bytes) > max_bytes_) {
    ++stats_.evictions;
    drop(slots_.find(*uses_.back()), dropped);
  }
}

void KernelCache::drop(Slots::iterator found, Dropped& dropped) {
  Slot& slot = found->second;
  if (keeps()) uses_.erase(slot.use);
  stats_.bytes -= static_cast<int64_t>(slot.bytes);
  --stats_.entries;
  dropped.push_back(slots_.extract(found));
}

// Whenever the entries have doubled, so that each costs a constant.
void KernelCache::forget_the_dead(Dropped& dropped) {
  if (slots_.size() < next_sweep_) return;
  for (auto slot = slots_.begin(); slot != slots_.end();) {
    const auto at = slot++;
    if (!at->second.pending.valid() && at->second.seen.expired()) drop(at, dropped);
  }
  next_sweep_ = std::max<size_t>(64, 2 * slots_.size());
}

void KernelCache::clear() {
  Dropped dropped;
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
