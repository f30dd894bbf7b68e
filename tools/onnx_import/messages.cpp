// SPDX-License-Identifier: Apache-2.0
// Names of a model as messages show them.
#include "tools/onnx_import/messages.h"

#include <fmt/format.h>

namespace convgen::onnx_import {

std::string plain_text(std::string_view text, size_t most) {
  std::string plain;
  for (const char c : text.substr(0, most)) plain += c >= ' ' && c <= '~' ? c : '?';
  return plain + (text.size() > most ? "..." : "");
}

std::string quote_name(std::string_view name) {
  constexpr size_t kMaxShown = 100;
  return "'" + plain_text(name, kMaxShown) + "'";
}

std::string node_label(const onnx::NodeProto& node) {
  const std::string type = quote_name(node.op_type());
  const std::string bare = type.substr(1, type.size() - 2);
  if (!node.name().empty()) return fmt::format("{} {}", bare, quote_name(node.name()));
  if (node.output_size() > 0) return fmt::format("{} of {}", bare, quote_name(node.output(0)));
  return bare + " without outputs";
}

Status located(const std::string& label, const Status& status) {
  if (status.ok()) return status;
  return Status(status.code(), label + ": " + status.message());
}

}  // namespace convgen::onnx_import
