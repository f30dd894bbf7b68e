// SPDX-License-Identifier: Apache-2.0
// How the tool reads and writes whole files: nothing half-written ever stands under the final
// name. "-" is standard input or output.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "ir/status.h"

namespace convgen::tool {

// "F.npy" as messages name it: standard input or output for "-".
std::string input_name(const std::string& path);
std::string output_name(const std::string& path);

// "WHAT NAME: No such file or directory", from errno.
Status errno_status(std::string_view what, const std::string& name);

// An open file descriptor, closed at the end. Standard input is never closed.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept;
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor();

  int get() const { return fd_; }
  // False where the system reports an error only now, as network file systems do.
  bool close();

 private:
  int fd_ = -1;
};

// Opens a file, pipe or device for reading. Errors: io_error, also for a directory.
Result<FileDescriptor> open_input(const std::string& path);

// Reads up to `bytes` bytes, fewer only at the end of the file. -1 with errno on failure.
ptrdiff_t read_fully(int fd, void* buffer, size_t bytes);

// The whole of a text file of at most max_bytes.
Result<std::string> read_text(const std::string& path, size_t max_bytes);

// A file that appears under its name only at commit(), by a rename within its directory. Without
// commit nothing is left behind. Pipes, devices and standard output are written as they are.
class OutputFile {
 public:
  static Result<OutputFile> create(const std::string& path);
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;
  ~OutputFile();

  Status write(std::string_view bytes);
  Status commit();

 private:
  explicit OutputFile(std::string path) : path_(std::move(path)) {}
  Status open();
  Status open_temporary(unsigned mode);

  std::string path_;       // as the user said it
  std::string target_;     // symbolic links followed, so that they survive the rename
  std::string temporary_;  // empty where path_ is written directly
  FileDescriptor fd_;
};

// One file, from nothing to committed.
Status write_file(const std::string& path, std::string_view bytes);

}  // namespace convgen::tool
