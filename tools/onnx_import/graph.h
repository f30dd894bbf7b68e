// SPDX-License-Identifier: Apache-2.0
// A model's main graph as the matchers ask for it: who makes a value, who alone reads it, what it
// is, and which values are constants. Valid: each value has one maker, which comes before its
// readers.
#pragma once

#include <onnx/onnx_pb.h>

#include <string>
#include <unordered_map>

#include "ir/status.h"
#include "tools/onnx_import/shapes.h"

namespace convgen::onnx_import {

class Graph {
 public:
  // model must outlive the graph. Errors: invalid_argument where nodes are out of order, or two
  // make the same value.
  static Result<Graph> create(const onnx::ModelProto& model, ValueTypes types);

  int nodes() const { return proto_->node_size(); }
  const onnx::NodeProto& node(int index) const { return proto_->node(index); }
  const onnx::GraphProto& proto() const { return *proto_; }

  // The node that makes a value; -1 for inputs, initializers and what is not there.
  int maker(const std::string& value) const;
  // How many node inputs read a value, here or in a subgraph; an output of the graph counts too.
  int uses(const std::string& value) const;
  // The nodes that read a value, in order, once for each input.
  const std::vector<int>& readers(const std::string& value) const;
  // The only reader of a value that nothing else uses; -1 where there is none such.
  int only_reader(const std::string& value) const;

  // The tensor of an initializer or Constant node, also through Identity; else null.
  const onnx::TensorProto* constant(const std::string& value) const;

  // What is known of a value; element 0 and no shape where nothing is.
  const ValueType& type(const std::string& value) const;

 private:
  struct Value {
    int maker = -1;
    int uses = 0;
    std::vector<int> readers;
    const onnx::TensorProto* constant = nullptr;
  };

  explicit Graph(const onnx::ModelProto& model, ValueTypes types)
      : proto_(&model.graph()), types_(std::move(types)) {}
  Status read();
  Status read_node(int index);
  void use_subgraphs(const onnx::NodeProto& node);
  void use_all(const onnx::GraphProto& subgraph);
  const Value* find(const std::string& value) const;

  const onnx::GraphProto* proto_;
  ValueTypes types_;
  std::unordered_map<std::string, Value> values_;
};

}  // namespace convgen::onnx_import
