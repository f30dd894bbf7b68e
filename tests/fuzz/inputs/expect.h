// SPDX-License-Identifier: Apache-2.0
// What the targets share: rules that must hold whatever the input, and what an error must look
// like.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "ir/status.h"

// What libFuzzer, or replay_main, calls with the bytes of each input.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace convgen::fuzz_inputs {

// Ends the process where a rule is broken, and says which and what was found. The input is named by
// who called the target: libFuzzer keeps it in a file, replay_main printed its path.
void expect(bool held, std::string_view rule, std::string_view found = {});

// An error is for people: it has a code that is not a bug's, and one line of printable text of
// bounded length.
void expect_message(const Status& status);
void expect_message(std::string_view message);

// The same in the form "FIELD: RULE", without a full stop; where all words are convgen's own.
void expect_field_named(const Status& status);

inline std::string_view text_of(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// The front of text up to `end`, which is dropped; all of it where there is none.
std::string_view take_until(std::string_view& text, char end);

// Bytes of an input, taken one after the other; 0 when they are used up.
class Bytes {
 public:
  explicit Bytes(std::string_view bytes) : bytes_(bytes) {}

  bool empty() const { return bytes_.empty(); }
  uint8_t next();
  // In [0, bound), bound <= 256.
  size_t below(size_t bound) { return next() % bound; }
  bool one_in(size_t count) { return below(count) == count - 1; }
  // Up to `size` bytes.
  std::string_view take(size_t size);
  // Signed, of eight bytes.
  int64_t number();
  std::string_view rest() { return take(bytes_.size()); }

 private:
  std::string_view bytes_;
};

}  // namespace convgen::fuzz_inputs
