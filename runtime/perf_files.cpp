// SPDX-License-Identifier: Apache-2.0
// The two files that perf reads: its map of symbols, and a jitdump, which holds the code as well.
// Formats: tools/perf/Documentation/{jit-interface.txt,jitdump-specification.txt} of Linux.
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <utility>

#include "runtime/code_listener.h"
#include "runtime/process_file.h"

namespace convgen {
namespace {

// "START SIZE symbol", hexadecimal.
class PerfMap : public CodeListener {
 public:
  explicit PerfMap(ProcessFile file) : file_(std::move(file)) {}
  void add(const std::string& symbol, std::span<const char> code) override {
    file_.append(fmt::format("{:x} {:x} {}\n", reinterpret_cast<uintptr_t>(code.data()),
                             code.size(), symbol));
  }

 private:
  ProcessFile file_;
};

// What stands at the start of a jitdump, and before each kernel in it.
struct JitdumpHeader {
  uint32_t magic = 0x4A695444;  // "JiTD"; its order of bytes tells that of all others
  uint32_t version = 1;
  uint32_t size_bytes = sizeof(JitdumpHeader);
  uint32_t machine;
  uint32_t padding = 0;
  uint32_t pid;
  uint64_t timestamp_ns;
  uint64_t flags = 0;
};
static_assert(sizeof(JitdumpHeader) == 40);

struct CodeLoadRecord {
  uint32_t id = 0;  // JIT_CODE_LOAD
  uint32_t size_bytes;
  uint64_t timestamp_ns;
  uint32_t pid;
  uint32_t thread;
  uint64_t code_address;
  uint64_t code_address_again;
  uint64_t code_bytes;
  uint64_t code_index;  // no two of a file alike
};
static_assert(sizeof(CodeLoadRecord) == 56);

template <typename T>
std::string_view bytes_of_record(const T& record) {
  return {reinterpret_cast<const char*>(&record), sizeof record};
}

// The clock of `perf record -k mono`.
uint64_t monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

uint32_t this_process() { return static_cast<uint32_t>(getpid()); }

// perf learns of the file by seeing a page of it mapped as executable.
class Marker {
 public:
  explicit Marker(int file)
      : page_(mmap(nullptr, bytes(), PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0)) {}
  Marker(Marker&& other) noexcept : page_(std::exchange(other.page_, MAP_FAILED)) {}
  ~Marker() {
    if (page_ != MAP_FAILED) munmap(page_, bytes());
  }
  bool ok() const { return page_ != MAP_FAILED; }

 private:
  static size_t bytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }
  void* page_;
};

class Jitdump : public CodeListener {
 public:
  Jitdump(ProcessFile file, Marker marker) : file_(std::move(file)), marker_(std::move(marker)) {}

  void add(const std::string& symbol, std::span<const char> code) override {
    const auto address = reinterpret_cast<uintptr_t>(code.data());
    const uint64_t now = monotonic_ns();
    const size_t size = sizeof(CodeLoadRecord) + symbol.size() + 1 + code.size();
    const CodeLoadRecord record{.size_bytes = static_cast<uint32_t>(size),
                                .timestamp_ns = now,
                                .pid = this_process(),
                                .thread = static_cast<uint32_t>(syscall(SYS_gettid)),
                                .code_address = address,
                                .code_address_again = address,
                                .code_bytes = code.size(),
                                .code_index = now};
    std::string bytes(bytes_of_record(record));
    bytes.append(symbol).append(1, '\0').append(code.data(), code.size());
    file_.append(bytes);
  }

 private:
  ProcessFile file_;
  Marker marker_;
};

std::string jitdump_path() {
  const char* directory = std::getenv("JITDUMPDIR");
  return fmt::format("{}/jit-{}.dump", directory == nullptr ? "." : directory, getpid());
}

}  // namespace

Result<std::unique_ptr<CodeListener>> open_perf_map() {
  auto file = ProcessFile::open(fmt::format("/tmp/perf-{}.map", getpid()), "");
  if (!file) return file.status();
  return std::unique_ptr<CodeListener>(std::make_unique<PerfMap>(*std::move(file)));
}

Result<std::unique_ptr<CodeListener>> open_jitdump() {
  const std::string path = jitdump_path();
  const JitdumpHeader header{
      .machine = kHostMachine, .pid = this_process(), .timestamp_ns = monotonic_ns()};
  auto file = ProcessFile::open(path, bytes_of_record(header));
  if (!file) return file.status();
  Marker marker(file->descriptor());
  if (!marker.ok())
    return io_error(
        fmt::format("cannot map {}, which perf recognises it by: {}", path, std::strerror(errno)));
  return std::unique_ptr<CodeListener>(
      std::make_unique<Jitdump>(*std::move(file), std::move(marker)));
}

}  // namespace convgen
