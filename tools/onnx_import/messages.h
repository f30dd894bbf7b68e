// SPDX-License-Identifier: Apache-2.0
// How messages name what a model names, which may be any bytes.
#pragma once

#include <onnx/onnx_pb.h>

#include <string>
#include <string_view>

#include "ir/status.h"

namespace convgen::onnx_import {

// Text of a model, or of onnx about one, as it may stand in a message: control characters and what
// is not ASCII replaced, cut after `most` bytes.
std::string plain_text(std::string_view text, size_t most);

// 'NAME', control characters and what is not ASCII replaced, long names cut.
std::string quote_name(std::string_view name);

// "Conv 'conv1'": the node's type and name, or the name of its first output where it has none.
std::string node_label(const onnx::NodeProto& node);

// The status with "LABEL: " in front of its message.
Status located(const std::string& label, const Status& status);

}  // namespace convgen::onnx_import
