// SPDX-License-Identifier: Apache-2.0
// Bytes to a ModelProto whose graph is there, whose tensors hold what they promise, and whose Conv
// nodes agree with themselves: checked before onnx's library sees any of it.
#pragma once

#include <onnx/onnx_pb.h>

#include <string_view>

#include "ir/status.h"

namespace convgen::onnx_import {

// Errors: invalid_argument for what is no model, breaks a rule, or holds external data where that
// is not allowed.
Result<onnx::ModelProto> parse_model(std::string_view bytes, bool external_data);

}  // namespace convgen::onnx_import
