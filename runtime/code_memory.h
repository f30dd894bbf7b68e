// SPDX-License-Identifier: Apache-2.0
// CodeMemory: executable memory for many kernels, whole pages each, carved out of slabs. No page is
// ever writable and executable at once, and none has a second view; below is how and why.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "ir/status.h"

namespace convgen {

// A slab is anonymous memory, readable and executable. The pages of one new kernel become writable
// and not executable, are filled, and become executable and not writable, before anybody has their
// address; the pages of other kernels stay as they are. Where the system forbids memory to become
// executable (PR_SET_MDWE, SELinux's execmem), a slab is a memory file that is mapped readable and
// executable; bytes get there through the file, so that no mapping of it is ever writable. Where
// that is refused as well, allocate() says what was refused.
//
// Anonymous memory is tried first, for two reasons. No open file leads to the code; and after
// fork() each process has a copy. A memory file is shared by both, so it is written once only:
// pages that come back are not used again, and a child opens slabs of its own.
//
// All kernels of a slab are one mapping to the system, which allows a process 65,530. Pages that
// come back are used again, lowest first, and can neither be run nor read until then (Linux 6.13;
// before, they read as zeros). An empty slab is unmapped.

class CodeMemory;
class CodeSlab;

// Pages of a CodeMemory, which they keep alive; given back when this goes.
class CodePages {
 public:
  CodePages() = default;
  CodePages(CodePages&& other) noexcept;
  CodePages& operator=(CodePages&& other) noexcept;
  ~CodePages();

  char* data() const { return data_; }  // null: no pages
  size_t size() const { return size_; }

  // Puts bytes, at most size() of them, into the pages and makes them executable; once.
  // Errors: resource_exhausted.
  Status publish(std::span<const char> bytes);

 private:
  friend class CodeMemory;
  CodePages(std::shared_ptr<CodeMemory> memory, CodeSlab* slab, size_t offset, size_t size);

  std::shared_ptr<CodeMemory> memory_;
  CodeSlab* slab_ = nullptr;
  char* data_ = nullptr;
  size_t size_ = 0;
};

// Thread-safe.
class CodeMemory : public std::enable_shared_from_this<CodeMemory> {
 public:
  static std::shared_ptr<CodeMemory> create();
  ~CodeMemory();

  // At least size_bytes, whole pages: their address for good, their content to be published.
  // Errors: resource_exhausted, where the system refuses executable memory above all.
  Result<CodePages> allocate(size_t size_bytes);

  size_t count_slabs() const;

 private:
  friend class CodePages;
  CodeMemory();
  size_t next_slab_bytes(size_t size_bytes) const;
  void give_back(CodeSlab* slab, size_t offset, size_t size_bytes);

  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<CodeSlab>> slabs_;
};

}  // namespace convgen
