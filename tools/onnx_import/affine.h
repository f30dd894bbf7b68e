// SPDX-License-Identifier: Apache-2.0
// Nodes that scale and shift channels by constants, and what they make of weights and bias.
#pragma once

#include <string>
#include <vector>

#include "ir/conv.h"
#include "ir/status.h"
#include "tools/onnx_import/external_data.h"
#include "tools/onnx_import/graph.h"

namespace convgen::onnx_import {

// Whether node is y = scale[channel] * x + shift[channel] of `value`, whose dims are `dims`, with
// constants of f32: BatchNormalization outside of training, or Mul or Add with one number a
// channel or for all.
bool is_affine(const Graph& graph, const onnx::NodeProto& node, const std::string& value,
               const std::vector<int64_t>& dims);

// The weights (in conv's layout, output channels first) and the bias of a convolution.
struct Parameters {
  std::vector<float> weights;
  std::vector<float> bias;  // empty: none
};

// Applies nodes that is_affine accepted, in order. Computes in f64, rounds once. Errors: those of
// reading external data.
Status fold_affine(const Graph& graph, const std::vector<const onnx::NodeProto*>& nodes,
                   const ExternalData& external, const ir::Conv& conv, Parameters& parameters);

}  // namespace convgen::onnx_import
