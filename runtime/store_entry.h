// SPDX-License-Identifier: Apache-2.0
// StoreEntry: the bytes of one file of the object store.
//
//   convgen-object 1                     magic and format
//   convgen 0.1.0, code generator N, sources HEX[, AddressSanitizer]
//   llvm 19.1.7
//   target TRIPLE;CPU;TUNE;FEATURES      every feature, on or off
//   conv TEXT                            canonical
//   schedule TEXT
//   constants BYTES [finite]             0: the weights come with each call
//   object BYTES
//   an empty line, the constants, the relocatable object, SHA-256 of all that (32 bytes)
//
// A reader that asks for a key writes down what the file must begin with, and compares: nothing of
// a file is interpreted before its checksum is right, but the length of the object.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace convgen {

// What decides the bytes of an object. No field but constants holds a line end.
struct StoreKey {
  std::string conv;
  std::string schedule;
  std::string target;
  std::string constants = {};  // their bytes
  bool assume_finite = false;
};

// Entries beyond this are neither written nor read.
inline constexpr size_t kMaxStoreEntryBytes = size_t{16} << 20;

// What all entries of a key begin with: all above "object".
std::string store_prefix(const StoreKey& key);

// The file's name: hex SHA-256 of what it begins with and the constants, and ".cgo".
std::string store_file_name(std::string_view prefix, std::string_view constants);
bool is_store_file_name(std::string_view name);

std::string write_store_entry(std::string_view prefix, const StoreKey& key,
                              std::string_view object);

// The object of a file that was written, whole, for this very key; else nothing.
std::optional<std::string> read_store_entry(std::string_view bytes, std::string_view prefix,
                                            const StoreKey& key);

// The value of a line "FIELD VALUE" in the head of a file, for people; empty where there is none.
std::string store_field(std::string_view head, std::string_view field);

}  // namespace convgen
