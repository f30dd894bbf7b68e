// SPDX-License-Identifier: Apache-2.0
// From the Conv's output on, node by node: each step is what one matcher recognises.
#include "tools/onnx_import/fusion.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "tools/onnx_import/affine.h"
#include "tools/onnx_import/attributes.h"
#include "tools/onnx_import/tensors.h"

namespace convgen::onnx_import {
namespace {

using ir::PostOp;
using ir::PostOpKind;
using onnx::NodeProto;
using onnx::TensorProto;

// What a node means as post-ops; none where it means no chain of ours.
using Chain = std::optional<std::vector<PostOp>>;

PostOp op(PostOpKind kind, float a = 0, float b = 0) { return {kind, a, b}; }

// --- Nodes of one operand ---

// A bound of Clip: the input since version 11, before that the attribute. `known` turns false
// where it is no constant.
float clip_bound(const Graph& graph, const NodeProto& node, int input, const char* attribute,
                 float absent, bool& known) {
  if (node.input_size() <= input || node.input(input).empty()) {
    Attributes attributes(node);
    const float bound = attributes.real(attribute, absent);
    known &= attributes.status().ok();
    return bound;
  }
  const TensorProto* tensor = graph.constant(node.input(input));
  const std::optional<float> value = tensor == nullptr ? std::nullopt : scalar_of(*tensor);
  known &= value.has_value();
  return value.value_or(absent);
}

// A bound that is left out is none.
Chain match_clip(const Graph& graph, const NodeProto& node) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  bool known = true;
  const float low = clip_bound(graph, node, 1, "min", -kInfinity, known);
  const float high = clip_bound(graph, node, 2, "max", kInfinity, known);
  if (!known || !(low <= high)) return std::nullopt;
  std::vector<PostOp> chain;
  if (low == -kInfinity && high == kInfinity) return chain;
  if (high == kInfinity) return {{op(PostOpKind::kMax, low)}};
  if (low == -kInfinity) return {{op(PostOpKind::kMin, high)}};
  return {{op(PostOpKind::kClamp, low, high)}};
}

Chain match_slope(const NodeProto& node, PostOpKind kind, float absent) {
  Attributes attributes(node);
  const float alpha = attributes.real("alpha", absent);
  if (!std::isfinite(alpha) || !attributes.status().ok()) return std::nullopt;
  return {{op(kind, alpha)}};
}

Chain match_leaky_relu(const Graph&, const NodeProto& node) {
  return match_slope(node, PostOpKind::kLeakyRelu, 0.01f);
}

Chain match_elu(const Graph&, const NodeProto& node) {
  return match_slope(node, PostOpKind::kElu, 1);
}

// max(0, min(1, alpha x + beta)); ours is the one of mobile networks.
Chain match_hard_sigmoid(const Graph&, const NodeProto& node) {
  Attributes attributes(node);
  const bool ours =
      attributes.real("alpha", 0.2f) == 1.0f / 6 && attributes.real("beta", 0.5f) == 0.5f;
  if (!ours || !attributes.status().ok()) return std::nullopt;
  return {{op(PostOpKind::kHardSigmoid)}};
}

struct UnaryMatcher {
  const char* op_type;
  Chain (*match)(const Graph&, const NodeProto&);
};

template <PostOpKind kind>
Chain always(const Graph&, const NodeProto&) {
  return {{op(kind)}};
}

constexpr UnaryMatcher kUnary[] = {
    {"Relu", always<PostOpKind::kRelu>},
    {"Clip", match_clip},
    {"LeakyRelu", match_leaky_relu},
    {"Sigmoid", always<PostOpKind::kSigmoid>},
    {"Tanh", always<PostOpKind::kTanh>},
    {"Elu", match_elu},
    {"HardSigmoid", match_hard_sigmoid},
    {"HardSwish", always<PostOpKind::kHardSwish>},
    {"Abs", always<PostOpKind::kAbs>},
    {"Identity", [](const Graph&, const NodeProto&) { return Chain(std::vector<PostOp>()); }},
};

Chain match_unary(const Graph& graph, const NodeProto& node) {
  for (const UnaryMatcher& matcher : kUnary) {
    if (is_op(node, matcher.op_type)) return matcher.match(graph, node);
  }
  return std::nullopt;
}

// --- The walk ---

class Walk {
 public:
  Walk(const Graph& graph, const ConvContext& conv) : graph_(graph), conv_(conv) {
    fusion_.has_bias = conv.has_bias;
    fusion_.output = graph.node(conv.node).output(0);
  }

  Fusion run() {
    while (step()) {
    }
    return std::move(fusion_);
  }

 private:
  bool step() {
    if (fuse_gate()) return true;
    const int reader = graph_.only_reader(fusion_.output);
    if (reader < 0) return false;
    const NodeProto& node = graph_.node(reader);
    if (node.input_size() < 1 || node.output_size() < 1 || node.output(0).empty()) return false;
    return fuse_affine(node) || fuse_unary(node) || fuse_add(node);
  }

  // x * sigmoid(x) and x * hard_sigmoid(x): x has two readers, and nobody else.
  bool fuse_gate() {
    const std::string& x = fusion_.output;
    if (graph_.uses(x) != 2 || graph_.readers(x).size() != 2) return false;
    const NodeProto& gate = graph_.node(graph_.readers(x)[0]);
    const NodeProto& product = graph_.node(graph_.readers(x)[1]);
    if (!is_op(product, "Mul") || !is_plain(product) || gate.output_size() != 1) return false;
    if (graph_.only_reader(gate.output(0)) != graph_.readers(x)[1]) return false;
    if (product.input(0) != gate.output(0) && product.input(1) != gate.output(0)) return false;
    const Chain chain = match_unary(graph_, gate);
    if (!chain || chain->size() != 1) return false;
    const PostOpKind kind = chain->front().kind;
    if (kind != PostOpKind::kSigmoid && kind != PostOpKind::kHardSigmoid) return false;
    fusion_.post.push_back(
        op(kind == PostOpKind::kSigmoid ? PostOpKind::kSilu : PostOpKind::kHardSwish));
    fusion_.ops.push_back(gate.op_type());
    advance(product);
    return true;
  }

  // Scales and shifts of channels with nothing before them but the sum itself.
  bool fuse_affine(const NodeProto& node) {
    if (!conv_.foldable || !fusion_.post.empty()) return false;
    if (!is_affine(graph_, node, fusion_.output, conv_.dst_dims)) return false;
    fusion_.affine.push_back(&node);
    fusion_.has_bias |= !is_op(node, "Mul");
    advance(node);
    return true;
  }

  bool fuse_unary(const NodeProto& node) {
    if (node.input(0) != fusion_.output || node.output_size() != 1) return false;
    const Chain chain = match_unary(graph_, node);
    if (!chain) return false;
    fusion_.post.insert(fusion_.post.end(), chain->begin(), chain->end());
    advance(node);
    return true;
  }

  // One residual a convolution, of dst's own shape, there before the convolution begins.
  bool fuse_add(const NodeProto& node) {
    if (!is_op(node, "Add") || !is_plain(node) || !fusion_.residual.empty()) return false;
    const std::string& other = node.input(node.input(0) == fusion_.output ? 1 : 0);
    const ValueType& type = graph_.type(other);
    const bool fits =
        type.element == TensorProto::FLOAT && type.is_static() && type.extents() == conv_.dst_dims;
    if (!fits || !is_ready(other)) return false;
    fusion_.post.push_back(op(PostOpKind::kAdd));
    fusion_.residual = other;
    advance(node);
    return true;
  }

  bool is_ready(const std::string& value) const {
    return graph_.maker(value) < conv_.node || conv_.made->count(value) > 0;
  }

  // Two operands and one result, and none of the broadcasting by attributes of version 1 and 6.
  static bool is_plain(const NodeProto& node) {
    return node.input_size() == 2 && node.output_size() == 1 && node.attribute_size() == 0;
  }

  void advance(const NodeProto& node) {
    fusion_.ops.push_back(node.op_type());
    fusion_.output = node.output(0);
  }

  const Graph& graph_;
  const ConvContext& conv_;
  Fusion fusion_;
};

}  // namespace

Fusion match_fusion(const Graph& graph, const ConvContext& conv) { return Walk(graph, conv).run(); }

}  // namespace convgen::onnx_import
