// SPDX-License-Identifier: Apache-2.0
// ProcessFile: a file whose name holds this process's id, which all parts of the process append to.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "ir/status.h"

namespace convgen {

class ProcessFile {
 public:
  // Makes the file, mode 0600, or opens what another part of this process made; what an earlier
  // process of the same id left is emptied. header is written where the file is empty.
  // Errors: io_error, also for what is no regular file of this user's alone: /tmp is everybody's.
  static Result<ProcessFile> open(const std::string& path, std::string_view header);
  ProcessFile(ProcessFile&& other) noexcept;
  ProcessFile& operator=(ProcessFile&&) = delete;
  ~ProcessFile();

  // One write. Faults are ignored, and children of fork() write nothing: the file is their
  // parent's.
  void append(std::string_view bytes) const;

  int descriptor() const { return fd_; }
  bool wrote_header() const { return wrote_header_; }

 private:
  explicit ProcessFile(int fd);
  int fd_;
  pid_t owner_;
  bool wrote_header_ = false;
};

}  // namespace convgen
