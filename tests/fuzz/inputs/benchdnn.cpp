// SPDX-License-Identifier: Apache-2.0
// benchdnn's problem text. What is accepted has the numbers that stand in the text, read here a
// second time, and goes on as conv text does.
#include "ir/benchdnn.h"

#include <map>
#include <optional>
#include <string>

#include "ir/text.h"
#include "tests/fuzz/inputs/conv_rules.h"
#include "tests/fuzz/inputs/expect.h"

namespace convgen::fuzz_inputs {
namespace {

// Takes the characters off the front of text for which `belongs` holds.
std::string take_while(std::string_view& text, bool (*belongs)(char)) {
  std::string taken;
  for (; !text.empty() && belongs(text[0]); text.remove_prefix(1)) taken += text[0];
  return taken;
}

// "ih12_" as ("ih", 12), up to the name, which begins with n.
std::map<std::string, int64_t> numbers_of(std::string_view text) {
  std::map<std::string, int64_t> numbers;
  for (;;) {
    take_while(text, [](char c) { return c == '_'; });
    if (text.empty() || text[0] == 'n') return numbers;
    const std::string key = take_while(text, [](char c) { return c >= 'a' && c <= 'z'; });
    const std::string digits =
        take_while(text, [](char c) { return c == '-' || (c >= '0' && c <= '9'); });
    expect(!key.empty() && !digits.empty(), "what is accepted is keys and numbers", text);
    numbers[key] = std::stoll(digits);
  }
}

// What the text says of an axis, or of the one outside it where it says nothing.
class Said {
 public:
  explicit Said(std::string_view text) : numbers_(numbers_of(text)) {}

  std::optional<int64_t> find(std::string_view key) const {
    const auto found = numbers_.find(std::string(key));
    return found == numbers_.end() ? std::nullopt : std::optional(found->second);
  }
  char axis_for(char axis) const {
    constexpr std::string_view kAxes = "dhw";
    for (size_t at = kAxes.find(axis); at < kAxes.size(); --at)
      for (const char quantity : std::string_view("iokspd"))
        if (find(std::string{quantity, kAxes[at]})) return kAxes[at];
    return 0;
  }
  void expect_number(const std::string& key, int64_t found, int64_t missing) const {
    expect(found == find(key).value_or(missing), "numbers are those of the text",
           key + "=" + std::to_string(found));
  }

 private:
  std::map<std::string, int64_t> numbers_;
};

void expect_numbers_of(const Said& said, const ir::Conv& conv) {
  said.expect_number("mb", conv.n, 2);
  said.expect_number("ic", conv.ic, -1);
  said.expect_number("oc", conv.oc, -1);
  said.expect_number("g", conv.groups, 1);
  for (int axis = ir::kMaxSpatialRank - conv.spatial_rank; axis < ir::kMaxSpatialRank; ++axis) {
    const char letter = said.axis_for("dhw"[axis]);
    const auto key = [&](char quantity) { return std::string{quantity, letter}; };
    said.expect_number(key('i'), conv.in[axis], -1);
    said.expect_number(key('k'), conv.kernel[axis], -1);
    said.expect_number(key('s'), conv.strides[axis], 1);
    said.expect_number(key('d'), conv.dilations[axis] - 1, 0);
    const int64_t out = said.find(key('o')).value_or(0);
    if (out > 0) said.expect_number(key('o'), conv.out[axis], out);
    said.expect_number(key('p'), conv.pads_begin[axis], out > 0 ? conv.pads_begin[axis] : 0);
  }
}

}  // namespace
}  // namespace convgen::fuzz_inputs

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace convgen;               // NOLINT: it is all about them
  using namespace convgen::fuzz_inputs;  // NOLINT
  const std::string_view text = text_of(data, size);
  const auto spec = ir::parse_benchdnn(text);
  if (!spec.ok()) {
    expect_field_named(spec.status());
    return 0;
  }
  const auto conv = ir::make_conv(*spec);
  if (!conv.ok()) {
    expect_field_named(conv.status());
    return 0;
  }
  expect_numbers_of(Said(text), *conv);
  expect_conv_rules(*conv);
  expect_round_trip(*conv);
  // Where a conv is expected, the text is recognised; but for names, which may hold anything.
  if (ir::looks_like_benchdnn(text) && conv->name.empty()) {
    const auto recognised = ir::parse_conv(text);
    expect(recognised.ok() && *recognised == *conv, "conv text takes benchdnn text too", text);
  }
  return 0;
}
