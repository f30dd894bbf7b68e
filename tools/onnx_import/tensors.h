// SPDX-License-Identifier: Apache-2.0
// The tensors a model holds: sizes checked against the bytes that are there before anything is
// read.
#pragma once

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ir/status.h"
#include "tools/onnx_import/external_data.h"

namespace convgen::onnx_import {

std::vector<int64_t> dims_of(const onnx::TensorProto& tensor);

// The number of elements of a tensor that check_tensor accepted.
int64_t elements_of(const onnx::TensorProto& tensor);

bool is_external(const onnx::TensorProto& tensor);

// Ok where dims are not negative, the size in bytes fits int64, and an f32 tensor has just the data
// its dims promise, unless it is external. Errors: invalid_argument.
Status check_tensor(const onnx::TensorProto& tensor);

// The values of a checked f32 tensor.
Result<std::vector<float>> read_floats(const onnx::TensorProto& tensor,
                                       const ExternalData& external);

// The value of a checked f32 tensor of one element that lies in the model itself.
std::optional<float> scalar_of(const onnx::TensorProto& tensor);

}  // namespace convgen::onnx_import
