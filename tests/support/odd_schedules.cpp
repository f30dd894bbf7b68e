// SPDX-License-Identifier: Apache-2.0
#include "tests/support/odd_schedules.h"

#include <fmt/format.h>

#include <initializer_list>

#include "tests/support/kernels.h"

namespace convgen::testing {
namespace {

const char* pick(Random& random, std::initializer_list<const char*> choices) {
  return choices.begin()[random.below(static_cast<int64_t>(choices.size()))];
}

}  // namespace

std::string draw_schedule(Random& random) {
  std::string words;
  const auto say = [&](const std::string& word) {
    if (random.one_in(2)) words += (words.empty() ? "" : " ") + word;
  };
  say(fmt::format("tile={}x{}", 1 + random.below(random.one_in(4) ? 14 : 5), 1 + random.below(3)));
  say(fmt::format("lanes={}", pick(random, {"4", "4", "8", "16"})));
  say(fmt::format("ic_unroll={}", 1 + random.below(9)));
  say(fmt::format("order={}", pick(random, {"oc_outer", "pixel_outer", "oc_inner"})));
  say(fmt::format("unroll={}", pick(random, {"tile", "tile", "taps", "taps", "full"})));
  say(fmt::format("edges={}", pick(random, {"exact", "shared", "ranged", "ranged"})));
  say(fmt::format("epilogue={}", pick(random, {"inline", "loop", "loop"})));
  say(fmt::format("rows_per_task={}", 1 + random.below(7)));
  say(fmt::format("tiles_per_task={}", random.below(4)));
  say(fmt::format("prefetch={}", random.below(4)));
  if (random.one_in(3)) {
    const char* algorithm =
        pick(random, {"direct", "direct", "direct", "grouped", "rotated", "depthwise", "winograd"});
    words += (words.empty() ? "" : " ") + std::string(algorithm);
  }
  return words.empty() ? "tile=1x1" : words;
}

std::string draw_staged_schedule(Random& random) {
  std::string words = fmt::format("staged tile={}x{} order={} merge_rows=0 prefetch=0",
                                  1 + random.below(64), 1 + random.below(random.one_in(4) ? 12 : 4),
                                  pick(random, {"oc_outer", "pixel_outer", "pixel_outer"}));
  words += fmt::format(" rows_per_task={}", 1 + random.below(9));
  words += fmt::format(" edges={}", pick(random, {"exact", "shared", "ranged"}));
  words += fmt::format(" unroll={}", pick(random, {"tile", "tile", "row", "taps", "full"}));
  words += fmt::format(" epilogue={}", pick(random, {"inline", "loop"}));
  if (random.one_in(2)) words += fmt::format(" lanes={}", pick(random, {"4", "8", "16"}));
  if (random.one_in(4)) words += fmt::format(" tiles_per_task={}", random.below(3));
  return words;
}

ir::Conv draw_winograd_conv(Random& random) {
  const bool planes = random.one_in(4);
  const char* taps = pick(random, {"3x3", "3x3", "3x3", "1x3", "3x1", "5x5", "1x5", "5x1", "3x5"});
  std::string dilations;
  if (!planes && random.one_in(3))
    dilations = fmt::format(" dilations={}x{}", 1 + random.below(3), 1 + random.below(3));
  const int64_t ic = 1 + random.below(random.one_in(3) ? 40 : 9);
  const int64_t oc = 1 + random.below(random.one_in(3) ? 70 : 9);
  const bool oi = random.one_in(2);
  return conv_of(fmt::format(
      "conv2d src=f32:nhwc:{}x{}x{}x{} weights=f32:{}{}{} pads={}:{}x{}:{}{}{}{}{}",
      1 + random.below(3), 6 + random.below(9), 6 + random.below(9), ic,
      oi ? fmt::format("oihw:{}x{}x", oc, ic) : "hwio:", taps,
      oi ? "" : fmt::format("x{}x{}", ic, oc), 4 + random.below(3), 4 + random.below(3),
      4 + random.below(9), 4 + random.below(3), dilations, planes ? " dst=f32:nchw" : "",
      random.one_in(4) ? " pad_value=0.75" : "",
      pick(random, {"", " post=bias", " post=bias,relu", " post=add,scale", " post=gelu,add"})));
}

std::string draw_winograd_schedule(Random& random) {
  return fmt::format(
      "winograd tile={}x{} ic_unroll={} order={} unroll=tile epilogue={} output_tile={} "
      "merge_rows=0 prefetch={} tiles_per_task={} blocks_per_task={} lanes={} edges={}",
      1 + random.below(9), 1 + random.below(4), 1 + random.below(6),
      pick(random, {"oc_outer", "pixel_outer", "oc_inner"}), pick(random, {"inline", "loop"}),
      pick(random, {"2", "4"}), random.below(3), random.below(40), random.below(4),
      pick(random, {"4", "8", "16"}), pick(random, {"exact", "nested", "nested"}));
}

std::string draw_filter_schedule(Random& random) {
  const int64_t floats = 16 * (1 + random.below(4)) * (random.one_in(2) ? 3 : 1);
  return fmt::format(
      "filter unroll=tile tile={}x{} lanes={} passes={} stores={} epilogue={} "
      "rows_per_task={}",
      floats, 1 + random.below(4), pick(random, {"4", "8", "16"}), pick(random, {"1", "2"}),
      pick(random, {"cached", "streaming"}), pick(random, {"inline", "inline", "loop"}),
      1 + random.below(9));
}

}  // namespace convgen::testing
