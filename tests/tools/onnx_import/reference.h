// SPDX-License-Identifier: Apache-2.0
// A fused convolution against the nodes it stands for: those are evaluated one by one in f64, by
// ONNX's formulas, and share nothing with the importer.
#pragma once

#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

#include <cstdint>

#include "runtime/engine.h"
#include "tools/onnx_import/import.h"

namespace convgen::testing {

// Random tensors for the conv's src and residual. Passes where its kernel keeps the interpreter's
// bound, and the interpreter on the folded weights differs from the nodes between src and dst by no
// more than rounding those weights may cost. The import must have read weights.
::testing::AssertionResult matches_nodes(const Engine& engine, const onnx::ModelProto& model,
                                         const onnx_import::ImportedConv& imported, uint64_t seed);

}  // namespace convgen::testing
