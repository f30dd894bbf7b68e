// SPDX-License-Identifier: Apache-2.0
#include "codegen/schedule.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <vector>

#include "codegen/code_size.h"
#include "codegen/nest_shape.h"
#include "codegen/packed_layout.h"
#include "codegen/row_plan.h"
#include "codegen/select_filter.h"
#include "codegen/winograd.h"
#include "ir/message.h"
#include "ir/nearest_word.h"

namespace convgen::codegen {
namespace {

template <typename Enum>
struct Word {
  Enum value;
  std::string_view text;
};

constexpr Word<Algorithm> kAlgorithms[] = {
    {Algorithm::kDirect, "direct"},     {Algorithm::kDepthwise, "depthwise"},
    {Algorithm::kGrouped, "grouped"},   {Algorithm::kRotated, "rotated"},
    {Algorithm::kPlanar, "planar"},     {Algorithm::kStaged, "staged"},
    {Algorithm::kWinograd, "winograd"}, {Algorithm::kFilter, "filter"}};
constexpr Word<LoopOrder> kOrders[] = {{LoopOrder::kOcOuter, "oc_outer"},
                                       {LoopOrder::kPixelOuter, "pixel_outer"},
                                       {LoopOrder::kOcInner, "oc_inner"}};
constexpr Word<Unroll> kUnrolls[] = {{Unroll::kTile, "tile"},
                                     {Unroll::kRow, "row"},
                                     {Unroll::kTaps, "taps"},
                                     {Unroll::kFull, "full"}};
constexpr Word<Edges> kEdges[] = {{Edges::kExact, "exact"},
                                  {Edges::kShared, "shared"},
                                  {Edges::kRanged, "ranged"},
                                  {Edges::kNested, "nested"}};
constexpr Word<Epilogue> kEpilogues[] = {{Epilogue::kInline, "inline"}, {Epilogue::kLoop, "loop"}};
constexpr Word<Stores> kStores[] = {{Stores::kCached, "cached"}, {Stores::kStreaming, "streaming"}};

template <typename Enum, size_t N>
std::string_view text_of(const Word<Enum> (&words)[N], Enum value) {
  for (const auto& word : words)
    if (word.value == value) return word.text;
  return "?";
}

Status bad_word(std::string_view key, std::string_view value, std::string_view expected) {
  return invalid_argument(
      fmt::format("schedule {}={}: expected {}", key, ir::printable(value), expected));
}

template <typename Enum, size_t N>
Status read_word(std::string_view key, const Word<Enum> (&words)[N], std::string_view value,
                 Enum& out) {
  std::vector<std::string_view> known;
  for (const auto& word : words) {
    if (word.text == value) {
      out = word.value;
      return Status();
    }
    known.push_back(word.text);
  }
  return bad_word(key, value,
                  fmt::format("{}{}", fmt::join(known, ", "), ir::did_you_mean(known, value)));
}

template <typename Int>
Status read_number(std::string_view key, std::string_view value, int64_t min, int64_t max,
                   Int& out) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  const bool whole = error == std::errc() && end == value.data() + value.size();
  if (!whole || number < min || number > max)
    return bad_word(key, value, fmt::format("a number from {} to {}", min, max));
  out = static_cast<Int>(number);
  return Status();
}

constexpr int kMaxTilePixels = 128;
constexpr int kMaxVectors = 32;
constexpr int kMaxIcUnroll = 4096;
constexpr int64_t kMaxCount = int64_t{1} << 61;  // elements of f32 in 2^63 bytes

Status read_tile(std::string_view value, Schedule& s) {
  const size_t cross = value.find('x');
  if (cross == std::string_view::npos) return bad_word("tile", value, "PIXELSxVECTORS");
  if (Status status = read_number("tile", value.substr(0, cross), 1, kMaxTilePixels, s.tile_pixels);
      !status.ok())
    return status;
  return read_number("tile", value.substr(cross + 1), 1, kMaxVectors, s.tile_vectors);
}

using Reader = std::function<Status(std::string_view, Schedule&)>;

const std::vector<std::pair<std::string_view, Reader>>& readers() {
  static const auto* table = new std::vector<std::pair<std::string_view, Reader>>{
      {"lanes", [](auto v, auto& s) { return read_number("lanes", v, 4, 16, s.lanes); }},
      {"tile", read_tile},
      {"ic_unroll",
       [](auto v, auto& s) { return read_number("ic_unroll", v, 1, kMaxIcUnroll, s.ic_unroll); }},
      {"order", [](auto v, auto& s) { return read_word("order", kOrders, v, s.order); }},
      {"unroll", [](auto v, auto& s) { return read_word("unroll", kUnrolls, v, s.unroll); }},
      {"edges", [](auto v, auto& s) { return read_word("edges", kEdges, v, s.edges); }},
      {"epilogue",
       [](auto v, auto& s) { return read_word("epilogue", kEpilogues, v, s.epilogue); }},
      {"stores", [](auto v, auto& s) { return read_word("stores", kStores, v, s.stores); }},
      {"output_tile",
       [](auto v, auto& s) {
         if (v != "2" && v != "4") return bad_word("output_tile", v, "2 or 4");
         return read_number("output_tile", v, 2, 4, s.output_tile);
       }},
      {"passes", [](auto v, auto& s) { return read_number("passes", v, 1, 2, s.passes); }},
      {"merge_rows",
       [](auto v, auto& s) { return read_number("merge_rows", v, 0, 1, s.merge_rows); }},
      {"prefetch", [](auto v, auto& s) { return read_number("prefetch", v, 0, 64, s.prefetch); }},
      {"rows_per_task",
       [](auto v, auto& s) {
         return read_number("rows_per_task", v, 1, kMaxCount, s.rows_per_task);
       }},
      {"tiles_per_task",
       [](auto v, auto& s) {
         return read_number("tiles_per_task", v, 0, kMaxCount, s.tiles_per_task);
       }},
      {"blocks_per_task",
       [](auto v, auto& s) {
         return read_number("blocks_per_task", v, 0, kMaxCount, s.blocks_per_task);
       }},
  };
  return *table;
}

Status read_schedule_word(std::string_view word, Schedule& schedule) {
  const size_t equals = word.find('=');
  if (equals == std::string_view::npos)
    return read_word("algorithm", kAlgorithms, word, schedule.algorithm);
  const std::string_view key = word.substr(0, equals);
  std::vector<std::string_view> known;
  for (const auto& [name, read] : readers()) {
    if (name == key) return read(word.substr(equals + 1), schedule);
    known.push_back(name);
  }
  return invalid_argument(fmt::format("schedule {}: unknown word, expected one of {}{}",
                                      ir::printable(word), fmt::join(known, ", "),
                                      ir::did_you_mean(known, key)));
}

}  // namespace

std::string print_schedule(const Schedule& s) {
  return fmt::format(
      "{} lanes={} tile={}x{} ic_unroll={} order={} unroll={} edges={} epilogue={} "
      "stores={} output_tile={} passes={} merge_rows={} prefetch={} rows_per_task={} "
      "tiles_per_task={} "
      "blocks_per_task={}",
      text_of(kAlgorithms, s.algorithm), s.lanes, s.tile_pixels, s.tile_vectors, s.ic_unroll,
      text_of(kOrders, s.order), text_of(kUnrolls, s.unroll), text_of(kEdges, s.edges),
      text_of(kEpilogues, s.epilogue), text_of(kStores, s.stores), s.output_tile, s.passes,
      static_cast<int>(s.merge_rows), s.prefetch, s.rows_per_task, s.tiles_per_task,
      s.blocks_per_task);
}

Result<Schedule> parse_schedule(std::string_view text, const Schedule& base) {
  Schedule schedule = base;
  constexpr std::string_view kBlanks = " \t\n";
  for (size_t at = text.find_first_not_of(kBlanks); at != std::string_view::npos;) {
    const size_t end = std::min(text.find_first_of(kBlanks, at), text.size());
    if (Status status = read_schedule_word(text.substr(at, end - at), schedule); !status.ok())
      return status;
    at = text.find_first_not_of(kBlanks, end);
  }
  return schedule;
}

namespace {

Status check_lanes(const Schedule& s, const Target& target) {
  if ((s.lanes == 4 || s.lanes == 8 || s.lanes == 16) && s.lanes <= target.max_lanes)
    return Status();
  return bad_word("lanes", std::to_string(s.lanes),
                  fmt::format("4, 8 or 16, at most {} on this target", target.max_lanes));
}

Status check_algorithm(const Schedule& s, const ir::Conv& conv) {
  if (s.algorithm == Algorithm::kDepthwise && !can_run_depthwise(conv))
    return bad_word("algorithm", "depthwise",
                    "a convolution with one input and one output channel a group, channels last");
  if (s.algorithm == Algorithm::kPlanar && !can_run_planar(conv))
    return bad_word("algorithm", "planar",
                    "src with its channels first, or one alone, and stride 1 along the width");
  if (s.algorithm == Algorithm::kStaged && !can_run_staged(conv))
    return bad_word("algorithm", "staged",
                    fmt::format("a stride of at most {} along the width where src has its channels "
                                "first, or one alone",
                                kMaxInterleave));
  if (s.algorithm == Algorithm::kGrouped && !can_run_grouped(conv, s.lanes))
    return bad_word("algorithm", "grouped",
                    fmt::format("groups of few channels, channels last: a power of two of outputs "
                                "that divides {} lanes, and no more inputs",
                                s.lanes));
  if (s.algorithm == Algorithm::kRotated && !can_run_rotated(conv, s.lanes))
    return bad_word("algorithm", "rotated",
                    fmt::format("groups of few channels, channels last: as many outputs as inputs, "
                                "a power of two that divides {} lanes, and accuracy=normal",
                                s.lanes));
  return Status();
}

Status check_nesting(const Schedule& s) {
  if (s.edges != Edges::kNested || s.algorithm == Algorithm::kWinograd) return Status();
  return bad_word("edges", "nested", "algorithm winograd, no other has tiles to nest");
}

// How far the sources or outputs of a winograd tile may lie apart, in floats: addresses of tiles,
// and what is computed on the way to them, fit int64.
constexpr double kMaxTileReach = 0x1p60;

double winograd_tile_reach(const ir::Conv& conv) {
  constexpr double kPoints = 6;
  const auto reach = [&](int64_t channels, int64_t columns) {
    return static_cast<double>(channels) *
           (static_cast<double>(columns + 1) * static_cast<double>(conv.dilations.h) +
            static_cast<double>(conv.dilations.w));
  };
  return kPoints * std::max(reach(conv.ic, conv.in.w), reach(conv.oc, conv.out.w));
}

Status check_winograd(const Schedule& s, const ir::Conv& conv) {
  if (!can_run_winograd(conv))
    return bad_word("algorithm", "winograd",
                    "a filter of 3 or 5 taps along height, width or both, stride 1, one group, src "
                    "with its channels last, and accuracy=normal");
  if (s.unroll != Unroll::kTile) return bad_word("unroll", text_of(kUnrolls, s.unroll), "tile");
  if (const double reach = winograd_tile_reach(conv); reach > kMaxTileReach)
    return resource_exhausted(
        fmt::format("schedule winograd: the sources of a tile would lie {:.3g} floats apart, must "
                    "be at most {:.3g}",
                    reach, kMaxTileReach));
  const double floats = winograd_shape(conv, s).scratch_floats;
  if (floats <= kMaxScratchFloats) return Status();
  return resource_exhausted(
      fmt::format("schedule winograd tiles_per_task={}: transformed tiles would take {:.3g} "
                  "floats, must be at most {:.3g}",
                  s.tiles_per_task, floats, kMaxScratchFloats));
}

Status check_stage(const Schedule& s, const ir::Conv& conv) {
  const double floats = stage_floats(conv, s);
  if (floats <= kMaxScratchFloats) return Status();
  return resource_exhausted(
      fmt::format("schedule staged rows_per_task={}: the sources of a task would take {:.3g} "
                  "floats, must be at most {:.3g}",
                  s.rows_per_task, floats, kMaxScratchFloats));
}

Status check_merge_rows(const Schedule& s, const ir::Conv& conv) {
  if (!s.merge_rows || can_merge_rows(conv)) return Status();
  return bad_word("merge_rows", "1", "a 1x1 filter with stride 1 and no pads");
}

// Border columns x taps of a row: listing more than this is already too much code. Each tile is one
// more branch, nested in the others: 3,000 of them overflowed a stack of 8 MB and took LLVM 5 s.
constexpr double kMaxExactTaps = 1 << 12;

Status check_edges(const Schedule& s, const ir::Conv& conv) {
  if (s.edges == Edges::kRanged) return Status();
  const double columns = static_cast<double>(count_border_columns(nest_shape(conv, s)));
  const double taps = columns * static_cast<double>(conv.kernel.w);
  if (taps <= kMaxExactTaps) return Status();
  return resource_exhausted(
      fmt::format("schedule edges={}: {:.0f} taps in border columns, must be at most {:.0f}",
                  text_of(kEdges, s.edges), taps, kMaxExactTaps));
}

// Whether whole vectors of a row lie at multiples of the lanes from its start; lanes are pixels.
bool tiles_begin_at_vectors(const NestShape& shape, const Schedule& s) {
  const int64_t floats = shape.dst.w;  // a pixel
  return std::ranges::all_of(plan_row(shape, s), [&](const RowSegment& segment) {
    const bool begins = segment.first_ow * floats % s.lanes == 0;
    const bool repeats = segment.tiles == 1 || segment.pixels * floats % s.lanes == 0;
    return segment.pixels * floats < s.lanes || (begins && repeats);
  });
}

// Every vector of outputs must lie at a multiple of the lanes from the first. Needs edges of which
// there are not too many.
Status check_stores(const Schedule& s, const ir::Conv& conv, const Target& target) {
  if (s.stores == Stores::kCached) return Status();
  const auto streams = [](const char* rule) { return bad_word("stores", "streaming", rule); };
  if (!target.has_streaming_stores) return streams("x86, no other target streams");
  const NestShape shape = nest_shape(conv, s);
  if (lanes_are_pixels(s.algorithm)) {
    if (shape.dst.w != 1 && shape.dst.w != s.tile_vectors)
      return streams("a tile of all channels where they come last");
    if (shape.out.w * shape.dst.w % s.lanes != 0 || !tiles_begin_at_vectors(shape, s))
      return streams("rows and tiles of a multiple of the lanes, in floats of dst");
    return Status();
  }
  const int64_t channels = s.algorithm == Algorithm::kDirect ? conv.oc_per_group() : conv.oc;
  if (shape.dst.c != 1) return streams("a dst with its channels last");
  if (channels % s.lanes != 0) return streams("output channels of a multiple of the lanes");
  return Status();
}

// Padding the last block to whole vectors must not pass what memory can hold.
Status check_packed_size(const Schedule& s, const ir::Conv& conv) {
  const double blocks = std::ceil(static_cast<double>(conv.oc_per_group()) / s.lanes);
  const double rows = s.algorithm == Algorithm::kWinograd
                          ? static_cast<double>(packed_layout(conv, s).steps)
                          : static_cast<double>(conv.terms());
  const double elements = blocks * s.lanes * static_cast<double>(conv.groups) * rows;
  if (elements <= 0x1p58) return Status();
  return resource_exhausted(fmt::format(
      "schedule lanes={}: packed weights would take {:.3g} floats, must be at most 2^58", s.lanes,
      elements));
}

Status check_code_size(const Schedule& s, const ir::Conv& conv) {
  const CodeSize size = estimate_code_size(conv, s);
  if (size.total <= kMaxTotalOps && size.longest_block <= kMaxBlockOps) return Status();
  return resource_exhausted(fmt::format(
      "schedule unroll={} tile={}x{} ic_unroll={}: about {:.0f} vector operations, {:.0f} of them "
      "in one block, must be at most {:.0f} and {:.0f}",
      text_of(kUnrolls, s.unroll), s.tile_pixels, s.tile_vectors, s.ic_unroll, size.total,
      size.longest_block, kMaxTotalOps, kMaxBlockOps));
}

}  // namespace

Status check_schedule(const Schedule& schedule, const ir::Conv& conv, const Target& target,
                      const ConstantWeights* constants) {
  // Plain data may hold any number; the text's reader knows every range.
  Status status = parse_schedule(print_schedule(schedule), {}).status();
  if (status.ok()) status = check_lanes(schedule, target);
  if (status.ok()) status = check_algorithm(schedule, conv);
  if (status.ok()) status = check_nesting(schedule);
  if (schedule.algorithm == Algorithm::kFilter)
    return status.ok() ? check_filter(schedule, conv, target, constants) : status;
  const bool winograd = schedule.algorithm == Algorithm::kWinograd;
  if (status.ok()) status = winograd ? check_winograd(schedule, conv) : check_stage(schedule, conv);
  if (status.ok()) status = check_merge_rows(schedule, conv);
  if (status.ok()) status = check_packed_size(schedule, conv);
  if (status.ok() && !winograd) status = check_edges(schedule, conv);
  if (status.ok()) status = check_stores(schedule, conv, target);
  if (status.ok()) status = check_code_size(schedule, conv);
  return status;
}

Result<Schedule> refine_schedule(const Schedule& base, std::string_view words, const ir::Conv& conv,
                                 const Target& target, const ConstantWeights* constants) {
  Schedule cached = base, plain = base;
  cached.stores = plain.stores = Stores::kCached;
  if (base.edges == Edges::kNested) plain.edges = Edges::kExact;
  Status status;
  for (const Schedule& from : {base, cached, plain}) {
    Result<Schedule> schedule = parse_schedule(words, from);
    if (!schedule.ok()) return schedule;
    status = check_schedule(*schedule, conv, target, constants);
    if (status.ok()) return schedule;
  }
  return status;
}

}  // namespace convgen::codegen
