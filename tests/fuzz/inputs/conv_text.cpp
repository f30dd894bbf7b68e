// SPDX-License-Identifier: Apache-2.0
// Conv text. What is accepted prints, and reads back as the same; the order of its words means
// nothing; its numbers satisfy the rules of a Conv, computed here a second time.
#include <algorithm>
#include <string>
#include <vector>

#include "ir/benchdnn.h"
#include "ir/text.h"
#include "tests/fuzz/inputs/conv_rules.h"
#include "tests/fuzz/inputs/expect.h"

namespace convgen::fuzz_inputs {
namespace {

// The words behind the first one, last one first; nothing where there is but one.
std::string with_words_reversed(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : text) {
    const bool is_blank = c == ' ' || c == '\t' || c == '\r' || c == '\n';
    if (!is_blank) word += c;
    if (is_blank && !word.empty()) words.push_back(std::exchange(word, {}));
  }
  if (!word.empty()) words.push_back(word);
  if (words.size() < 2) return {};
  std::reverse(words.begin() + 1, words.end());
  std::string reversed;
  for (const std::string& each : words) reversed += each + " ";
  return reversed;
}

void expect_order_means_nothing(std::string_view text, const ir::Conv& conv) {
  const std::string reversed = with_words_reversed(text);
  if (reversed.empty()) return;
  const auto other = ir::parse_conv(reversed);
  expect(other.ok() && *other == conv && other->name == conv.name,
         "the order of words means nothing", reversed);
}

}  // namespace
}  // namespace convgen::fuzz_inputs

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace convgen;               // NOLINT: it is all about them
  using namespace convgen::fuzz_inputs;  // NOLINT
  const std::string_view text = text_of(data, size);
  const auto conv = ir::parse_conv(text);
  if (!conv.ok()) {
    expect_field_named(conv.status());
    return 0;
  }
  expect_conv_rules(*conv);
  expect_round_trip(*conv);
  expect_order_means_nothing(text, *conv);
  return 0;
}
