// SPDX-License-Identifier: Apache-2.0
// Convolutions of the C interface: from text or fields, and what they are.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "ir/conv_spec.h"
#include "ir/message.h"
#include "ir/text.h"
#include "runtime/c_api_support.h"

namespace convgen::c_api {
namespace {

using ir::PadsSpec;

// By spatial rank; channels last first, as the enumerators stand.
constexpr const char* kActivationLayouts[][2] = {
    {"nwc", "ncw"}, {"nhwc", "nchw"}, {"ndhwc", "ncdhw"}};
constexpr const char* kWeightsLayouts[][2] = {{"wio", "oiw"}, {"hwio", "oihw"}, {"dhwio", "oidhw"}};

// The chain of `post`, which is a part of the conv text and may not bring other words along.
Result<std::vector<ir::PostOp>> parse_post(const char* post) {
  if (post == nullptr || *post == '\0') return std::vector<ir::PostOp>();
  if (std::string_view(post).find_first_of(" \t\r\n") != std::string_view::npos)
    return invalid_argument(
        fmt::format("post: \"{}\" found, blanks are not allowed", ir::printable(post)));
  auto spec = ir::parse_conv_spec(fmt::format("conv2d post={}", post));
  if (!spec) return spec.status();
  return std::move(spec->post);
}

Status read_pads(const convgen_conv_spec& spec, PadsSpec& pads) {
  constexpr PadsSpec::Kind kKinds[] = {PadsSpec::Kind::kExplicit, PadsSpec::Kind::kSame,
                                       PadsSpec::Kind::kSameLower};
  if (Status status = check_choice("spec.pads", spec.pads, std::size(kKinds)); !status.ok())
    return status;
  pads.kind = kKinds[spec.pads];
  for (int i = 0; i < spec.spatial_rank; ++i) {
    if (spec.pads == CONVGEN_PADS_EXPLICIT)
      pads.explicit_pads.emplace_back(spec.pads_begin[i], spec.pads_end[i]);
    else if (spec.pads_begin[i] != 0 || spec.pads_end[i] != 0)
      return invalid_argument(
          fmt::format("spec.pads_begin: {} found, must be 0 where pads follow from the sizes",
                      spec.pads_begin[i] != 0 ? spec.pads_begin[i] : spec.pads_end[i]));
  }
  return Status();
}

ir::TensorSpec to_tensor(const char* layout, const int64_t* dims, int spatial_rank) {
  return {"f32", layout, std::vector<int64_t>(dims, dims + spatial_rank + 2)};
}

Result<ir::ConvSpec> to_conv_spec(const convgen_conv_spec& given) {
  const int rank = given.spatial_rank;
  if (rank < 1 || rank > ir::kMaxSpatialRank)
    return invalid_argument(fmt::format("spec.spatial_rank: {} found, expected 1 to 3", rank));
  if (given.src_layout == nullptr) return missing("spec.src_layout");
  if (given.weights_layout == nullptr) return missing("spec.weights_layout");
  ir::ConvSpec spec;
  spec.op = fmt::format("conv{}d", rank);
  spec.src = to_tensor(given.src_layout, given.src_dims, rank);
  spec.weights = to_tensor(given.weights_layout, given.weights_dims, rank);
  if (given.dst_layout != nullptr) spec.dst = {"f32", given.dst_layout, {}};
  spec.strides.assign(given.strides, given.strides + rank);
  spec.dilations.assign(given.dilations, given.dilations + rank);
  if (Status status = read_pads(given, spec.pads); !status.ok()) return status;
  spec.pad_value = given.pad_value;
  spec.groups = given.groups;
  auto post = parse_post(given.post);
  if (!post) return post.status();
  spec.post = *std::move(post);
  spec.accuracy = given.strict != 0 ? ir::Accuracy::kStrict : ir::Accuracy::kNormal;
  spec.name = text_or_empty(given.name);
  return spec;
}

void copy_dims(const std::vector<int64_t>& dims, int64_t (&out)[5]) {
  std::copy(dims.begin(), dims.end(), out);
}

// The axes that there are, the outermost first.
void copy_extent(const ir::Extent3& extent, int spatial_rank, int64_t (&out)[3]) {
  for (int i = 0; i < spatial_rank; ++i) out[i] = extent[ir::kMaxSpatialRank - spatial_rank + i];
}

void fill_shapes(const ir::Conv& conv, convgen_conv_info& info) {
  const char* const(&activations)[2] = kActivationLayouts[conv.spatial_rank - 1];
  info.src_layout = activations[static_cast<int>(conv.src_layout)];
  info.dst_layout = activations[static_cast<int>(conv.dst_layout)];
  info.weights_layout =
      kWeightsLayouts[conv.spatial_rank - 1][static_cast<int>(conv.weights_layout)];
  copy_dims(conv.src_dims(), info.src_dims);
  copy_dims(conv.weights_dims(), info.weights_dims);
  copy_dims(conv.dst_dims(), info.dst_dims);
  info.src_elements = conv.src_elements();
  info.weights_elements = conv.weights_elements();
  info.dst_elements = conv.dst_elements();
}

convgen_conv_info info_of(const convgen_conv& handle) {
  const ir::Conv& conv = handle.conv;
  convgen_conv_info info = CONVGEN_CONV_INFO_INIT;
  info.text = handle.text.c_str();
  info.name = conv.name.c_str();
  fill_shapes(conv, info);
  info.input_channels = conv.ic;
  info.output_channels = conv.oc;
  info.groups = conv.groups;
  copy_extent(conv.strides, conv.spatial_rank, info.strides);
  copy_extent(conv.dilations, conv.spatial_rank, info.dilations);
  copy_extent(conv.pads_begin, conv.spatial_rank, info.pads_begin);
  copy_extent(conv.pads_end, conv.spatial_rank, info.pads_end);
  info.multiply_adds = conv.multiply_adds();
  info.pad_value = conv.pad_value;
  info.spatial_rank = conv.spatial_rank;
  info.strict = conv.accuracy == ir::Accuracy::kStrict;
  info.uses_bias = conv.uses(ir::PostOpKind::kBias);
  info.uses_add = conv.uses(ir::PostOpKind::kAdd);
  info.uses_scale = conv.uses(ir::PostOpKind::kScale);
  return info;
}

Status hand_out_conv(const Result<ir::Conv>& conv, convgen_conv** out) {
  if (!conv.ok()) return conv.status();
  *out = new_conv(*conv);
  return Status();
}

}  // namespace

convgen_conv* new_conv(const ir::Conv& conv) {
  return new convgen_conv{conv, ir::print_conv(conv)};
}

}  // namespace convgen::c_api

using namespace convgen;
using namespace convgen::c_api;

convgen_status convgen_conv_parse(const char* text, convgen_conv** conv) noexcept {
  clear(conv);
  return guarded({{text, "text"}, {conv, "conv"}},
                 [&] { return hand_out_conv(ir::parse_conv(text), conv); });
}

convgen_status convgen_conv_create(const convgen_conv_spec* spec, convgen_conv** conv) noexcept {
  clear(conv);
  return guarded({{spec, "spec"}, {conv, "conv"}}, [&] {
    convgen_conv_spec given = CONVGEN_CONV_SPEC_INIT;
    if (Status status = read_struct(spec, "spec", given); !status.ok()) return status;
    const auto words = to_conv_spec(given);
    if (!words.ok()) return words.status();
    return hand_out_conv(ir::make_conv(*words), conv);
  });
}

convgen_status convgen_conv_get_info(const convgen_conv* conv, convgen_conv_info* info) noexcept {
  return guarded({{conv, "conv"}, {info, "info"}},
                 [&] { return write_struct(info_of(*conv), "info", info); });
}

void convgen_conv_free(convgen_conv* conv) noexcept { delete conv; }
