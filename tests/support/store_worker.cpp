// SPDX-License-Identifier: Apache-2.0
// A process that uses the object store in CONVGEN_CACHE_DIR, for tests that start, disturb and kill
// it. Exit code 0: every result was right.
//
//   store_worker compile CONV...   one line: how many were compiled, how many came from the store,
//                                  and a digest of all results
//   store_worker faults CONV       with fault_shim preloaded: each system call of the store fails,
//                                  in a cold and in a warm directory
#include <dlfcn.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/kernels.h"

namespace convgen::testing {
namespace {

constexpr int kRight = 0, kWrong = 1, kUsage = 2;
constexpr uint64_t kSeed = 5;

// Without the tuning file, which lies in the same directory and is another matter.
Result<Engine> make_engine() { return Engine::create({.use_tuning = false}); }

// dst of conv on tensors that are always the same; empty where it cannot be had, or is wrong.
std::vector<float> right_result(const Engine& engine, const ir::Conv& conv) {
  const Result<Kernel> kernel = engine.compile(conv);
  if (!kernel.ok()) return fmt::print("{}\n", kernel.status().message()), std::vector<float>();
  const HostTensors tensors = random_tensors(conv, kSeed, Data::kReals);
  const std::vector<float> dst = run_kernel(*kernel, tensors);
  const auto right = matches_interpreter(conv, tensors, dst, false, kernel->summation());
  if (!right) return fmt::print("{}\n", right.message()), std::vector<float>();
  return dst;
}

// FNV-1a.
uint64_t digest_of(std::span<const float> values, uint64_t digest) {
  for (const std::byte byte : std::as_bytes(values))
    digest = (digest ^ static_cast<uint64_t>(byte)) * 0x100000001b3;
  return digest;
}

int compile(std::span<char*> texts) {
  const Result<Engine> engine = make_engine();
  if (!engine.ok()) return fmt::print("{}\n", engine.status().message()), kWrong;
  uint64_t digest = 0xcbf29ce484222325;
  for (const char* text : texts) {
    const std::vector<float> dst = right_result(*engine, conv_of(text));
    if (dst.empty()) return kWrong;
    digest = digest_of(dst, digest);
  }
  const EngineStats stats = engine->stats();
  fmt::print("compiles={} store_hits={} digest={:016x}\n", stats.compiles, stats.store_hits,
             digest);
  return kRight;
}

// --- Faults ---

struct Shim {
  void (*arm)(long at, int error, int always);
  long (*calls)();
};

Shim find_shim() {
  return {reinterpret_cast<decltype(Shim::arm)>(dlsym(RTLD_DEFAULT, "convgen_fault_arm")),
          reinterpret_cast<decltype(Shim::calls)>(dlsym(RTLD_DEFAULT, "convgen_fault_calls"))};
}

// What this process says on standard error while this lives.
class Stderr {
 public:
  Stderr() : file_(memfd_create("stderr", 0)), before_(dup(2)) { dup2(file_, 2); }
  ~Stderr() { dup2(before_, 2), ::close(file_), ::close(before_); }
  int64_t warnings() const {
    std::string text(static_cast<size_t>(lseek(file_, 0, SEEK_END)), '\0');
    if (pread(file_, text.data(), text.size(), 0) < 0) return -1;
    int64_t count = 0;
    for (size_t at = 0; (at = text.find("warning", at)) != text.npos; ++at) ++count;
    return count;
  }

 private:
  int file_, before_;
};

struct Fault {
  long at;
  int error;  // 0: short
  bool always;
};

class Faults {
 public:
  Faults(const Shim& shim, const ir::Conv& conv)
      : shim_(shim), conv_(conv), directory_(std::getenv("CONVGEN_CACHE_DIR")) {}

  // False where one case went wrong.
  bool all() {
    empty();
    expected_ = right_result(*make_engine(), conv_);
    if (expected_.empty()) return false;
    for (const bool warm : {false, true})
      for (const Fault& fault : faults(count_calls(warm))) check(warm, fault);
    fmt::print("{} cases, {} wrong\n", cases_, wrong_);
    return cases_ > 0 && wrong_ == 0;
  }

 private:
  void empty() const { std::filesystem::remove_all(directory_); }

  // The store as a case finds it.
  void prepare(bool warm) const {
    if (!warm) return empty();
    static_cast<void>(make_engine()->compile(conv_));
  }

  long count_calls(bool warm) const {
    prepare(warm);
    shim_.arm(0, 0, 0);
    static_cast<void>(make_engine()->compile(conv_));
    return shim_.calls();
  }

  // Every call with every error, once and from there on.
  static std::vector<Fault> faults(long calls) {
    std::vector<Fault> all;
    for (long at = 1; at <= calls; ++at)
      for (const int error : {ENOSPC, EIO, EROFS, EACCES, EMFILE, ESTALE, EINTR, EBUSY, EDQUOT, 0})
        for (const bool always : {false, true}) all.push_back({at, error, always});
    return all;
  }

  void check(bool warm, const Fault& fault) {
    prepare(warm);
    const Stderr captured;
    shim_.arm(fault.at, fault.error, fault.always);
    const bool right = is_right(0);
    shim_.arm(0, 0, 0);
    const int64_t warnings = captured.warnings();
    // Whatever is left must not keep the next process from compiling, nor the one after from a hit.
    const bool next = is_right(0), hit = is_right(1);
    ++cases_;
    if (right && next && hit && warnings <= 1) return;
    ++wrong_;
    fmt::print("{} directory, call {}, error {}{}: {}, {} warnings, next {}, then {}\n",
               warm ? "warm" : "cold", fault.at, fault.error, fault.always ? " from there on" : "",
               right ? "right" : "wrong", warnings, next ? "right" : "wrong",
               hit ? "hit" : "no hit");
  }

  bool is_right(int64_t least_hits) const {
    const Result<Engine> engine = make_engine();
    return engine.ok() && same_bits(expected_, right_result(*engine, conv_)) &&
           engine->stats().store_hits >= least_hits;
  }

  const Shim shim_;
  const ir::Conv conv_;
  const std::string directory_;
  std::vector<float> expected_;
  int cases_ = 0, wrong_ = 0;
};

int faults(const char* text) {
  const Shim shim = find_shim();
  if (shim.arm == nullptr) return fmt::print("fault_shim is not preloaded\n"), kUsage;
  setenv("CONVGEN_VERBOSE", "1", 1);
  return Faults(shim, conv_of(text)).all() ? kRight : kWrong;
}

}  // namespace
}  // namespace convgen::testing

int main(int argc, char** argv) {
  using namespace convgen::testing;
  const std::span<char*> words(argv, static_cast<size_t>(argc));
  if (words.size() > 2 && words[1] == std::string_view("compile")) return compile(words.subspan(2));
  if (words.size() == 3 && words[1] == std::string_view("faults")) return faults(words[2]);
  fmt::print("usage: store_worker compile CONV... | faults CONV\n");
  return kUsage;
}
