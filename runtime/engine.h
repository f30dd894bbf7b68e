// SPDX-License-Identifier: Apache-2.0
// Engine: from a Conv to a Kernel, with a cache in between. Owns the JIT session and the cache;
// several engines may live in one process and share nothing.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/constant_weights.h"
#include "ir/conv.h"
#include "ir/export.h"
#include "ir/status.h"
#include "runtime/kernel.h"

struct convgen_bundle;

namespace convgen {

enum class VerifyMode { kNever, kFirstUse };

struct EngineOptions {
  // The CPU to compile for: a name LLVM knows ("haswell", "x86-64-v3"); empty: CONVGEN_MCPU where
  // set, else the host with every feature CPUID and XCR0 grant.
  std::string mcpu = {};
  // kFirstUse: every new kernel is checked against the interpreter before compile() returns it.
  VerifyMode verify = VerifyMode::kNever;
  // Schedules that `convgen tune` (runtime/tune.h) measured to be the fastest; they outrank the
  // selected ones. Read once, by create(). Empty: the default file where there is one,
  // $CONVGEN_CACHE_DIR/tuning, else $XDG_CACHE_HOME/convgen/tuning, else ~/.cache/convgen/tuning;
  // none where CONVGEN_CACHE_DIR is set and empty.
  std::string tuning_file = {};
  bool use_tuning = true;  // false: every schedule is the selected one
  // The directory where compiled objects are kept between processes (docs/cache.md); made where it
  // is not there. Empty: none. Not said: that of the default tuning file.
  std::optional<std::string> cache_dir = {};
  // Bounds their bytes. Not said: CONVGEN_CACHE_MAX_BYTES where set, else 256 MiB.
  std::optional<uint64_t> cache_max_bytes = {};
  // Bounds Kernel::memory_bytes() of all kernels that the engine remembers; those used least
  // recently are forgotten first, and live on for as long as somebody has a handle.
  size_t memory_max_bytes = size_t{256} << 20;
  // Tools that are told where kernels lie: "perf-map", "jitdump", "gdb", several with commas
  // between, "all" or "none"; empty: CONVGEN_JIT_PROFILE where set, else none. docs/profiling.md.
  std::string jit_profile = {};
  // Tables of libraries that `convgen bundle` made, &NAME_bundle of NAME.h, which must outlive the
  // engine and its kernels. A kernel found in one, at the best level this CPU runs, is compiled by
  // nobody, whatever mcpu, tuning_file and CompileMode say; schedule words and EngineKind::kGeneric
  // pass it by. docs/ahead_of_time.md.
  std::vector<const convgen_bundle*> bundles = {};
};

enum class EngineKind { kJit, kGeneric };

// What a compile() that finds no kernel does. kBlocking: compiles. kGenericFirst: returns at once a
// kernel that runs the generic path, and turns into machine code when a compilation in the
// background ends. kNever: returns the generic path.
enum class CompileMode { kBlocking, kGenericFirst, kNever };

struct CompileOptions {
  EngineKind engine = EngineKind::kJit;
  // Words of a schedule ("unroll=full tile=7x2") that outrank the tuned or selected ones; empty:
  // none.
  std::string schedule = {};
  // The threads a run will use; a hint for how work is cut into tasks, never a limit.
  int threads = 1;
  CompileMode mode = CompileMode::kBlocking;
  // kGenericFirst: how long compile() waits for machine code before it returns without.
  std::chrono::milliseconds deadline{0};
};

struct PrepareOptions {
  CompileOptions compile = {};
  int threads = 0;  // to compile on; 0: as many as the machine has
  // Called with how many of all are done, by one thread at a time, if not by the same.
  std::function<void(size_t done, size_t all)> progress = {};
};

struct EngineStats {
  int64_t hits = 0;
  int64_t misses = 0;
  int64_t evictions = 0;   // kernels forgotten for EngineOptions::memory_max_bytes
  int64_t kernels = 0;     // remembered now
  int64_t bytes = 0;       // Kernel::memory_bytes() of those
  int64_t store_hits = 0;  // linked from objects that another compile left on disk
  int64_t compiles = 0;    // finished, failed ones among them
  double compile_seconds = 0;
};

class EngineState;

class CONVGEN_API Engine {
 public:
  // Errors: invalid_argument for a CPU name LLVM does not know or whose features the host lacks, or
  // an unknown word in jit_profile, or a CONVGEN_CACHE_MAX_BYTES that is no number; io_error for a
  // file of jit_profile that cannot be made; io_error or invalid_argument for a tuning_file that
  // cannot be read or is damaged. A damaged default file counts as missing; CONVGEN_VERBOSE tells.
  // Needs the library that links LLVM (convgen::jit).
  static Result<Engine> create(const EngineOptions& options = {});

  // An engine without LLVM: compile() returns what EngineOptions::bundles hold, else the generic
  // path, and Kernel::compile_status() says `unsupported`. Errors: unsupported for mcpu,
  // tuning_file, cache_dir and jit_profile, which only a compiler has use for; what the environment
  // says of them is not read. invalid_argument for bundles that are null or of another version.
  static Result<Engine> create_without_compiler(const EngineOptions& options = {});

  // The kernel of conv, from the cache or compiled now. Thread-safe; however many threads ask for
  // one signature, one compiles and the others wait. A failed compile leaves nothing behind.
  // Where the system refuses executable memory the kernel runs the generic path and
  // Kernel::engine_name() says so. Errors: invalid_argument or unsupported (schedule),
  // compile_failed, resource_exhausted; unsupported for schedule words where there is no compiler.
  Result<Kernel> compile(const ir::Conv& conv, const CompileOptions& options = {}) const;

  // The same for a convolution's text, which is read once and then recognised. Errors besides:
  // those of ir::parse_conv.
  Result<Kernel> compile(std::string_view conv_text, const CompileOptions& options = {}) const;

  // The same for weights that are known now: the kernel holds them, so that zero taps cost nothing
  // and nothing is packed or passed to run(). Image filters of few channels become code made of
  // their very numbers. The values are part of the cache's key. Errors besides: invalid_argument
  // where their number is not conv.weights_elements().
  Result<Kernel> compile(const ir::Conv& conv, const ConstantWeights& constants,
                         const CompileOptions& options = {}) const;

  // Compiles what is not there yet, on several threads. The kernels, or why there is none, in the
  // order of convs.
  std::vector<Result<Kernel>> prepare(std::span<const ir::Conv> convs,
                                      const PrepareOptions& options = {}) const;

  // Drops the cache's references; kernels in use stay alive through their handles.
  void clear_cache() const;
  EngineStats stats() const;

  // The first trouble with the directory of EngineOptions::cache_dir, which costs compilations and
  // nothing else: it is not to be trusted, or nothing can be written. Ok where there was none.
  // Thread-safe.
  Status store_status() const;

  // The target as text: triple, cpu and features in use. Without a compiler "generic" and the
  // instruction set of the generic path.
  std::string target_description() const;

  // For the library's own parts; its type is not public.
  EngineState& state() const { return *state_; }

 private:
  explicit Engine(std::shared_ptr<EngineState> state) : state_(std::move(state)) {}
  std::shared_ptr<EngineState> state_;
};

}  // namespace convgen
