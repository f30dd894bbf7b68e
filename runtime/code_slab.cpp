// SPDX-License-Identifier: Apache-2.0
#include "runtime/code_slab.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "runtime/free_ranges.h"

namespace convgen {
namespace {

constexpr int kExecutable = PROT_READ | PROT_EXEC;

// Values of <sys/mman.h> that older headers lack.
constexpr int kGuardInstall = 102;         // MADV_GUARD_INSTALL, Linux 6.13
constexpr int kGuardRemove = 103;          // MADV_GUARD_REMOVE
constexpr unsigned kMemfdNoExecSeal = 8U;  // MFD_NOEXEC_SEAL, Linux 6.3

Status refused(const char* what) {
  return resource_exhausted(fmt::format("executable memory: {}: {}", what, std::strerror(errno)));
}

// Anonymous memory. The pages of one kernel go from executable to writable and back while nobody
// knows their address.
class PrivateSlab : public CodeSlab {
 public:
  PrivateSlab(char* base, size_t size) : CodeSlab(base, size), ranges_(size) {}

  std::optional<size_t> take(size_t size_bytes) override {
    return refused_ ? std::nullopt : ranges_.take(size_bytes);
  }

  // Guard pages leave the mapping whole, however many holes there are in it.
  void give_back(size_t offset, size_t size_bytes) override {
    char* pages = base() + offset;
    if (madvise(pages, size_bytes, kGuardInstall) != 0) madvise(pages, size_bytes, MADV_DONTNEED);
    ranges_.give_back(offset, size_bytes);
  }

  bool empty() const override { return ranges_.all_free(); }

  Status publish(size_t offset, std::span<const char> bytes) override {
    char* pages = base() + offset;
    const size_t size = round_to_pages(bytes.size());
    madvise(pages, size, kGuardRemove);  // fails where there are none to remove, on older systems
    if (mprotect(pages, size, PROT_READ | PROT_WRITE) == 0) {
      std::memcpy(pages, bytes.data(), bytes.size());
      if (mprotect(pages, size, kExecutable) == 0) return Status();
    }
    refused_ = true;  // the process may have lost the right to it; other slabs are still to try
    return refused("mprotect");
  }

 private:
  FreeRanges ranges_;
  std::atomic<bool> refused_ = false;
};

// A memory file, shared with the children of fork(): every byte is written once at most, by the
// process that made the file.
class FileSlab : public CodeSlab {
 public:
  FileSlab(char* base, size_t size, int file) : CodeSlab(base, size), file_(file) {}
  ~FileSlab() override { close(file_); }

  std::optional<size_t> take(size_t size_bytes) override {
    if (getpid() != owner_ || size_bytes > size() - used_bytes_) return std::nullopt;
    const size_t offset = used_bytes_;
    used_bytes_ += size_bytes;
    live_bytes_ += size_bytes;
    return offset;
  }

  void give_back(size_t, size_t size_bytes) override { live_bytes_ -= size_bytes; }
  bool empty() const override { return live_bytes_ == 0; }

  Status publish(size_t offset, std::span<const char> bytes) override {
    while (!bytes.empty()) {
      const ssize_t written = pwrite(file_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return refused("pwrite");
      bytes = bytes.subspan(static_cast<size_t>(written));
      offset += static_cast<size_t>(written);
    }
    return Status();
  }

 private:
  const int file_;
  const pid_t owner_ = getpid();
  size_t used_bytes_ = 0;
  size_t live_bytes_ = 0;
};

// A file of no name that no path leads to and that execve() refuses, where Linux has such.
int open_memory_file() {
  const int file = memfd_create("convgen", MFD_CLOEXEC | kMemfdNoExecSeal);
  return file < 0 && errno == EINVAL ? memfd_create("convgen", MFD_CLOEXEC) : file;
}

}  // namespace

size_t round_to_pages(size_t size_bytes) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return (size_bytes + page - 1) / page * page;
}

CodeSlab::~CodeSlab() { munmap(base_, size_); }

// Writable first: whoever forbids memory to become executable says so here.
Result<std::unique_ptr<CodeSlab>> CodeSlab::create_private(size_t size_bytes) {
  void* base = mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) return refused("mmap");
  auto slab = std::make_unique<PrivateSlab>(static_cast<char*>(base), size_bytes);
  if (mprotect(base, size_bytes, kExecutable) != 0) return refused("mprotect");
  return std::unique_ptr<CodeSlab>(std::move(slab));
}

Result<std::unique_ptr<CodeSlab>> CodeSlab::create_file(size_t size_bytes) {
  const int file = open_memory_file();
  if (file < 0) return refused("memfd_create");
  void* base = MAP_FAILED;
  if (ftruncate(file, static_cast<off_t>(size_bytes)) == 0)
    base = mmap(nullptr, size_bytes, kExecutable, MAP_SHARED, file, 0);
  if (base == MAP_FAILED) {
    Status status = refused("mmap of a memory file");
    close(file);
    return status;
  }
  return std::unique_ptr<CodeSlab>(
      std::make_unique<FileSlab>(static_cast<char*>(base), size_bytes, file));
}

Result<std::unique_ptr<CodeSlab>> CodeSlab::create(size_t size_bytes) {
  auto slab = create_private(size_bytes);
  if (slab.ok()) return slab;
  auto file = create_file(size_bytes);
  if (file.ok()) return file;
  return resource_exhausted(slab.status().message() + "; " + file.status().message());
}

}  // namespace convgen
