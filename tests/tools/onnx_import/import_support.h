// SPDX-License-Identifier: Apache-2.0
// What tests of the importer share.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "ir/text.h"
#include "tests/tools/onnx_import/model_builder.h"
#include "tools/onnx_import/import.h"

namespace convgen::testing {

// The model as it must import, with weights.
inline onnx_import::ImportedModel import_or_throw(const ModelBuilder& net,
                                                  onnx_import::ImportOptions options = {}) {
  options.read_weights = true;
  auto imported = onnx_import::import_bytes(net.bytes(), "", options);
  if (!imported.ok()) throw std::runtime_error(imported.status().message());
  return *std::move(imported);
}

inline std::vector<std::string> texts(const onnx_import::ImportedModel& model) {
  std::vector<std::string> lines;
  for (const auto& imported : model.convs)
    lines.push_back(ir::print_conv(imported.conv) + " name=" + imported.conv.name);
  return lines;
}

// Why the model does not import; empty where it does.
inline Status import_status(const std::string& bytes,
                            const onnx_import::ImportOptions& options = {}) {
  return onnx_import::import_bytes(bytes, "", options).status();
}

}  // namespace convgen::testing
