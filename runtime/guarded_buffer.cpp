// SPDX-License-Identifier: Apache-2.0
// GuardedBuffer by mmap: one mapping without access, opened between its first and last page.
#include "runtime/guarded_buffer.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

namespace convgen {
namespace {

size_t page_bytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

Status out_of_memory(size_t bytes) {
  return resource_exhausted("guarded buffer of " + std::to_string(bytes) +
                            " bytes: " + std::strerror(errno));
}

}  // namespace

Result<GuardedBuffer> GuardedBuffer::create(size_t bytes, Flush flush) {
  const size_t page = page_bytes();
  if (bytes > SIZE_MAX - 3 * page) {
    errno = ENOMEM;
    return out_of_memory(bytes);
  }
  const size_t inner_bytes = (bytes + page - 1) / page * page;
  const size_t mapping_bytes = inner_bytes + 2 * page;
  void* mapping =
      mmap(nullptr, mapping_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) return out_of_memory(bytes);
  GuardedBuffer buffer;  // owns the mapping from here on
  buffer.mapping_ = mapping;
  buffer.mapping_bytes_ = mapping_bytes;
  buffer.bytes_ = bytes;
  char* inner = static_cast<char*>(mapping) + page;
  if (inner_bytes != 0 && mprotect(inner, inner_bytes, PROT_READ | PROT_WRITE) != 0) {
    return out_of_memory(bytes);
  }
  // Sizes that are no multiple of 4 stay that little short of the upper page, for alignment.
  const size_t end_offset = (inner_bytes - bytes) / sizeof(float) * sizeof(float);
  buffer.data_ = inner + (flush == Flush::kEnd ? end_offset : 0);
  return buffer;
}

GuardedBuffer::GuardedBuffer(GuardedBuffer&& other) noexcept { *this = std::move(other); }

GuardedBuffer& GuardedBuffer::operator=(GuardedBuffer&& other) noexcept {
  std::swap(mapping_, other.mapping_);
  std::swap(mapping_bytes_, other.mapping_bytes_);
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

GuardedBuffer::~GuardedBuffer() {
  if (mapping_ != nullptr) munmap(mapping_, mapping_bytes_);
}

bool GuardedBuffer::make_read_only() {
  const size_t page = page_bytes();
  const size_t inner_bytes = mapping_bytes_ - 2 * page;
  return inner_bytes == 0 ||
         mprotect(static_cast<char*>(mapping_) + page, inner_bytes, PROT_READ) == 0;
}

}  // namespace convgen
