// SPDX-License-Identifier: Apache-2.0
// The bytes of an entry: what stands in the head, and that nothing but the very file that was
// written for a key is read for it.
#include "runtime/store_entry.h"

#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "codegen/compile.h"
#include "runtime/sanitizer.h"

namespace convgen {
namespace {

const StoreKey kKey{"conv2d src=...", "direct lanes=16", "x86_64-pc-linux-gnu;x86-64;znver4;+avx"};
const std::string kObject(
    "\x7f"
    "ELF\0object\n\n",
    13);

std::string entry_of(const StoreKey& key, const std::string& object = kObject) {
  return write_store_entry(store_prefix(key), key, object);
}

std::optional<std::string> read(const std::string& bytes, const StoreKey& key = kKey) {
  return read_store_entry(bytes, store_prefix(key), key);
}

std::string name_of(const StoreKey& key) {
  return store_file_name(store_prefix(key), key.constants);
}

// Keys that differ from kKey in one thing.
std::vector<StoreKey> other_keys() {
  std::vector<StoreKey> keys(6, kKey);
  keys[0].conv += " post=relu";
  keys[1].schedule = "direct lanes=8";
  keys[2].target += ",+avx512f";
  keys[3].constants = std::string(8, '\0');
  keys[4] = keys[3];
  keys[4].assume_finite = true;
  keys[5] = keys[3];
  keys[5].constants.back() = 1;
  return keys;
}

TEST(StoreEntryTest, HeadNamesEverythingThatDecidesTheObject) {
  const std::string bytes = entry_of(kKey);
  EXPECT_TRUE(bytes.starts_with("convgen-object 1\nconvgen 0.")) << bytes;
  for (const std::string& part :
       {"\nllvm " + codegen::llvm_version() + "\n", "\ntarget " + kKey.target + "\n",
        "\nconv " + kKey.conv + "\n", "\nschedule " + kKey.schedule + "\n",
        ", code generator " + std::to_string(codegen::kCodeGeneratorVersion) + ", sources ",
        std::string("\nconstants 0\nobject 13\n\n") + kObject})
    EXPECT_NE(bytes.find(part), std::string::npos) << part << " not in\n" << bytes;
  EXPECT_EQ(store_field(bytes, "conv"), kKey.conv);
  EXPECT_EQ(store_field(bytes, "llvm"), codegen::llvm_version());
  EXPECT_EQ(store_field(bytes, "nothing"), "");
  EXPECT_EQ(store_field("conv x\n", "conv"), "") << "no magic";
}

TEST(StoreEntryTest, RoundTrips) {
  for (const std::string& object : {std::string(), kObject, std::string(100000, 'x')})
    EXPECT_EQ(read(entry_of(kKey, object)), object);
  for (const StoreKey& key : other_keys()) EXPECT_EQ(read(entry_of(key), key), kObject);
}

TEST(StoreEntryTest, KeysAreToldApart) {
  std::set<std::string> names = {name_of(kKey)};
  std::vector<StoreKey> keys = other_keys();
  for (const StoreKey& key : keys) names.insert(name_of(key));
  EXPECT_EQ(names.size(), keys.size() + 1);
  keys.push_back(kKey);
  for (const StoreKey& asked : keys)
    for (const StoreKey& found : keys)
      EXPECT_EQ(read(entry_of(found), asked).has_value(), &asked == &found)
          << store_prefix(asked) << store_prefix(found);
}

TEST(StoreEntryTest, OtherBuildsAreMisses) {
  const std::string prefix = store_prefix(kKey);
  for (const std::string field : {"convgen-object 1", "convgen 0", "sources ", "llvm 1"}) {
    std::string other = prefix;
    other[other.find(field) + field.size() - 1] ^= 1;  // still sound, and its checksum right
    const std::string bytes = write_store_entry(other, kKey, kObject);
    EXPECT_TRUE(read_store_entry(bytes, other, kKey).has_value());
    EXPECT_FALSE(read(bytes).has_value()) << field;
    EXPECT_NE(store_file_name(other, ""), name_of(kKey)) << field;
  }
}

// Under AddressSanitizer kernels call what other processes do not have.
TEST(StoreEntryTest, InstrumentedBuildsSaySo) {
  const bool instrumented = kKernelInstrument != codegen::Instrument::kNothing;
  EXPECT_EQ(store_prefix(kKey).find(", AddressSanitizer\n") != std::string::npos, instrumented);
}

TEST(StoreEntryTest, EveryTruncationIsAMiss) {
  const std::string bytes = entry_of(kKey);
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(read(bytes.substr(0, size)).has_value()) << size;
  EXPECT_FALSE(read(bytes + '\0').has_value());
  EXPECT_FALSE(read(bytes + bytes).has_value());
}

TEST(StoreEntryTest, EveryFlippedBitIsAMiss) {
  std::string bytes = entry_of(kKey);
  for (size_t at = 0; at < bytes.size(); ++at)
    for (int bit = 0; bit < 8; ++bit) {
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << bit));
      EXPECT_FALSE(read(bytes).has_value()) << "bit " << bit << " of byte " << at;
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << bit));
    }
  EXPECT_TRUE(read(bytes).has_value());
}

TEST(StoreEntryTest, LyingSizesAreMisses) {
  for (const char* size : {"", "-1", "0", "12", "14", "18446744073709551616", "99999999999999999",
                           " 13", "+13", "0x0d", "13 ", "013"}) {
    std::string bytes = entry_of(kKey);
    const size_t at = bytes.find("object 13\n") + 7;
    bytes.replace(at, 2, size);
    EXPECT_FALSE(read(bytes).has_value()) << size;
  }
}

// With the right checksum, which what is written behind the size takes care of: "object 0\n\n", ten
// bytes, is the object.
TEST(StoreEntryTest, SizesHaveOneSpelling) {
  const auto read_sized = [](const std::string& size) {
    return read(write_store_entry(store_prefix(kKey) + "object " + size + "\n\n", kKey, ""));
  };
  EXPECT_TRUE(read_sized("10").has_value());
  for (const char* size : {"010", "0000010", "10 ", "+10"})
    EXPECT_FALSE(read_sized(size).has_value()) << size;
}

TEST(StoreEntryTest, TellsItsFileNames) {
  EXPECT_TRUE(is_store_file_name(name_of(kKey))) << name_of(kKey);
  const std::string digits(64, 'a');
  EXPECT_TRUE(is_store_file_name(digits + ".cgo"));
  for (const std::string& name :
       {std::string(), std::string(".cgo"), digits, digits + ".cgo ", digits + "a.cgo",
        std::string(63, 'a') + "A.cgo", std::string(63, 'a') + "/.cgo", digits + ".o",
        std::string("tuning")})
    EXPECT_FALSE(is_store_file_name(name)) << name;
}

}  // namespace
}  // namespace convgen
