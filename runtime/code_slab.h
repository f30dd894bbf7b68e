// SPDX-License-Identifier: Apache-2.0
// CodeSlab: one mapping of executable memory, and how bytes get into it; code_memory.h says why
// there are two ways. Not thread-safe but for publish().
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>

#include "ir/status.h"

namespace convgen {

class CodeSlab {
 public:
  // The ways in order: private memory, else a memory file. size_bytes: whole pages.
  // Errors: resource_exhausted, with what the system said to each.
  static Result<std::unique_ptr<CodeSlab>> create(size_t size_bytes);
  static Result<std::unique_ptr<CodeSlab>> create_private(size_t size_bytes);
  static Result<std::unique_ptr<CodeSlab>> create_file(size_t size_bytes);
  virtual ~CodeSlab();
  CodeSlab(const CodeSlab&) = delete;
  CodeSlab& operator=(const CodeSlab&) = delete;

  char* base() const { return base_; }
  size_t size() const { return size_; }

  // The offset of whole pages that are the caller's now; nothing where there is no room.
  virtual std::optional<size_t> take(size_t size_bytes) = 0;
  virtual void give_back(size_t offset, size_t size_bytes) = 0;
  virtual bool empty() const = 0;

  // Fills pages that were taken. Once it returns well they can be run, and not be written.
  virtual Status publish(size_t offset, std::span<const char> bytes) = 0;

 protected:
  CodeSlab(char* base, size_t size) : base_(base), size_(size) {}

 private:
  char* base_;
  size_t size_;
};

// size_bytes up to whole pages.
size_t round_to_pages(size_t size_bytes);

}  // namespace convgen
