// SPDX-License-Identifier: Apache-2.0
// Parsing, and the checks of what onnx's shape inference takes for granted.
#include "tools/onnx_import/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <string>

#include "tools/onnx_import/attributes.h"
#include "tools/onnx_import/messages.h"
#include "tools/onnx_import/tensors.h"

namespace convgen::onnx_import {
namespace {

using onnx::AttributeProto;
using onnx::GraphProto;
using onnx::ModelProto;
using onnx::NodeProto;
using onnx::TensorProto;

using TensorCheck = std::function<Status(const TensorProto&)>;

Status check_graph_tensors(const GraphProto& graph, const TensorCheck& check);

Status check_sparse(const onnx::SparseTensorProto& tensor, const TensorCheck& check) {
  if (Status status = check(tensor.values()); !status.ok()) return status;
  return check(tensor.indices());
}

Status check_attribute_tensors(const AttributeProto& attribute, const TensorCheck& check) {
  if (attribute.has_t()) {
    if (Status status = check(attribute.t()); !status.ok()) return status;
  }
  for (const TensorProto& tensor : attribute.tensors()) {
    if (Status status = check(tensor); !status.ok()) return status;
  }
  if (attribute.has_sparse_tensor()) {
    if (Status status = check_sparse(attribute.sparse_tensor(), check); !status.ok()) return status;
  }
  for (const onnx::SparseTensorProto& tensor : attribute.sparse_tensors()) {
    if (Status status = check_sparse(tensor, check); !status.ok()) return status;
  }
  if (attribute.has_g()) {
    if (Status status = check_graph_tensors(attribute.g(), check); !status.ok()) return status;
  }
  for (const GraphProto& graph : attribute.graphs()) {
    if (Status status = check_graph_tensors(graph, check); !status.ok()) return status;
  }
  return Status();
}

template <typename Nodes>
Status check_node_tensors(const Nodes& nodes, const TensorCheck& check) {
  for (const NodeProto& node : nodes) {
    for (const AttributeProto& attribute : node.attribute()) {
      Status status = check_attribute_tensors(attribute, check);
      if (!status.ok()) return located(node_label(node), status);
    }
  }
  return Status();
}

// Recursion goes as deep as protobuf let the model be nested: 100 messages.
Status check_graph_tensors(const GraphProto& graph, const TensorCheck& check) {
  for (const TensorProto& tensor : graph.initializer()) {
    if (Status status = check(tensor); !status.ok()) return status;
  }
  for (const onnx::SparseTensorProto& tensor : graph.sparse_initializer()) {
    if (Status status = check_sparse(tensor, check); !status.ok()) return status;
  }
  return check_node_tensors(graph.node(), check);
}

Status check_tensors(const ModelProto& model, bool external_data) {
  const TensorCheck check = [external_data](const TensorProto& tensor) {
    if (is_external(tensor) && !external_data) {
      return invalid_argument(
          fmt::format("tensor {}: its data lies outside of the model; --external-data reads files "
                      "beneath the model's directory",
                      quote_name(tensor.name())));
    }
    return check_tensor(tensor);
  };
  if (Status status = check_graph_tensors(model.graph(), check); !status.ok()) return status;
  for (const onnx::FunctionProto& function : model.functions()) {
    if (Status status = check_node_tensors(function.node(), check); !status.ok()) return status;
  }
  return Status();
}

// --- Conv nodes ---

// The ranks that the graph declares, of inputs, inner values and initializers.
std::map<std::string, int> declared_ranks(const GraphProto& graph) {
  std::map<std::string, int> ranks;
  for (const auto* values : {&graph.input(), &graph.value_info(), &graph.output()}) {
    for (const onnx::ValueInfoProto& value : *values) {
      if (!value.type().tensor_type().has_shape()) continue;
      ranks[value.name()] = value.type().tensor_type().shape().dim_size();
    }
  }
  for (const TensorProto& tensor : graph.initializer()) ranks[tensor.name()] = tensor.dims_size();
  return ranks;
}

Status check_list(Attributes& attributes, const std::string& name, int expected) {
  const auto found = static_cast<int>(attributes.integers(name).size());
  if (found == 0 || found == expected) return attributes.status();
  return invalid_argument(fmt::format("{}: {} numbers found, weights of rank {} take {}", name,
                                      found, (name == "pads" ? expected / 2 : expected) + 2,
                                      expected));
}

// onnx 1.12 divides by them.
Status check_at_least_one(Attributes& attributes, const std::string& name) {
  for (const int64_t number : attributes.integers(name)) {
    if (number < 1) return invalid_argument(fmt::format("{}: {} is less than 1", name, number));
  }
  return attributes.status();
}

// onnx #8036: weights of a higher rank than the input's, and lists that are too short, made shape
// inference read past their ends.
Status check_conv(const NodeProto& node, const std::map<std::string, int>& ranks) {
  if (node.input_size() < 2 || node.output_size() < 1) {
    return invalid_argument(fmt::format("{} inputs and {} outputs, expected 2 or 3 and 1",
                                        node.input_size(), node.output_size()));
  }
  Attributes attributes(node);
  for (const char* name : {"strides", "dilations"}) {
    if (Status status = check_at_least_one(attributes, name); !status.ok()) return status;
  }
  const auto weights = ranks.find(node.input(1));
  if (weights == ranks.end()) return Status();
  const auto src = ranks.find(node.input(0));
  if (src != ranks.end() && src->second != weights->second) {
    return invalid_argument(
        fmt::format("weights of rank {} on an input of rank {}", weights->second, src->second));
  }
  for (const auto& [name, lists] :
       {std::pair("kernel_shape", 1), {"strides", 1}, {"dilations", 1}, {"pads", 2}}) {
    Status status = check_list(attributes, name, lists * (weights->second - 2));
    if (!status.ok()) return status;
  }
  return Status();
}

Status check_convs(const GraphProto& graph) {
  const std::map<std::string, int> ranks = declared_ranks(graph);
  for (const NodeProto& node : graph.node()) {
    if (!is_op(node, "Conv")) continue;
    if (Status s = check_conv(node, ranks); !s.ok()) return located(node_label(node), s);
  }
  return Status();
}

// Some exporters write zeros for pads beside auto_pad, which onnx's inference takes for the truth.
void drop_idle_pads(GraphProto& graph) {
  for (NodeProto& node : *graph.mutable_node()) {
    if (!is_op(node, "Conv") || Attributes(node).text("auto_pad", "NOTSET") == "NOTSET") continue;
    auto& attributes = *node.mutable_attribute();
    for (int i = attributes.size() - 1; i >= 0; --i) {
      const auto& numbers = attributes[i].ints();
      const bool idle = std::ranges::all_of(numbers, [](int64_t pad) { return pad == 0; });
      if (attributes[i].name() == "pads" && idle) attributes.DeleteSubrange(i, 1);
    }
  }
}

}  // namespace

Result<ModelProto> parse_model(std::string_view bytes, bool external_data) {
  ModelProto model;
  const bool small = bytes.size() <= std::numeric_limits<int>::max();
  if (!small || !model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return invalid_argument("no ONNX model, its bytes are no such protobuf message");
  }
  if (!model.has_graph() || model.opset_import_size() == 0) {
    return invalid_argument("no ONNX model, it has no graph or says no operator set");
  }
  if (Status status = check_tensors(model, external_data); !status.ok()) return status;
  if (Status status = check_convs(model.graph()); !status.ok()) return status;
  drop_idle_pads(*model.mutable_graph());
  return model;
}

}  // namespace convgen::onnx_import
