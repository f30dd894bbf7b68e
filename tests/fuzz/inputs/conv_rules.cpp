// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/inputs/conv_rules.h"

#include <initializer_list>
#include <limits>
#include <string>

#include "ir/text.h"
#include "tests/fuzz/inputs/expect.h"

namespace convgen::fuzz_inputs {
namespace {

// A size of 0 counts as 1: nothing computed on the way to an address may wrap.
void expect_fits(std::initializer_list<int64_t> sizes, const std::string& text) {
  __int128 bytes = sizeof(float);
  for (const int64_t size : sizes) {
    expect(size >= 0, "no size is negative", text);
    bytes *= size == 0 ? 1 : size;
    expect(bytes <= std::numeric_limits<int64_t>::max(), "bytes of a tensor fit int64", text);
  }
}

void expect_axis(const ir::Conv& conv, int axis, const std::string& text) {
  const __int128 padded = __int128{conv.in[axis]} + conv.pads_begin[axis] + conv.pads_end[axis];
  const __int128 reach = (__int128{conv.kernel[axis]} - 1) * conv.dilations[axis] + 1;
  expect(conv.kernel[axis] >= 1 && conv.strides[axis] >= 1 && conv.dilations[axis] >= 1 &&
             conv.pads_begin[axis] >= 0 && conv.pads_end[axis] >= 0,
         "filters, strides and dilations are at least 1, pads at least 0", text);
  const __int128 room = padded - reach;
  const __int128 steps = room >= 0 ? room / conv.strides[axis] : -1;
  expect(conv.out[axis] == steps + 1, "outputs follow from input, pads, filter, stride", text);
  // An empty image may be smaller than the filter, by no more than a stride.
  expect(room >= (conv.in[axis] == 0 ? -__int128{conv.strides[axis]} : 0),
         "the filter fits into the padded input", text);
}

}  // namespace

void expect_conv_rules(const ir::Conv& conv) {
  const std::string text = ir::print_conv(conv);
  expect(conv.spatial_rank >= 1 && conv.spatial_rank <= ir::kMaxSpatialRank, "rank 1 to 3", text);
  for (int axis = 0; axis < ir::kMaxSpatialRank; ++axis) expect_axis(conv, axis, text);
  expect(conv.groups >= 1 && conv.ic % conv.groups == 0 && conv.oc % conv.groups == 0,
         "groups divide the channels", text);
  expect_fits({conv.n, conv.ic, conv.in.d, conv.in.h, conv.in.w}, text);
  expect_fits({conv.n, conv.oc, conv.out.d, conv.out.h, conv.out.w}, text);
  expect_fits({conv.oc, conv.ic_per_group(), conv.kernel.d, conv.kernel.h, conv.kernel.w}, text);
}

void expect_round_trip(const ir::Conv& conv) {
  const std::string text = ir::print_conv(conv);
  const auto again = ir::parse_conv(text);
  expect(again.ok(), "canonical text is accepted", text + "\n" + again.status().message());
  expect(*again == conv, "canonical text reads back as the same", text);
  expect(ir::print_conv(*again) == text, "canonical text prints as itself", text);
}

}  // namespace convgen::fuzz_inputs
