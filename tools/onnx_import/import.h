// SPDX-License-Identifier: Apache-2.0
// What the importer offers: an ONNX model in, its convolutions out, each with the nodes behind it
// that became post-ops. Trusts no byte of the model. Neither onnx nor protobuf shows here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ir/conv.h"
#include "ir/status.h"

namespace convgen::onnx_import {

struct ImportOptions {
  // What the model leaves open: symbolic dims by name, or whole inputs by name.
  std::vector<std::pair<std::string, int64_t>> dims;
  std::vector<std::pair<std::string, std::vector<int64_t>>> shapes;
  bool read_weights = false;  // fill ImportedConv::weights and bias
  // Tensors may lie in other files, beneath the model's directory. Else such a model is refused.
  bool external_data = false;
};

// One Conv node and what was fused behind it. src, residual and dst are names of the model's
// values.
struct ImportedConv {
  ir::Conv conv;     // conv.name is unique within the model, and safe as a file name
  std::string node;  // as the model names it
  std::string src;
  std::string residual;  // the operand of post=add, else empty
  std::string dst;
  std::vector<std::string> fused;  // op types behind the Conv: "BatchNormalization", "Relu"
  bool constant_weights = false;   // else src's companion at run time
  // With read_weights, where the model holds them: in conv's layout, BatchNormalization folded.
  std::vector<float> weights;
  std::vector<float> bias;
};

struct ImportedModel {
  std::vector<ImportedConv> convs;   // in the model's order, each after what it reads
  std::vector<std::string> skipped;  // one line for each Conv that is no conv of ours, and why
};

// Reads a model from a file, or "-". Errors: io_error; invalid_argument for a file that is no valid
// model, breaks a rule or leaves a dim open; unsupported where it has only convolutions that
// convgen does not serve.
Result<ImportedModel> import_model(const std::string& path, const ImportOptions& options);

// The same from memory. `directory` is where external data lies; empty: nowhere.
Result<ImportedModel> import_bytes(std::string_view bytes, const std::string& directory,
                                   const ImportOptions& options);

}  // namespace convgen::onnx_import
