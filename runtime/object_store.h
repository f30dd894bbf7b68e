// SPDX-License-Identifier: Apache-2.0
// ObjectStore: compiled objects on disk, one file each, shared by all processes of a user. Whatever
// is wrong with a file, the directory or the disk costs a compilation, never a wrong answer and
// never an error. The checksum tells damage; against somebody who writes as the same user nothing
// can.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ir/status.h"
#include "runtime/private_directory.h"
#include "runtime/store_entry.h"

namespace convgen {

// Of the store's files when nothing else is said.
inline constexpr uint64_t kDefaultStoreBytes = uint64_t{256} << 20;

// $CONVGEN_CACHE_MAX_BYTES where set, else the default. Errors: invalid_argument for anything but a
// whole number.
Result<uint64_t> default_store_bytes();

class ObjectStore {
 public:
  // One file of the store.
  struct Entry {
    std::string name;
    uint64_t bytes = 0;
    int64_t last_use = 0;  // seconds since 1970
    std::string conv;      // from the file's head, unchecked: for people
    std::string llvm;
  };

  // directory: made, mode 0700, by the first put. Empty: the store is off. verbose: the first
  // trouble is told on standard error.
  ObjectStore(const std::string& directory, uint64_t max_bytes, bool verbose);

  // The object kept for key; nothing where there is none, or it is damaged or not to be trusted.
  // Thread-safe.
  std::optional<std::string> find(const StoreKey& key);

  // Keeps object for key, in place of what was there; drops those that were not used for longest,
  // where all together pass the bound. Thread-safe, also among processes.
  void put(const StoreKey& key, std::string_view object);

  // The first thing that kept objects from being found or kept. Thread-safe.
  Status status() const;

  const std::string& directory() const { return directory_; }  // absolute, or empty
  uint64_t max_bytes() const { return max_bytes_; }

  // The store's own files, the last used first. Files of others in the directory are left alone.
  // Errors: io_error, also for a directory that is not to be trusted.
  Result<std::vector<Entry>> list() const;
  // Removes them; how many. Errors as of list.
  Result<int64_t> clear() const;

 private:
  Status try_put(const std::string& name, std::string_view bytes);
  void account(const PrivateDirectory& directory, uint64_t added);
  void note(const Status& trouble);

  const std::string directory_;
  const uint64_t max_bytes_;
  const bool verbose_;

  mutable std::mutex status_mutex_;
  Status status_;

  std::mutex mutex_;  // of the three below
  bool counted_ = false;
  uint64_t bytes_ = 0;  // of all files, as far as this process knows
  uint64_t added_ = 0;  // since they were counted
};

}  // namespace convgen
