// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/inputs/expect.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iostream>

namespace convgen::fuzz_inputs {
namespace {

// No message of convgen is longer; what it quotes of an input is cut.
constexpr size_t kMaxMessageBytes = 2048;

}  // namespace

void expect(bool held, std::string_view rule, std::string_view found) {
  if (held) return;
  std::cerr << "broken rule: " << rule << "\nfound: " << found << std::endl;
  std::abort();
}

void expect_message(const Status& status) {
  expect(!status.ok(), "what is refused has an error");
  expect(status.code() != StatusCode::kInternal, "no input shows a bug", status.message());
  expect_message(status.message());
}

void expect_message(std::string_view message) {
  const auto is_printable = [](char c) { return c >= ' ' && c <= '~'; };
  expect(!message.empty(), "an error has a message");
  expect(std::ranges::all_of(message, is_printable), "a message is one line of ascii", message);
  expect(message.size() <= kMaxMessageBytes, "a message is short", message);
}

void expect_field_named(const Status& status) {
  expect_message(status);
  const std::string_view message = status.message();
  expect(message.find(": ") != message.npos, "a message names a field", message);
  expect(!message.ends_with('.') || message.ends_with("..."), "and ends without a full stop",
         message);
}

std::string_view take_until(std::string_view& text, char end) {
  const size_t at = text.find(end);
  const std::string_view front = text.substr(0, at);
  text.remove_prefix(at == text.npos ? text.size() : at + 1);
  return front;
}

uint8_t Bytes::next() {
  const std::string_view byte = take(1);
  return byte.empty() ? 0 : static_cast<uint8_t>(byte[0]);
}

std::string_view Bytes::take(size_t size) {
  const std::string_view taken = bytes_.substr(0, size);
  bytes_.remove_prefix(taken.size());
  return taken;
}

int64_t Bytes::number() {
  int64_t value = 0;
  const std::string_view bytes = take(sizeof value);
  std::memcpy(&value, bytes.data(), bytes.size());
  return value;
}

}  // namespace convgen::fuzz_inputs
