// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernel.h"

#include <fmt/format.h>
#include <llvm/Support/xxhash.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <new>

#include "ir/text.h"
#include "runtime/kernel_state.h"

namespace convgen {
namespace {

constexpr size_t kAlignment = 64;

float* allocate_floats(size_t elements) {
  const size_t bytes = (elements * sizeof(float) + kAlignment - 1) / kAlignment * kAlignment;
  return static_cast<float*>(std::aligned_alloc(kAlignment, std::max(bytes, kAlignment)));
}

// Scratch of calls that bring none: one a thread, as large as the largest kernel it ran.
void* thread_scratch(size_t bytes) {
  thread_local PackedWeights scratch;
  if (scratch.size_bytes() < bytes) scratch = PackedWeights("scratch", bytes / sizeof(float) + 1);
  return scratch.data();
}

void run_generic(const codegen::KernelArgs* args, int64_t begin, int64_t end) {
  const auto* plan = static_cast<const generic::Plan*>(args->context);
  const generic::Tensors tensors{args->src, args->weights, args->bias,
                                 args->add, args->scale,   args->dst};
  plan->run(tensors, static_cast<float*>(args->scratch), begin, end);
}

struct BoundCall {
  const KernelState* state;
  const codegen::KernelArgs* args;
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

}  // namespace

std::string print_signature(const ir::Conv& conv, const ConstantWeights* constants) {
  const std::string text = ir::print_conv(conv);
  if (constants == nullptr) return text;
  const auto* bytes = reinterpret_cast<const uint8_t*>(constants->values.data());
  const uint64_t hash =
      llvm::xxh3_64bits(llvm::ArrayRef(bytes, constants->values.size() * sizeof(float)));
  return fmt::format("{} constants={:016x}{}", text, hash,
                     constants->assume_finite ? " finite" : "");
}

void PackedWeights::Free::operator()(float* p) const { std::free(p); }

PackedWeights::PackedWeights(std::string tag, size_t elements)
    : tag_(std::move(tag)), elements_(elements), data_(allocate_floats(elements)) {
  if (data_ == nullptr) elements_ = 0;
}

const ir::Conv& Kernel::conv() const { return state_->conv; }
const std::string& Kernel::engine_name() const { return state_->engine_name; }
const std::string& Kernel::schedule() const { return state_->schedule; }
const CompileStats& Kernel::compile_stats() const { return state_->stats; }
ir::Summation Kernel::summation() const { return state_->summation; }
const ConstantWeights* Kernel::constant_weights() const { return state_->constants.get(); }
std::string Kernel::signature() const {
  return print_signature(state_->conv, state_->constants.get());
}
size_t Kernel::scratch_bytes() const { return state_->scratch_bytes; }
int64_t Kernel::tasks() const { return state_->tasks; }
const std::string& Kernel::packed_tag() const { return state_->packed_tag; }

Result<PackedWeights> Kernel::pack(const float* weights) const {
  if (weights == nullptr && state_->conv.weights_elements() != 0)
    return invalid_argument("weights: null");
  PackedWeights packed(state_->packed_tag, state_->packed_elements);
  if (packed.data() == nullptr)
    return resource_exhausted(
        fmt::format("packed weights: cannot allocate {} floats", state_->packed_elements));
  state_->pack(weights, packed.data());
  return packed;
}

Status Kernel::run(const RunArgs& args, const ParallelFor* parallel_for) const {
  if (state_->tasks == 0) return Status();
  if (Status status = check_args(*state_, args); !status.ok()) return status;
  if (args.packed == nullptr && state_->constants == nullptr) {
    auto packed = pack(args.weights);
    if (!packed) return packed.status();
    RunArgs with_packed = args;
    with_packed.weights = nullptr;
    with_packed.packed = &*packed;
    return run(with_packed, parallel_for);
  }
  const auto start =
      state_->verbose ? std::chrono::steady_clock::now() : std::chrono::steady_clock::time_point();
  const PackedWeights& packed =
      state_->constants != nullptr ? state_->packed_constants : *args.packed;
  const codegen::KernelArgs kernel_args{args.src,     packed.data(),     args.bias,
                                        args.add,     args.scale,        args.dst,
                                        args.scratch, state_->plan.get()};
  BoundCall call{state_.get(), &kernel_args};
  if (parallel_for == nullptr || state_->tasks == 1) {
    if (args.scratch != nullptr)
      state_->function(&kernel_args, 0, state_->tasks);
    else
      run_bound_call(&call, 0, state_->tasks);
  } else {
    parallel_for->run(parallel_for->pool, state_->tasks, run_bound_call, &call);
  }
  if (call.lacks_scratch)
    return resource_exhausted(
        fmt::format("scratch: cannot allocate {} bytes for a thread", state_->scratch_bytes));
  if (state_->verbose) report_run(*state_, start);
  return Status();
}

void hold_constants(KernelState& state, const SharedConstants& constants) {
  state.constants = constants;
  state.packed_tag = "constant";
  state.packed_elements = 0;
  state.pack = [](const float*, float*) {};
}

std::shared_ptr<KernelState> make_generic_state(const ir::Conv& conv) {
  auto state = std::make_shared<KernelState>();
  state->conv = conv;
  state->engine_name = "generic";
  state->plan = std::make_unique<generic::Plan>(conv);
  state->function = run_generic;
  state->tasks = state->plan->tasks();
  state->scratch_bytes = state->plan->scratch_bytes_per_thread();
  state->packed_tag = state->plan->packed_tag();
  state->packed_elements = state->plan->packed_elements();
  state->pack = [plan = state->plan.get()](const float* weights, float* packed) {
    plan->pack_weights(weights, packed);
  };
  return state;
}

}  // namespace convgen
