// SPDX-License-Identifier: Apache-2.0
#include "ir/nearest_word.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace convgen::ir {
namespace {

constexpr size_t kMaxSuggestBytes = 32;  // no word of a vocabulary is that long
constexpr size_t kMinPrefixBytes = 3;    // of less, everything is the beginning

// What counts as near: further away, a suggestion misleads.
size_t allowed_slips(size_t bytes) { return bytes <= 4 ? 1 : bytes <= 8 ? 2 : 3; }

std::string lower(std::string_view text) {
  std::string folded(text);
  for (char& c : folded)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return folded;
}

// Slips from `a` to `b`: a letter too many, missing, wrong, or two neighbours swapped.
// (Damerau and Levenshtein's distance, as "optimal string alignment".)
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> slips(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) slips[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) slips[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t wrong = a[i - 1] == b[j - 1] ? 0 : 1;
      slips[i][j] =
          std::min({slips[i - 1][j] + 1, slips[i][j - 1] + 1, slips[i - 1][j - 1] + wrong});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        slips[i][j] = std::min(slips[i][j], slips[i - 2][j - 2] + 1);
    }
  }
  return slips[a.size()][b.size()];
}

std::string_view only_one_with_prefix(std::span<const std::string_view> known,
                                      std::string_view prefix) {
  if (prefix.size() < kMinPrefixBytes) return {};
  const auto begins = [&](std::string_view word) { return word.starts_with(prefix); };
  if (std::ranges::count_if(known, begins) != 1) return {};
  return *std::ranges::find_if(known, begins);
}

}  // namespace

std::string_view nearest_word(std::span<const std::string_view> known, std::string_view found) {
  if (found.size() > kMaxSuggestBytes) return {};
  const std::string folded = lower(found);
  std::string_view best;
  size_t best_slips = kMaxSuggestBytes;
  for (const std::string_view word : known) {
    const size_t slips = edit_distance(folded, lower(word));
    if (slips > best_slips || slips > allowed_slips(std::min(found.size(), word.size()))) continue;
    best = slips < best_slips || word == best ? word : std::string_view();
    best_slips = slips;
  }
  return best_slips < kMaxSuggestBytes ? best : only_one_with_prefix(known, folded);
}

std::string did_you_mean(std::span<const std::string_view> known, std::string_view found) {
  const std::string_view near = nearest_word(known, found);
  return near.empty() ? std::string() : fmt::format("; did you mean '{}'?", near);
}

}  // namespace convgen::ir
