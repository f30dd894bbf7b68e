// SPDX-License-Identifier: Apache-2.0
// How ir words its errors.
#include "ir/message.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <vector>

namespace convgen::ir {
namespace {

constexpr size_t kMaxQuotedBytes = 120;
constexpr size_t kMaxSlips = 2;          // further away, a suggestion misleads
constexpr size_t kMaxSuggestBytes = 32;  // no word of the vocabulary is that long

// Slips of the keyboard from `a` to `b`: a letter too many, missing, wrong, or two swapped.
// (Levenshtein's distance with adjacent transpositions, "optimal string alignment".)
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> slips(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) slips[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) slips[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t wrong = a[i - 1] == b[j - 1] ? 0 : 1;
      slips[i][j] =
          std::min({slips[i - 1][j] + 1, slips[i][j - 1] + 1, slips[i - 1][j - 1] + wrong});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        slips[i][j] = std::min(slips[i][j], slips[i - 2][j - 2] + 1);
      }
    }
  }
  return slips[a.size()][b.size()];
}

// The known word nearest to `found`, or empty where none is near or two are equally so.
std::string_view nearest(std::span<const std::string_view> known, std::string_view found) {
  if (found.size() > kMaxSuggestBytes) return {};
  std::string_view best;
  size_t best_distance = kMaxSlips + 1;
  for (std::string_view word : known) {
    const size_t distance = edit_distance(found, word);
    if (distance > best_distance || distance >= word.size()) continue;
    best = distance < best_distance ? word : std::string_view();
    best_distance = distance;
  }
  return best_distance <= kMaxSlips ? best : std::string_view();
}

std::string join_or(std::span<const std::string_view> words) {
  std::string text;
  for (size_t i = 0; i < words.size(); ++i) {
    if (i > 0) text += i + 1 == words.size() ? " or " : ", ";
    text += words[i];
  }
  return text;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string safe;
  for (char c : text.substr(0, kMaxQuotedBytes)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      safe += c;
    } else {
      fmt::format_to(std::back_inserter(safe), "\\x{:02x}", byte);
    }
  }
  if (text.size() > kMaxQuotedBytes) safe += "...";
  return safe;
}

std::string expected_one_of(std::span<const std::string_view> known, std::string_view found) {
  std::string text = "expected " + join_or(known);
  if (std::string_view near = nearest(known, found); !near.empty()) {
    text += fmt::format("; did you mean {}", near);
  }
  return text;
}

Status broken_rule(std::string_view field, std::string_view rule) {
  return invalid_argument(fmt::format("{}: {}", printable(field), rule));
}

}  // namespace convgen::ir
