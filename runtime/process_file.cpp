// SPDX-License-Identifier: Apache-2.0
#include "runtime/process_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iterator>
#include <sstream>
#include <utility>

namespace convgen {
namespace {

double seconds(const timespec& time) {
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

double now_seconds(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return seconds(now);
}

// proc(5): field 22, ticks after the system's start; the second field, a name, ends at the last
// ')'.
double process_age_seconds() {
  std::ifstream file("/proc/self/stat");
  std::string text(std::istreambuf_iterator<char>(file), {});
  std::istringstream fields(text.substr(text.rfind(')') + 1));
  std::string field;
  for (int i = 3; i <= 22; ++i) fields >> field;
  const double ticks = std::strtod(field.c_str(), nullptr);
  return now_seconds(CLOCK_BOOTTIME) - ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

bool is_older_than_process(const struct stat& file) {
  return now_seconds(CLOCK_REALTIME) - seconds(file.st_mtim) > process_age_seconds() + 0.05;
}

}  // namespace

ProcessFile::ProcessFile(int fd) : fd_(fd), owner_(getpid()) {}

ProcessFile::ProcessFile(ProcessFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), owner_(other.owner_), wrote_header_(other.wrote_header_) {}

ProcessFile::~ProcessFile() {
  if (fd_ >= 0) close(fd_);
}

Result<ProcessFile> ProcessFile::open(const std::string& path, std::string_view header) {
  constexpr int kFlags = O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  ProcessFile file(::open(path.c_str(), kFlags, 0600));
  struct stat info {};
  if (file.fd_ < 0 || flock(file.fd_, LOCK_EX) != 0 || fstat(file.fd_, &info) != 0)
    return io_error(fmt::format("cannot write {}: {}", path, std::strerror(errno)));
  if (!S_ISREG(info.st_mode) || info.st_uid != geteuid() || info.st_nlink != 1)
    return io_error(fmt::format("cannot write {}: not a file of this user's alone", path));
  const bool stale = info.st_size > 0 && is_older_than_process(info);
  if (stale && ftruncate(file.fd_, 0) != 0)
    return io_error(fmt::format("cannot empty {}: {}", path, std::strerror(errno)));
  if (stale || info.st_size == 0) {
    file.append(header);
    file.wrote_header_ = true;
  }
  flock(file.fd_, LOCK_UN);
  return file;
}

void ProcessFile::append(std::string_view bytes) const {
  if (getpid() != owner_) return;
  [[maybe_unused]] const ssize_t ignored = write(fd_, bytes.data(), bytes.size());
}

}  // namespace convgen
