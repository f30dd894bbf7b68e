// SPDX-License-Identifier: Apache-2.0
#include "codegen/filter_plan.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "codegen/packed_layout.h"

namespace convgen::codegen {
namespace {

// A row's phases must fit few vectors, a pass's outputs few registers.
constexpr int64_t kMaxPeriod = 8;
constexpr int64_t kMaxOutputs = 4;
constexpr int64_t kMaxPlanes = 16;
// Columns left or right of an output, rows above or below, and between outputs: more than any
// picture has, and as floats far from overflowing.
constexpr int64_t kMaxShift = int64_t{1} << 40;
// Products of one output float, and of all passes: each is an instruction, several times over.
constexpr size_t kMaxTaps = 256;
constexpr size_t kMaxAllTaps = 1024;

bool rows_are_dense(ir::ActivationLayout layout, int64_t channels) {
  return layout == ir::ActivationLayout::kChannelsFirst || channels == 1;
}

void set_reach(const ir::Conv& conv, FilterGeometry& geometry) {
  const int64_t period = geometry.period;
  const int64_t apart = conv.ic_per_group() > 1 ? period - 1 : 0;  // between channels of a pixel
  geometry.first_shift = -conv.pads_begin.w * period - apart;
  geometry.last_shift =
      ((conv.kernel.w - 1) * conv.dilations.w - conv.pads_begin.w) * period + apart;
  geometry.in_floats = conv.in.w * period;
  geometry.out_floats = conv.out.w * period;
  geometry.src_plane = conv.in.h * geometry.in_floats;
  geometry.src_image = conv.in.product() * conv.ic;
  geometry.dst_image = conv.out.product() * conv.oc;
}

// weights[oc][ic of the group][tap] wherever the layout puts it.
float weight_of(const ir::Conv& conv, const ConstantWeights& constants, int64_t oc, int64_t ic,
                int64_t kh, int64_t kw) {
  const WeightsStrides strides = weights_strides(conv);
  const int64_t at = oc * strides.oc + ic * strides.ic + (kh * conv.kernel.w + kw) * strides.tap;
  return constants.values[static_cast<size_t>(at)];
}

bool is_zero(const FilterTap& tap) {
  return std::all_of(tap.weights.begin(), tap.weights.end(), [](float w) { return w == 0; });
}

// One number for all phases where they agree.
void shorten(FilterTap& tap) {
  const auto differs = [&](float w) { return w != tap.weights[0]; };
  if (std::none_of(tap.weights.begin(), tap.weights.end(), differs)) tap.weights.resize(1);
  if (std::find(tap.inside.begin(), tap.inside.end(), false) == tap.inside.end())
    tap.inside.clear();
}

class Planner {
 public:
  Planner(const ir::Conv& conv, const ConstantWeights& constants, const FilterGeometry& geometry)
      : conv_(conv), constants_(constants), g_(geometry) {}

  FilterPass pass(int64_t number) {
    FilterPass pass;
    pass.outputs = static_cast<int>(g_.outputs);
    pass.first_channel = g_.passes == 1 ? 0 : number;
    pass.dst_plane = g_.passes == 1 ? 0 : number * conv_.out.product();
    for (int64_t kh = 0; kh < conv_.kernel.h; ++kh)
      for (int64_t kw = 0; kw < conv_.kernel.w; ++kw)
        for (int output = 0; output < pass.outputs; ++output)
          if (g_.planes > 1 || g_.period == 1)
            add_planes(kh, kw, output, pass);
          else
            add_row_of_channels(kh, kw, output, pass);
    return pass;
  }

 private:
  void add(FilterTap tap, FilterPass& pass) {
    shorten(tap);
    if (!is_zero(tap)) pass.taps.push_back(tap);
    pass.all_taps.push_back(std::move(tap));
  }
  FilterTap tap_at(int64_t kh, int64_t kw, int output) const {
    FilterTap tap;
    tap.output = output;
    tap.row = kh * conv_.dilations.h;
    tap.shift = (kw * conv_.dilations.w - conv_.pads_begin.w) * g_.period;
    return tap;
  }
  void add_planes(int64_t kh, int64_t kw, int output, FilterPass& pass) {
    const int64_t oc = pass.first_channel + output;
    const int64_t first = oc / conv_.oc_per_group() * conv_.ic_per_group();
    for (int64_t ic = 0; ic < conv_.ic_per_group(); ++ic) {
      FilterTap tap = tap_at(kh, kw, output);
      tap.plane = first + ic;
      tap.weights = {weight_of(conv_, constants_, oc, ic, kh, kw)};
      add(std::move(tap), pass);
    }
  }
  // Float c of a pixel is channel c; its output `output` sees channel c + apart.
  void add_row_of_channels(int64_t kh, int64_t kw, int output, FilterPass& pass) {
    for (int64_t apart = 1 - g_.period; apart < g_.period; ++apart) {
      FilterTap tap = tap_at(kh, kw, output);
      tap.shift += apart;
      for (int64_t c = 0; c < g_.period; ++c) {
        const int64_t oc = c * g_.outputs + output;
        const int64_t ic = c + apart - oc / conv_.oc_per_group() * conv_.ic_per_group();
        const bool inside = ic >= 0 && ic < conv_.ic_per_group();
        tap.inside.push_back(inside);
        tap.weights.push_back(inside ? weight_of(conv_, constants_, oc, ic, kh, kw) : 0);
      }
      if (std::find(tap.inside.begin(), tap.inside.end(), true) != tap.inside.end())
        add(std::move(tap), pass);
    }
  }

  const ir::Conv& conv_;
  const ConstantWeights& constants_;
  const FilterGeometry& g_;
};

// w[kh][kw] of a pass whose floats all have the same weights, by rows.
std::vector<double> matrix_of(const ir::Conv& conv, const FilterPlan& plan) {
  std::vector<double> w(static_cast<size_t>(conv.kernel.h * conv.kernel.w), 0);
  for (const FilterTap& tap : plan.passes[0].taps) {
    const int64_t kh = tap.row / conv.dilations.h;
    const int64_t kw = (tap.shift / plan.geometry.period + conv.pads_begin.w) / conv.dilations.w;
    w[static_cast<size_t>(kh * conv.kernel.w + kw)] = tap.weights[0];
  }
  return w;
}

}  // namespace

std::optional<FilterGeometry> filter_geometry(const ir::Conv& conv) {
  const bool flat = conv.in.d == 1 && conv.kernel.d == 1 && conv.out.d == 1;
  if (!flat || conv.strides.w != 1 || conv.dst_elements() == 0 || conv.src_elements() == 0)
    return std::nullopt;
  FilterGeometry geometry;
  if (rows_are_dense(conv.src_layout, conv.ic) && rows_are_dense(conv.dst_layout, conv.oc)) {
    geometry.planes = conv.ic;
    geometry.passes = conv.oc;
  } else {
    const bool last = (conv.ic == 1 || conv.src_layout == ir::ActivationLayout::kChannelsLast) &&
                      conv.dst_layout == ir::ActivationLayout::kChannelsLast;
    if (!last || conv.oc % conv.ic != 0) return std::nullopt;
    geometry.period = conv.ic;
    geometry.outputs = conv.oc / conv.ic;
  }
  if (geometry.period > kMaxPeriod || geometry.outputs > kMaxOutputs ||
      geometry.planes > kMaxPlanes || geometry.passes > kMaxPlanes)
    return std::nullopt;
  if (conv.pads_begin.w > kMaxShift || (conv.kernel.w - 1) * conv.dilations.w > kMaxShift ||
      conv.strides.h > kMaxShift || (conv.kernel.h - 1) * conv.dilations.h > kMaxShift)
    return std::nullopt;
  set_reach(conv, geometry);
  return geometry;
}

namespace {

// A matrix as column u times row v.
struct Factors {
  std::vector<float> u, v;
  // How far the products are from the weights, in roundings; infinitely, where only one of them is
  // zero.
  double roundings = 0;
  bool sums_may_overflow = false;
};

double magnitude(const std::vector<float>& values) {
  double sum = 0;
  for (const float x : values) sum += std::abs(static_cast<double>(x));
  return sum;
}

double count_nonzero(const std::vector<float>& values) {
  return static_cast<double>(
      std::count_if(values.begin(), values.end(), [](float x) { return x != 0; }));
}

// Sums of the first pass stay finite with all src that is, rounding included, up to this sum of
// |u|.
constexpr double kLargestColumn = 0.999;

double roundings_of(const Factors& f, const std::vector<double>& w) {
  constexpr double kRounding = 0x1p-24;
  double roundings = 0;
  for (size_t i = 0; i < w.size(); ++i) {
    const double product =
        static_cast<double>(f.u[i / f.v.size()]) * static_cast<double>(f.v[i % f.v.size()]);
    const double error = std::abs(product - w[i]);
    if (error > 0) roundings = std::max(roundings, error / (kRounding * std::abs(w[i])));
  }
  return roundings;
}

// u is the pivot's column over its weight, times 2^exponent, v the pivot's row over 2^exponent.
Factors factors_at(const std::vector<double>& w, size_t columns, size_t pivot, int exponent) {
  Factors f;
  for (size_t i = pivot % columns; i < w.size(); i += columns)
    f.u.push_back(static_cast<float>(std::ldexp(w[i] / w[pivot], exponent)));
  for (size_t j = 0; j < columns; ++j)
    f.v.push_back(static_cast<float>(std::ldexp(w[pivot / columns * columns + j], -exponent)));
  f.roundings = roundings_of(f, w);
  f.sums_may_overflow = magnitude(f.u) > kLargestColumn;
  return f;
}

// The exponent at which no sum of the first pass overflows.
int exponent_without_overflow(const Factors& f) {
  return -static_cast<int>(std::ceil(std::log2(magnitude(f.u) / kLargestColumn)));
}

// Below the normal numbers a product is off by 2^-150 whatever its size. Those of the first pass
// are multiplied by v, and together must stay below the (terms + 1) 2^-149 of the bound; whole
// numbers times such a source are exact.
bool keeps_small_sums(const Factors& f, int64_t terms) {
  if (std::all_of(f.u.begin(), f.u.end(), [](float x) { return x == std::floor(x); })) return true;
  return count_nonzero(f.u) * magnitude(f.v) + count_nonzero(f.v) <=
         2 * static_cast<double>(terms + 1);
}

// The nearest factors; of equals, those whose sums cannot overflow.
Factors best_factors(const std::vector<double>& w, size_t columns) {
  Factors best;
  best.roundings = std::numeric_limits<double>::infinity();
  const auto rank = [](const Factors& f) { return std::pair(f.roundings, f.sums_may_overflow); };
  for (size_t pivot = 0; pivot < w.size(); ++pivot) {
    if (w[pivot] == 0) continue;
    const Factors plain = factors_at(w, columns, pivot, 0);
    if (!std::isfinite(magnitude(plain.u))) continue;  // the pivot is too small
    const Factors small = factors_at(w, columns, pivot, exponent_without_overflow(plain));
    for (const Factors& f : {plain, small})
      if (keeps_small_sums(f, static_cast<int64_t>(w.size())) && rank(f) < rank(best)) best = f;
  }
  return best;
}

// Whole numbers must stay whole: sums of integers are exact.
std::optional<FilterFactors> make_factors(const ir::Conv& conv, const FilterPlan& plan,
                                          const std::vector<double>& w) {
  const Factors best = best_factors(w, static_cast<size_t>(conv.kernel.w));
  const bool whole = std::all_of(w.begin(), w.end(), [](double x) { return x == std::floor(x); });
  if (whole && best.roundings > 0) return std::nullopt;

  FilterFactors factors;
  factors.sums_may_overflow = best.sums_may_overflow;
  for (size_t i = 0; i < best.u.size(); ++i) {
    FilterTap tap;
    tap.row = static_cast<int64_t>(i) * conv.dilations.h;
    tap.weights = {best.u[i]};
    if (best.u[i] != 0) factors.column.push_back(tap);
  }
  for (size_t j = 0; j < best.v.size(); ++j) {
    FilterTap tap;
    tap.shift =
        (static_cast<int64_t>(j) * conv.dilations.w - conv.pads_begin.w) * plan.geometry.period;
    tap.weights = {best.v[j]};
    if (best.v[j] != 0) factors.row.push_back(tap);
  }
  // A product is rounded once in each sum it passes through, as often as there are terms at most.
  const double roundings =
      static_cast<double>(factors.column.size() + factors.row.size()) + std::ceil(best.roundings);
  if (!(roundings <= static_cast<double>(conv.kernel.product()))) return std::nullopt;
  return factors;
}

std::optional<FilterFactors> factor_filter(const ir::Conv& conv, const FilterPlan& plan) {
  if (conv.accuracy == ir::Accuracy::kStrict || conv.pad_value != 0) return std::nullopt;
  if (plan.passes.size() != 1 || plan.geometry.planes != 1 || plan.geometry.outputs != 1)
    return std::nullopt;
  const auto is_plain = [](const FilterTap& tap) {
    return tap.weights.size() == 1 && tap.inside.empty();
  };
  const std::vector<FilterTap>& taps = plan.passes[0].taps;
  if (taps.empty() || !std::all_of(taps.begin(), taps.end(), is_plain)) return std::nullopt;

  return make_factors(conv, plan, matrix_of(conv, plan));
}

}  // namespace

std::optional<FilterPlan> plan_filter(const ir::Conv& conv, const ConstantWeights& constants) {
  const auto geometry = filter_geometry(conv);
  const auto is_finite = [](float w) { return std::isfinite(w); };
  if (!geometry || !std::all_of(constants.values.begin(), constants.values.end(), is_finite))
    return std::nullopt;
  if (constants.values.size() > kMaxAllTaps * static_cast<size_t>(kMaxPeriod)) return std::nullopt;
  FilterPlan plan{*geometry, {}, {}};
  size_t taps = 0;
  Planner planner(conv, constants, *geometry);
  for (int64_t number = 0; number < geometry->passes; ++number) {
    plan.passes.push_back(planner.pass(number));
    if (plan.passes.back().all_taps.size() > kMaxTaps) return std::nullopt;
    taps += plan.passes.back().all_taps.size();
  }
  if (taps > kMaxAllTaps) return std::nullopt;
  plan.factors = factor_filter(conv, plan);
  return plan;
}

std::vector<FilterTap> merge_twins(const ir::Conv& conv, const std::vector<FilterTap>& taps) {
  if (conv.accuracy == ir::Accuracy::kStrict) return taps;
  const auto are_twins = [](const FilterTap& a, const FilterTap& b) {
    return a.output == b.output && a.plane == b.plane && a.row == b.row && a.weights == b.weights &&
           b.inside.empty();
  };
  std::vector<FilterTap> merged;
  for (const FilterTap& tap : taps) {
    const bool product =
        tap.weights.size() == 1 && tap.inside.empty() && std::abs(tap.weights[0]) > 1;
    const auto twin = std::find_if(merged.begin(), merged.end(), [&](const FilterTap& other) {
      return product && are_twins(tap, other);
    });
    if (twin == merged.end())
      merged.push_back(tap);
    else
      twin->twins.push_back(tap.shift);
  }
  return merged;
}

FilterTiles filter_tiles(const FilterGeometry& geometry, const Schedule& schedule) {
  const int64_t floats = schedule.tile_pixels;
  FilterTiles tiles;
  tiles.count = (geometry.out_floats + floats - 1) / floats;
  const int64_t left = std::max<int64_t>(0, -geometry.first_shift);
  tiles.first_inner = std::min((left + floats - 1) / floats, tiles.count - 1);
  const int64_t room = geometry.in_floats - std::max<int64_t>(0, geometry.last_shift);
  tiles.last_inner = std::clamp(room / floats, tiles.first_inner, tiles.count - 1);
  return tiles;
}

FilterScratch filter_scratch(const ir::Conv& conv, const FilterGeometry& geometry,
                             const Schedule& schedule) {
  const int64_t lanes = schedule.lanes;
  const auto round_up = [&](int64_t floats) { return (floats + lanes - 1) / lanes * lanes; };
  const int64_t rows = int64_t{schedule.tile_vectors} * conv.kernel.h * geometry.planes;
  const int64_t row_end = filter_tiles(geometry, schedule).count * schedule.tile_pixels;
  FilterScratch scratch;
  scratch.border = round_up(geometry.in_floats);
  scratch.border_pitch =
      round_up(schedule.tile_pixels + geometry.last_shift - geometry.first_shift);
  scratch.sums_margin = round_up(std::max<int64_t>(0, -geometry.first_shift));
  scratch.sums_pitch =
      scratch.sums_margin +
      round_up(std::max(geometry.in_floats, row_end + std::max<int64_t>(0, geometry.last_shift)));
  const int64_t end = scratch.border + rows * scratch.border_pitch;
  scratch.sums = end + scratch.sums_margin;
  scratch.floats = static_cast<double>(end);
  if (schedule.passes == 2)
    scratch.floats += static_cast<double>(schedule.tile_vectors * scratch.sums_pitch);
  return scratch;
}

}  // namespace convgen::codegen
