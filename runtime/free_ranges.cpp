// SPDX-License-Identifier: Apache-2.0
#include "runtime/free_ranges.h"

#include <algorithm>
#include <iterator>

namespace convgen {

std::optional<size_t> FreeRanges::take(size_t size_bytes) {
  if (size_bytes > free_bytes_) return std::nullopt;
  const auto found = std::find_if(ranges_.begin(), ranges_.end(),
                                  [&](const auto& range) { return range.second >= size_bytes; });
  if (found == ranges_.end()) return std::nullopt;
  const auto [offset, size] = *found;
  ranges_.erase(found);
  if (size > size_bytes) ranges_.emplace(offset + size_bytes, size - size_bytes);
  free_bytes_ -= size_bytes;
  return offset;
}

void FreeRanges::give_back(size_t offset, size_t size_bytes) {
  free_bytes_ += size_bytes;
  auto next = ranges_.lower_bound(offset);
  if (next != ranges_.end() && next->first == offset + size_bytes) {
    size_bytes += next->second;
    next = ranges_.erase(next);
  }
  if (next != ranges_.begin()) {
    const auto previous = std::prev(next);
    if (previous->first + previous->second == offset) {
      previous->second += size_bytes;
      return;
    }
  }
  ranges_.emplace_hint(next, offset, size_bytes);
}

}  // namespace convgen
