// SPDX-License-Identifier: Apache-2.0
// Kernel: a shared handle to the machine code (or the generic path) of one convolution.
// Knows how to pack weights and to run; knows nothing of how the code was made.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "ir/constant_weights.h"
#include "ir/conv.h"
#include "ir/export.h"
#include "ir/interpreter.h"
#include "ir/status.h"

namespace convgen {

// One piece of work: tasks [begin, end) of a kernel's task range.
using TaskFunction = void (*)(void* context, int64_t begin, int64_t end);

// Runs body over [0, tasks) split as it likes, on any threads, and returns when all is done.
// Must call body with disjoint ranges that cover [0, tasks). See thread_pool.h for the default.
struct ParallelFor {
  void* pool = nullptr;
  void (*run)(void* pool, int64_t tasks, TaskFunction body, void* body_context) = nullptr;
};

class KernelState;
class LaterWeights;

// Weights in the order a kernel reads them, 64-byte aligned. The tag names that order: a kernel
// accepts any PackedWeights whose tag equals its own, so kernels that differ only in image size
// share one buffer. Movable, not copyable; immutable once packed, so any thread may read it.
class CONVGEN_API PackedWeights {
 public:
  PackedWeights() = default;
  PackedWeights(std::string tag, size_t elements);

  const std::string& tag() const { return tag_; }
  const float* data() const { return data_.get(); }
  float* data() { return data_.get(); }
  size_t size_bytes() const { return elements_ * sizeof(float); }

 private:
  struct Free {
    void operator()(float* p) const;
  };
  friend class Kernel;
  std::string tag_;
  size_t elements_ = 0;
  std::unique_ptr<float[], Free> data_;
  std::shared_ptr<LaterWeights> later_;  // for the machine code of a kernel that waits for it
};

// The tensors of one call: dense, in the layouts of the Conv, aligned as float is. bias [oc],
// scale [oc] and add (dst's shape) are needed exactly where the post-op chain uses them. add may
// be dst itself; no other overlap with dst is allowed. Give weights or packed, not both. A dst
// aligned to 64 bytes is filled faster where it takes most of L3 (docs/schedules.md, stores).
// scratch: kernel.scratch_bytes() bytes, 64-byte aligned, which the call may overwrite. Null, or a
// call with a parallel_for, or a kernel that was compiled in the background: each thread keeps what
// the largest kernel it ran needs.
struct RunArgs {
  const float* src = nullptr;
  const float* weights = nullptr;
  const PackedWeights* packed = nullptr;
  const float* bias = nullptr;
  const float* add = nullptr;
  const float* scale = nullptr;
  float* dst = nullptr;
  void* scratch = nullptr;
};

// CPU time of the thread that compiled.
struct CompileStats {
  double select_ms = 0;     // the schedule
  double emit_ms = 0;       // the module
  double passes_ms = 0;     // verification, and LLVM's passes ahead of instruction selection
  double codegen_ms = 0;    // from instruction selection to bytes
  double link_ms = 0;       // from bytes to an address
  double total_ms = 0;      // all of it, and what lies between
  size_t code_bytes = 0;    // size of the relocatable object
  bool from_store = false;  // which was found on disk: nothing was compiled
};

// What a kernel was made for, for people and logs: the canonical text, and for constant weights
// " constants=HASH", 16 hex digits made of their bytes, behind it " finite" where src may be taken
// for it. No key: keys hold the values.
CONVGEN_API std::string print_signature(const ir::Conv& conv, const ConstantWeights* constants);

// A cheap handle: copying shares the code, which lives until the last handle and the cache have
// let go of it, past the Engine if need be. All members are const and thread-safe.
class CONVGEN_API Kernel {
 public:
  explicit Kernel(std::shared_ptr<const KernelState> state) : state_(std::move(state)) {}

  const ir::Conv& conv() const;
  // What computes: "jit", "bundle" or "generic".
  const std::string& engine_name() const;
  // The schedule as text; empty for the generic path.
  const std::string& schedule() const;
  const CompileStats& compile_stats() const;
  // How the kernel sums, for a check against the interpreter.
  ir::Summation summation() const;
  // The weights the kernel was made for; null where they come with each call.
  const ConstantWeights* constant_weights() const;
  // print_signature() of the two.
  std::string signature() const;
  // What a call on one thread needs besides its tensors; 0 for most kernels.
  size_t scratch_bytes() const;
  // Independent pieces of work in one run: more threads than this cannot help.
  int64_t tasks() const;
  const std::string& packed_tag() const;
  // Bytes of code, constants and bookkeeping that live as long as the kernel: what caches count.
  size_t memory_bytes() const;

  // CompileMode::kGenericFirst: true until the machine code is there, or will never be. Until then
  // the kernel runs the generic path, from then on machine code; every call runs one or the other.
  // What the functions above say changes with it.
  bool is_pending() const;
  // Waits for that, at most so long. True where it is decided.
  bool wait_for(std::chrono::nanoseconds longest) const;
  // Ok where what was asked for runs or may still come; else why the generic path runs in its
  // place.
  Status compile_status() const;

  // Puts weights (the Conv's weights layout) into the kernel's order. O(weights), allocates. Of a
  // kernel that is_pending() they hold a copy, which the first run of the machine code packs again.
  // Errors: invalid_argument for null, resource_exhausted where memory is out.
  Result<PackedWeights> pack(const float* weights) const;

  // dst = conv(src, weights) and post-ops. Reentrant; with packed weights it allocates nothing but,
  // once a thread, scratch where none is given. The bits do not depend on the number of threads.
  // Empty convolutions read and write nothing. Errors: invalid_argument for a missing tensor or
  // foreign packed weights; resource_exhausted where a thread gets no scratch, which leaves its
  // part of dst unwritten.
  Status run(const RunArgs& args, const ParallelFor* parallel_for = nullptr) const;

  // For the library's own parts; its type is not public.
  const std::shared_ptr<const KernelState>& state() const { return state_; }

 private:
  // What runs now.
  const KernelState& current() const;
  Status run_on(const KernelState& state, const RunArgs& args,
                const ParallelFor* parallel_for) const;
  std::shared_ptr<const KernelState> state_;
};

}  // namespace convgen
