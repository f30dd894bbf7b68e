// SPDX-License-Identifier: Apache-2.0
// make_conv: the rules of docs/conv-ir.md, one named check each, in the order of kChecks. A check
// reads its field of the spec, may rely on what the checks before it wrote, and writes its part of
// the Conv. Every arithmetic on sizes is 128 bits wide or checked.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ir/conv_spec.h"
#include "ir/message.h"
#include "ir/numbers.h"
#include "ir/text.h"
#include "ir/words.h"

namespace convgen::ir {
namespace {

std::string strides_text(const ConvSpec& spec) { return "strides=" + dims_text(spec.strides); }

std::string pads_word(const PadsSpec& pads) {
  switch (pads.kind) {
    case PadsSpec::Kind::kSame:
      return "pads=same";
    case PadsSpec::Kind::kSameLower:
      return "pads=same_lower";
    case PadsSpec::Kind::kExplicit:
      return "pads=" + pads_text(pads.explicit_pads);
    case PadsSpec::Kind::kValid:
      break;
  }
  return "pads=valid";
}

// The numbers of a spatial list go to the axes in use; the others keep their default.
void set_spatial(std::span<const int64_t> numbers, int spatial_rank, Extent3& extent) {
  for (int i = 0; i < spatial_rank; ++i) {
    extent[first_axis(spatial_rank) + i] = numbers[static_cast<size_t>(i)];
  }
}

// Where the parts of a tensor stand in its dims.
struct Positions {
  size_t spatial;
  size_t in_channels;   // c of src, i of weights
  size_t out_channels;  // o of weights
};

Positions src_positions(const Conv& conv) {
  const auto rank = static_cast<size_t>(conv.spatial_rank);
  if (conv.src_layout == ActivationLayout::kChannelsLast) return {1, rank + 1, 0};
  return {2, 1, 0};
}

Positions weights_positions(const Conv& conv) {
  const auto rank = static_cast<size_t>(conv.spatial_rank);
  if (conv.weights_layout == WeightsLayout::kSpatialIO) return {0, rank, rank + 1};
  return {2, 1, 0};
}

// --- What is said at all, and in which words ---

Status check_op(const ConvSpec& spec, Conv& conv) {
  const Result<int> rank = parse_op(spec.op);
  if (!rank.ok()) return rank.status();
  conv.spatial_rank = *rank;
  return Status();
}

Status check_tensor_said(std::string_view key, const TensorSpec& tensor) {
  const std::string text = tensor_text(key, tensor);
  if (tensor.type.empty() && tensor.layout.empty() && tensor.dims.empty()) {
    return broken_rule(fmt::format("{}=", key), "is required, as TYPE:LAYOUT:DIMS");
  }
  if (tensor.type.empty()) return broken_rule(text, "has no type, expected TYPE:LAYOUT:DIMS");
  if (tensor.layout.empty()) return broken_rule(text, "has no layout, expected TYPE:LAYOUT:DIMS");
  if (tensor.dims.empty()) return broken_rule(text, "has no dims, expected TYPE:LAYOUT:DIMS");
  return Status();
}

Status check_src_said(const ConvSpec& spec, Conv&) { return check_tensor_said("src", spec.src); }

Status check_weights_said(const ConvSpec& spec, Conv&) {
  return check_tensor_said("weights", spec.weights);
}

Status check_dst_has_no_dims(const ConvSpec& spec, Conv&) {
  if (spec.dst.dims.empty()) return Status();
  return broken_rule(tensor_text("dst", spec.dst),
                     "takes no dims, they follow from the other words");
}

// One type so far, so all tensors agree once each is known.
Status check_types(const ConvSpec& spec, Conv& conv) {
  const std::pair<std::string_view, const TensorSpec*> tensors[] = {
      {"src", &spec.src}, {"weights", &spec.weights}, {"dst", &spec.dst}};
  for (const auto& [key, tensor] : tensors) {
    if (tensor == &spec.dst && tensor->type.empty()) continue;
    const Result<DataType> type = parse_type(tensor_text(key, *tensor), tensor->type);
    if (!type.ok()) return type.status();
    conv.type = *type;
  }
  return Status();
}

Status check_src_layout(const ConvSpec& spec, Conv& conv) {
  const auto layout =
      parse_activation_layout(tensor_text("src", spec.src), spec.src.layout, conv.spatial_rank);
  if (!layout.ok()) return layout.status();
  conv.src_layout = conv.dst_layout = *layout;
  return Status();
}

Status check_weights_layout(const ConvSpec& spec, Conv& conv) {
  const auto layout = parse_weights_layout(tensor_text("weights", spec.weights),
                                           spec.weights.layout, conv.spatial_rank);
  if (!layout.ok()) return layout.status();
  conv.weights_layout = *layout;
  return Status();
}

Status check_dst_layout(const ConvSpec& spec, Conv& conv) {
  if (spec.dst.layout.empty()) return Status();
  const auto layout =
      parse_activation_layout(tensor_text("dst", spec.dst), spec.dst.layout, conv.spatial_rank);
  if (!layout.ok()) return layout.status();
  conv.dst_layout = *layout;
  return Status();
}

// --- Shapes ---

// As many dims as the layout has letters, none negative, and 0 only where `may_be_zero` lists the
// letter.
Status check_dims(std::string_view key, const TensorSpec& tensor, std::string_view may_be_zero) {
  const std::string& layout = tensor.layout;
  if (tensor.dims.size() != layout.size()) {
    return broken_rule(
        tensor_text(key, tensor),
        fmt::format("{} dims found, {} has {}", tensor.dims.size(), layout, layout.size()));
  }
  for (size_t i = 0; i < layout.size(); ++i) {
    const int64_t minimum = may_be_zero.find(layout[i]) != std::string_view::npos ? 0 : 1;
    if (tensor.dims[i] >= minimum) continue;
    return broken_rule(
        tensor_text(key, tensor),
        fmt::format("dimension {} of {} must be at least {}", tensor.dims[i], layout[i], minimum));
  }
  return Status();
}

Status check_src_dims(const ConvSpec& spec, Conv& conv) {
  // No batch and an image without pixels give an empty output; no channels give no sum at all.
  if (Status status = check_dims("src", spec.src, "ndhw"); !status.ok()) return status;
  const Positions at = src_positions(conv);
  const std::vector<int64_t>& dims = spec.src.dims;
  conv.n = dims[0];
  conv.ic = dims[at.in_channels];
  set_spatial(std::span(dims).subspan(at.spatial), conv.spatial_rank, conv.in);
  return Status();
}

Status check_weights_dims(const ConvSpec& spec, Conv& conv) {
  if (Status status = check_dims("weights", spec.weights, "o"); !status.ok()) return status;
  const Positions at = weights_positions(conv);
  const std::vector<int64_t>& dims = spec.weights.dims;
  conv.oc = dims[at.out_channels];
  set_spatial(std::span(dims).subspan(at.spatial), conv.spatial_rank, conv.kernel);
  return Status();
}

Status check_groups(const ConvSpec& spec, Conv& conv) {
  const std::string text = fmt::format("groups={}", spec.groups);
  if (spec.groups < 1) return broken_rule(text, "must be at least 1");
  if (conv.oc % spec.groups != 0) {
    return broken_rule(text, fmt::format("must divide the {} output channels of weights", conv.oc));
  }
  conv.groups = spec.groups;
  return Status();
}

Status check_channels_agree(const ConvSpec& spec, Conv& conv) {
  const int64_t i = spec.weights.dims[weights_positions(conv).in_channels];
  const Wide channels = Wide{i} * conv.groups;
  if (channels == conv.ic) return Status();
  return broken_rule(
      tensor_text("weights", spec.weights),
      fmt::format("i {} times groups {} must be the {} channels of src", i, conv.groups, conv.ic));
}

// --- Strides, dilations, pads ---

// Each number of a spatial list is at least 1. `what` names one of them: "stride".
Status check_at_least_one(std::string_view field, std::string_view what, const Extent3& extent) {
  for (int axis = 0; axis < kMaxSpatialRank; ++axis) {
    if (extent[axis] >= 1) continue;
    return broken_rule(field, fmt::format("{} {} of {} must be at least 1", what, extent[axis],
                                          kAxisNames[static_cast<size_t>(axis)]));
  }
  return Status();
}

// TensorFlow's strides name batch and channels too, in the order of src.
Status check_full_strides(const ConvSpec& spec, const Conv& conv) {
  const std::pair<int64_t, std::string_view> others[] = {
      {spec.strides[0], "batch"}, {spec.strides[src_positions(conv).in_channels], "channels"}};
  for (const auto& [stride, name] : others) {
    if (stride == 1) continue;
    return broken_rule(strides_text(spec), fmt::format("stride {} of {} must be 1", stride, name));
  }
  return Status();
}

Status check_strides(const ConvSpec& spec, Conv& conv) {
  if (spec.strides.empty()) return Status();
  const auto rank = static_cast<size_t>(conv.spatial_rank);
  std::span<const int64_t> spatial = spec.strides;
  if (spatial.size() == rank + 2) {
    if (Status status = check_full_strides(spec, conv); !status.ok()) return status;
    spatial = spatial.subspan(src_positions(conv).spatial, rank);
  } else if (spatial.size() != rank) {
    return broken_rule(strides_text(spec),
                       fmt::format("{} numbers found, {} takes {}, or {} in the order of src",
                                   spatial.size(), spec.op, rank, rank + 2));
  }
  set_spatial(spatial, conv.spatial_rank, conv.strides);
  return check_at_least_one(strides_text(spec), "stride", conv.strides);
}

Status check_dilations(const ConvSpec& spec, Conv& conv) {
  if (spec.dilations.empty()) return Status();
  const std::string text = "dilations=" + dims_text(spec.dilations);
  if (spec.dilations.size() != static_cast<size_t>(conv.spatial_rank)) {
    return broken_rule(text, fmt::format("{} numbers found, {} takes {}", spec.dilations.size(),
                                         spec.op, conv.spatial_rank));
  }
  set_spatial(spec.dilations, conv.spatial_rank, conv.dilations);
  return check_at_least_one(text, "dilation", conv.dilations);
}

Status check_effective_kernel(const ConvSpec& spec, Conv& conv) {
  for (int axis = 0; axis < kMaxSpatialRank; ++axis) {
    if (fits_int64(effective_kernel(conv.kernel[axis], conv.dilations[axis]))) continue;
    return broken_rule("dilations=" + dims_text(spec.dilations),
                       fmt::format("the effective kernel of {}, (kernel {} - 1) * dilation + 1, "
                                   "overflows int64",
                                   kAxisNames[static_cast<size_t>(axis)], conv.kernel[axis]));
  }
  return Status();
}

Status check_explicit_pads(const ConvSpec& spec, Conv& conv) {
  const auto& pads = spec.pads.explicit_pads;
  if (spec.pads.kind != PadsSpec::Kind::kExplicit) {
    if (pads.empty()) return Status();
    return broken_rule(pads_word(spec.pads), "takes no numbers, but explicit pads are given");
  }
  if (pads.size() != static_cast<size_t>(conv.spatial_rank)) {
    return broken_rule(pads_word(spec.pads), fmt::format("{} entries found, {} takes {}",
                                                         pads.size(), spec.op, conv.spatial_rank));
  }
  for (int i = 0; i < conv.spatial_rank; ++i) {
    const auto [begin, end] = pads[static_cast<size_t>(i)];
    const int axis = first_axis(conv.spatial_rank) + i;
    if (begin < 0 || end < 0) {
      return broken_rule(pads_word(spec.pads),
                         fmt::format("pad {} of {} must not be negative", std::min(begin, end),
                                     kAxisNames[static_cast<size_t>(axis)]));
    }
    conv.pads_begin[axis] = begin;
    conv.pads_end[axis] = end;
  }
  return Status();
}

// SAME: as many outputs as ceil(in / stride), the odd pad at the end, or at the begin for
// same_lower. ONNX, operator Conv, auto_pad; TensorFlow, "SAME".
Status resolve_same_pads(const ConvSpec& spec, Conv& conv) {
  const bool lower = spec.pads.kind == PadsSpec::Kind::kSameLower;
  if (!lower && spec.pads.kind != PadsSpec::Kind::kSame) return Status();
  for (int axis = 0; axis < kMaxSpatialRank; ++axis) {
    const Wide in = conv.in[axis];
    const Wide stride = conv.strides[axis];
    const Wide out = (in + stride - 1) / stride;
    const Wide span =
        (out - 1) * stride + effective_kernel(conv.kernel[axis], conv.dilations[axis]);
    const auto total = static_cast<int64_t>(std::max<Wide>(span - in, 0));  // < effective kernel
    const int64_t half = total / 2;
    conv.pads_begin[axis] = lower ? total - half : half;
    conv.pads_end[axis] = total - conv.pads_begin[axis];
  }
  return Status();
}

Status check_padded_input(const ConvSpec& spec, Conv& conv) {
  for (int axis = 0; axis < kMaxSpatialRank; ++axis) {
    const Wide padded = Wide{conv.in[axis]} + conv.pads_begin[axis] + conv.pads_end[axis];
    if (fits_int64(padded)) continue;
    return broken_rule(pads_word(spec.pads),
                       fmt::format("input {} of {} with its pads overflows int64", conv.in[axis],
                                   kAxisNames[static_cast<size_t>(axis)]));
  }
  return Status();
}

// --- The output ---

// floor((in + pads - effective kernel) / stride) + 1, and the kernel fits into the padded input.
// An empty image may be smaller than the kernel where the formula says 0: so is SAME on it.
Status check_kernel_fits(const ConvSpec& spec, Conv& conv) {
  for (int axis = 0; axis < kMaxSpatialRank; ++axis) {
    const int64_t padded = conv.in[axis] + conv.pads_begin[axis] + conv.pads_end[axis];
    const auto kernel =
        static_cast<int64_t>(effective_kernel(conv.kernel[axis], conv.dilations[axis]));
    const int64_t room = padded - kernel;
    if (room >= 0) {
      conv.out[axis] = room / conv.strides[axis] + 1;
    } else if (conv.in[axis] == 0 && room >= -conv.strides[axis]) {
      conv.out[axis] = 0;
    } else {
      return broken_rule(tensor_text("weights", spec.weights),
                         fmt::format("effective kernel {} of {} is larger than the padded input {}",
                                     kernel, kAxisNames[static_cast<size_t>(axis)], padded));
    }
  }
  return Status();
}

Status check_tensor_bytes(std::string_view key, const TensorSpec& tensor) {
  std::vector<int64_t> factors = tensor.dims;
  factors.push_back(sizeof(float));
  if (checked_product(factors)) return Status();
  return broken_rule(tensor_text(key, tensor), "the size in bytes overflows int64");
}

Status check_src_bytes(const ConvSpec& spec, Conv&) { return check_tensor_bytes("src", spec.src); }

Status check_weights_bytes(const ConvSpec& spec, Conv&) {
  return check_tensor_bytes("weights", spec.weights);
}

Status check_dst_bytes(const ConvSpec&, Conv& conv) {
  const std::string layout = layout_word(conv.dst_layout, conv.spatial_rank);
  return check_tensor_bytes("dst",
                            TensorSpec{std::string(type_word(conv.type)), layout, conv.dst_dims()});
}

// --- Numbers and post-ops ---

Status check_pad_value(const ConvSpec& spec, Conv& conv) {
  if (!std::isfinite(spec.pad_value)) {
    return broken_rule("pad_value=" + print_float(spec.pad_value), "must be finite");
  }
  conv.pad_value = spec.pad_value == 0 ? 0 : spec.pad_value;  // -0 becomes 0
  return Status();
}

Status check_post_op(const PostOp& op) {
  const std::string text = "post=" + print_post_op(op);
  if (find_post_op(op.kind) == nullptr) return broken_rule(text, "no such post-op");
  if (std::isnan(op.a) || std::isnan(op.b)) return broken_rule(text, "NaN is not allowed");
  const bool scales = op.kind == PostOpKind::kLeakyRelu || op.kind == PostOpKind::kElu;
  if (scales && !std::isfinite(op.a)) return broken_rule(text, "A must be finite");
  if (op.kind == PostOpKind::kClamp && op.a > op.b) {
    return broken_rule(text, "LO must not be greater than HI");
  }
  return Status();
}

Status check_post(const ConvSpec& spec, Conv& conv) {
  for (const PostOp& op : spec.post) {
    if (Status status = check_post_op(op); !status.ok()) return status;
    const int constants = find_post_op(op.kind)->constants;
    // A number the op does not take must not tell equal convolutions apart.
    conv.post.push_back({op.kind, constants > 0 ? op.a : 0, constants > 1 ? op.b : 0});
  }
  return Status();
}

Status copy_accuracy_and_name(const ConvSpec& spec, Conv& conv) {
  conv.accuracy = spec.accuracy;
  conv.name = spec.name;
  return Status();
}

using Check = Status (*)(const ConvSpec&, Conv&);
// clang-format off
constexpr Check kChecks[] = {
    // what is said at all, and in which words
    check_op, check_src_said, check_weights_said, check_dst_has_no_dims, check_types,
    check_src_layout, check_weights_layout, check_dst_layout,
    // shapes
    check_src_dims, check_weights_dims, check_groups, check_channels_agree,
    // strides, dilations, pads
    check_strides, check_dilations, check_effective_kernel, check_explicit_pads, resolve_same_pads,
    check_padded_input,
    // the output and all sizes
    check_kernel_fits, check_src_bytes, check_weights_bytes, check_dst_bytes,
    // what is computed besides
    check_pad_value, check_post, copy_accuracy_and_name,
};
// clang-format on

}  // namespace

Result<Conv> make_conv(const ConvSpec& spec) {
  Conv conv;
  for (Check check : kChecks) {
    if (Status status = check(spec, conv); !status.ok()) return status;
  }
  return conv;
}

}  // namespace convgen::ir
