// SPDX-License-Identifier: Apache-2.0
// Files of the user's that several processes read and write: seen whole or not at all, changed by
// one at a time, for nobody else's eyes. What is in them is not known here.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "ir/status.h"

namespace convgen {

// The whole file; nothing where there is none. Errors: io_error, also for more than max_bytes.
Result<std::optional<std::string>> read_if_present(const std::string& path, size_t max_bytes);

// Makes the directories that path lies in, mode 0700 where they are new. Errors: io_error.
Status make_directories_for(const std::string& path);

// One process at a time holds the lock of a path: an empty file PATH.lock, which stays. Readers
// need none.
class FileLock {
 public:
  // Waits for whoever holds it. Errors: io_error.
  static Result<FileLock> take(const std::string& path);
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock();

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

// Puts text under the name by a rename within the directory: a reader sees the old file or the new
// one. Mode 0600 where it is new; symbolic links are followed. Errors: io_error.
Status replace_file(const std::string& path, std::string_view text);

// Adds text at the end by one write. The file must exist. Errors: io_error.
Status append_to_file(const std::string& path, std::string_view text);

}  // namespace convgen
