// SPDX-License-Identifier: Apache-2.0
// Memory between two unreadable pages, so that machine code that strays by one byte faults.
#pragma once

#include <cstddef>

#include "ir/export.h"
#include "ir/status.h"

namespace convgen {

enum class Flush { kEnd, kBegin };  // which end of the tensor touches its guard page

// `bytes` bytes of page-backed memory with a PROT_NONE page on both sides. kEnd: the last byte
// touches the upper guard page (4-byte alignment kept for float data); kBegin: the first byte the
// lower one. Zero bytes give a pointer that may not be read.
class CONVGEN_API GuardedBuffer {
 public:
  GuardedBuffer() = default;  // no memory at all
  static Result<GuardedBuffer> create(size_t bytes, Flush flush);
  GuardedBuffer(GuardedBuffer&& other) noexcept;
  GuardedBuffer& operator=(GuardedBuffer&& other) noexcept;
  ~GuardedBuffer();

  void* data() const { return data_; }
  float* floats() const { return static_cast<float*>(data_); }
  size_t size_bytes() const { return bytes_; }
  // From now on a write faults. False where the system refuses (it is out of mappings).
  [[nodiscard]] bool make_read_only();

 private:
  void* mapping_ = nullptr;
  size_t mapping_bytes_ = 0;
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace convgen
