// SPDX-License-Identifier: Apache-2.0
#include "runtime/store_entry.h"

#include <fmt/format.h>
#include <llvm/ADT/StringExtras.h>
#include <llvm/Support/SHA256.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <initializer_list>

#include "codegen/compile.h"
#include "runtime/sanitizer.h"
#include "runtime/source_digest.h"

namespace convgen {
namespace {

constexpr std::string_view kMagic = "convgen-object 1\n";
constexpr std::string_view kSuffix = ".cgo";
constexpr size_t kDigestBytes = 32;
using Digest = std::array<uint8_t, kDigestBytes>;

Digest sha256(std::initializer_list<std::string_view> parts) {
  llvm::SHA256 hash;
  for (const std::string_view part : parts) hash.update(llvm::StringRef(part));
  return hash.final();
}

std::string_view bytes_of(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

// Takes `expected` off the front of text; false where something else stands there.
bool take(std::string_view& text, std::string_view expected) {
  if (!text.starts_with(expected)) return false;
  text.remove_prefix(expected.size());
  return true;
}

// What stands between the prefix and the constants.
std::string object_line(size_t bytes) { return fmt::format("object {}\n\n", bytes); }

}  // namespace

std::string store_prefix(const StoreKey& key) {
  return fmt::format(
      "{}convgen {}, code generator {}, sources {}{}\nllvm {}\ntarget {}\nconv {}\nschedule {}\n"
      "constants {}{}\n",
      kMagic, CONVGEN_VERSION, codegen::kCodeGeneratorVersion, kSourceDigest, kKernelInstrumentName,
      codegen::llvm_version(), key.target, key.conv, key.schedule, key.constants.size(),
      key.assume_finite ? " finite" : "");
}

std::string store_file_name(std::string_view prefix, std::string_view constants) {
  return llvm::toHex(sha256({prefix, constants}), /*LowerCase=*/true).append(kSuffix);
}

bool is_store_file_name(std::string_view name) {
  if (name.size() != 2 * kDigestBytes + kSuffix.size() || !name.ends_with(kSuffix)) return false;
  name.remove_suffix(kSuffix.size());
  return name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string write_store_entry(std::string_view prefix, const StoreKey& key,
                              std::string_view object) {
  std::string bytes = std::string(prefix) + object_line(object.size());
  bytes.append(key.constants).append(object);
  const Digest digest = sha256({bytes});
  return bytes.append(bytes_of(digest));
}

std::optional<std::string> read_store_entry(std::string_view bytes, std::string_view prefix,
                                            const StoreKey& key) {
  if (bytes.size() < kDigestBytes || bytes.size() > kMaxStoreEntryBytes) return std::nullopt;
  const std::string_view digest = bytes.substr(bytes.size() - kDigestBytes);
  bytes.remove_suffix(kDigestBytes);
  std::string_view rest = bytes;
  constexpr std::string_view kObject = "object ";
  if (!take(rest, prefix) || !rest.starts_with(kObject)) return std::nullopt;
  size_t size = 0;
  const char* digits = rest.data() + kObject.size();
  if (std::from_chars(digits, rest.data() + rest.size(), size).ec != std::errc())
    return std::nullopt;
  // The one spelling of the size that is written: no zeros before it, nothing behind.
  if (!take(rest, object_line(size)) || !take(rest, key.constants) || rest.size() != size)
    return std::nullopt;
  if (bytes_of(sha256({bytes})) != digest) return std::nullopt;
  return std::string(rest);
}

std::string store_field(std::string_view head, std::string_view field) {
  if (!head.starts_with(kMagic)) return "";
  for (size_t line = 0; line < head.size();) {
    const size_t end = std::min(head.find('\n', line), head.size());
    const std::string_view text = head.substr(line, end - line);
    if (text.empty()) break;
    if (text.size() > field.size() && text.starts_with(field) && text[field.size()] == ' ')
      return std::string(text.substr(field.size() + 1));
    line = end + 1;
  }
  return "";
}

}  // namespace convgen
