// SPDX-License-Identifier: Apache-2.0
// Recognising and folding scales and shifts.
#include "tools/onnx_import/affine.h"

#include <cmath>

#include "tools/onnx_import/attributes.h"
#include "tools/onnx_import/tensors.h"

namespace convgen::onnx_import {
namespace {

using onnx::NodeProto;
using onnx::TensorProto;

bool is_f32_of(const TensorProto* tensor, const std::vector<int64_t>& dims) {
  return tensor != nullptr && tensor->data_type() == TensorProto::FLOAT && dims_of(*tensor) == dims;
}

// scale * (x - mean) / sqrt(variance + epsilon) + bias, with statistics that are given: no
// training_mode, and none of the outputs that training has.
bool is_batch_norm(const Graph& graph, const NodeProto& node, const std::string& value,
                   int64_t channels) {
  if (!is_op(node, "BatchNormalization") || node.input_size() != 5) return false;
  if (node.input(0) != value) return false;
  for (int i = 1; i < node.output_size(); ++i) {
    if (!node.output(i).empty()) return false;
  }
  for (int i = 1; i < 5; ++i) {
    if (!is_f32_of(graph.constant(node.input(i)), {channels})) return false;
  }
  Attributes attributes(node);
  const bool per_channel = attributes.integer("spatial", 1) == 1;
  const bool training = attributes.integer("training_mode", 0) != 0;
  attributes.real("epsilon", 0);
  return per_channel && !training && attributes.status().ok();
}

// A tensor of one number, or of one a channel, that broadcasts to dims without changing them.
bool is_per_channel(const TensorProto* tensor, const std::vector<int64_t>& dims) {
  if (tensor == nullptr || tensor->data_type() != TensorProto::FLOAT) return false;
  std::vector<int64_t> own = dims_of(*tensor);
  if (own.size() > dims.size()) return false;
  own.insert(own.begin(), dims.size() - own.size(), 1);
  for (size_t i = 0; i < own.size(); ++i) {
    if (own[i] != 1 && (i != 1 || own[i] != dims[1])) return false;
  }
  return true;
}

const TensorProto* other_operand(const Graph& graph, const NodeProto& node,
                                 const std::string& value) {
  return graph.constant(node.input(node.input(0) == value ? 1 : 0));
}

// y = scale * x + shift, with one number a channel each.
struct Affine {
  std::vector<double> scale, shift;
};

Result<Affine> read_batch_norm(const Graph& graph, const NodeProto& node,
                               const ExternalData& external) {
  std::vector<float> inputs[4];  // scale, bias, mean, variance
  for (int i = 0; i < 4; ++i) {
    Result<std::vector<float>> values = read_floats(*graph.constant(node.input(i + 1)), external);
    if (!values.ok()) return values.status();
    inputs[i] = std::move(*values);
  }
  const double epsilon = Attributes(node).real("epsilon", 1e-5f);
  Affine affine;
  for (size_t c = 0; c < inputs[0].size(); ++c) {
    const double scale = inputs[0][c] / std::sqrt(inputs[3][c] + epsilon);
    affine.scale.push_back(scale);
    affine.shift.push_back(inputs[1][c] - inputs[2][c] * scale);
  }
  return affine;
}

Result<Affine> read_operand(const Graph& graph, const NodeProto& node, const ExternalData& external,
                            size_t channels) {
  const TensorProto* operand = graph.constant(node.input(0));
  if (operand == nullptr) operand = graph.constant(node.input(1));
  const Result<std::vector<float>> values = read_floats(*operand, external);
  if (!values.ok()) return values.status();
  Affine affine{std::vector<double>(channels, 1), std::vector<double>(channels, 0)};
  std::vector<double>& told = is_op(node, "Mul") ? affine.scale : affine.shift;
  for (size_t c = 0; c < channels; ++c) told[c] = (*values)[values->size() == 1 ? 0 : c];
  return affine;
}

}  // namespace

bool is_affine(const Graph& graph, const NodeProto& node, const std::string& value,
               const std::vector<int64_t>& dims) {
  if (is_op(node, "BatchNormalization")) return is_batch_norm(graph, node, value, dims[1]);
  if (!is_op(node, "Mul") && !is_op(node, "Add")) return false;
  const bool plain =
      node.input_size() == 2 && node.output_size() == 1 && node.attribute_size() == 0;
  return plain && is_per_channel(other_operand(graph, node, value), dims);
}

Status fold_affine(const Graph& graph, const std::vector<const NodeProto*>& nodes,
                   const ExternalData& external, const ir::Conv& conv, Parameters& parameters) {
  if (nodes.empty()) return Status();
  const auto channels = static_cast<size_t>(conv.oc);
  Affine total{std::vector<double>(channels, 1), {parameters.bias.begin(), parameters.bias.end()}};
  total.shift.resize(channels, 0);
  for (const NodeProto* node : nodes) {
    const Result<Affine> affine = is_op(*node, "BatchNormalization")
                                      ? read_batch_norm(graph, *node, external)
                                      : read_operand(graph, *node, external, channels);
    if (!affine.ok()) return affine.status();
    for (size_t c = 0; c < channels; ++c) {
      total.scale[c] *= affine->scale[c];
      total.shift[c] = total.shift[c] * affine->scale[c] + affine->shift[c];
    }
  }
  const size_t terms = static_cast<size_t>(conv.terms());
  for (size_t i = 0; i < parameters.weights.size(); ++i) {
    parameters.weights[i] = static_cast<float>(parameters.weights[i] * total.scale[i / terms]);
  }
  parameters.bias.clear();
  if (!conv.uses(ir::PostOpKind::kBias)) return Status();
  for (const double shift : total.shift) parameters.bias.push_back(static_cast<float>(shift));
  return Status();
}

}  // namespace convgen::onnx_import
