// SPDX-License-Identifier: Apache-2.0
// onnx's shape inference behind a process boundary. Its functions, one an operator, index into
// what a file says, and more than one was found to trust it too far; here that ends a child.
#pragma once

#include <onnx/onnx_pb.h>

#include "ir/status.h"

namespace convgen::onnx_import {

// The inputs, outputs and values of the model's graph with their inferred types; no nodes, no data.
// Errors: invalid_argument with onnx's words, or where the child was killed; resource_exhausted
// where there is no child.
Result<onnx::GraphProto> infer_in_child(const onnx::ModelProto& model);

}  // namespace convgen::onnx_import
