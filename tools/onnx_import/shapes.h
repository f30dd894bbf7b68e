// SPDX-License-Identifier: Apache-2.0
// The type and shape of every value of a model, by onnx's own shape inference.
#pragma once

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "ir/status.h"

namespace convgen::onnx_import {

struct Dim {
  int64_t value = -1;  // -1: not known
  std::string symbol;  // its name where it is not known and has one
};

struct ValueType {
  int element = 0;  // onnx::TensorProto_DataType, 0: not known
  bool has_shape = false;
  std::vector<Dim> dims;

  // Whether every dim is known.
  bool is_static() const;
  std::vector<int64_t> extents() const;  // of a static one
};

using ValueTypes = std::map<std::string, ValueType, std::less<>>;

// Puts numbers in place of what the inputs leave open: symbols anywhere in the model, and whole
// inputs. Errors: invalid_argument for a name the model does not have, or what contradicts it.
Status set_open_dims(onnx::ModelProto& model,
                     const std::vector<std::pair<std::string, int64_t>>& dims,
                     const std::vector<std::pair<std::string, std::vector<int64_t>>>& shapes);

// The model's inputs that leave a dim open: "input=Nx3x224x224"; empty where none does.
std::string open_inputs(const onnx::GraphProto& graph);

// Runs onnx's inference on a model that parse_model accepted, in a child process: a model that
// makes it crash, loop or exhaust memory ends the child. Values it does not reach are missing.
// Call with one thread only. Errors: invalid_argument, with what onnx says; resource_exhausted.
Result<ValueTypes> infer_types(onnx::ModelProto& model);

}  // namespace convgen::onnx_import
