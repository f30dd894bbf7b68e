// SPDX-License-Identifier: Apache-2.0
// Preloaded (LD_PRELOAD) into store_worker: counts the system calls on $CONVGEN_FAULT_DIRECTORY and
// what lies in it, and makes the k-th fail, fall short, or be the last thing the process does. For
// processes that make such calls on one thread at a time.
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { kShort = 0, kKill = -1 };  // in place of an errno

static long fault_at, calls;
static int fault_error;
static bool fault_always;

enum { kMostDescriptors = 1024 };
static bool tracked[kMostDescriptors];

static bool is_tracked(int fd) { return fd >= 0 && fd < kMostDescriptors && tracked[fd]; }
static int track(int fd, bool on) {
  if (fd >= 0 && fd < kMostDescriptors) tracked[fd] = on;
  return fd;
}

static bool in_directory(const char* path) {
  const char* directory = getenv("CONVGEN_FAULT_DIRECTORY");
  return directory != NULL && strncmp(path, directory, strlen(directory)) == 0;
}

// --- For the worker ---

// From now on the at-th call fails with `error`, or falls short or kills; with `always` those after
// it too. 0: none, they are counted.
__attribute__((visibility("default"))) void convgen_fault_arm(long at, int error, int always) {
  fault_at = at;
  fault_error = error;
  fault_always = always != 0;
  calls = 0;
}
__attribute__((visibility("default"))) long convgen_fault_calls(void) { return calls; }

__attribute__((constructor)) static void arm_by_environment(void) {
  const char* at = getenv("CONVGEN_FAULT_KILL_AT");
  if (at != NULL) convgen_fault_arm(atol(at), kKill, 0);
}

// --- The calls ---

static bool is_due(void) {
  ++calls;
  return fault_at > 0 && (fault_always ? calls >= fault_at : calls == fault_at);
}

// True where the call is to fail, with errno.
static bool fails(bool ours) {
  if (!ours || !is_due()) return false;
  if (fault_error == kKill) kill(getpid(), SIGKILL);
  if (fault_error > 0) errno = fault_error;
  return fault_error > 0;
}

// As much of size as is to get through, or -1.
static ssize_t allowed(bool ours, size_t size) {
  if (!ours || !is_due()) return (ssize_t)size;
  if (fault_error == kKill) kill(getpid(), SIGKILL);
  if (fault_error > 0) {
    errno = fault_error;
    return -1;
  }
  return size > 1 ? (ssize_t)(size / 2) : (ssize_t)size;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define EXPORT __attribute__((visibility("default")))

static mode_t mode_of(int flags, va_list arguments) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
}

EXPORT int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  const bool ours = in_directory(path);
  if (fails(ours)) return -1;
  return track(REAL(open)(path, flags, mode), ours);
}

EXPORT int openat(int directory, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  const bool ours = is_tracked(directory);
  if (fails(ours)) return -1;
  return track(REAL(openat)(directory, path, flags, mode), ours);
}

// The descriptor is gone whatever close says, as on Linux.
EXPORT int close(int fd) {
  const bool ours = is_tracked(fd);
  track(fd, false);
  const bool failed = fails(ours);
  const int error = errno, result = REAL(close)(fd);
  if (failed) errno = error;
  return failed ? -1 : result;
}

EXPORT ssize_t read(int fd, void* data, size_t size) {
  const ssize_t most = allowed(is_tracked(fd), size);
  return most < 0 ? -1 : REAL(read)(fd, data, (size_t)most);
}

EXPORT ssize_t write(int fd, const void* data, size_t size) {
  const ssize_t most = allowed(is_tracked(fd), size);
  return most < 0 ? -1 : REAL(write)(fd, data, (size_t)most);
}

EXPORT ssize_t getrandom(void* data, size_t size, unsigned flags) {
  const bool ours = size == 16 && (flags & GRND_NONBLOCK) != 0;
  const ssize_t most = allowed(ours, size);
  return most < 0 ? -1 : REAL(getrandom)(data, (size_t)most, flags);
}

EXPORT int fstat(int fd, struct stat* info) {
  return fails(is_tracked(fd)) ? -1 : REAL(fstat)(fd, info);
}

EXPORT int fstatat(int directory, const char* path, struct stat* info, int flags) {
  return fails(is_tracked(directory)) ? -1 : REAL(fstatat)(directory, path, info, flags);
}

EXPORT int flock(int fd, int operation) {
  return fails(is_tracked(fd)) ? -1 : REAL(flock)(fd, operation);
}

EXPORT int mkdir(const char* path, mode_t mode) {
  return fails(in_directory(path)) ? -1 : REAL(mkdir)(path, mode);
}

EXPORT int renameat(int from, const char* old_name, int to, const char* new_name) {
  return fails(is_tracked(from)) ? -1 : REAL(renameat)(from, old_name, to, new_name);
}

EXPORT int unlinkat(int directory, const char* path, int flags) {
  return fails(is_tracked(directory)) ? -1 : REAL(unlinkat)(directory, path, flags);
}

EXPORT int utimensat(int directory, const char* path, const struct timespec times[2], int flags) {
  return fails(is_tracked(directory)) ? -1 : REAL(utimensat)(directory, path, times, flags);
}

EXPORT DIR* fdopendir(int fd) { return fails(is_tracked(fd)) ? NULL : REAL(fdopendir)(fd); }

EXPORT struct dirent* readdir(DIR* stream) {
  return fails(is_tracked(dirfd(stream))) ? NULL : REAL(readdir)(stream);
}

EXPORT int closedir(DIR* stream) {
  track(dirfd(stream), false);
  return REAL(closedir)(stream);
}
