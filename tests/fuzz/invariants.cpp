// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/invariants.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <thread>
#include <utility>

#include "ir/text.h"

namespace convgen::testing {
namespace {

using Kind = ir::PostOpKind;

Verdict same(const std::vector<float>& expected, const std::vector<float>& found) {
  const ::testing::AssertionResult result = same_bits(expected, found);
  return result ? "" : result.message();
}

std::vector<float> run(const Subject& s, const HostTensors& tensors) {
  return run_kernel(s.kernel, tensors);
}

// Src, bias and add times 2^k: so is dst, where no op knows a scale.
Verdict scales(const Subject& s, Random& random) {
  const auto keeps_scale = [](const ir::PostOp& op) {
    constexpr Kind kLinear[] = {Kind::kBias, Kind::kAdd,       Kind::kScale,
                                Kind::kRelu, Kind::kLeakyRelu, Kind::kAbs};
    return std::ranges::find(kLinear, op.kind) != std::end(kLinear);
  };
  if (s.conv.pad_value != 0 || !std::ranges::all_of(s.conv.post, keeps_scale)) return std::nullopt;
  const auto factor = std::ldexp(1.0f, static_cast<int>(random.below(25)) - 12);
  HostTensors scaled = s.tensors;
  for (std::vector<float>* tensor : {&scaled.src, &scaled.bias, &scaled.add})
    for (float& x : *tensor) x *= factor;
  std::vector<float> expected = s.dst;
  for (float& y : expected) y *= factor;
  return same(expected, run(s, scaled));
}

// Offset of element (outer, c, inner) of a tensor whose channels come last or first.
size_t offset(bool last, int64_t outer, int64_t channels, int64_t c, int64_t inner_count,
              int64_t inner) {
  return static_cast<size_t>(last ? (outer * inner_count + inner) * channels + c
                                  : (outer * channels + c) * inner_count + inner);
}

// to[.., c, ..] = from[.., source[c], ..]
std::vector<float> permuted(const std::vector<float>& from, bool last, int64_t channels,
                            int64_t inner_count, const std::vector<int64_t>& source) {
  std::vector<float> to(from.size());
  const auto count =
      static_cast<int64_t>(from.size()) / std::max<int64_t>(1, channels * inner_count);
  for (int64_t outer = 0; outer < count; ++outer)
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t inner = 0; inner < inner_count; ++inner)
        to[offset(last, outer, channels, c, inner_count, inner)] =
            from[offset(last, outer, channels, source[static_cast<size_t>(c)], inner_count, inner)];
  return to;
}

// Output channels are no one's neighbours: in another order they are the same.
Verdict permutes(const Subject& s, Random& random) {
  const bool rotated = s.kernel.schedule().starts_with("rotated ");
  if (s.constants != nullptr || s.conv.oc < 2 || (rotated && !s.exact)) return std::nullopt;
  std::vector<int64_t> source(static_cast<size_t>(s.conv.oc));
  std::iota(source.begin(), source.end(), 0);
  const int64_t each = s.conv.oc_per_group();
  for (int64_t c = 0; c < s.conv.oc; ++c) {  // within their groups
    const int64_t group = c / each * each;
    std::swap(source[static_cast<size_t>(c)],
              source[static_cast<size_t>(group + random.below(c - group + 1))]);
  }
  HostTensors t = s.tensors;
  const bool weights_last = s.conv.weights_layout == ir::WeightsLayout::kSpatialIO;
  t.weights = permuted(s.tensors.weights, weights_last, s.conv.oc, s.conv.terms(), source);
  if (!t.bias.empty()) t.bias = permuted(s.tensors.bias, true, s.conv.oc, 1, source);
  if (!t.scale.empty()) t.scale = permuted(s.tensors.scale, true, s.conv.oc, 1, source);
  const bool dst_last = s.conv.dst_layout == ir::ActivationLayout::kChannelsLast;
  const int64_t pixels = s.conv.out.product();
  if (!t.add.empty()) t.add = permuted(s.tensors.add, dst_last, s.conv.oc, pixels, source);
  return same(permuted(s.dst, dst_last, s.conv.oc, pixels, source), run(s, t));
}

// An image alone is what it is in a batch, where sums have one order or are exact.
Verdict splits(const Subject& s, Random& random) {
  const bool ordered = s.conv.accuracy == ir::Accuracy::kStrict || s.exact;
  if (s.conv.n < 2 || !ordered) return std::nullopt;
  ir::Conv one = s.conv;
  one.n = 1;
  const Result<Kernel> kernel = s.compile(s.engine, one, s.options);
  if (!kernel.ok()) return std::nullopt;  // refuses the schedule
  const auto n = static_cast<size_t>(random.below(s.conv.n));
  const auto image = [&](const std::vector<float>& all, int64_t size) {
    const auto each = all.empty() ? 0 : static_cast<ptrdiff_t>(size);
    const auto first = all.begin() + static_cast<ptrdiff_t>(n) * each;
    return std::vector<float>(first, first + each);
  };
  HostTensors t = s.tensors;
  t.src = image(s.tensors.src, one.src_elements());
  t.add = image(s.tensors.add, one.dst_elements());
  return same(image(s.dst, one.dst_elements()), run_kernel(*kernel, t));
}

// As many threads as `pool` points to. Not ThreadPool's, which wait in loops far longer than these
// kernels run.
void run_on_threads(void* pool, int64_t tasks, TaskFunction body, void* body_context) {
  const int64_t count = *static_cast<const int*>(pool);
  std::vector<std::jthread> threads;
  for (int64_t i = 0; i < count; ++i)
    threads.emplace_back(body, body_context, tasks * i / count, tasks * (i + 1) / count);
}

Verdict threads(const Subject& s, Random& random) {
  CompileOptions how = s.options;
  how.threads = 2 + static_cast<int>(random.below(2));
  const Result<Kernel> kernel = s.compile(s.engine, s.conv, how);
  if (!kernel.ok()) return std::nullopt;
  const bool same_algorithm =
      kernel->summation().winograd_tile == s.kernel.summation().winograd_tile;
  if (!same_algorithm) return std::nullopt;
  const ParallelFor parallel_for{&how.threads, run_on_threads};
  return same(s.dst, run_kernel(*kernel, s.tensors, {.parallel_for = &parallel_for}));
}

Verdict plain_weights(const Subject& s, Random&) {
  if (s.constants != nullptr) return std::nullopt;
  return same(s.dst,
              run_kernel(s.kernel, s.tensors, {.flush = Flush::kBegin, .plain_weights = true}));
}

Verdict adds_in_place(const Subject& s, Random&) {
  if (!s.conv.uses(Kind::kAdd)) return std::nullopt;
  return same(s.dst, run_kernel(s.kernel, s.tensors, {.add_is_dst = true}));
}

// Floats with 64 bytes of canaries on both sides, `shift` floats behind a line of 64 bytes.
class Shifted {
 public:
  Shifted(const std::vector<float>& values, int64_t shift) : size_(values.size()) {
    memory_.resize(size_ + 64, kCanary);
    const auto misplaced = reinterpret_cast<uintptr_t>(memory_.data()) / 4 % 16;
    first_ = 16 + (16 - misplaced) % 16 + static_cast<size_t>(shift);
    for (size_t i = 0; i < size_; ++i) memory_[first_ + i] = std::bit_cast<uint32_t>(values[i]);
  }
  float* data() { return reinterpret_cast<float*>(memory_.data() + first_); }
  std::vector<float> values() { return {data(), data() + size_}; }
  bool is_intact() const {
    for (size_t i = 0; i < memory_.size(); ++i)
      if ((i < first_ || i >= first_ + size_) && memory_[i] != kCanary) return false;
    return true;
  }

 private:
  static constexpr uint32_t kCanary = 0x7fc0cafe;
  size_t size_;
  size_t first_ = 0;
  std::vector<uint32_t> memory_;
};

// Any alignment that a float has, another for each tensor; nothing is written beside dst.
Verdict alignments(const Subject& s, Random& random) {
  const auto place = [&](const std::vector<float>& values) {
    return Shifted(values, random.one_in(4) ? 0 : random.below(16));
  };
  Shifted src = place(s.tensors.src), bias = place(s.tensors.bias), add = place(s.tensors.add),
          scale = place(s.tensors.scale);
  const float unwritten = std::bit_cast<float>(kUnwritten);
  Shifted dst = place(std::vector<float>(s.dst.size(), unwritten));
  Result<PackedWeights> packed = s.kernel.pack(s.tensors.weights.data());
  if (!packed.ok()) return packed.status().message();
  const Status status = s.kernel.run({.src = src.data(),
                                      .packed = &*packed,
                                      .bias = bias.data(),
                                      .add = add.data(),
                                      .scale = scale.data(),
                                      .dst = dst.data()});
  if (!status.ok()) return status.message();
  if (!dst.is_intact()) return "written beside dst";
  return same(s.dst, dst.values());
}

// NaN, Inf and subnormals, in src, weights and add, reach what the interpreter says and no more.
Verdict special_values(const Subject& s, Random& random) {
  if (s.kernel.summation().winograd_tile != 0) return std::nullopt;
  constexpr float kSpecial[] = {std::numeric_limits<float>::quiet_NaN(),
                                std::numeric_limits<float>::infinity(),
                                -std::numeric_limits<float>::infinity(), 0x1p-140f, -0.0f};
  HostTensors t = s.tensors;
  const bool finite_src = s.constants != nullptr && s.constants->assume_finite;
  const auto poison = [&](std::vector<float>& tensor) {
    if (tensor.empty()) return;
    for (int64_t i = 0; i <= random.below(3); ++i)
      tensor[static_cast<size_t>(random.below(static_cast<int64_t>(tensor.size())))] =
          kSpecial[random.below(5)];
  };
  if (!finite_src) poison(t.src);
  if (s.constants == nullptr && random.one_in(3)) poison(t.weights);
  if (random.one_in(3)) poison(t.add);
  if (random.one_in(3)) poison(t.bias);
  const ::testing::AssertionResult result = matches_interpreter(s.conv, t, run(s, t));
  return result ? "" : result.message();
}

// The same convolution but for one field of what keys are made of.
void change_one_field(ir::Conv& conv, Random& random) {
  const auto axis = static_cast<int>(ir::kMaxSpatialRank - 1 - random.below(conv.spatial_rank));
  switch (random.below(10)) {
    case 0:
      conv.accuracy =
          conv.accuracy == ir::Accuracy::kStrict ? ir::Accuracy::kNormal : ir::Accuracy::kStrict;
      break;
    case 1:
      conv.pad_value += 1;
      break;
    case 2:
      if (conv.post.empty())
        conv.post.push_back({Kind::kRelu});
      else
        conv.post.pop_back();
      break;
    case 3:
      if (!conv.post.empty()) conv.post.front().kind = Kind::kAbs;
      break;
    case 4:
      for (ir::PostOp& op : conv.post)
        if (op.kind == Kind::kClamp || op.kind == Kind::kMin || op.kind == Kind::kLeakyRelu)
          op.a /= 2;
      break;
    case 5:
      conv.weights_layout = conv.weights_layout == ir::WeightsLayout::kSpatialIO
                                ? ir::WeightsLayout::kOISpatial
                                : ir::WeightsLayout::kSpatialIO;
      break;
    case 6:
      conv.dst_layout = conv.dst_layout == ir::ActivationLayout::kChannelsLast
                            ? ir::ActivationLayout::kChannelsFirst
                            : ir::ActivationLayout::kChannelsLast;
      break;
    case 7:  // the same output by other pads
      std::swap(conv.pads_begin[axis], conv.pads_end[axis]);
      break;
    case 8:  // at times the same output too, where a stride leaves room
      conv.pads_begin[axis] += 1;
      break;
    default:
      conv.n += 1;
  }
}

// A request that differs in one field of what keys are made of.
struct OtherRequest {
  ir::Conv conv;
  CompileOptions how;
  std::optional<ConstantWeights> weights;
};

OtherRequest change_request(const Subject& s, Random& random) {
  OtherRequest other{s.conv, s.options, std::nullopt};
  if (s.constants != nullptr) other.weights = *s.constants;
  std::string& words = other.how.schedule;
  if (random.one_in(4)) {
    // Of the same length, since a length tells apart too.
    const size_t digit = words.find_first_of("123456789", words.find("tile="));
    if (digit < words.size())
      words[digit] = words[digit] == '1' ? '2' : '1';
    else
      words = words.empty() ? "tile=1x1" : "";
  } else if (other.weights && random.one_in(3)) {
    other.weights->assume_finite = !other.weights->assume_finite;
  } else if (other.weights && !other.weights->values.empty() && random.one_in(2)) {
    other.weights->values.back() += 1;
  } else if (random.one_in(6)) {
    other.how.threads = 3;
  } else {
    change_one_field(other.conv, random);
  }
  return other;
}

std::string differs(const Kernel& expected, const Kernel& found) {
  if (found.schedule() != expected.schedule()) return "another schedule: " + found.schedule();
  if (found.tasks() != expected.tasks()) return "another number of tasks";
  if (found.compile_stats().code_bytes != expected.compile_stats().code_bytes) return "other code";
  return "";
}

// A kernel from memory or disk is the one asked for, also where another was asked for that differs
// in one field; and what is found on disk computes the same.
Verdict is_kept_apart(const Subject& s, Random& random) {
  const OtherRequest other = change_request(s, random);
  const Result<ir::Conv> valid = ir::parse_conv(ir::print_conv(other.conv));
  if (!valid.ok()) return std::nullopt;
  s.stored.clear_cache();
  const auto disturb = [&](const Engine& engine, const ir::Conv& conv, const CompileOptions& how) {
    const Result<Kernel> kernel =
        other.weights ? engine.compile(conv, *other.weights, how) : engine.compile(conv, how);
    (void)kernel.ok();  // a schedule may be refused
  };
  if (random.one_in(3)) disturb(s.neighbour, s.conv, s.options);
  disturb(s.stored, *valid, other.how);
  for (const bool from_store : {false, true}) {
    const Result<Kernel> kernel = s.compile(s.stored, s.conv, s.options);
    if (!kernel.ok()) return kernel.status().message();
    if (std::string how = differs(s.kernel, *kernel); !how.empty()) return how;
    if (from_store && kernel->tasks() > 0 && !kernel->compile_stats().from_store)
      return "compiled again, though it is in the store";
    const Verdict verdict = same(s.dst, run_kernel(*kernel, s.tensors));
    if (!verdict->empty()) return verdict;
    s.stored.clear_cache();
  }
  return "";
}

constexpr Invariant kOfOneKernel[] = {
    {"scales", scales},
    {"permutes", permutes},
    {"plain weights", plain_weights},
    {"adds in place", adds_in_place},
    {"alignments", alignments},
    {"special values", special_values},
};
constexpr Invariant kOfSeveralKernels[] = {
    {"splits", splits},
    {"threads", threads},
    {"is kept apart", is_kept_apart},
};

}  // namespace

Result<Kernel> Subject::compile(const Engine& from, const ir::Conv& other,
                                const CompileOptions& how) const {
  return constants == nullptr ? from.compile(other, how) : from.compile(other, *constants, how);
}

std::span<const Invariant> invariants_of_one_kernel() { return kOfOneKernel; }
std::span<const Invariant> invariants_of_several_kernels() { return kOfSeveralKernels; }

}  // namespace convgen::testing
