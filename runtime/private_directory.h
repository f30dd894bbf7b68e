// SPDX-License-Identifier: Apache-2.0
// PrivateDirectory: a directory that is this user's alone, and files in it that are read and
// written whole. What is in them is not known here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ir/status.h"
#include "runtime/descriptor.h"

namespace convgen {

class PrivateDirectory {
 public:
  struct File {
    std::string name;
    uint64_t bytes = 0;
    timespec modified = {};
  };

  // Nothing where there is none. Errors: io_error where it cannot be opened or is not to be
  // trusted: what others can write to may hold anything, and a symbolic link may be anybody's.
  static Result<std::optional<PrivateDirectory>> open(const std::string& path);
  // Made where there is none, mode 0700, with those it lies in.
  static Result<PrivateDirectory> open_or_make(const std::string& path);

  // The beginning of a file, at most so many bytes, copied: a mapping would fault where somebody
  // truncates it. Nothing where there is none, it is larger than max_bytes, or not what write()
  // leaves: a regular file of this user's, under one name, that nobody else may write to.
  std::optional<std::string> read(const std::string& name, size_t max_bytes,
                                  size_t most = static_cast<size_t>(-1)) const;

  // Puts the file there whole, mode 0600, in place of what was there, or leaves things as they
  // were. Not forced to the disk: a crash of the machine may leave a damaged file. Errors:
  // io_error.
  Status write(const std::string& name, std::string_view bytes) const;

  // Its time of modification becomes now, where that can be done.
  void touch(const std::string& name) const;

  // False, with errno, where it is still there.
  bool remove(const std::string& name) const;

  // This user's regular files of such names, in any order.
  std::vector<File> files(const std::function<bool(std::string_view)>& wanted) const;

  // Removes what writers left that were killed.
  void remove_abandoned() const;

 private:
  explicit PrivateDirectory(Descriptor fd) : fd_(std::move(fd)) {}
  Descriptor fd_;
};

}  // namespace convgen
