// SPDX-License-Identifier: Apache-2.0
// What a node is, and its attributes by name and type. What is absent has the default that the ONNX
// operator says; what is there with another type is an error, kept until it is asked for.
#pragma once

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ir/status.h"

namespace convgen::onnx_import {

// Whether a node is `op_type` of ONNX's own operators.
bool is_op(const onnx::NodeProto& node, std::string_view op_type);

class Attributes {
 public:
  // node must outlive it.
  explicit Attributes(const onnx::NodeProto& node) : node_(node) {}

  int64_t integer(std::string_view name, int64_t absent);
  float real(std::string_view name, float absent);
  std::string text(std::string_view name, const std::string& absent);
  std::vector<int64_t> integers(std::string_view name);  // empty where absent
  const onnx::TensorProto* tensor(std::string_view name);

  // Whether all that was read had its type. Errors: invalid_argument, naming the attribute.
  const Status& status() const { return status_; }

 private:
  using Type = onnx::AttributeProto::AttributeType;
  const onnx::AttributeProto* find(std::string_view name) const;
  const onnx::AttributeProto* typed(std::string_view name, Type type);

  const onnx::NodeProto& node_;
  Status status_;
};

}  // namespace convgen::onnx_import
