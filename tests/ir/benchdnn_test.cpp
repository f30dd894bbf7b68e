// SPDX-License-Identifier: Apache-2.0
// benchdnn problem text: recognised, completed by benchdnn's rules, and its errors.
#include "ir/benchdnn.h"

#include <gtest/gtest.h>

#include <string>

#include "ir/text.h"

namespace convgen::ir {
namespace {

std::string canonical(const std::string& text) {
  const Result<Conv> conv = parse_conv(text);
  return conv.ok() ? print_conv(*conv) : conv.status().message();
}

void expect_error(const std::string& text, std::string_view message) {
  const Result<Conv> conv = parse_conv(text);
  ASSERT_FALSE(conv.ok()) << text;
  EXPECT_EQ(conv.status().code(), StatusCode::kInvalidArgument);
  EXPECT_NE(conv.status().message().find(message), std::string::npos)
      << conv.status().message() << "\nlacks: " << message;
}

TEST(Benchdnn, Recognised) {
  EXPECT_TRUE(looks_like_benchdnn("mb1ic3ih224oc64oh112kh7sh2ph3"));
  EXPECT_TRUE(looks_like_benchdnn("ic3"));
  EXPECT_FALSE(looks_like_benchdnn(""));
  EXPECT_FALSE(looks_like_benchdnn("conv2d"));
  EXPECT_FALSE(looks_like_benchdnn("magic"));
  EXPECT_FALSE(looks_like_benchdnn("name=ic3"));
  EXPECT_FALSE(looks_like_benchdnn("conv2d name=ic3"));
}

TEST(Benchdnn, SquareWithTheEndPadFromTheOutputSize) {
  EXPECT_EQ(canonical("mb1ic3ih224oc64oh112kh7sh2ph3"),
            "conv2d src=f32:nhwc:1x224x224x3 weights=f32:hwio:7x7x3x64 strides=2x2 pads=3:2x3:2");
}

TEST(Benchdnn, BothAxesAndAName) {
  const std::string text = "ic3ih227iw227_oc96oh55ow55_kh11kw11_sh4sw4ph0pw0_n\"alexnet:conv1\"";
  EXPECT_EQ(canonical(text),
            "conv2d src=f32:nhwc:2x227x227x3 weights=f32:hwio:11x11x3x96 strides=4x4");
  EXPECT_EQ(parse_conv(text)->name, "alexnet:conv1");
  EXPECT_EQ(parse_conv("ic3ih9oc4kh3nplain_ic9")->name, "plain_ic9");
  EXPECT_EQ(parse_conv("ic3ih9oc4kh3n\"open")->name, "\"open");
}

TEST(Benchdnn, RankFollowsFromTheAxesSaid) {
  EXPECT_EQ(canonical("mb1ic3iw9oc4kw2"), "conv1d src=f32:nwc:1x9x3 weights=f32:wio:2x3x4");
  EXPECT_EQ(canonical("mb1ic3ih9iw8oc4kh2kw1"),
            "conv2d src=f32:nhwc:1x9x8x3 weights=f32:hwio:2x1x3x4");
  EXPECT_EQ(canonical("mb1ic3id9oc4kd2"),
            "conv3d src=f32:ndhwc:1x9x9x9x3 weights=f32:dhwio:2x2x2x3x4");
  EXPECT_EQ(canonical("mb1ic3id1ih9oc4kd1kh2"),
            "conv3d src=f32:ndhwc:1x1x9x9x3 weights=f32:dhwio:1x2x2x3x4");
}

TEST(Benchdnn, GroupsSplitTheTotals) {
  EXPECT_EQ(canonical("g4mb1ic8iw9oc12kw2"),
            "conv1d src=f32:nwc:1x9x8 weights=f32:wio:2x2x12 groups=4");
}

TEST(Benchdnn, DilationCountsFromZero) {
  EXPECT_EQ(canonical("mb1ic3iw9oc4kw2dw0"), canonical("mb1ic3iw9oc4kw2"));
  EXPECT_EQ(canonical("mb1ic3iw9oc4kw2dw2"),
            "conv1d src=f32:nwc:1x9x3 weights=f32:wio:2x3x4 dilations=3");
}

TEST(Benchdnn, PadsWithoutOutputSizeAreSymmetric) {
  EXPECT_EQ(canonical("mb1ic3iw9oc4kw3pw1"),
            "conv1d src=f32:nwc:1x9x3 weights=f32:wio:3x3x4 pads=1");
  EXPECT_EQ(canonical("mb1ic3iw9oc4ow0kw3pw1"), canonical("mb1ic3iw9oc4kw3pw1"));
}

TEST(Benchdnn, PadsFromTheOutputSizeAlone) {
  EXPECT_EQ(canonical("mb1ic3iw9oc4ow9kw3"),
            "conv1d src=f32:nwc:1x9x3 weights=f32:wio:3x3x4 pads=1");
  EXPECT_EQ(canonical("mb1ic3iw9oc4ow9kw2"),
            "conv1d src=f32:nwc:1x9x3 weights=f32:wio:2x3x4 pads=0:1");
  EXPECT_EQ(canonical("mb1ic3iw10oc4ow4kw3sw2"),  // the last pixel is not used
            "conv1d src=f32:nwc:1x10x3 weights=f32:wio:3x3x4 strides=2");
}

TEST(Benchdnn, OutputSizeMustFit) {
  expect_error("mb1ic3iw9oc4ow5kw3", "benchdnn ow5: does not fit, input, kernel and pads give 7");
  expect_error("mb1ic3iw9oc4ow3kw3sw2pw0", "ow3: does not fit, input, kernel and pads give 4");
}

TEST(Benchdnn, RequiredKeys) {
  expect_error("mb1ic3iw9kw3", "benchdnn oc: is required");
  expect_error("mb1ic3oc4", "benchdnn iw: is required, or ih, or id");
  expect_error("mb1ic3oc4iw9", "benchdnn kw: is required");
  expect_error("mb1ic3oc4ih9kh3sw2", "benchdnn iw: is required");
}

TEST(Benchdnn, KeysAndNumbers) {
  expect_error("ic3xx4", "benchdnn xx4: unknown key, expected g, mb, ic");
  expect_error("ic3ic4", "benchdnn ic4: ic is given twice");
  expect_error("ic3oc", "benchdnn oc: a number is missing");
  expect_error("ic3oc4ph-1", "benchdnn ph-1: must not be negative");
  expect_error("ic3oc4ph1-", "benchdnn ph1-: \"1-\" is not a whole number");
  expect_error("ic3oc99999999999999999999", "overflows int64");
  expect_error("ic3:oc4", "benchdnn :oc4: expected a key");
  expect_error("5ic3", "benchdnn 5ic3: expected a key");
}

TEST(Benchdnn, RulesOfTheConvolution) {
  expect_error("g0ic3iw9oc4kw3", "benchdnn g0: must be at least 1");
  expect_error("g2ic3iw9oc4kw3", "benchdnn g2: must divide the 3 channels of ic");
  expect_error("g3ic3iw9oc4kw3", "groups=3: must divide the 4 output channels");
  expect_error("ic3iw9oc4kw3sw0", "benchdnn sw0: must be at least 1");
  expect_error("ic3iw9oc4kw0", "dimension 0 of w must be at least 1");
  expect_error("ic0iw9oc4kw3", "dimension 0 of c must be at least 1");
  expect_error("ic3iw9oc4kw10", "effective kernel 10 of width is larger");
  EXPECT_EQ(canonical("mb0ic3iw9oc4kw3"), "conv1d src=f32:nwc:0x9x3 weights=f32:wio:3x3x4");
}

TEST(Benchdnn, HugeNumbersNeverWrap) {
  const std::string huge[] = {"2147483647", "2147483648", "4294967296", "4611686018427387904",
                              "9223372036854775807"};
  for (const std::string& a : huge) {
    for (const std::string& b : huge) {
      for (const char* other : {"kw", "sw", "dw", "pw", "iw"}) {
        const std::string key(other);
        std::string text = "ic3oc4ow" + a + key + b;
        if (key != "iw") text += "iw9";
        if (key != "kw") text += "kw3";
        EXPECT_NE(canonical(text), "") << text;
      }
    }
  }
  expect_error("ic3oc4iw9kw3dw9223372036854775807", "benchdnn dw9223372036854775807: overflows");
  expect_error("ic3oc4iw9kw3sw9223372036854775807ow9223372036854775807", "overflows int64");
}

}  // namespace
}  // namespace convgen::ir
