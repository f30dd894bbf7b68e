// SPDX-License-Identifier: Apache-2.0
// FreeRanges: which bytes of a stretch are taken. Takes the lowest range that is long enough, and
// joins neighbours that come back. Knows numbers only; not thread-safe.
#pragma once

#include <cstddef>
#include <map>
#include <optional>

namespace convgen {

class FreeRanges {
 public:
  explicit FreeRanges(size_t size_bytes) : size_bytes_(size_bytes) { give_back(0, size_bytes); }

  // The offset of size_bytes > 0 that are the caller's now; nothing where no range is long enough.
  std::optional<size_t> take(size_t size_bytes);
  // offset must come from take(size_bytes).
  void give_back(size_t offset, size_t size_bytes);

  bool all_free() const { return free_bytes_ == size_bytes_; }
  size_t free_bytes() const { return free_bytes_; }

 private:
  std::map<size_t, size_t> ranges_;  // offset -> size, no two of them adjacent
  size_t size_bytes_;
  size_t free_bytes_ = 0;
};

}  // namespace convgen
