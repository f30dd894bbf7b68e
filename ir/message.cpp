// SPDX-License-Identifier: Apache-2.0
// How ir words its errors.
#include "ir/message.h"

#include <fmt/format.h>

#include <iterator>

#include "ir/nearest_word.h"

namespace convgen::ir {
namespace {

constexpr size_t kMaxQuotedBytes = 120;

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
  return "expected " + join_or(known) + did_you_mean(known, found);
}

Status broken_rule(std::string_view field, std::string_view rule) {
  return invalid_argument(fmt::format("{}: {}", printable(field), rule));
}

}  // namespace convgen::ir
