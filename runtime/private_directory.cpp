// SPDX-License-Identifier: Apache-2.0
#include "runtime/private_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "runtime/shared_file.h"

namespace convgen {
namespace {

constexpr std::string_view kTemporary = "tmp-";
constexpr size_t kRandomDigits = 32;
constexpr time_t kDay = 24 * 60 * 60;

bool is_ours_alone(const struct stat& info) {
  return info.st_uid == ::geteuid() && (info.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

Status errno_status(const std::string& what) {
  return io_error(fmt::format("{}: {}", what, std::strerror(errno)));
}

// O_NOFOLLOW says nothing of a link that a slash follows.
std::string without_trailing_slashes(std::string path) {
  while (path.size() > 1 && (path.ends_with('/') || path.ends_with("/.")))
    path.resize(path.size() - 1);
  return path;
}

// A name nobody can foresee, nor meet by chance; empty where the system has no random bits yet.
std::string temporary_name() {
  uint64_t random[2];
  if (::getrandom(random, sizeof random, GRND_NONBLOCK) != sizeof random) return "";
  return fmt::format("{}{:016x}{:016x}", kTemporary, random[0], random[1]);
}

bool is_temporary_name(std::string_view name) {
  return name.size() == kTemporary.size() + kRandomDigits && name.starts_with(kTemporary) &&
         name.find_first_not_of("0123456789abcdef", kTemporary.size()) == name.npos;
}

// A limit on the size of files kills by a signal; within this scope it is an error of write().
class NoSizeSignal {
 public:
  NoSizeSignal() {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGXFSZ);
    blocked_ = pthread_sigmask(SIG_BLOCK, &signals_, &before_) == 0;
  }
  ~NoSizeSignal() {
    if (!blocked_ || sigismember(&before_, SIGXFSZ) == 1) return;
    const timespec now = {};
    while (sigtimedwait(&signals_, nullptr, &now) == SIGXFSZ) {
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  NoSizeSignal(const NoSizeSignal&) = delete;
  NoSizeSignal& operator=(const NoSizeSignal&) = delete;

 private:
  sigset_t signals_, before_;
  bool blocked_ = false;
};

// The lock tells remove_abandoned of other processes that somebody is still writing. Where it
// cannot be had the file is written all the same.
bool write_new(int directory, const std::string& name, std::string_view bytes) {
  constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  Descriptor fd(::openat(directory, name.c_str(), kFlags, 0600));
  if (fd.get() < 0) return false;
  static_cast<void>(::flock(fd.get(), LOCK_EX | LOCK_NB));
  const NoSizeSignal guard;
  return write_all(fd.get(), bytes) && fd.close();
}

// Nobody holds its lock. Where there are no locks a day is long enough to write a file, also for a
// clock that is wrong.
bool is_abandoned(int directory, const PrivateDirectory::File& file) {
  const Descriptor fd(
      ::openat(directory, file.name.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (fd.get() >= 0 && ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return true;
  return std::abs(::time(nullptr) - file.modified.tv_sec) > kDay;
}

}  // namespace

Result<std::optional<PrivateDirectory>> PrivateDirectory::open(const std::string& path) {
  const std::string name = without_trailing_slashes(path);
  Descriptor fd(::open(name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat info;
  if (fd.get() < 0 && errno == ENOENT) return std::optional<PrivateDirectory>();
  if (fd.get() < 0 && (errno == ELOOP || errno == ENOTDIR))
    return io_error(fmt::format("{}: a symbolic link or no directory, expected a directory", name));
  if (fd.get() < 0 || ::fstat(fd.get(), &info) != 0) return errno_status("cannot open " + name);
  if (info.st_uid != ::geteuid())
    return io_error(fmt::format("{}: belongs to user {}, expected {}, who runs this", name,
                                info.st_uid, ::geteuid()));
  if (!is_ours_alone(info))
    return io_error(fmt::format("{}: has mode {:04o}, expected one that lets nobody else write",
                                name, info.st_mode & 07777));
  return std::optional<PrivateDirectory>(PrivateDirectory(std::move(fd)));
}

Result<PrivateDirectory> PrivateDirectory::open_or_make(const std::string& path) {
  auto there = open(path);
  if (there.ok() && !there->has_value()) {
    if (Status status = make_directories_for(path + "/"); !status.ok()) return status;
    there = open(path);
  }
  if (!there.ok()) return there.status();
  if (!there->has_value()) return io_error(path + ": somebody removes it all the time");
  return *std::move(*there);
}

std::optional<std::string> PrivateDirectory::read(const std::string& name, size_t max_bytes,
                                                  size_t most) const {
  // O_NONBLOCK: a pipe of that name must not hold us up.
  const Descriptor fd(
      ::openat(fd_.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat info;
  if (fd.get() < 0 || ::fstat(fd.get(), &info) != 0) return std::nullopt;
  // No name at all: somebody has replaced it since we opened it.
  if (!S_ISREG(info.st_mode) || !is_ours_alone(info) || info.st_nlink > 1) return std::nullopt;
  const auto size = static_cast<uint64_t>(info.st_size);
  if (size > max_bytes) return std::nullopt;
  std::string bytes(std::min<size_t>(most, size), '\0');
  if (!read_all(fd.get(), bytes.data(), bytes.size())) return std::nullopt;
  return bytes;
}

Status PrivateDirectory::write(const std::string& name, std::string_view bytes) const {
  const std::string temporary = temporary_name();
  if (temporary.empty()) return errno_status("cannot name a temporary file");
  if (write_new(fd_.get(), temporary, bytes) &&
      ::renameat(fd_.get(), temporary.c_str(), fd_.get(), name.c_str()) == 0)
    return Status();
  const Status status = errno_status("cannot write " + name);
  remove(temporary);
  return status;
}

void PrivateDirectory::touch(const std::string& name) const {
  static_cast<void>(::utimensat(fd_.get(), name.c_str(), nullptr, AT_SYMLINK_NOFOLLOW));
}

bool PrivateDirectory::remove(const std::string& name) const {
  return ::unlinkat(fd_.get(), name.c_str(), 0) == 0 || errno == ENOENT;
}

std::vector<PrivateDirectory::File> PrivateDirectory::files(
    const std::function<bool(std::string_view)>& wanted) const {
  std::vector<File> files;
  Descriptor copy(::openat(fd_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(copy.get()), ::closedir);
  if (stream == nullptr) return files;
  copy.release();
  while (const dirent* entry = ::readdir(stream.get())) {
    struct stat info;
    if (wanted(entry->d_name) &&
        ::fstatat(fd_.get(), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISREG(info.st_mode) && info.st_uid == ::geteuid())
      files.push_back({entry->d_name, static_cast<uint64_t>(info.st_size), info.st_mtim});
  }
  return files;
}

void PrivateDirectory::remove_abandoned() const {
  for (const File& file : files(is_temporary_name))
    if (is_abandoned(fd_.get(), file)) remove(file.name);
}

}  // namespace convgen
