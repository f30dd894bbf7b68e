// SPDX-License-Identifier: Apache-2.0
// Which nodes behind a Conv become part of it. A node is fused only where it alone reads what is
// before it, nothing outside can see that value, and a post-op means exactly the same.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "ir/conv.h"
#include "tools/onnx_import/graph.h"

namespace convgen::onnx_import {

// What is known of the Conv whose chain is looked for.
struct ConvContext {
  int node = 0;
  std::vector<int64_t> dst_dims;
  bool foldable = false;  // weights and bias are constants
  bool has_bias = false;
  // Values that convolutions before this one make: with node, what a residual may be.
  const std::set<std::string>* made = nullptr;
};

struct Fusion {
  std::vector<const onnx::NodeProto*> affine;  // folded into weights and bias, in this order
  bool has_bias = false;
  std::vector<ir::PostOp> post;  // behind the bias
  std::string residual;          // the operand of add
  std::string output;            // the value that the whole chain makes
  std::vector<std::string> ops;  // the fused nodes' types
};

Fusion match_fusion(const Graph& graph, const ConvContext& conv);

}  // namespace convgen::onnx_import
