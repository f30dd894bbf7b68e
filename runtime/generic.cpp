// SPDX-License-Identifier: Apache-2.0
// Plan: picks the path for a convolution and forwards to it.
#include "runtime/generic.h"

#include "runtime/generic_kernels.h"
#include "runtime/generic_path.h"

namespace convgen::generic {

struct Plan::State {
  State(const ir::Conv& the_conv, Isa isa) : conv(the_conv) {
    const Kernels& kernels = kernels_for(isa);
    path = is_depthwise(conv) ? make_depthwise_path(conv, kernels) : make_gemm_path(conv, kernels);
  }

  const ir::Conv conv;
  std::unique_ptr<const Path> path;  // refers to conv
};

Plan::Plan(const ir::Conv& conv) : Plan(conv, host_isas().back()) {}
Plan::Plan(const ir::Conv& conv, Isa isa) : state_(std::make_unique<State>(conv, isa)) {}
Plan::~Plan() = default;
Plan::Plan(Plan&&) noexcept = default;

const ir::Conv& Plan::conv() const { return state_->conv; }
int64_t Plan::tasks() const { return state_->conv.dst_elements() == 0 ? 0 : state_->path->tasks(); }
std::string Plan::packed_tag() const { return state_->path->packed_tag(); }

size_t Plan::packed_elements() const {
  return static_cast<size_t>(state_->path->packed_elements());
}

void Plan::pack_weights(const float* weights, float* packed) const {
  state_->path->pack_weights(weights, packed);
}

size_t Plan::scratch_bytes_per_thread() const {
  return static_cast<size_t>(state_->path->scratch_elements()) * sizeof(float);
}

void Plan::run(const Tensors& tensors, void* scratch, int64_t begin, int64_t end) const {
  state_->path->run(tensors, static_cast<float*>(scratch), begin, end);
}

void finish_tile(const ir::Conv& conv, const Kernels& kernels, const Tensors& tensors,
                 const OutputTile& tile) {
  kernels.apply_post_ops(conv, tensors, tile);
  for (int64_t row = 0; row < tile.rows; ++row) {
    const float* values = tile.values + row * tile.stride;
    float* dst = tensors.dst + (tile.dst_offset + row * tile.dst_row_step);
    if (tile.dst_col_step == 1) {
      copy_floats(values, tile.cols, dst);
    } else {
      for (int64_t col = 0; col < tile.cols; ++col) dst[col * tile.dst_col_step] = values[col];
    }
  }
}

}  // namespace convgen::generic
