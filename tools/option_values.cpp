// SPDX-License-Identifier: Apache-2.0
// All that CLI11 keeps of a validator is its description, which it appends to the type's name:
// "NAME:{jit,generic}", "N:1..1024". Words stand in braces, ranges do not.
#include "tools/option_values.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>

#include "ir/nearest_word.h"

namespace convgen::tool {
namespace {

std::string in_braces(const std::vector<std::string>& words) {
  return fmt::format("{{{}}}", fmt::join(words, ","));
}

// "{jit,generic}" of "NAME:{jit,generic}".
std::string description_of(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  const size_t colon = type.find(':');
  return colon == type.npos ? "" : type.substr(colon + 1);
}

bool holds_words(const std::string& description) {
  return description.starts_with('{') && description.ends_with('}');
}

}  // namespace

std::string expected_one_of(const std::vector<std::string>& words, std::string_view found) {
  const std::vector<std::string_view> known(words.begin(), words.end());
  std::string text;
  for (size_t i = 0; i < words.size(); ++i) {
    if (i > 0) text += i + 1 == words.size() ? " or " : ", ";
    text += words[i];
  }
  return text + ir::did_you_mean(known, found);
}

CLI::Validator one_of(const std::vector<std::string>& words) {
  const auto check = [words](const std::string& found) -> std::string {
    for (const std::string& word : words)
      if (word == found) return "";
    return fmt::format("{}: expected {}", found, expected_one_of(words, found));
  };
  return CLI::Validator(check, in_braces(words));
}

CLI::Validator known_words(const std::vector<std::string>& words) {
  return CLI::Validator([](const std::string&) { return std::string(); }, in_braces(words));
}

CLI::Validator whole_number(uint64_t min, uint64_t max) {
  const std::string range =
      max == UINT64_MAX ? fmt::format("{}..2^64-1", min) : fmt::format("{}..{}", min, max);
  const auto check = [min, max, range](const std::string& text) -> std::string {
    uint64_t value = 0;
    const char* end = text.data() + text.size();
    const auto [stop, failure] = std::from_chars(text.data(), end, value);
    if (failure == std::errc() && stop == end && value >= min && value <= max) return "";
    return fmt::format("{}: expected a whole number in {}", text, range);
  };
  return CLI::Validator(check, max == UINT64_MAX ? "" : range);
}

std::vector<std::string> words_of(const CLI::Option& option) {
  const std::string description = description_of(option);
  if (!holds_words(description)) return {};
  return CLI::detail::split(description.substr(1, description.size() - 2), ',');
}

std::string range_of(const CLI::Option& option) {
  const std::string description = description_of(option);
  return holds_words(description) ? "" : description;
}

std::string value_name_of(const CLI::Option& option) {
  if (option.get_items_expected_max() == 0) return "";
  const std::string type = option.get_type_name();
  const std::string name = type.substr(0, type.find(':'));
  // CLI11's own names tell how a value is read; a positional's name tells what it is.
  const bool own = name != "TEXT" && name != "INT" && name != "UINT" && name != "FLOAT";
  return own || !option.get_positional() ? name : option.get_name(true);
}

}  // namespace convgen::tool
