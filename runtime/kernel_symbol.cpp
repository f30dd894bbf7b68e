// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernel_symbol.h"

#include <fmt/format.h>
#include <llvm/Support/xxhash.h>

#include <algorithm>
#include <cctype>
#include <utility>

namespace convgen {
namespace {

// What stands before the value of a word; keys that are not here go, as their values speak for
// themselves: "src=f32:nhwc:1x9x9x3" is nhwc_1x9x9x3.
constexpr std::pair<std::string_view, std::string_view> kPrefixes[] = {
    {"strides", "s"},           {"pads", "p"},  {"dilations", "d"}, {"groups", "g"},
    {"pad_value", "pad_value"}, {"dst", "to_"}, {"constants", "c"}};

std::string_view prefix_of(std::string_view key) {
  for (const auto& [word, prefix] : kPrefixes)
    if (word == key) return prefix;
  return "";
}

std::string print_word(std::string_view word) {
  const size_t equals = word.find('=');
  if (equals == std::string_view::npos) return std::string(word);
  std::string_view value = word.substr(equals + 1);
  if (value.starts_with("f32:")) value.remove_prefix(4);
  return std::string(prefix_of(word.substr(0, equals))).append(value);
}

// '-' is an 'm', lest clamp:-1:1 and clamp:1:1 look alike.
char symbol_character(char c) {
  if (c == '-') return 'm';
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' ? c : '_';
}

}  // namespace

std::string print_symbol(std::string_view signature) {
  std::string symbol;
  for (size_t at = 0; at < signature.size();) {
    const size_t blank = std::min(signature.find(' ', at), signature.size());
    if (!symbol.empty()) symbol += '_';
    symbol += print_word(signature.substr(at, blank - at));
    at = blank + 1;
  }
  std::ranges::transform(symbol, symbol.begin(), symbol_character);
  if (symbol.size() <= kMaxSymbolLength) return symbol;
  const std::string hash = fmt::format("_{:016x}", llvm::xxh3_64bits(llvm::StringRef(signature)));
  return symbol.substr(0, kMaxSymbolLength - hash.size()) + hash;
}

}  // namespace convgen
