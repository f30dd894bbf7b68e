// SPDX-License-Identifier: Apache-2.0
#include "runtime/generic_kernel.h"

#include <utility>

#include "codegen/cpu_stopwatch.h"
#include "runtime/generic.h"

namespace convgen {
namespace {

void run_generic(const codegen::KernelArgs* args, int64_t begin, int64_t end) {
  const auto* plan = static_cast<const generic::Plan*>(args->context);
  const generic::Tensors tensors{args->src, args->weights, args->bias,
                                 args->add, args->scale,   args->dst};
  plan->run(tensors, static_cast<float*>(args->scratch), begin, end);
}

}  // namespace

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

Result<std::shared_ptr<KernelState>> make_generic_state(const ir::Conv& conv,
                                                        const SharedConstants& constants,
                                                        bool verbose) {
  const codegen::CpuStopwatch total;
  auto state = make_generic_state(conv);
  if (constants != nullptr) {
    auto packed = Kernel(state).pack(constants->values.data());
    if (!packed) return packed.status();
    state->packed_constants = std::move(*packed);
    hold_constants(*state, constants);
  }
  state->verbose = verbose;
  state->stats.total_ms = total.ms();
  return state;
}

Result<Kernel> make_generic_kernel(const ir::Conv& conv, const SharedConstants& constants,
                                   bool verbose, const Status& why, const KernelCheck& check) {
  auto state = make_generic_state(conv, constants, verbose);
  if (!state) return state.status();
  (*state)->compile_status = why;
  Kernel kernel(*std::move(state));
  if (Status status = check(kernel); !status.ok()) return status;
  return kernel;
}

}  // namespace convgen
