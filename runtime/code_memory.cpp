// SPDX-License-Identifier: Apache-2.0
#include "runtime/code_memory.h"

#include <llvm/Support/Memory.h>

#include <algorithm>
#include <utility>

#include "runtime/code_slab.h"

namespace convgen {
namespace {

// 2 MiB hold some 200 kernels of 10 KiB, and are one huge page.
constexpr size_t kLeastSlabBytes = size_t{2} << 20;

}  // namespace

CodePages::CodePages(std::shared_ptr<CodeMemory> memory, CodeSlab* slab, size_t offset, size_t size)
    : memory_(std::move(memory)), slab_(slab), data_(slab->base() + offset), size_(size) {}

CodePages::CodePages(CodePages&& other) noexcept { *this = std::move(other); }

CodePages& CodePages::operator=(CodePages&& other) noexcept {
  std::swap(memory_, other.memory_);
  std::swap(slab_, other.slab_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

CodePages::~CodePages() {
  if (slab_ != nullptr)
    memory_->give_back(slab_, static_cast<size_t>(data_ - slab_->base()), size_);
}

Status CodePages::publish(std::span<const char> bytes) {
  Status status = slab_->publish(static_cast<size_t>(data_ - slab_->base()), bytes);
  if (status.ok()) llvm::sys::Memory::InvalidateInstructionCache(data_, size_);
  return status;
}

CodeMemory::CodeMemory() = default;
CodeMemory::~CodeMemory() = default;

std::shared_ptr<CodeMemory> CodeMemory::create() {
  return std::shared_ptr<CodeMemory>(new CodeMemory);
}

// A quarter of what there is, so that a thousand times the code is 25 times the slabs.
size_t CodeMemory::next_slab_bytes(size_t size_bytes) const {
  size_t mapped = 0;
  for (const auto& slab : slabs_) mapped += slab->size();
  return std::max(size_bytes, round_to_pages(std::max(kLeastSlabBytes, mapped / 4)));
}

Result<CodePages> CodeMemory::allocate(size_t size_bytes) {
  const size_t size = round_to_pages(std::max<size_t>(size_bytes, 1));
  const std::lock_guard lock(mutex_);
  for (const auto& slab : slabs_)
    if (const auto offset = slab->take(size))
      return CodePages(shared_from_this(), slab.get(), *offset, size);
  auto made = CodeSlab::create(next_slab_bytes(size));
  if (!made) return made.status();
  CodeSlab* slab = slabs_.emplace_back(*std::move(made)).get();
  return CodePages(shared_from_this(), slab, *slab->take(size), size);
}

void CodeMemory::give_back(CodeSlab* slab, size_t offset, size_t size_bytes) {
  const std::lock_guard lock(mutex_);
  slab->give_back(offset, size_bytes);
  if (slab->empty()) std::erase_if(slabs_, [&](const auto& kept) { return kept.get() == slab; });
}

size_t CodeMemory::count_slabs() const {
  const std::lock_guard lock(mutex_);
  return slabs_.size();
}

}  // namespace convgen
