// SPDX-License-Identifier: Apache-2.0
// A file descriptor that is closed at the end of its scope, and reads and writes that go on where a
// signal or the disk cut them short.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <string_view>
#include <utility>

namespace convgen {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  // To somebody else who closes it.
  int release() { return std::exchange(fd_, -1); }
  // False where what was written did not get through.
  bool close() { return ::close(std::exchange(fd_, -1)) == 0; }

 private:
  int fd_;
};

// Enough for any signals that arrive; a call that never gets anywhere ends all the same.
inline constexpr int kMostInterruptions = 100;

// False, with errno, where not all could be written.
inline bool write_all(int fd, std::string_view text) {
  for (int interruptions = 0; !text.empty();) {
    const ssize_t count = ::write(fd, text.data(), text.size());
    if (count > 0) text.remove_prefix(static_cast<size_t>(count));
    if (count < 0 && errno != EINTR) return false;
    if (count <= 0 && ++interruptions == kMostInterruptions) return false;
  }
  return true;
}

// False where the file ends before, or cannot be read.
inline bool read_all(int fd, char* data, size_t size) {
  for (int interruptions = 0; size > 0;) {
    const ssize_t count = ::read(fd, data, size);
    if (count == 0 || (count < 0 && errno != EINTR)) return false;
    if (count < 0 && ++interruptions == kMostInterruptions) return false;
    if (count < 0) continue;
    data += count;
    size -= static_cast<size_t>(count);
  }
  return true;
}

}  // namespace convgen
