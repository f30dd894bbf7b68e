// SPDX-License-Identifier: Apache-2.0
#include "runtime/object_store.h"

#include <fmt/format.h>
#include <sys/auxv.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <functional>
#include <system_error>
#include <tuple>
#include <utility>

#include "ir/message.h"

namespace convgen {
namespace {

using File = PrivateDirectory::File;

// Pruned to this share, so that not every store prunes.
constexpr double kPrunedShare = 0.7;
// A process counts again when it has added this part of the bound: 16 that know nothing of each
// other stay within a tenth above it, all together.
constexpr uint64_t kCountEvery = 256;
constexpr time_t kDay = 24 * 60 * 60;

// Relative ones hold for where the process is now. A process with more rights than its user must
// not run what that user wrote.
std::string resolve(const std::string& directory) {
  if (directory.empty() || ::getauxval(AT_SECURE) != 0) return "";
  std::error_code error;
  const std::string absolute = std::filesystem::absolute(directory, error).string();
  return error ? "" : absolute;
}

uint64_t total_bytes(const std::vector<File>& files) {
  uint64_t bytes = 0;
  for (const File& file : files) bytes += file.bytes;
  return bytes;
}

// The last used first. A time more than a day ahead is of a clock that was wrong, or that is wrong
// now: it says nothing, and comes last.
std::vector<File> by_last_use(std::vector<File> files) {
  const time_t ahead = ::time(nullptr) + kDay;
  const auto rank = [ahead](const File& file) {
    const bool known = file.modified.tv_sec <= ahead;
    return std::tuple(known, file.modified.tv_sec, file.modified.tv_nsec);
  };
  std::ranges::sort(files, std::greater(), rank);
  return files;
}

// The bytes that are left. Several processes may prune at once: they drop the same files.
uint64_t prune(const PrivateDirectory& directory, std::vector<File> files, uint64_t max_bytes) {
  files = by_last_use(std::move(files));
  uint64_t bytes = total_bytes(files);
  const auto wanted = static_cast<uint64_t>(kPrunedShare * static_cast<double>(max_bytes));
  for (; bytes > wanted && !files.empty(); files.pop_back())
    if (directory.remove(files.back().name)) bytes -= files.back().bytes;
  return bytes;
}

}  // namespace

Result<uint64_t> default_store_bytes() {
  const char* text = std::getenv("CONVGEN_CACHE_MAX_BYTES");
  if (text == nullptr || *text == '\0') return kDefaultStoreBytes;
  uint64_t bytes = 0;
  const auto [end, error] = std::from_chars(text, text + std::strlen(text), bytes);
  if (error == std::errc() && *end == '\0') return bytes;
  return invalid_argument(
      fmt::format("CONVGEN_CACHE_MAX_BYTES={}: expected a whole number of bytes, at most 2^64 - 1",
                  ir::printable(text)));
}

ObjectStore::ObjectStore(const std::string& directory, uint64_t max_bytes, bool verbose)
    : directory_(resolve(directory)), max_bytes_(max_bytes), verbose_(verbose) {}

Status ObjectStore::status() const {
  const std::lock_guard lock(status_mutex_);
  return status_;
}

void ObjectStore::note(const Status& trouble) {
  const std::lock_guard lock(status_mutex_);
  if (!status_.ok()) return;
  status_ = Status(trouble.code(), "kernels are not kept on disk: " + trouble.message());
  if (verbose_) fmt::print(stderr, "convgen: warning: {}\n", status_.message());
}

std::optional<std::string> ObjectStore::find(const StoreKey& key) {
  if (directory_.empty()) return std::nullopt;
  const auto directory = PrivateDirectory::open(directory_);
  if (!directory.ok()) note(directory.status());
  if (!directory.ok() || !directory->has_value()) return std::nullopt;
  const std::string prefix = store_prefix(key);
  const std::string name = store_file_name(prefix, key.constants);
  const auto bytes = (*directory)->read(name, kMaxStoreEntryBytes);
  if (!bytes) return std::nullopt;
  auto object = read_store_entry(*bytes, prefix, key);
  if (object) (*directory)->touch(name);  // its time of modification is that of its last use
  return object;
}

void ObjectStore::put(const StoreKey& key, std::string_view object) {
  if (directory_.empty()) return;
  const std::string prefix = store_prefix(key);
  const std::string bytes = write_store_entry(prefix, key, object);
  if (bytes.size() > std::min<uint64_t>(kMaxStoreEntryBytes, max_bytes_)) return;
  const std::string name = store_file_name(prefix, key.constants);
  // Twice: somebody may have removed the directory, or the temporary file, in between.
  Status status = try_put(name, bytes);
  if (!status.ok()) status = try_put(name, bytes);
  if (!status.ok()) note(status);
}

Status ObjectStore::try_put(const std::string& name, std::string_view bytes) {
  const auto directory = PrivateDirectory::open_or_make(directory_);
  if (!directory.ok()) return directory.status();
  if (Status status = directory->write(name, bytes); !status.ok()) return status;
  account(*directory, bytes.size());
  return Status();
}

// Counts what is there now and then, and prunes where it is too much.
void ObjectStore::account(const PrivateDirectory& directory, uint64_t added) {
  const std::lock_guard lock(mutex_);
  bytes_ += added;
  added_ += added;
  if (counted_ && added_ <= max_bytes_ / kCountEvery && bytes_ <= max_bytes_) return;
  directory.remove_abandoned();
  std::vector<File> files = directory.files(is_store_file_name);
  bytes_ = total_bytes(files);
  added_ = 0;
  counted_ = true;
  if (bytes_ > max_bytes_) bytes_ = prune(directory, std::move(files), max_bytes_);
}

Result<std::vector<ObjectStore::Entry>> ObjectStore::list() const {
  std::vector<Entry> entries;
  if (directory_.empty()) return entries;
  const auto directory = PrivateDirectory::open(directory_);
  if (!directory.ok()) return directory.status();
  if (!directory->has_value()) return entries;
  constexpr size_t kHeadBytes = 1 << 14;
  for (const File& file : by_last_use((*directory)->files(is_store_file_name))) {
    const std::string head =
        (*directory)->read(file.name, kMaxStoreEntryBytes, kHeadBytes).value_or("");
    entries.push_back({file.name, file.bytes, file.modified.tv_sec, store_field(head, "conv"),
                       store_field(head, "llvm")});
  }
  return entries;
}

Result<int64_t> ObjectStore::clear() const {
  if (directory_.empty()) return 0;
  const auto directory = PrivateDirectory::open(directory_);
  if (!directory.ok()) return directory.status();
  if (!directory->has_value()) return 0;
  int64_t removed = 0;
  for (const File& file : (*directory)->files(is_store_file_name)) {
    if (!(*directory)->remove(file.name))
      return io_error(
          fmt::format("cannot remove {}/{}: {}", directory_, file.name, std::strerror(errno)));
    ++removed;
  }
  (*directory)->remove_abandoned();
  return removed;
}

}  // namespace convgen
