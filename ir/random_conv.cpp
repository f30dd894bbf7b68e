// SPDX-License-Identifier: Apache-2.0
// Draws what a convolution says word by word, then its sizes, again and smaller until they keep
// the limits. Every draw is valid by construction. Only integer arithmetic decides, never a
// std:: distribution, whose results differ between standard libraries.
#include "ir/random_conv.h"

#include <algorithm>
#include <cassert>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "ir/conv_spec.h"

namespace convgen::ir {
namespace {

// Sizes are drawn up to here, at first: beyond two 16-lane vectors and a tail.
constexpr int64_t kLargestSize = 40;

// splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014),
// started at a place of its own for each (seed, index).
class Random {
 public:
  Random(uint64_t seed, uint64_t index) : state_(mix(mix(seed) + index)) {}

  // Uniform in [0, count), but for a bias below count / 2^32.
  int64_t below(int64_t count) {
    state_ += 0x9e3779b97f4a7c15;
    return static_cast<int64_t>((mix(state_) >> 32) * static_cast<uint64_t>(count) >> 32);
  }

  bool one_in(int64_t count) { return below(count) == 0; }

  // One of the choices; listing one twice doubles its share.
  template <typename T>
  T pick(std::initializer_list<T> choices) {
    return choices.begin()[below(static_cast<int64_t>(choices.size()))];
  }

 private:
  static uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  uint64_t state_;
};

// --- Words: everything but sizes ---

// A post-op with constants that suit small integers and reals in [-1, 1] alike.
PostOp draw_post_op(Random& random) {
  constexpr auto kKinds = static_cast<int64_t>(PostOpKind::kSquare) + 1;
  PostOp op{.kind = static_cast<PostOpKind>(random.below(kKinds))};
  switch (op.kind) {
    case PostOpKind::kLeakyRelu:
      op.a = random.pick({0.01f, 0.25f, 0.5f, 2.0f, -0.5f});
      break;
    case PostOpKind::kElu:
      op.a = random.pick({1.0f, 0.5f, 1.5f, -1.0f});
      break;
    case PostOpKind::kClamp:
      op.a = random.pick({0.0f, -1.0f, -0.5f, -128.0f});
      op.b = random.pick({6.0f, 1.0f, 0.5f, 127.0f, 255.0f});
      break;
    case PostOpKind::kMin:
      op.a = random.pick({255.0f, 6.0f, 1.0f, 0.5f});
      break;
    case PostOpKind::kMax:
      op.a = random.pick({0.0f, -0.5f, -1.0f, 0.5f});
      break;
    default:
      break;
  }
  return op;
}

// At most two squares a chain: f32 holds the fourth power of any sum drawn here, not the eighth.
std::vector<PostOp> draw_post(Random& random) {
  size_t length = random.pick<size_t>({0, 0, 1, 1, 1, 2, 2, 3, 4});
  if (random.one_in(32)) length = 8;
  std::vector<PostOp> post;
  int squares = 0;
  while (post.size() < length) {
    const PostOp op = draw_post_op(random);
    if (op.kind == PostOpKind::kSquare && ++squares > 2) continue;
    post.push_back(op);
  }
  return post;
}

// The axes of each rank, "d", "h" and "w" in this order, as layouts spell them.
std::string spatial_letters(int rank) { return std::string("dhw").substr(3 - rank); }

ConvSpec draw_words(Random& random) {
  const int rank = random.pick({1, 2, 2, 2, 2, 3});
  const std::string spatial = spatial_letters(rank);
  const auto activation_layout = [&] {
    return random.one_in(2) ? "n" + spatial + "c" : "nc" + spatial;
  };
  ConvSpec spec;
  spec.op = "conv" + std::to_string(rank) + "d";
  spec.src = {"f32", activation_layout(), {}};
  spec.dst = {"f32", activation_layout(), {}};
  spec.weights = {"f32", random.one_in(2) ? spatial + "io" : "oi" + spatial, {}};
  using Kind = PadsSpec::Kind;
  spec.pads.kind = random.pick({Kind::kExplicit, Kind::kExplicit, Kind::kExplicit, Kind::kExplicit,
                                Kind::kValid, Kind::kValid, Kind::kSame, Kind::kSameLower});
  if (random.one_in(16)) spec.pad_value = random.pick({1.0f, -1.0f, 2.0f, 0.5f});
  spec.post = draw_post(random);
  if (random.one_in(8)) spec.accuracy = Accuracy::kStrict;
  return spec;
}

// --- Sizes, none of them above `largest` where that can be helped ---

// Around the lanes of the vectors in use, small, or prime.
int64_t draw_channel_count(Random& random, int64_t largest) {
  const int64_t lanes = random.pick<int64_t>({4, 8, 8, 16});
  const int64_t near_lanes =
      random.pick<int64_t>({lanes - 1, lanes, lanes + 1, 2 * lanes - 1, 2 * lanes, 2 * lanes + 1});
  const int64_t small = random.pick<int64_t>({1, 2, 3});
  const int64_t prime = random.pick<int64_t>({5, 7, 11, 13, 19, 23, 29, 37});
  return std::min(largest, random.pick({near_lanes, near_lanes, near_lanes, small, prime}));
}

struct Channels {
  int64_t groups, in_per_group, out_per_group;
};

Channels draw_channels(Random& random, int64_t largest) {
  const int64_t in = draw_channel_count(random, largest);
  const int64_t out = draw_channel_count(random, largest);
  switch (random.below(9)) {
    case 0:
      return {std::min(largest, random.pick<int64_t>({2, 3, 4, 5, 8})), in, out};
    case 1:
      return {in, 1, 1};
    case 2:
      return {in, 1, std::min(largest, random.pick<int64_t>({2, 3}))};
    case 3: {  // as many out as in, several groups a vector
      const int64_t channels = std::min(largest, random.pick<int64_t>({2, 2, 4, 4, 8, 16}));
      return {std::min(largest, random.pick<int64_t>({2, 3, 5, 8, 11})), channels, channels};
    }
    default:
      return {1, in, out};
  }
}

struct Axis {
  int64_t in, kernel, stride, dilation;
  int64_t pad_begin = 0, pad_end = 0;

  int64_t effective_kernel() const { return (kernel - 1) * dilation + 1; }
  int64_t padded() const { return in + pad_begin + pad_end; }
};

// One side: within the kernel mostly, none often, beyond the whole kernel at times.
int64_t draw_pad(Random& random, const Axis& axis, int64_t largest) {
  const int64_t beyond = axis.effective_kernel() + random.below(3);
  const int64_t within = random.below(axis.kernel);
  const int64_t pad = random.one_in(10) ? beyond : random.one_in(4) ? 0 : within;
  return std::min(largest - 1, pad);
}

// Makes the padded input at least as long as the kernel: the image grows where there are no pads
// to grow. SAME does so by its own rule.
void make_kernel_fit(Random& random, PadsSpec::Kind pads, Axis& axis) {
  const int64_t missing = std::max<int64_t>(axis.effective_kernel() - axis.padded(), 0);
  if (pads == PadsSpec::Kind::kValid) axis.in += missing;
  if (pads == PadsSpec::Kind::kExplicit) {
    const int64_t at_begin = random.below(missing + 1);
    axis.pad_begin += at_begin;
    axis.pad_end += missing - at_begin;
  }
}

// Cuts the image so that one output remains, unless the pads alone hold several.
void make_single_output(PadsSpec::Kind pads, Axis& axis) {
  const bool same = pads == PadsSpec::Kind::kSame || pads == PadsSpec::Kind::kSameLower;
  const int64_t room = axis.effective_kernel() - axis.pad_begin - axis.pad_end;
  axis.in = same ? std::min(axis.in, axis.stride) : std::max<int64_t>(1, room);
}

Axis draw_axis(Random& random, PadsSpec::Kind pads, int64_t largest) {
  Axis axis;
  axis.in = random.one_in(3) ? random.pick<int64_t>({1, 2, 3, 4, 5, 7, 8, 9})
                             : 1 + random.below(kLargestSize);
  axis.kernel =
      random.one_in(48) ? 8 + random.below(8) : random.pick<int64_t>({1, 2, 3, 3, 3, 4, 5, 6, 7});
  axis.in = std::min(largest, axis.in);
  axis.kernel = std::min(largest, axis.kernel);
  axis.stride = random.one_in(10) ? axis.kernel + 1 + random.below(3)
                                  : random.pick<int64_t>({1, 1, 1, 1, 1, 2, 2, 3});
  axis.dilation = random.pick<int64_t>({1, 1, 1, 1, 2, 3});
  if (pads == PadsSpec::Kind::kExplicit) {
    axis.pad_begin = draw_pad(random, axis, largest);
    axis.pad_end = draw_pad(random, axis, largest);
  }
  make_kernel_fit(random, pads, axis);
  return axis;
}

// Puts the spatial extents where the layout has its spatial letters.
std::vector<int64_t> dims_of(const std::string& layout, const std::vector<int64_t>& spatial,
                             std::initializer_list<std::pair<char, int64_t>> others) {
  std::vector<int64_t> dims;
  auto next = spatial.begin();
  for (char letter : layout) {
    const auto* other = std::find_if(others.begin(), others.end(),
                                     [&](const auto& entry) { return entry.first == letter; });
    dims.push_back(other == others.end() ? *next++ : other->second);
  }
  return dims;
}

// Completes the words with sizes.
ConvSpec with_sizes(ConvSpec spec, Random& random, int64_t largest) {
  const int64_t batch =
      random.one_in(100) ? 0 : std::min(largest, random.pick<int64_t>({1, 1, 1, 2, 3}));
  const Channels channels = draw_channels(random, largest);
  const int64_t oc = random.one_in(200) ? 0 : channels.groups * channels.out_per_group;
  const bool single_output = random.one_in(16);
  std::vector<int64_t> in, kernel;
  for (size_t i = 0; i + 2 < spec.src.layout.size(); ++i) {
    Axis axis = draw_axis(random, spec.pads.kind, largest);
    if (single_output) make_single_output(spec.pads.kind, axis);
    in.push_back(axis.in);
    kernel.push_back(axis.kernel);
    spec.strides.push_back(axis.stride);
    spec.dilations.push_back(axis.dilation);
    if (spec.pads.kind == PadsSpec::Kind::kExplicit) {
      spec.pads.explicit_pads.emplace_back(axis.pad_begin, axis.pad_end);
    }
  }
  spec.groups = channels.groups;
  spec.src.dims =
      dims_of(spec.src.layout, in, {{'n', batch}, {'c', channels.groups * channels.in_per_group}});
  spec.weights.dims =
      dims_of(spec.weights.layout, kernel, {{'i', channels.in_per_group}, {'o', oc}});
  return spec;
}

// Where in dims the letter of a layout stands.
int64_t& dim_of(TensorSpec& tensor, char letter) { return tensor.dims[tensor.layout.find(letter)]; }

// Images of few channels have long rows: several vectors of pixels and a tail, at any stride.
void lengthen_rows(ConvSpec& spec, Random& random, int64_t largest) {
  spec.groups = 1;
  dim_of(spec.src, 'w') = std::max(dim_of(spec.src, 'w'), largest + random.below(4 * largest + 1));
  dim_of(spec.src, 'c') = dim_of(spec.weights, 'i') = random.pick<int64_t>({1, 2, 3, 3, 3, 4, 5});
  int64_t& oc = dim_of(spec.weights, 'o');
  if (oc != 0) oc = random.pick<int64_t>({1, 2, 3, 3, 3, 4, 5, 8});
}

bool fits(const Conv& conv, const RandomConvLimits& limits) {
  const int64_t elements =
      std::max({conv.src_elements(), conv.weights_elements(), conv.dst_elements()});
  return conv.multiply_adds() <= limits.max_multiply_adds && elements <= limits.max_elements;
}

}  // namespace

Conv random_conv(uint64_t seed, uint64_t index, const RandomConvLimits& limits) {
  Random random(seed, index);
  Random rows(~seed, index);  // apart, so that short rows are drawn as if there were no long ones
  const bool long_rows = rows.one_in(12);
  const ConvSpec words = draw_words(random);
  for (int64_t largest = kLargestSize;; largest = std::max<int64_t>(1, largest * 7 / 8)) {
    ConvSpec spec = with_sizes(words, random, largest);
    if (long_rows && largest > 4) lengthen_rows(spec, rows, largest);
    Result<Conv> conv = make_conv(spec);
    assert(conv.ok());
    // At 1 nothing can shrink any more: the smallest convolution there is.
    if (largest == 1 || fits(*conv, limits)) return std::move(*conv);
  }
}

}  // namespace convgen::ir
