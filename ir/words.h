// SPDX-License-Identifier: Apache-2.0
// The vocabulary of the conv text: operations, types, layouts, post-ops, and how lists of numbers
// are spelled. The reader, the checks and the printer share it. Internal to ir.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ir/conv.h"
#include "ir/conv_spec.h"
#include "ir/status.h"

namespace convgen::ir {

inline constexpr std::array<std::string_view, kMaxSpatialRank> kAxisNames{"depth", "height",
                                                                          "width"};

// The outermost axis in use: 0 for conv3d, 2 for conv1d.
constexpr int first_axis(int spatial_rank) { return kMaxSpatialRank - spatial_rank; }

// The numbers of the axes in use, outermost first.
std::vector<int64_t> used_axes(const Extent3& extent, int spatial_rank);

// "w", "hw" or "dhw".
std::string_view spatial_letters(int spatial_rank);

// "conv2d", and its spatial rank back. Errors: unsupported for a reserved operation.
std::string op_word(int spatial_rank);
Result<int> parse_op(std::string_view word);

// "f32", and back. `field` is the word of the text that the type stands in.
// Errors: unsupported for a reserved type.
std::string_view type_word(DataType type);
Result<DataType> parse_type(std::string_view field, std::string_view word);

// "nhwc" and "hwio" for rank 2, and back.
std::string layout_word(ActivationLayout layout, int spatial_rank);
std::string layout_word(WeightsLayout layout, int spatial_rank);
Result<ActivationLayout> parse_activation_layout(std::string_view field, std::string_view word,
                                                 int spatial_rank);
Result<WeightsLayout> parse_weights_layout(std::string_view field, std::string_view word,
                                           int spatial_rank);

struct PostOpWord {
  PostOpKind kind;
  std::string_view word;
  int constants;          // how many numbers follow
  std::string_view form;  // the word with its numbers, for messages
};

std::span<const PostOpWord> post_op_words();
// Null where there is none.
const PostOpWord* find_post_op(PostOpKind kind);
const PostOpWord* find_post_op(std::string_view word);

// "1x56x56x64", "3:2x1" and "src=f32:nhwc:1x56x56x64" (parts that are not said are left out).
std::string dims_text(std::span<const int64_t> dims);
std::string pads_text(std::span<const std::pair<int64_t, int64_t>> pads);
std::string tensor_text(std::string_view key, const TensorSpec& tensor);

}  // namespace convgen::ir
