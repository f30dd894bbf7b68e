// SPDX-License-Identifier: Apache-2.0
// Entries of the object store. The first byte says how the rest is meant, since no input can guess
// a checksum, or the versions that an entry begins with:
//   raw     an entry as it lies there
//   tail    what follows the right beginning
//   sealed  the same with the right checksum
//   edits   changes of an entry that was written, four bytes each
//   key     the lines of a key, and an object
// Whatever the bytes, what is read is the object of the very bytes that are written for the key.
#include "runtime/store_entry.h"

#include <llvm/ADT/StringRef.h>
#include <llvm/Support/SHA256.h>

#include <algorithm>
#include <optional>
#include <string>

#include "tests/fuzz/inputs/expect.h"

namespace convgen::fuzz_inputs {
namespace {

enum class Meaning { kRaw, kTail, kSealed, kEdits, kKey, kCount };

StoreKey fixed_key(bool constant) {
  return {.conv = "conv2d src=f32:nhwc:1x3x3x1 weights=f32:hwio:3x3x1x1",
          .schedule = "direct lanes=4",
          .target = "x86_64-pc-linux-gnu;x86-64;generic;",
          .constants = constant ? std::string("\0\0\x80\x3f", 4) : std::string(),
          .assume_finite = constant};
}

std::string sealed(std::string bytes) {
  llvm::SHA256 hash;
  hash.update(llvm::StringRef(bytes));
  const auto digest = hash.final();
  return bytes.append(reinterpret_cast<const char*>(digest.data()), digest.size());
}

// Reading what stands there for the key, and what it may be.
void expect_nothing_but_what_was_written(const std::string& bytes, const StoreKey& key) {
  const std::string prefix = store_prefix(key);
  const auto object = read_store_entry(bytes, prefix, key);
  if (!object.has_value()) return;
  expect(write_store_entry(prefix, key, *object) == bytes,
         "an entry that is accepted is bit for bit what was written", bytes);
}

// Four bytes an edit: how, where from the end (two), and which byte.
std::string edited(std::string bytes, Bytes edits) {
  while (!edits.empty() && !bytes.empty()) {
    const size_t how = edits.below(4);
    const size_t from_end = edits.next() + size_t{256} * edits.next();
    const size_t at = bytes.size() - 1 - from_end % bytes.size();
    const auto byte = static_cast<char>(edits.next());
    if (how == 0) bytes[at] = byte;
    if (how == 1) bytes.insert(at, 1, byte);
    if (how == 2) bytes.erase(at, 1 + static_cast<size_t>(byte & 15));
    if (how == 3) bytes.resize(at);
  }
  return bytes;
}

void expect_edits_are_seen(const StoreKey& key, Bytes edits) {
  const std::string prefix = store_prefix(key);
  const std::string written = write_store_entry(prefix, key, "object\n\n");
  const std::string bytes = edited(written, edits);
  expect(read_store_entry(bytes, prefix, key).has_value() == (bytes == written),
         "what was changed is not accepted, what was not is", bytes);
}

void expect_key_finds_its_own(std::string_view text) {
  StoreKey key;
  key.conv = take_until(text, '\n');
  key.schedule = take_until(text, '\n');
  key.target = take_until(text, '\n');
  key.assume_finite = take_until(text, '\n') == "finite";
  key.constants = take_until(text, '\n');
  const std::string object(text);
  const std::string prefix = store_prefix(key);
  const std::string bytes = write_store_entry(prefix, key, object);
  const bool fits = bytes.size() <= kMaxStoreEntryBytes;
  expect(read_store_entry(bytes, prefix, key) == (fits ? std::optional(object) : std::nullopt),
         "a key finds the object that was written for it", bytes);
  const std::string name = store_file_name(prefix, key.constants);
  expect(is_store_file_name(name), "names of entries are told", name);

  const StoreKey other = fixed_key(false);
  if (prefix == store_prefix(other)) return;
  expect(!read_store_entry(bytes, store_prefix(other), other), "no other key finds it", bytes);
  expect(store_file_name(store_prefix(other), "") != name, "keys have names of their own", name);
}

// What people are shown of an entry stands in it, in a line of its own.
void expect_fields_stand_there(const std::string& bytes) {
  for (const std::string field : {"convgen", "conv", "llvm", "target", "constants"}) {
    const std::string value = store_field(bytes, field);
    if (value.empty()) continue;
    const std::string line = "\n" + field + " " + value;
    const size_t at = bytes.find(line);
    expect(at != bytes.npos && value.find('\n') == value.npos, "fields are lines", value);
  }
}

}  // namespace
}  // namespace convgen::fuzz_inputs

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace convgen;               // NOLINT: it is all about them
  using namespace convgen::fuzz_inputs;  // NOLINT
  Bytes input(text_of(data, size));
  const uint8_t first = input.next();
  const auto meaning = static_cast<Meaning>(first % 8 % static_cast<int>(Meaning::kCount));
  const StoreKey key = fixed_key(first >= 128);
  const std::string rest(input.rest());
  if (meaning == Meaning::kEdits) expect_edits_are_seen(key, Bytes(rest));
  if (meaning == Meaning::kKey) expect_key_finds_its_own(rest);
  if (meaning == Meaning::kEdits || meaning == Meaning::kKey) return 0;

  std::string bytes = meaning == Meaning::kRaw ? rest : store_prefix(key) + rest;
  if (meaning == Meaning::kSealed) bytes = sealed(bytes);
  expect_nothing_but_what_was_written(bytes, key);
  expect_fields_stand_there(bytes);
  expect(is_store_file_name(rest) == (rest.size() == 68 && rest.ends_with(".cgo") &&
                                      rest.find_first_not_of("0123456789abcdef") == 64),
         "names of entries are 64 hex digits and .cgo", rest);
  return 0;
}
