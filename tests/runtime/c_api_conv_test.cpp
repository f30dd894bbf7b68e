// SPDX-License-Identifier: Apache-2.0
// Convolutions of the C interface say what those of the C++ one say, from texts and from fields.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "ir/text.h"
#include "tests/support/c_api.h"

namespace convgen {
namespace {

using namespace convgen::testing;  // NOLINT: every helper of the file

std::vector<int64_t> first(const int64_t* numbers, size_t count) {
  return {numbers, numbers + count};
}

TEST(CApiConvTest, SaysWhatTheConvIs) {
  for (const char* text : kCTexts) {
    const ir::Conv conv = conv_of(text);
    const CConv handle = c_conv(text);
    const convgen_conv_info info = c_info(handle.get());
    const size_t dims = static_cast<size_t>(conv.spatial_rank) + 2;
    EXPECT_EQ(info.text, ir::print_conv(conv));
    EXPECT_EQ(first(info.src_dims, dims), conv.src_dims()) << text;
    EXPECT_EQ(first(info.weights_dims, dims), conv.weights_dims()) << text;
    EXPECT_EQ(first(info.dst_dims, dims), conv.dst_dims()) << text;
    EXPECT_EQ(info.src_elements, conv.src_elements()) << text;
    EXPECT_EQ(info.weights_elements, conv.weights_elements()) << text;
    EXPECT_EQ(info.dst_elements, conv.dst_elements()) << text;
    EXPECT_EQ(info.input_channels, conv.ic) << text;
    EXPECT_EQ(info.output_channels, conv.oc) << text;
    EXPECT_EQ(info.multiply_adds, conv.multiply_adds()) << text;
    EXPECT_EQ(info.strict != 0, conv.accuracy == ir::Accuracy::kStrict) << text;
    EXPECT_EQ(info.uses_bias != 0, conv.uses(ir::PostOpKind::kBias)) << text;
    EXPECT_EQ(info.uses_add != 0, conv.uses(ir::PostOpKind::kAdd)) << text;
    EXPECT_EQ(info.uses_scale != 0, conv.uses(ir::PostOpKind::kScale)) << text;
  }
}

// The fields of an info, put back into a spec, are the same convolution.
TEST(CApiConvTest, FieldsAndTextSayTheSame) {
  for (const std::string text : kCTexts) {
    const CConv parsed = c_conv(text + " name=label");
    const convgen_conv_info info = c_info(parsed.get());
    const size_t post = text.find("post=");
    const std::string chain =
        post == std::string::npos ? "" : text.substr(post + 5, text.find(' ', post) - post - 5);
    convgen_conv_spec spec = CONVGEN_CONV_SPEC_INIT;
    spec.spatial_rank = info.spatial_rank;
    spec.src_layout = info.src_layout;
    spec.weights_layout = info.weights_layout;
    spec.dst_layout = info.dst_layout;
    spec.post = chain.c_str();
    spec.name = info.name;
    std::copy(std::begin(info.src_dims), std::end(info.src_dims), spec.src_dims);
    std::copy(std::begin(info.weights_dims), std::end(info.weights_dims), spec.weights_dims);
    std::copy(std::begin(info.strides), std::end(info.strides), spec.strides);
    std::copy(std::begin(info.dilations), std::end(info.dilations), spec.dilations);
    std::copy(std::begin(info.pads_begin), std::end(info.pads_begin), spec.pads_begin);
    std::copy(std::begin(info.pads_end), std::end(info.pads_end), spec.pads_end);
    spec.groups = info.groups;
    spec.pad_value = info.pad_value;
    spec.strict = info.strict;
    convgen_conv* made = nullptr;
    ASSERT_C_OK(convgen_conv_create(&spec, &made));
    EXPECT_STREQ(c_info(made).text, info.text);
    EXPECT_STREQ(c_info(made).name, "label");
    convgen_conv_free(made);
  }
}

struct Pads {
  int32_t kind;
  int64_t begin, end;
};

TEST(CApiConvTest, PadsMayFollowFromTheSizes) {
  convgen_conv_spec spec = CONVGEN_CONV_SPEC_INIT;
  spec.spatial_rank = 1;
  spec.src_layout = "nwc";
  spec.weights_layout = "wio";
  spec.src_dims[0] = 1, spec.src_dims[1] = 8, spec.src_dims[2] = 3;
  spec.weights_dims[0] = 4, spec.weights_dims[1] = 3, spec.weights_dims[2] = 2;
  for (const auto& [pads, begin, end] :
       {Pads{CONVGEN_PADS_EXPLICIT, 0, 0}, Pads{CONVGEN_PADS_SAME, 1, 2},
        Pads{CONVGEN_PADS_SAME_LOWER, 2, 1}}) {
    spec.pads = pads;
    convgen_conv* conv = nullptr;
    ASSERT_C_OK(convgen_conv_create(&spec, &conv));
    EXPECT_EQ(c_info(conv).pads_begin[0], begin);
    EXPECT_EQ(c_info(conv).pads_end[0], end);
    convgen_conv_free(conv);
  }
}

TEST(CApiConvTest, ReadsBenchdnn) {
  EXPECT_STREQ(
      c_info(c_conv("mb1ic3ih224oc64oh112kh7sh2ph3").get()).text,
      "conv2d src=f32:nhwc:1x224x224x3 weights=f32:hwio:7x7x3x64 strides=2x2 pads=3:2x3:2");
}

}  // namespace
}  // namespace convgen
