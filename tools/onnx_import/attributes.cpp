// SPDX-License-Identifier: Apache-2.0
// Attributes by name and type.
#include "tools/onnx_import/attributes.h"

#include <fmt/format.h>

#include "tools/onnx_import/messages.h"

namespace convgen::onnx_import {

using onnx::AttributeProto;

bool is_op(const onnx::NodeProto& node, std::string_view op_type) {
  return node.op_type() == op_type && (node.domain().empty() || node.domain() == "ai.onnx");
}

int64_t Attributes::integer(std::string_view name, int64_t absent) {
  const AttributeProto* found = typed(name, AttributeProto::INT);
  return found != nullptr ? found->i() : absent;
}

float Attributes::real(std::string_view name, float absent) {
  const AttributeProto* found = typed(name, AttributeProto::FLOAT);
  return found != nullptr ? found->f() : absent;
}

std::string Attributes::text(std::string_view name, const std::string& absent) {
  const AttributeProto* found = typed(name, AttributeProto::STRING);
  return found != nullptr ? found->s() : absent;
}

std::vector<int64_t> Attributes::integers(std::string_view name) {
  const AttributeProto* found = typed(name, AttributeProto::INTS);
  if (found == nullptr) return {};
  return {found->ints().begin(), found->ints().end()};
}

const onnx::TensorProto* Attributes::tensor(std::string_view name) {
  const AttributeProto* found = typed(name, AttributeProto::TENSOR);
  return found != nullptr ? &found->t() : nullptr;
}

const AttributeProto* Attributes::find(std::string_view name) const {
  for (const AttributeProto& attribute : node_.attribute()) {
    if (attribute.name() == name) return &attribute;
  }
  return nullptr;
}

const AttributeProto* Attributes::typed(std::string_view name, Type type) {
  const AttributeProto* found = find(name);
  if (found == nullptr || found->type() == type) return found;
  status_ = invalid_argument(fmt::format("attribute {} has type {}, expected {}", quote_name(name),
                                         static_cast<int>(found->type()), static_cast<int>(type)));
  return nullptr;
}

}  // namespace convgen::onnx_import
