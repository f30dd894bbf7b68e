// SPDX-License-Identifier: Apache-2.0
// openat2 with RESOLVE_BENEATH, where CVE-2022-25882 and its successors compared strings: "..",
// symbolic and hard links all led outside.
#include "tools/onnx_import/external_data.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "tools/onnx_import/messages.h"
#include "tools/output_file.h"

namespace convgen::onnx_import {
namespace {

using tool::FileDescriptor;

// Non-blocking, so that a FIFO does not wait for a writer.
FileDescriptor open_beneath(int directory, const std::string& location) {
  open_how how = {};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  return FileDescriptor(
      static_cast<int>(::syscall(SYS_openat2, directory, location.c_str(), &how, sizeof how)));
}

Status check_file(const struct stat& info, const std::string& name, int64_t offset, int64_t bytes) {
  if (!S_ISREG(info.st_mode)) {
    return invalid_argument(fmt::format("external data {}: is no regular file", name));
  }
  if (info.st_nlink != 1) {
    return invalid_argument(
        fmt::format("external data {}: has {} hard links, expected one name", name, info.st_nlink));
  }
  if (offset < 0 || bytes < 0 || offset > info.st_size || bytes > info.st_size - offset) {
    return invalid_argument(
        fmt::format("external data {}: {} bytes at offset {} asked for, it has {}", name, bytes,
                    offset, info.st_size));
  }
  return Status();
}

}  // namespace

Result<std::string> ExternalData::read(const std::string& location, int64_t offset,
                                       int64_t bytes) const {
  const std::string name = quote_name(location);
  if (location.find('\0') != location.npos) {
    return invalid_argument(fmt::format("external data {}: is no path", name));
  }
  const FileDescriptor directory(::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() < 0) return tool::errno_status("cannot read", directory_);
  const FileDescriptor file = open_beneath(directory.get(), location);
  if (file.get() < 0) {
    const bool outside = errno == EXDEV || errno == ELOOP;
    return outside ? invalid_argument(fmt::format("external data {}: must lie beneath the model's "
                                                  "directory, without symbolic links",
                                                  name))
                   : tool::errno_status("cannot read external data", name);
  }
  struct stat info;
  if (::fstat(file.get(), &info) != 0) return tool::errno_status("cannot read", name);
  if (Status status = check_file(info, name, offset, bytes); !status.ok()) return status;
  std::string data(static_cast<size_t>(bytes), '\0');
  if (::lseek(file.get(), offset, SEEK_SET) != offset) {
    return tool::errno_status("cannot read", name);
  }
  const ptrdiff_t count = tool::read_fully(file.get(), data.data(), data.size());
  if (count < 0) return tool::errno_status("cannot read", name);
  if (count != bytes) return io_error(fmt::format("external data {}: shrank while read", name));
  return data;
}

}  // namespace convgen::onnx_import
