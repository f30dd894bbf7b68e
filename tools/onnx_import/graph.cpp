// SPDX-License-Identifier: Apache-2.0
// One pass over the graph fills a table of values.
#include "tools/onnx_import/graph.h"

#include <fmt/format.h>

#include "tools/onnx_import/attributes.h"
#include "tools/onnx_import/messages.h"

namespace convgen::onnx_import {

using onnx::GraphProto;
using onnx::NodeProto;
using onnx::TensorProto;

Result<Graph> Graph::create(const onnx::ModelProto& model, ValueTypes types) {
  Graph graph(model, std::move(types));
  if (Status status = graph.read(); !status.ok()) return status;
  return graph;
}

int Graph::maker(const std::string& value) const {
  const Value* found = find(value);
  return found == nullptr ? -1 : found->maker;
}

int Graph::uses(const std::string& value) const {
  const Value* found = find(value);
  return found == nullptr ? 0 : found->uses;
}

const std::vector<int>& Graph::readers(const std::string& value) const {
  static const std::vector<int> kNone;
  const Value* found = find(value);
  return found == nullptr ? kNone : found->readers;
}

int Graph::only_reader(const std::string& value) const {
  return uses(value) == 1 && readers(value).size() == 1 ? readers(value)[0] : -1;
}

const TensorProto* Graph::constant(const std::string& value) const {
  const Value* found = find(value);
  return found == nullptr ? nullptr : found->constant;
}

const ValueType& Graph::type(const std::string& value) const {
  static const ValueType kUnknown;
  const auto found = types_.find(value);
  return found == types_.end() ? kUnknown : found->second;
}

Status Graph::read() {
  for (const onnx::ValueInfoProto& input : proto_->input()) values_[input.name()];
  for (const TensorProto& tensor : proto_->initializer()) values_[tensor.name()].constant = &tensor;
  for (const onnx::SparseTensorProto& tensor : proto_->sparse_initializer()) {
    values_[tensor.values().name()];
  }
  for (int i = 0; i < nodes(); ++i) {
    if (Status status = read_node(i); !status.ok()) return located(node_label(node(i)), status);
  }
  for (const onnx::ValueInfoProto& output : proto_->output()) ++values_[output.name()].uses;
  return Status();
}

Status Graph::read_node(int index) {
  const NodeProto& node = proto_->node(index);
  for (const std::string& input : node.input()) {
    if (input.empty()) continue;  // an optional one that is left out
    const auto value = values_.find(input);
    if (value == values_.end()) {
      return invalid_argument(
          fmt::format("reads {}, which nothing before it makes", quote_name(input)));
    }
    ++value->second.uses;
    value->second.readers.push_back(index);
  }
  use_subgraphs(node);
  for (const std::string& output : node.output()) {
    if (output.empty()) continue;
    const auto [value, fresh] = values_.try_emplace(output);
    if (!fresh) {
      return invalid_argument(fmt::format("makes {}, which is there already", quote_name(output)));
    }
    value->second.maker = index;
  }
  if (node.output_size() != 1 || node.output(0).empty()) return Status();
  Value& output = values_[node.output(0)];
  if (is_op(node, "Constant")) output.constant = Attributes(node).tensor("value");
  if (is_op(node, "Identity") && node.input_size() == 1) output.constant = constant(node.input(0));
  return Status();
}

void Graph::use_subgraphs(const NodeProto& node) {
  for (const onnx::AttributeProto& attribute : node.attribute()) {
    if (attribute.has_g()) use_all(attribute.g());
    for (const GraphProto& graph : attribute.graphs()) use_all(graph);
  }
}

// Names of the subgraph's own that are the same as outer ones count too: a use too many only costs
// a fusion.
void Graph::use_all(const GraphProto& subgraph) {
  for (const NodeProto& node : subgraph.node()) {
    for (const std::string& input : node.input()) {
      if (const auto value = values_.find(input); value != values_.end()) ++value->second.uses;
    }
    use_subgraphs(node);
  }
  for (const onnx::ValueInfoProto& output : subgraph.output()) {
    if (const auto value = values_.find(output.name()); value != values_.end()) {
      ++value->second.uses;
    }
  }
}

const Graph::Value* Graph::find(const std::string& value) const {
  const auto found = values_.find(value);
  return found == values_.end() ? nullptr : &found->second;
}

}  // namespace convgen::onnx_import
