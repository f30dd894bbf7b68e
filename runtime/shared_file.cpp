// SPDX-License-Identifier: Apache-2.0
#include "runtime/shared_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "runtime/descriptor.h"

namespace convgen {
namespace {

namespace fs = std::filesystem;

Status errno_status(std::string_view what, const std::string& path) {
  return io_error(fmt::format("cannot {} {}: {}", what, path, std::strerror(errno)));
}

// Where links lead, so that they survive the rename; the path itself where it cannot be told.
std::string follow_links(const std::string& path) {
  std::error_code ignored;
  const std::string target = fs::weakly_canonical(path, ignored).string();
  return target.empty() ? path : target;
}

}  // namespace

Result<std::optional<std::string>> read_if_present(const std::string& path, size_t max_bytes) {
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0 && (errno == ENOENT || errno == ENOTDIR)) return std::optional<std::string>();
  if (fd.get() < 0) return errno_status("read", path);
  std::string text;
  char buffer[1 << 14];
  for (;;) {
    const ssize_t count = ::read(fd.get(), buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno_status("read", path);
    if (count == 0) return std::optional<std::string>(std::move(text));
    text.append(buffer, static_cast<size_t>(count));
    if (text.size() > max_bytes)
      return io_error(fmt::format("cannot read {}: more than {} bytes", path, max_bytes));
  }
}

Status make_directories_for(const std::string& path) {
  const std::string target = follow_links(path);
  // Each one from the outermost on: create_directories would give them the mode of a shared file.
  for (size_t at = target.find('/', 1); at != std::string::npos; at = target.find('/', at + 1)) {
    const std::string directory = target.substr(0, at);
    if (::mkdir(directory.c_str(), 0700) == 0 || errno == EEXIST) continue;
    const Status status = errno_status("make directory", directory);
    std::error_code ignored;  // a file system that is read-only says so of what is there, too
    if (!fs::is_directory(directory, ignored)) return status;
  }
  return Status();
}

Result<FileLock> FileLock::take(const std::string& path) {
  const std::string name = follow_links(path) + ".lock";
  FileLock lock(::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (lock.fd_ < 0) return errno_status("write", name);
  while (::flock(lock.fd_, LOCK_EX) != 0)
    if (errno != EINTR) return errno_status("lock", name);
  return lock;
}

FileLock::FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

// The lock goes with the descriptor. Removing the file would let two processes lock two of a name.
FileLock::~FileLock() {
  if (fd_ >= 0) ::close(fd_);
}

Status replace_file(const std::string& path, std::string_view text) {
  const std::string target = follow_links(path);
  struct stat info;
  const mode_t mode = ::stat(target.c_str(), &info) == 0 ? info.st_mode & 0777 : 0600;
  std::string temporary = target + ".tmp.XXXXXX";  // mkstemp opens with mode 0600
  Descriptor fd(::mkstemp(temporary.data()));
  if (fd.get() < 0) return errno_status("write", path);
  const bool written = write_all(fd.get(), text) && ::fchmod(fd.get(), mode) == 0 &&
                       ::fsync(fd.get()) == 0 && fd.close() &&
                       ::rename(temporary.c_str(), target.c_str()) == 0;
  if (written) return Status();
  const Status status = errno_status("write", path);
  ::unlink(temporary.c_str());
  return status;
}

Status append_to_file(const std::string& path, std::string_view text) {
  Descriptor fd(::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  if (fd.get() < 0 || !write_all(fd.get(), text) || !fd.close()) return errno_status("write", path);
  return Status();
}

}  // namespace convgen
