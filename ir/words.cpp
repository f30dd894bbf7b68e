// SPDX-License-Identifier: Apache-2.0
// The vocabulary of the conv text, one table for each kind of word.
#include "ir/words.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>

#include "ir/message.h"

namespace convgen::ir {
namespace {

constexpr std::array<std::string_view, 3> kOps{"conv1d", "conv2d", "conv3d"};
constexpr std::array<std::string_view, 3> kReservedOpSuffixes{"_transpose", "_bwd_data",
                                                              "_bwd_weights"};
constexpr std::array<std::string_view, 1> kTypes{"f32"};
constexpr std::array<std::string_view, 6> kReservedTypes{"f64", "f16", "bf16", "s8", "u8", "s32"};

constexpr PostOpWord kPostOps[] = {
    {PostOpKind::kBias, "bias", 0, "bias"},
    {PostOpKind::kAdd, "add", 0, "add"},
    {PostOpKind::kScale, "scale", 0, "scale"},
    {PostOpKind::kRelu, "relu", 0, "relu"},
    {PostOpKind::kLeakyRelu, "leaky_relu", 1, "leaky_relu:A"},
    {PostOpKind::kElu, "elu", 1, "elu:A"},
    {PostOpKind::kClamp, "clamp", 2, "clamp:LO:HI"},
    {PostOpKind::kMin, "min", 1, "min:V"},
    {PostOpKind::kMax, "max", 1, "max:V"},
    {PostOpKind::kSigmoid, "sigmoid", 0, "sigmoid"},
    {PostOpKind::kTanh, "tanh", 0, "tanh"},
    {PostOpKind::kGelu, "gelu", 0, "gelu"},
    {PostOpKind::kGeluTanh, "gelu_tanh", 0, "gelu_tanh"},
    {PostOpKind::kSilu, "silu", 0, "silu"},
    {PostOpKind::kHardSwish, "hard_swish", 0, "hard_swish"},
    {PostOpKind::kHardSigmoid, "hard_sigmoid", 0, "hard_sigmoid"},
    {PostOpKind::kAbs, "abs", 0, "abs"},
    {PostOpKind::kSquare, "square", 0, "square"},
};

template <typename Words>
bool contains(const Words& words, std::string_view word) {
  return std::find(std::begin(words), std::end(words), word) != std::end(words);
}

bool is_reserved_op(std::string_view word) {
  const std::string_view op = word.substr(0, kOps[0].size());
  return contains(kOps, op) && contains(kReservedOpSuffixes, word.substr(op.size()));
}

// Reads a layout of either kind of tensor: the two differ only in their words.
template <typename Layout>
Result<Layout> parse_layout(std::string_view field, std::string_view word, int spatial_rank,
                            std::array<Layout, 2> layouts) {
  const std::array<std::string, 2> words{layout_word(layouts[0], spatial_rank),
                                         layout_word(layouts[1], spatial_rank)};
  for (size_t i = 0; i < words.size(); ++i) {
    if (word == words[i]) return layouts[i];
  }
  const std::array<std::string_view, 2> known{words[0], words[1]};
  return broken_rule(field, fmt::format("\"{}\" is no layout of {}, {}", printable(word),
                                        op_word(spatial_rank), expected_one_of(known, word)));
}

std::string pad_text(const std::pair<int64_t, int64_t>& pad) {
  const auto [begin, end] = pad;
  return begin == end ? fmt::to_string(begin) : fmt::format("{}:{}", begin, end);
}

}  // namespace

std::vector<int64_t> used_axes(const Extent3& extent, int spatial_rank) {
  std::vector<int64_t> numbers;
  for (int axis = first_axis(spatial_rank); axis < kMaxSpatialRank; ++axis) {
    numbers.push_back(extent[axis]);
  }
  return numbers;
}

std::string_view spatial_letters(int spatial_rank) {
  return std::string_view("dhw").substr(static_cast<size_t>(first_axis(spatial_rank)));
}

std::string op_word(int spatial_rank) { return fmt::format("conv{}d", spatial_rank); }

Result<int> parse_op(std::string_view word) {
  const auto op = std::find(kOps.begin(), kOps.end(), word);
  if (op != kOps.end()) return static_cast<int>(op - kOps.begin()) + 1;
  if (is_reserved_op(word)) {
    return unsupported(fmt::format("{}: reserved for a later version, so far there are {}", word,
                                   fmt::join(kOps, ", ")));
  }
  return broken_rule(word, "unknown operation, " + expected_one_of(kOps, word));
}

std::string_view type_word(DataType) { return kTypes[0]; }

Result<DataType> parse_type(std::string_view field, std::string_view word) {
  if (word == kTypes[0]) return DataType::kF32;
  if (contains(kReservedTypes, word)) {
    return unsupported(
        fmt::format("{}: type {} is reserved for a later version, so far there is {}",
                    printable(field), word, kTypes[0]));
  }
  return broken_rule(field, fmt::format("unknown type \"{}\", {}", printable(word),
                                        expected_one_of(kTypes, word)));
}

std::string layout_word(ActivationLayout layout, int spatial_rank) {
  const std::string_view spatial = spatial_letters(spatial_rank);
  return layout == ActivationLayout::kChannelsLast ? fmt::format("n{}c", spatial)
                                                   : fmt::format("nc{}", spatial);
}

std::string layout_word(WeightsLayout layout, int spatial_rank) {
  const std::string_view spatial = spatial_letters(spatial_rank);
  return layout == WeightsLayout::kSpatialIO ? fmt::format("{}io", spatial)
                                             : fmt::format("oi{}", spatial);
}

Result<ActivationLayout> parse_activation_layout(std::string_view field, std::string_view word,
                                                 int spatial_rank) {
  using enum ActivationLayout;
  return parse_layout(field, word, spatial_rank, std::array{kChannelsLast, kChannelsFirst});
}

Result<WeightsLayout> parse_weights_layout(std::string_view field, std::string_view word,
                                           int spatial_rank) {
  using enum WeightsLayout;
  return parse_layout(field, word, spatial_rank, std::array{kSpatialIO, kOISpatial});
}

std::span<const PostOpWord> post_op_words() { return kPostOps; }

const PostOpWord* find_post_op(PostOpKind kind) {
  const auto op = std::ranges::find(kPostOps, kind, &PostOpWord::kind);
  return op == std::end(kPostOps) ? nullptr : op;
}

const PostOpWord* find_post_op(std::string_view word) {
  const auto op = std::ranges::find(kPostOps, word, &PostOpWord::word);
  return op == std::end(kPostOps) ? nullptr : op;
}

std::string dims_text(std::span<const int64_t> dims) {
  return fmt::format("{}", fmt::join(dims, "x"));
}

std::string pads_text(std::span<const std::pair<int64_t, int64_t>> pads) {
  std::vector<std::string> entries;
  std::ranges::transform(pads, std::back_inserter(entries), pad_text);
  return fmt::format("{}", fmt::join(entries, "x"));
}

std::string tensor_text(std::string_view key, const TensorSpec& tensor) {
  std::string text = fmt::format("{}={}:{}", key, tensor.type, tensor.layout);
  if (!tensor.dims.empty()) text += ":" + dims_text(tensor.dims);
  return text;
}

}  // namespace convgen::ir
