// SPDX-License-Identifier: Apache-2.0
// A Conv node by itself: its attributes, with ONNX's defaults, as the words of a conv text.
#pragma once

#include "ir/conv_spec.h"
#include "ir/status.h"
#include "tools/onnx_import/graph.h"

namespace convgen::onnx_import {

// The convolution without bias and post-ops: channels first, weights output channels first, as ONNX
// lays them out. Errors: unsupported for types other than f32 and more than three spatial axes;
// invalid_argument for what breaks ONNX's rules or has open dims.
Result<ir::ConvSpec> describe_conv(const Graph& graph, const onnx::NodeProto& node);

// Ok where the convolution's output is what shape inference says, or it says nothing.
Status check_output_shape(const Graph& graph, const onnx::NodeProto& node, const ir::Conv& conv);

}  // namespace convgen::onnx_import
