// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/configuration.h"

#include <fmt/format.h>

#include <algorithm>

#include "ir/random_conv.h"
#include "tests/fuzz/spelling.h"
#include "tests/support/filters.h"
#include "tests/support/isa_levels.h"
#include "tests/support/odd_schedules.h"

namespace convgen::testing {
namespace {

constexpr uint64_t kStream = 20260808;
// One in five breaks a rule, one in ten is what winograd takes, one in eight a filter.
constexpr uint64_t kBroken = 5, kWinograd = 10, kFilter = 8;
constexpr ir::RandomConvLimits kLimits{.max_multiply_adds = 2e5, .max_elements = 1 << 15};

bool rounds(const ir::PostOp& op) {
  using enum ir::PostOpKind;
  constexpr ir::PostOpKind kExact[] = {kBias, kAdd, kScale, kRelu, kClamp, kMin, kMax, kAbs};
  return std::ranges::find(kExact, op.kind) == std::end(kExact);
}

// So long a chain that an epilogue takes it in several passes.
void lengthen_chain(ir::Conv& conv, Random& random) {
  using enum ir::PostOpKind;
  constexpr ir::PostOpKind kKinds[] = {kGelu, kTanh, kGeluTanh, kSilu, kSigmoid, kBias};
  for (int64_t count = 10 + random.below(20); count > 0; --count)
    conv.post.push_back({kKinds[random.below(6)]});
}

// A picture of few channels, in either layout.
ir::Conv draw_filter_conv(Random& random) {
  const int64_t channels = 1 + random.below(4);
  const int64_t taps = random.one_in(3) ? 5 : 3;
  const bool depthwise = random.one_in(2);
  const bool planes = random.one_in(3);
  const int64_t width = 1 + random.below(120), height = 1 + random.below(9);
  const auto dims =
      planes ? fmt::format("nchw:{}x{}x{}x{}", 1 + random.below(2), channels, height, width)
             : fmt::format("nhwc:{}x{}x{}x{}", 1 + random.below(2), height, width, channels);
  const char* const kPost[] = {"",         "", " post=relu", " post=bias,relu", " post=add,scale",
                               " post=abs"};
  return conv_of(fmt::format(
      "conv2d src=f32:{} weights=f32:hwio:{}x{}x{}x{} groups={} pads=same strides={}x1{}{}{}", dims,
      taps, random.one_in(5) ? 1 : taps, depthwise ? 1 : channels, channels,
      depthwise ? channels : 1, 1 + random.below(2), random.one_in(4) ? " dilations=2x2" : "",
      random.one_in(6) ? " pad_value=1" : "", kPost[random.below(6)]));
}

}  // namespace

Configuration draw_configuration(uint64_t number) {
  Configuration c{.number = number, .seed = mix(kStream, number)};
  Random random(c.seed);
  const bool filter = number % kFilter == 3, winograd = number % kWinograd == 7;
  ir::Conv conv = filter     ? draw_filter_conv(random)
                  : winograd ? draw_winograd_conv(random)
                             : ir::random_conv(kStream, number, kLimits);
  if (random.one_in(16)) lengthen_chain(conv, random);
  c.data = random.one_in(2) ? Data::kIntegers : Data::kReals;
  if (c.data == Data::kIntegers && random.one_in(2)) std::erase_if(conv.post, rounds);
  c.breaks_a_rule = number % kBroken == 0;
  c.text = c.breaks_a_rule ? spell_broken(conv, random) : spell(conv, random);
  c.isa = static_cast<size_t>(random.below(static_cast<int64_t>(kIsaLevels.size())));
  if (filter)
    c.schedule = random.one_in(3) ? "" : draw_filter_schedule(random);
  else if (winograd)
    c.schedule = draw_winograd_schedule(random);
  else if (random.one_in(2))
    c.schedule = random.one_in(3) ? draw_staged_schedule(random) : draw_schedule(random);
  // Refused more often than not: outputs are seldom whole vectors.
  if (!filter && random.one_in(12)) c.schedule += " stores=streaming";
  return c;
}

std::optional<ConstantWeights> draw_constants(const Configuration& configuration,
                                              const ir::Conv& conv) {
  Random random(mix(configuration.seed, 1));
  const bool filter = configuration.number % kFilter == 3;
  if (!filter && !random.one_in(16)) return std::nullopt;
  if (conv.kernel.product() > 256 || conv.spatial_rank != 2) return std::nullopt;
  const bool reals = configuration.data == Data::kReals && random.one_in(2);
  const auto draw = [&] { return reals ? random.real() : static_cast<float>(random.below(5) - 2); };
  std::vector<float> column(static_cast<size_t>(conv.kernel.h)),
      row(static_cast<size_t>(conv.kernel.w));
  std::ranges::generate(column, draw);
  std::ranges::generate(row, draw);
  // Whole numbers of which none divides another: their products have no factors that f32 holds but
  // these. Filters are small, so there are enough.
  constexpr float kPrimes[] = {3, -5, 7, -11, 13};
  if (!reals && !random.one_in(3))
    for (size_t i = 0; i < column.size(); ++i) column[i] = kPrimes[i % 5];
  row.front() = row.back();  // twins
  ConstantWeights constants;
  switch (random.below(6)) {
    case 0:
      constants = random_integers(conv, random.next());
      break;
    case 1:
      constants = make_weights(conv, [&](auto...) { return draw(); });
      break;
    case 2:  // the same on each channel, nothing between channels
    case 3:
    case 4:
      constants = on_each_channel(conv, [&](int64_t kh, int64_t kw) {
        return column[static_cast<size_t>(kh)] * row[static_cast<size_t>(kw)];
      });
      break;
    default:
      constants = make_weights(conv, [&](int64_t oc, int64_t, int64_t kh, int64_t kw) {
        return column[static_cast<size_t>(kh)] * row[static_cast<size_t>(kw)] +
               (oc % 2 == 1 ? 1.0f : 0.0f);
      });
  }
  constants.assume_finite = random.one_in(4);
  return constants;
}

}  // namespace convgen::testing
