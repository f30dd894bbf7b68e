// SPDX-License-Identifier: Apache-2.0
// Files by way of POSIX descriptors, since only they tell apart what iostreams blur: why an open
// failed, a short write, what kind of file this is.
#include "tools/output_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

namespace convgen::tool {

std::string input_name(const std::string& path) { return path == "-" ? "standard input" : path; }

std::string output_name(const std::string& path) { return path == "-" ? "standard output" : path; }

Status errno_status(std::string_view what, const std::string& name) {
  return io_error(fmt::format("{} {}: {}", what, name, std::strerror(errno)));
}

// --- FileDescriptor ---

FileDescriptor::FileDescriptor(FileDescriptor&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)) {}

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

FileDescriptor::~FileDescriptor() { close(); }

bool FileDescriptor::close() {
  const int fd = std::exchange(fd_, -1);
  return fd <= STDERR_FILENO || ::close(fd) == 0;
}

// --- Reading ---

Result<FileDescriptor> open_input(const std::string& path) {
  FileDescriptor fd(path == "-" ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info;
  if (fd.get() < 0 || ::fstat(fd.get(), &info) != 0) {
    return errno_status("cannot read", input_name(path));
  }
  if (S_ISDIR(info.st_mode)) {
    return io_error(fmt::format("cannot read {}: it is a directory", input_name(path)));
  }
  return fd;
}

ptrdiff_t read_fully(int fd, void* buffer, size_t bytes) {
  size_t done = 0;
  while (done < bytes) {
    const ssize_t count = ::read(fd, static_cast<char*>(buffer) + done, bytes - done);
    if (count == 0) break;
    if (count < 0 && errno != EINTR) return -1;
    if (count > 0) done += static_cast<size_t>(count);
  }
  return static_cast<ptrdiff_t>(done);
}

Result<std::string> read_text(const std::string& path, size_t max_bytes) {
  const Result<FileDescriptor> fd = open_input(path);
  if (!fd.ok()) return fd.status();
  std::string text;
  char buffer[1 << 16];
  ptrdiff_t count;
  while ((count = read_fully(fd->get(), buffer, sizeof buffer)) > 0) {
    text.append(buffer, static_cast<size_t>(count));
    if (text.size() > max_bytes) {
      return invalid_argument(
          fmt::format("{}: more than {} bytes of text", input_name(path), max_bytes));
    }
  }
  if (count < 0) return errno_status("cannot read", input_name(path));
  return text;
}

// --- Writing ---

Result<OutputFile> OutputFile::create(const std::string& path) {
  OutputFile file(path);
  if (Status status = file.open(); !status.ok()) return status;
  return file;
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)),
      target_(std::move(other.target_)),
      temporary_(std::exchange(other.temporary_, {})),
      fd_(std::move(other.fd_)) {}

OutputFile::~OutputFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Status OutputFile::open() {
  if (path_ == "-") {
    std::fflush(stdout);  // what was printed before comes before
    fd_ = FileDescriptor(STDOUT_FILENO);
    return Status();
  }
  std::error_code ignored;
  target_ = std::filesystem::weakly_canonical(path_, ignored).string();
  if (target_.empty() || path_.ends_with('/')) target_ = path_;

  struct stat info;
  const bool exists = ::stat(target_.c_str(), &info) == 0;
  if (!exists || S_ISREG(info.st_mode)) return open_temporary(exists ? info.st_mode & 0777 : 0);
  // A directory fails here, and the system says so.
  fd_ = FileDescriptor(::open(target_.c_str(), O_WRONLY | O_CLOEXEC));
  return fd_.get() < 0 ? errno_status("cannot write", path_) : Status();
}

// A new file beside the target, with the target's mode where there is one, else by the umask.
// O_EXCL: a link planted under the name is refused, not followed.
Status OutputFile::open_temporary(unsigned mode) {
  constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
  for (int attempt = 0; attempt < 100 && fd_.get() < 0; ++attempt) {
    const std::string name = fmt::format("{}.tmp.{}.{}", target_, ::getpid(), attempt);
    fd_ = FileDescriptor(::open(name.c_str(), kFlags, 0666));
    if (fd_.get() >= 0)
      temporary_ = name;
    else if (errno != EEXIST)
      break;
  }
  if (fd_.get() < 0) return errno_status("cannot write", path_);
  if (mode != 0 && ::fchmod(fd_.get(), mode) != 0) return errno_status("cannot write", path_);
  return Status();
}

Status OutputFile::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd_.get(), bytes.data(), bytes.size());
    if (count < 0 && errno != EINTR) return errno_status("cannot write", output_name(path_));
    if (count > 0) bytes.remove_prefix(static_cast<size_t>(count));
  }
  return Status();
}

Status OutputFile::commit() {
  if (!fd_.close()) return errno_status("cannot write", output_name(path_));
  if (temporary_.empty()) return Status();
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) {
    return errno_status("cannot write", path_);
  }
  temporary_.clear();
  return Status();
}

Status write_file(const std::string& path, std::string_view bytes) {
  Result<OutputFile> file = OutputFile::create(path);
  if (!file.ok()) return file.status();
  if (Status status = file->write(bytes); !status.ok()) return status;
  return file->commit();
}

}  // namespace convgen::tool
