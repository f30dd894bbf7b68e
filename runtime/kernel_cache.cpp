// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernel_cache.h"

#include <exception>

namespace convgen {
namespace {

// A maker that runs out of memory must still wake those who wait.
Result<Kernel> make_without_exceptions(const KernelCache::Maker& make) {
  try {
    return make();
  } catch (const std::bad_alloc&) {
    return resource_exhausted("compile: out of memory");
  } catch (const std::exception& error) {
    return internal_error(std::string("compile: ") + error.what());
  }
}

}  // namespace

Result<Kernel> KernelCache::get_or_make(const std::string& key, const Maker& make) {
  std::promise<Result<Kernel>> promise;
  {
    std::unique_lock lock(mutex_);
    if (auto found = slots_.find(key); found != slots_.end()) {
      ++hits_;
      const Slot slot = found->second;
      lock.unlock();
      return slot.get();
    }
    ++misses_;
    slots_.emplace(key, promise.get_future().share());
  }
  Result<Kernel> kernel = make_without_exceptions(make);
  if (!kernel.ok()) {
    std::lock_guard lock(mutex_);
    slots_.erase(key);
  }
  promise.set_value(kernel);
  return kernel;
}

void KernelCache::clear() {
  std::lock_guard lock(mutex_);
  // Slots still being made stay: someone waits for them, and their maker will look for them.
  std::erase_if(slots_, [](const auto& entry) {
    return entry.second.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  });
}

int64_t KernelCache::hits() const {
  std::lock_guard lock(mutex_);
  return hits_;
}

int64_t KernelCache::misses() const {
  std::lock_guard lock(mutex_);
  return misses_;
}

}  // namespace convgen
