// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernel.h"

#include <fmt/format.h>
#include <stdlib.h>
#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <new>
#include <vector>

#include "ir/text.h"
#include "runtime/float_modes.h"
#include "runtime/kernel_state.h"

namespace convgen {
namespace {

constexpr size_t kAlignment = 64;

// Not a byte more: what lies behind, a sanitizer watches.
float* allocate_floats(size_t elements) {
  void* memory = nullptr;
  const size_t bytes = std::max(elements, size_t{1}) * sizeof(float);
  return posix_memalign(&memory, kAlignment, bytes) == 0 ? static_cast<float*>(memory) : nullptr;
}

// Scratch of calls that bring none: one a thread, as large as the largest kernel it ran.
void* thread_scratch(size_t bytes) {
  thread_local PackedWeights scratch;
  if (scratch.size_bytes() < bytes) scratch = PackedWeights("scratch", bytes / sizeof(float));
  return scratch.data();
}

struct BoundCall {
  const KernelState* state;
  const codegen::KernelArgs* args;
  const FloatModes* modes = nullptr;  // the caller's, where other threads compute
  std::atomic<bool> lacks_scratch = false;
};

// One range of tasks, on any thread.
void run_bound_call(void* context, int64_t begin, int64_t end) {
  auto* call = static_cast<BoundCall*>(context);
  const KernelState& state = *call->state;
  if (state.scratch_bytes == 0) return state.function(call->args, begin, end);
  codegen::KernelArgs args = *call->args;
  args.scratch = thread_scratch(state.scratch_bytes);
  if (args.scratch == nullptr) {
    call->lacks_scratch = true;
    return;
  }
  state.function(&args, begin, end);
}

// The same on a thread of a pool: the bits do not depend on which one computes.
void run_pooled_call(void* context, int64_t begin, int64_t end) {
  const FloatModes::Scope modes(*static_cast<const BoundCall*>(context)->modes);
  run_bound_call(context, begin, end);
}

Status check_operand(const ir::Conv& conv, ir::PostOpKind kind, const float* tensor,
                     const char* name) {
  if (tensor != nullptr || !conv.uses(kind)) return Status();
  return invalid_argument(fmt::format("{}: null, but the post-op chain uses it", name));
}

Status check_args(const KernelState& state, const RunArgs& args) {
  const ir::Conv& conv = state.conv;
  if (args.dst == nullptr) return invalid_argument("dst: null");
  if (args.src == nullptr && conv.src_elements() != 0) return invalid_argument("src: null");
  if (state.constants != nullptr && args.weights != nullptr)
    return invalid_argument("weights: must be null, the kernel was made for constant ones");
  if (state.constants == nullptr && (args.weights == nullptr) == (args.packed == nullptr))
    return invalid_argument("weights: give either weights or packed weights");
  if (args.packed != nullptr && args.packed->tag() != state.packed_tag)
    return invalid_argument(fmt::format("packed: order {} found, the kernel reads {}",
                                        args.packed->tag(), state.packed_tag));
  Status status = check_operand(conv, ir::PostOpKind::kBias, args.bias, "bias");
  if (status.ok()) status = check_operand(conv, ir::PostOpKind::kAdd, args.add, "add");
  if (status.ok()) status = check_operand(conv, ir::PostOpKind::kScale, args.scale, "scale");
  return status;
}

void report_run(const KernelState& state, std::chrono::steady_clock::time_point start) {
  const auto elapsed = std::chrono::steady_clock::now() - start;
  fmt::print(stderr, "convgen,run,{},{:.3f},{}\n", state.engine_name,
             std::chrono::duration<double, std::milli>(elapsed).count(),
             print_signature(state.conv, state.constants.get()));
}

// Packed weights are shared, so they may not depend on the modes of the thread that packs.
void pack_into(PackedWeights& packed, const KernelState& state, const float* weights) {
  const DefaultFloatModes modes;
  state.pack(weights, packed.data());
}

Result<PackedWeights> pack_for(const KernelState& state, const float* weights) {
  if (weights == nullptr && state.conv.weights_elements() != 0)
    return invalid_argument("weights: null");
  PackedWeights packed(state.packed_tag, state.packed_elements);
  if (packed.data() == nullptr)
    return resource_exhausted(
        fmt::format("packed weights: cannot allocate {} floats", state.packed_elements));
  pack_into(packed, state, weights);
  return packed;
}

// The state that can read args.packed: what runs now or, with weights packed before the machine
// code came and no copy of them, the generic path still.
const KernelState& state_for(const KernelState& asked, const KernelState& current,
                             const RunArgs& args) {
  const bool foreign = args.packed != nullptr && args.packed->tag() != current.packed_tag;
  return foreign && args.packed->tag() == asked.packed_tag ? asked : current;
}

}  // namespace

// A copy of weights that were packed for the generic path, for the machine code to come.
class LaterWeights {
 public:
  LaterWeights(const float* weights, int64_t elements) : weights_(weights, weights + elements) {}

  // Packed by the first who asks; null where memory is out.
  const PackedWeights* pack_for(const KernelState& machine) {
    std::call_once(once_, [&] {
      packed_ = PackedWeights(machine.packed_tag, machine.packed_elements);
      if (packed_.data() != nullptr) pack_into(packed_, machine, weights_.data());
      std::vector<float>().swap(weights_);
    });
    return packed_.data() == nullptr ? nullptr : &packed_;
  }

 private:
  std::vector<float> weights_;
  std::once_flag once_;
  PackedWeights packed_;
};

std::string print_signature(const ir::Conv& conv, const ConstantWeights* constants) {
  const std::string text = ir::print_conv(conv);
  if (constants == nullptr) return text;
  const uint64_t hash =
      XXH3_64bits(constants->values.data(), constants->values.size() * sizeof(float));
  return fmt::format("{} constants={:016x}{}", text, hash,
                     constants->assume_finite ? " finite" : "");
}

KernelState::KernelState() = default;
KernelState::~KernelState() = default;

void PackedWeights::Free::operator()(float* p) const { std::free(p); }

PackedWeights::PackedWeights(std::string tag, size_t elements)
    : tag_(std::move(tag)), elements_(elements), data_(allocate_floats(elements)) {
  if (data_ == nullptr) elements_ = 0;
}

const ir::Conv& Kernel::conv() const { return state_->conv; }
const KernelState& Kernel::current() const {
  const KernelState* machine =
      state_->promotion == nullptr ? nullptr : state_->promotion->machine();
  return machine == nullptr ? *state_ : *machine;
}
const std::string& Kernel::engine_name() const { return current().engine_name; }
const std::string& Kernel::schedule() const { return current().schedule; }
const CompileStats& Kernel::compile_stats() const { return current().stats; }
ir::Summation Kernel::summation() const { return current().summation; }
const ConstantWeights* Kernel::constant_weights() const { return state_->constants.get(); }
std::string Kernel::signature() const {
  return print_signature(state_->conv, state_->constants.get());
}
size_t Kernel::scratch_bytes() const { return current().scratch_bytes; }
int64_t Kernel::tasks() const { return current().tasks; }
const std::string& Kernel::packed_tag() const { return current().packed_tag; }
size_t Kernel::memory_bytes() const {
  const KernelState& now = current();
  const size_t constants =
      now.constants == nullptr ? 0 : now.constants->values.size() * sizeof(float);
  return sizeof(KernelState) + now.stats.code_bytes + now.packed_constants.size_bytes() + constants;
}

bool Kernel::is_pending() const {
  return state_->promotion != nullptr && state_->promotion->pending();
}

bool Kernel::wait_for(std::chrono::nanoseconds longest) const {
  return state_->promotion == nullptr || state_->promotion->wait_for(longest);
}

Status Kernel::compile_status() const {
  const Status status = state_->promotion == nullptr ? Status() : state_->promotion->status();
  return status.ok() ? current().compile_status : status;
}

Result<PackedWeights> Kernel::pack(const float* weights) const {
  const KernelState& now = current();
  Result<PackedWeights> packed = pack_for(now, weights);
  if (packed.ok() && is_pending())
    packed->later_ = std::make_shared<LaterWeights>(weights, now.conv.weights_elements());
  return packed;
}

Status Kernel::run(const RunArgs& args, const ParallelFor* parallel_for) const {
  const KernelState& now = current();
  if (now.tasks == 0) return Status();
  if (args.packed != nullptr && args.packed->later_ != nullptr && &now != state_.get()) {
    if (const PackedWeights* packed = args.packed->later_->pack_for(now)) {
      RunArgs with_later = args;
      with_later.packed = packed;
      return run_on(now, with_later, parallel_for);
    }
  }
  return run_on(state_for(*state_, now, args), args, parallel_for);
}

Status Kernel::run_on(const KernelState& state, const RunArgs& args,
                      const ParallelFor* parallel_for) const {
  if (Status status = check_args(state, args); !status.ok()) return status;
  if (args.packed == nullptr && state.constants == nullptr) {
    auto packed = pack_for(state, args.weights);
    if (!packed) return packed.status();
    RunArgs with_packed = args;
    with_packed.weights = nullptr;
    with_packed.packed = &*packed;
    return run_on(state, with_packed, parallel_for);
  }
  const auto start =
      state.verbose ? std::chrono::steady_clock::now() : std::chrono::steady_clock::time_point();
  const PackedWeights& packed = state.constants != nullptr ? state.packed_constants : *args.packed;
  // A caller's scratch is as large as a kernel said that may run other code by now.
  void* scratch = state_->promotion == nullptr ? args.scratch : nullptr;
  const codegen::KernelArgs kernel_args{args.src,   packed.data(), args.bias, args.add,
                                        args.scale, args.dst,      scratch,   state.plan.get()};
  BoundCall call{&state, &kernel_args};
  if (parallel_for == nullptr || state.tasks == 1) {
    if (scratch != nullptr)
      state.function(&kernel_args, 0, state.tasks);
    else
      run_bound_call(&call, 0, state.tasks);
  } else {
    const FloatModes modes;
    call.modes = &modes;
    parallel_for->run(parallel_for->pool, state.tasks, run_pooled_call, &call);
  }
  if (call.lacks_scratch)
    return resource_exhausted(
        fmt::format("scratch: cannot allocate {} bytes for a thread", state.scratch_bytes));
  if (state.verbose) report_run(state, start);
  return Status();
}

void hold_constants(KernelState& state, const SharedConstants& constants) {
  state.constants = constants;
  state.packed_tag = "constant";
  state.packed_elements = 0;
  state.pack = [](const float*, float*) {};
}

}  // namespace convgen
