// SPDX-License-Identifier: Apache-2.0
// Open dims, and the table of types.
#include "tools/onnx_import/shapes.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <set>

#include "tools/onnx_import/inference_process.h"
#include "tools/onnx_import/messages.h"

namespace convgen::onnx_import {
namespace {

using onnx::GraphProto;
using onnx::ModelProto;
using onnx::TensorShapeProto;
using onnx::ValueInfoProto;
using DimProto = TensorShapeProto::Dimension;

bool is_known(const DimProto& dim) { return dim.has_dim_value() && dim.dim_value() >= 0; }

std::string dim_text(const DimProto& dim) {
  if (is_known(dim)) return fmt::format("{}", dim.dim_value());
  const std::string name = quote_name(dim.dim_param());
  return name == "''" ? "?" : name.substr(1, name.size() - 2);
}

std::string shape_text(const TensorShapeProto& shape) {
  std::string text;
  for (const DimProto& dim : shape.dim()) text += (text.empty() ? "" : "x") + dim_text(dim);
  return text;
}

// Inputs that a caller passes: old models list their initializers too.
std::vector<const ValueInfoProto*> real_inputs(const GraphProto& graph) {
  std::set<std::string> constants;
  for (const onnx::TensorProto& tensor : graph.initializer()) constants.insert(tensor.name());
  std::vector<const ValueInfoProto*> inputs;
  for (const ValueInfoProto& input : graph.input()) {
    if (constants.count(input.name()) == 0) inputs.push_back(&input);
  }
  return inputs;
}

void for_each_dim(GraphProto& graph, const std::function<void(DimProto&)>& visit) {
  for (auto* values : {graph.mutable_input(), graph.mutable_value_info(), graph.mutable_output()}) {
    for (ValueInfoProto& value : *values) {
      if (!value.type().tensor_type().has_shape()) continue;
      auto* shape = value.mutable_type()->mutable_tensor_type()->mutable_shape();
      for (DimProto& dim : *shape->mutable_dim()) visit(dim);
    }
  }
}

Status set_symbol(GraphProto& graph, const std::string& name, int64_t value) {
  bool found = false;
  for_each_dim(graph, [&](DimProto& dim) {
    if (is_known(dim) || dim.dim_param() != name) return;
    dim.set_dim_value(value);
    found = true;
  });
  if (found) return Status();
  const std::string open = open_inputs(graph);
  return invalid_argument(
      fmt::format("dim {}={}: no value of the model has such a dim, {}", quote_name(name), value,
                  open.empty() ? "its inputs leave none open" : "its inputs leave open: " + open));
}

Status set_input(GraphProto& graph, const std::string& name, const std::vector<int64_t>& dims) {
  const auto at = std::ranges::find(*graph.mutable_input(), name, &ValueInfoProto::name);
  if (at == graph.mutable_input()->end()) {
    std::string names;
    for (const ValueInfoProto* input : real_inputs(graph)) names += " " + quote_name(input->name());
    return invalid_argument(
        fmt::format("shape of {}: the model has no such input, it has{}", quote_name(name), names));
  }
  onnx::TypeProto::Tensor* type = at->mutable_type()->mutable_tensor_type();
  if (!type->has_shape()) {
    for (size_t i = 0; i < dims.size(); ++i) type->mutable_shape()->add_dim();
  }
  const TensorShapeProto before = type->shape();
  const auto error = [&] {
    return invalid_argument(fmt::format("shape of {}: {} contradicts the model's {}",
                                        quote_name(name), fmt::join(dims, "x"),
                                        shape_text(before)));
  };
  if (static_cast<size_t>(before.dim_size()) != dims.size()) return error();
  for (int i = 0; i < before.dim_size(); ++i) {
    const int64_t extent = dims[static_cast<size_t>(i)];
    const DimProto dim = type->shape().dim(i);  // an earlier dim may have set it
    if (is_known(dim) && dim.dim_value() != extent) return error();
    type->mutable_shape()->mutable_dim(i)->set_dim_value(extent);
    if (is_known(dim) || dim.dim_param().empty()) continue;
    for_each_dim(graph, [&](DimProto& other) {
      if (!is_known(other) && other.dim_param() == dim.dim_param()) other.set_dim_value(extent);
    });
  }
  return Status();
}

ValueType type_of(const onnx::TypeProto::Tensor& tensor) {
  ValueType type;
  type.element = tensor.elem_type();
  type.has_shape = tensor.has_shape();
  for (const DimProto& dim : tensor.shape().dim()) {
    type.dims.push_back({is_known(dim) ? dim.dim_value() : -1, dim.dim_param()});
  }
  return type;
}

}  // namespace

bool ValueType::is_static() const {
  return has_shape && std::ranges::all_of(dims, [](const Dim& dim) { return dim.value >= 0; });
}

std::vector<int64_t> ValueType::extents() const {
  std::vector<int64_t> values;
  for (const Dim& dim : dims) values.push_back(dim.value);
  return values;
}

Status set_open_dims(ModelProto& model, const std::vector<std::pair<std::string, int64_t>>& dims,
                     const std::vector<std::pair<std::string, std::vector<int64_t>>>& shapes) {
  for (const auto& [name, extents] : shapes) {
    Status status = set_input(*model.mutable_graph(), name, extents);
    if (!status.ok()) return status;
  }
  for (const auto& [name, value] : dims) {
    Status status = set_symbol(*model.mutable_graph(), name, value);
    if (!status.ok()) return status;
  }
  return Status();
}

std::string open_inputs(const GraphProto& graph) {
  std::string text;
  for (const ValueInfoProto* input : real_inputs(graph)) {
    const TensorShapeProto& shape = input->type().tensor_type().shape();
    if (std::ranges::all_of(shape.dim(), is_known)) continue;
    const std::string name = quote_name(input->name());
    text += (text.empty() ? "" : ", ") + name.substr(1, name.size() - 2) + "=" + shape_text(shape);
  }
  return text;
}

Result<ValueTypes> infer_types(ModelProto& model) {
  Result<GraphProto> inferred = infer_in_child(model);
  if (!inferred.ok()) return inferred.status();
  ValueTypes types;
  for (const auto* values : {&inferred->value_info(), &inferred->output(), &inferred->input()}) {
    for (const ValueInfoProto& value : *values) {
      types[value.name()] = type_of(value.type().tensor_type());
    }
  }
  for (const onnx::TensorProto& tensor : model.graph().initializer()) {
    ValueType& type = types[tensor.name()] = {tensor.data_type(), true, {}};
    for (const int64_t dim : tensor.dims()) type.dims.push_back({dim, ""});
  }
  return types;
}

}  // namespace convgen::onnx_import
