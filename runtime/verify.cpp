// SPDX-License-Identifier: Apache-2.0
// verify_kernel: two guarded runs on the same random tensors, then output by output against the
// interpreter. Decides what data to draw and which outputs to look at; what is right, the
// interpreter decides.
#include "runtime/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "ir/winograd_reference.h"
#include "runtime/float_modes.h"
#include "runtime/guarded_buffer.h"

namespace convgen {
namespace {

constexpr uint32_t kUnwritten = 0x7fc0dead;  // a NaN no kernel computes
constexpr double kExactLimit = 0x1p24;       // up to here f32 holds every integer
constexpr int64_t kMinSumsToMistrust = 16;   // fewer may be 0 by chance
constexpr double kMinNonzeroShare = 0.7;     // of sums; below it the data proves nothing
constexpr int kMaxDraws = 8;  // of data; few sums, or sums that are alike, may all be 0 by chance

// splitmix64 (Steele, Lea, Flood, OOPSLA 2014): the same numbers on every machine.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // In [0, bound), bound > 0, as good as uniform while bound is far below 2^64.
  int64_t below(int64_t bound) {
    return static_cast<int64_t>(next() % static_cast<uint64_t>(bound));
  }
  // Uniform in [-1, 1), a multiple of 2^-23.
  float real() { return static_cast<float>(next() >> 40) * 0x1p-23f - 1; }
  // Uniform in -limit ... limit without 0: a zero would hide what it is multiplied with.
  float nonzero_integer(int limit) {
    const int64_t pick = below(2 * limit);
    return static_cast<float>(pick < limit ? pick - limit : pick - limit + 1);
  }

 private:
  uint64_t state_;
};

// What the tensors are drawn from: integers up to a limit, reals in [-1, 1) where the limit is 0.
struct Limits {
  int src = 0;
  int weights = 0;
  int bias = 0;
  int add = 0;
  int scale = 0;
};

bool is_integer(float value) { return std::isfinite(value) && value == std::trunc(value); }

// What is known of a value in the post-op chain: |value| <= bound, and whether it is an integer.
struct Magnitude {
  double bound = 0;
  bool integer = true;
  bool is_exact() const { return integer && bound <= kExactLimit; }
};

// Applies an op to the magnitude. False where the op may round. Ops that only select are exact on
// anything, even where a constant ends the run of integers.
bool stays_exact(const ir::PostOp& op, const Limits& limits, Magnitude& m) {
  const double constant = std::max(std::abs(op.a), std::abs(op.b));
  switch (op.kind) {
    case ir::PostOpKind::kBias:
      m.bound += limits.bias;
      return m.is_exact();
    case ir::PostOpKind::kAdd:
      m.bound += limits.add;
      return m.is_exact();
    case ir::PostOpKind::kScale:
      m.bound *= limits.scale;
      return m.is_exact();
    case ir::PostOpKind::kSquare:
      m.bound *= m.bound;
      return m.is_exact();
    case ir::PostOpKind::kLeakyRelu:
      m.bound *= std::max(1.0, constant);
      return is_integer(op.a) && m.is_exact();
    case ir::PostOpKind::kRelu:
    case ir::PostOpKind::kAbs:
      return true;
    case ir::PostOpKind::kMin:
    case ir::PostOpKind::kMax:
    case ir::PostOpKind::kClamp:
      m.bound = std::max(m.bound, constant);
      m.integer = m.integer && is_integer(op.a) && is_integer(op.b);
      return true;
    default:
      return false;
  }
}

// Whether every sum and every post-op is exact in f32 on integers within the limits, whatever the
// order of summation.
bool is_exact_on_integers(const ir::Conv& conv, const Limits& limits) {
  const double max_src = std::max<double>(limits.src, std::abs(conv.pad_value));
  Magnitude m{static_cast<double>(conv.terms()) * max_src * limits.weights,
              is_integer(conv.pad_value)};
  return m.is_exact() && std::all_of(conv.post.begin(), conv.post.end(),
                                     [&](const auto& op) { return stays_exact(op, limits, m); });
}

// The largest limits of a few that keep everything exact: the larger, the fewer sums cancel to 0;
// below the least, every second sum of two products would. Where none keeps it, as in a chain with
// tanh, results are held against the bound anyway.
// weights: the largest of those the kernel was made for; 0 where they may be drawn.
Limits integer_limits(const ir::Conv& conv, int weights) {
  Limits limits{.bias = 16, .add = 16, .scale = 2};
  for (const int limit : {64, 32, 16, 8, 4}) {
    limits.src = limit;
    limits.weights = weights > 0 ? weights : limit;
    if (is_exact_on_integers(conv, limits)) return limits;
  }
  limits.src = 8;
  limits.weights = weights > 0 ? weights : 8;
  return limits;
}

// The largest magnitude of weights that are all integers, small ones; nothing for others.
std::optional<int> largest_integer(const ConstantWeights& constants) {
  constexpr float kSmall = 1 << 16;
  int largest = 1;
  for (const float w : constants.values) {
    if (!is_integer(w) || std::abs(w) > kSmall) return std::nullopt;
    largest = std::max(largest, static_cast<int>(std::abs(w)));
  }
  return largest;
}

// All memory of one run, each tensor flush against a guard page. What the chain does not use has
// no bytes at all, so that reading it faults.
struct Tensors {
  GuardedBuffer src, weights, bias, add, scale, dst, scratch;

  ir::TensorInputs inputs() const {
    return {src.floats(), weights.floats(), bias.floats(), add.floats(), scale.floats()};
  }
};

Status allocate(size_t bytes, Flush flush, GuardedBuffer& buffer) {
  Result<GuardedBuffer> result = GuardedBuffer::create(bytes, flush);
  if (!result.ok()) return result.status();
  buffer = *std::move(result);
  return Status();
}

// Draws a read-only tensor: integers up to the limit, or reals where it is 0.
Status draw(int64_t elements, uint64_t seed, int limit, Flush flush, GuardedBuffer& tensor) {
  Status status = allocate(static_cast<size_t>(elements) * sizeof(float), flush, tensor);
  if (!status.ok()) return status;
  Random random(seed);
  for (int64_t i = 0; i < elements; ++i) {
    tensor.floats()[i] = limit > 0 ? random.nonzero_integer(limit) : random.real();
  }
  return tensor.make_read_only() ? Status() : resource_exhausted("no page may be protected");
}

// The weights a kernel was made for, read-only like those drawn.
Status place(const ConstantWeights& constants, Flush flush, GuardedBuffer& tensor) {
  Status status = allocate(constants.values.size() * sizeof(float), flush, tensor);
  if (!status.ok()) return status;
  std::copy(constants.values.begin(), constants.values.end(), tensor.floats());
  return tensor.make_read_only() ? Status() : resource_exhausted("no page may be protected");
}

// The same seed draws the same numbers, wherever the tensors are flush.
Status draw_inputs(const Kernel& kernel, uint64_t seed, const Limits& limits, Flush flush,
                   Tensors& tensors) {
  const ir::Conv& conv = kernel.conv();
  struct Input {
    GuardedBuffer& tensor;
    int64_t elements;
    int limit;
  };
  const auto used = [&](ir::PostOpKind kind, int64_t size) { return conv.uses(kind) ? size : 0; };
  const Input inputs[] = {
      {tensors.src, conv.src_elements(), limits.src},
      {tensors.weights, conv.weights_elements(), limits.weights},
      {tensors.bias, used(ir::PostOpKind::kBias, conv.oc), limits.bias},
      {tensors.add, used(ir::PostOpKind::kAdd, conv.dst_elements()), limits.add},
      {tensors.scale, used(ir::PostOpKind::kScale, conv.oc), limits.scale},
  };
  Random seeds(seed);
  for (const Input& input : inputs) {
    const uint64_t own_seed = seeds.next();
    const bool is_constant = &input.tensor == &tensors.weights && kernel.constant_weights();
    Status status = is_constant ? place(*kernel.constant_weights(), flush, input.tensor)
                                : draw(input.elements, own_seed, input.limit, flush, input.tensor);
    if (!status.ok()) return status;
  }
  return Status();
}

Status prepare(const Kernel& kernel, uint64_t seed, const Limits& limits, Flush flush,
               Tensors& tensors) {
  const ir::Conv& conv = kernel.conv();
  Status status = draw_inputs(kernel, seed, limits, flush, tensors);
  if (!status.ok()) return status;
  const size_t scratch_bytes = (kernel.scratch_bytes() + 63) / 64 * 64;  // kEnd: still aligned
  status = allocate(scratch_bytes, flush, tensors.scratch);
  if (!status.ok()) return status;
  status = allocate(static_cast<size_t>(conv.dst_elements()) * sizeof(float), flush, tensors.dst);
  if (!status.ok()) return status;
  std::fill_n(tensors.dst.floats(), conv.dst_elements(), std::bit_cast<float>(kUnwritten));
  std::fill_n(tensors.scratch.floats(), scratch_bytes / sizeof(float),
              std::bit_cast<float>(kUnwritten));
  return Status();
}

Status run(const Kernel& kernel, const ParallelFor* parallel_for, const Tensors& tensors) {
  Result<PackedWeights> packed = kernel.pack(tensors.weights.floats());
  if (!packed.ok()) return packed.status();
  RunArgs args;
  args.src = tensors.src.floats();
  args.packed = &*packed;
  args.bias = tensors.bias.floats();
  args.add = tensors.add.floats();
  args.scale = tensors.scale.floats();
  args.dst = tensors.dst.floats();
  args.scratch = tensors.scratch.data();
  return kernel.run(args, parallel_for);
}

// Axes of an OutputIndex, so that sampling can treat them alike.
constexpr int kOutputAxes = 5;

struct OutputSpace {
  explicit OutputSpace(const ir::Conv& conv)
      : extents{conv.n, conv.oc, conv.out.d, conv.out.h, conv.out.w} {}

  ir::OutputIndex index(const int64_t (&at)[kOutputAxes]) const {
    return {at[0], at[1], at[2], at[3], at[4]};
  }

  int64_t extents[kOutputAxes];
};

// Output number `number` of all of them.
ir::OutputIndex nth_output(const OutputSpace& space, int64_t number) {
  int64_t at[kOutputAxes];
  for (int axis = kOutputAxes - 1; axis >= 0; --axis) {
    at[axis] = number % space.extents[axis];
    number /= space.extents[axis];
  }
  return space.index(at);
}

// Number `number` of a sample: all corners, then by turns an output on the border of one axis and
// one from anywhere. An output may come up twice.
ir::OutputIndex sampled_output(const OutputSpace& space, int64_t number, Random& random) {
  constexpr int64_t kCorners = 1 << kOutputAxes;
  const auto pick = static_cast<uint64_t>(number);
  const int border_axis = static_cast<int>(pick / 2 % kOutputAxes);
  int64_t at[kOutputAxes];
  for (int axis = 0; axis < kOutputAxes; ++axis) {
    const int64_t last = space.extents[axis] - 1;
    if (number < kCorners) {
      at[axis] = (pick >> axis & 1) != 0 ? last : 0;
    } else if (number % 2 == 0 && axis == border_axis) {
      at[axis] = random.below(2) * last;
    } else {
      at[axis] = random.below(last + 1);
    }
  }
  return space.index(at);
}

// Whether some tap of the output lies in the image; where none does a sum of 0 is no wonder.
bool reads_image(const ir::Conv& conv, const ir::OutputIndex& index) {
  const int64_t out[] = {index.od, index.oh, index.ow};
  for (int axis = 0; axis < ir::kMaxSpatialRank; ++axis) {
    bool reads = false;
    for (int64_t k = 0; k < conv.kernel[axis]; ++k) {
      const int64_t in =
          out[axis] * conv.strides[axis] + k * conv.dilations[axis] - conv.pads_begin[axis];
      reads = reads || (in >= 0 && in < conv.in[axis]);
    }
    if (!reads) return false;
  }
  return true;
}

// Collects the verdicts on single outputs into a report.
class Checker {
 public:
  Checker(const Kernel& kernel, const Tensors& tensors, bool bit_exact)
      : conv_(kernel.conv()),
        summation_(kernel.summation()),
        constants_(kernel.constant_weights()),
        inputs_(tensors.inputs()),
        dst_(tensors.dst.floats()) {
    report_.bit_exact = bit_exact;
  }

  // A fault of the whole run, found before any output is looked at.
  void fail(std::string why) {
    if (report_.failure.empty()) report_.failure = std::move(why);
  }
  void check(const ir::OutputIndex& index);
  // Whether a fault was found, or would have been: not where most sums are 0.
  bool is_conclusive() const { return !report_.failure.empty() || !is_mostly_zero(); }
  VerifyReport finish();

 private:
  void record_error(double error, double bound);
  double nonzero_share() const {
    return sums_ > 0 ? static_cast<double>(nonzero_sums_) / static_cast<double>(sums_) : 1;
  }
  bool is_mostly_zero() const {
    return sums_ >= kMinSumsToMistrust && nonzero_share() < kMinNonzeroShare;
  }
  bool is_zero_by_its_weights(const ir::OutputIndex& index) const;

  const ir::Conv& conv_;
  const ir::Summation summation_;
  const ConstantWeights* constants_;
  const ir::TensorInputs inputs_;
  const float* dst_;
  VerifyReport report_;
  int64_t sums_ = 0;  // with a tap in the image
  int64_t nonzero_sums_ = 0;
};

// Bit equality is == here: the sign of a zero is no part of the promise, as orders of summation
// and forms of relu may differ in it.
void Checker::check(const ir::OutputIndex& index) {
  const ir::ReferenceOutput reference = ir::interpret_output(conv_, inputs_, index, summation_);
  const float value = dst_[ir::dst_offset(conv_, index)];
  const bool right =
      report_.bit_exact ? value == reference.y : ir::within_tolerance(value, reference);
  const double bound = report_.bit_exact ? 0 : reference.tolerance;
  const double error = std::abs(value - reference.y);
  record_error(right && !std::isfinite(error) ? 0 : error, bound);
  ++report_.checked_outputs;
  if (reads_image(conv_, index) && (reference.accumulator != 0 || !is_zero_by_its_weights(index))) {
    ++sums_;
    nonzero_sums_ += reference.accumulator != 0 ? 1 : 0;
  }
  if (!right) {
    fail(fmt::format("output n={} oc={} od={} oh={} ow={}: got {}, expected {} within {}", index.n,
                     index.oc, index.od, index.oh, index.ow, value, reference.y, bound));
  }
}

// Weights that are given may be 0, all that an output sees of the image: its sum may be 0 then,
// also where those in the padding cancel each other, and no wonder.
bool Checker::is_zero_by_its_weights(const ir::OutputIndex& index) const {
  if (constants_ == nullptr) return false;
  ir::Conv products = conv_;
  products.post.clear();
  products.pad_value = 0;
  return ir::interpret_output(products, inputs_, index).s == 0;
}

// Keeps the output whose error is largest relative to its bound; NaN is infinitely far off.
void Checker::record_error(double error, double bound) {
  const double ratio = error == 0                ? 0
                       : error >= 0 && bound > 0 ? error / bound
                                                 : std::numeric_limits<double>::infinity();
  if (report_.checked_outputs > 0 && ratio <= report_.worst_ratio) return;
  report_.worst_ratio = ratio;
  report_.max_error = error;
  report_.bound = bound;
}

VerifyReport Checker::finish() {
  report_.nonzero_share = nonzero_share();
  if (is_mostly_zero())
    fail(fmt::format("mistrusted: {} of {} checked sums are 0", sums_ - nonzero_sums_, sums_));
  report_.pass = report_.failure.empty();
  return report_;
}

// All outputs of both runs: written at all, and the same bits.
void check_runs(const ir::Conv& conv, const Tensors& first, const Tensors& second,
                Checker& checker) {
  for (int64_t i = 0; i < conv.dst_elements(); ++i) {
    const auto a = std::bit_cast<uint32_t>(first.dst.floats()[i]);
    const auto b = std::bit_cast<uint32_t>(second.dst.floats()[i]);
    if (a == kUnwritten || b == kUnwritten) {
      return checker.fail(fmt::format("element {} of dst was not written", i));
    }
    if (a != b) {
      return checker.fail(fmt::format("element {} of dst differs between two runs: {} and {}", i,
                                      first.dst.floats()[i], second.dst.floats()[i]));
    }
  }
}

// Multiply-adds of the interpreter for one output and its bound.
double cost_of_output(const ir::Conv& conv, const ir::Summation& summation) {
  const double terms = std::max(static_cast<double>(conv.terms()), 1.0);
  if (summation.winograd_tile == 0) return terms;
  return terms + ir::winograd_magnitude_multiply_adds(conv, summation.winograd_tile);
}

void check_outputs(const Kernel& kernel, const VerifyOptions& options, Checker& checker) {
  const ir::Conv& conv = kernel.conv();
  const OutputSpace space(conv);
  const int64_t outputs = conv.dst_elements();
  const double terms = cost_of_output(conv, kernel.summation());
  if (static_cast<double>(outputs) * terms <= options.max_multiply_adds) {
    for (int64_t i = 0; i < outputs; ++i) checker.check(nth_output(space, i));
    return;
  }
  Random random(options.seed);
  const auto samples = static_cast<int64_t>(std::max(options.max_multiply_adds / terms, 1.0));
  for (int64_t i = 0; i < samples; ++i) checker.check(sampled_output(space, i, random));
}

bool wants_integers(const VerifyOptions& options) {
  if (options.data == VerifyData::kAuto) return options.seed % 2 == 0;
  return options.data == VerifyData::kIntegers;
}

// Two runs on the same numbers, those of one seed.
Status run_twice(const Kernel& kernel, const ParallelFor* parallel_for, uint64_t seed,
                 const Limits& limits, Tensors (&runs)[2]) {
  for (const Flush flush : {Flush::kEnd, Flush::kBegin}) {
    Tensors& tensors = runs[flush == Flush::kEnd ? 0 : 1];
    Status status = prepare(kernel, seed, limits, flush, tensors);
    if (status.ok()) status = run(kernel, parallel_for, tensors);
    if (!status.ok()) return status;
  }
  return Status();
}

}  // namespace

Result<VerifyReport> verify_kernel(const Kernel& kernel, const VerifyOptions& options) {
  const DefaultFloatModes modes;  // the bound knows no others
  const ir::Conv& conv = kernel.conv();
  const ConstantWeights* constants = kernel.constant_weights();
  const std::optional<int> largest = constants == nullptr ? 0 : largest_integer(*constants);
  const bool integers = wants_integers(options) && largest.has_value();
  const Limits limits = integers ? integer_limits(conv, *largest) : Limits{};
  // Winograd's transforms multiply by thirds: exact sums are the direct ones'.
  const bool exact =
      integers && is_exact_on_integers(conv, limits) && kernel.summation().winograd_tile == 0;
  Random seeds(options.seed);
  uint64_t seed = options.seed;
  for (int draw = 1;; ++draw, seed = seeds.next()) {
    Tensors runs[2];
    Status status = run_twice(kernel, options.parallel_for, seed, limits, runs);
    if (!status.ok()) return status;
    Checker checker(kernel, runs[0], exact);
    check_runs(conv, runs[0], runs[1], checker);
    check_outputs(kernel, options, checker);
    if (checker.is_conclusive() || draw == kMaxDraws) return checker.finish();
  }
}

}  // namespace convgen
