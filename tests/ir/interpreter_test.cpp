// SPDX-License-Identifier: Apache-2.0
// The interpreter against TensorFlow's answers, against sums done by hand, and its rules for
// padding, NaN and Inf.
#include "ir/interpreter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "ir/text.h"
#include "tests/support/oracle_cases.h"

namespace convgen::ir {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr double kU = 0x1p-24;

Conv conv_of(const std::string& text) {
  Result<Conv> conv = parse_conv(text);
  EXPECT_TRUE(conv.ok()) << conv.status().message();
  return *conv;
}

std::vector<double> run(const std::string& text, const TensorInputs& inputs) {
  return interpret(conv_of(text), inputs).y;
}

// --- TensorFlow's answers ---

// How near TensorFlow's answers are, relative to S. It rounds sqrt 2 in gelu, and its leaky_relu
// has 0.1 in f64 where ours has it in f32, 1.5e-9 apart.
double oracle_agreement(const Conv& conv) {
  if (conv.uses(PostOpKind::kGelu)) return 5e-9;
  return conv.uses(PostOpKind::kLeakyRelu) ? 1.5e-9 : 1e-9;
}

class OracleTest : public ::testing::TestWithParam<std::string> {};

TEST_P(OracleTest, AgreesWithTensorFlow) {
  const testing::OracleCase oracle = testing::load_oracle_case(GetParam());
  EXPECT_EQ(oracle.conv.terms(), oracle.terms);
  const double agreement = oracle_agreement(oracle.conv);

  const Reference reference = interpret(oracle.conv, oracle.inputs());
  ASSERT_EQ(reference.y.size(), oracle.dst.size());
  for (size_t i = 0; i < oracle.dst.size(); ++i) {
    const double allowed = agreement * std::max(1.0, oracle.bound[i]);
    ASSERT_NEAR(reference.y[i], oracle.dst[i], allowed) << "element " << i;
    ASSERT_NEAR(reference.s[i], oracle.bound[i], 1e-9 * std::max(1.0, oracle.bound[i]));
    // The answer, rounded once to f32, is a right answer.
    ASSERT_TRUE(within_tolerance(static_cast<float>(oracle.dst[i]),
                                 {reference.y[i], reference.s[i], reference.tolerance[i], 0}));
  }
}

INSTANTIATE_TEST_SUITE_P(All, OracleTest, ::testing::ValuesIn(testing::oracle_case_names()),
                         [](const auto& test) { return test.param; });

TEST(Oracle, HasAllItsCases) { EXPECT_EQ(testing::oracle_case_names().size(), 102u); }

// --- By hand ---

TEST(Interpreter, AddsTapsAndChannels) {
  const std::vector<float> src = {1, 10, 2, 20, 3, 30};  // three columns, two channels
  const std::vector<float> weights = {1, 2, 3, 4};       // wio 2x2x1
  EXPECT_EQ(run("conv1d src=f32:nwc:1x3x2 weights=f32:wio:2x2x1",
                {.src = src.data(), .weights = weights.data()}),
            (std::vector<double>{1 + 20 + 6 + 80, 2 + 40 + 9 + 120}));
}

TEST(Interpreter, LayoutsNameTheSameConvolution) {
  const std::vector<float> nwc = {1, 10, 2, 20, 3, 30}, ncw = {1, 2, 3, 10, 20, 30};
  const std::vector<float> wio = {1, 5, 2, 6, 3, 7, 4, 8};  // w ic oc, 2x2x2
  const std::vector<float> oiw = {1, 3, 2, 4, 5, 7, 6, 8};
  const std::vector<double> nwc_dst = {107, 239, 171, 391}, ncw_dst = {107, 171, 239, 391};
  const TensorInputs last{.src = nwc.data(), .weights = wio.data()};
  const TensorInputs first{.src = ncw.data(), .weights = oiw.data()};
  EXPECT_EQ(run("conv1d src=f32:nwc:1x3x2 weights=f32:wio:2x2x2", last), nwc_dst);
  EXPECT_EQ(run("conv1d src=f32:nwc:1x3x2 weights=f32:wio:2x2x2 dst=f32:ncw", last), ncw_dst);
  EXPECT_EQ(run("conv1d src=f32:ncw:1x2x3 weights=f32:oiw:2x2x2", first), ncw_dst);
  EXPECT_EQ(run("conv1d src=f32:ncw:1x2x3 weights=f32:oiw:2x2x2 dst=f32:nwc", first), nwc_dst);
}

TEST(Interpreter, StridesDilationsAndPadsPlaceTheTaps) {
  const std::vector<float> src = {1, 2, 3, 4, 5, 6};
  const std::vector<float> weights = {1, 10};
  // Taps at 2 * ow - 1 and 2 * ow + 2: the first one starts left of the image.
  EXPECT_EQ(run("conv1d src=f32:nwc:1x6x1 weights=f32:wio:2x1x1 strides=2 dilations=3 pads=1:0",
                {.src = src.data(), .weights = weights.data()}),
            (std::vector<double>{30, 2 + 50}));
}

TEST(Interpreter, GroupsSeeOnlyTheirChannels) {
  const std::vector<float> src = {1, 2, 3, 4};
  const std::vector<float> weights = {1, 1, 1, 1, 10, 10, 10, 10};  // oiw 4x2x1
  EXPECT_EQ(run("conv1d src=f32:nwc:1x1x4 weights=f32:oiw:4x2x1 groups=2",
                {.src = src.data(), .weights = weights.data()}),
            (std::vector<double>{3, 3, 70, 70}));
}

TEST(Interpreter, ReportsSumMagnitudeAndBound) {
  const std::vector<float> src = {1, -2}, weights = {3, 4}, bias = {-0.5f}, add = {0.25f};
  const ReferenceOutput output = interpret_output(
      conv_of("conv1d src=f32:nwc:1x2x1 weights=f32:wio:2x1x1 post=bias,add,relu,bias"),
      {.src = src.data(), .weights = weights.data(), .bias = bias.data(), .add = add.data()}, {});
  EXPECT_EQ(output.accumulator, 3 - 8);
  EXPECT_EQ(output.y, -0.5);
  EXPECT_EQ(output.s, 3 + 8 + 0.5 + 0.25);  // the bias counts once, however often it is used
  const double sum_error = 4 * kU / (1 - 4 * kU) * output.s + 3 * 0x1p-149;
  EXPECT_DOUBLE_EQ(output.tolerance, sum_error + kU * (0.5 + sum_error));
}

TEST(Interpreter, EmptyTensorsAreLegal) {
  const std::vector<float> weights = {1};
  EXPECT_TRUE(
      run("conv1d src=f32:nwc:0x5x1 weights=f32:wio:1x1x1", {.weights = weights.data()}).empty());
}

// --- Padding, NaN, Inf ---

TEST(Interpreter, PaddingTapsAreSkipped) {
  const std::vector<float> src = {2, 3}, weights = {kInf, 1, kNaN};
  const TensorInputs inputs{.src = src.data(), .weights = weights.data()};
  const std::vector<double> y =
      run("conv1d src=f32:nwc:1x1x1 weights=f32:wio:3x1x1 pads=1", inputs);
  EXPECT_EQ(y, (std::vector<double>{2}));
}

TEST(Interpreter, OtherPadValuesAreTermsLikeAnyOther) {
  const std::vector<float> src = {2}, weights = {10, 1, -100};
  const Conv conv = conv_of("conv1d src=f32:nwc:1x1x1 weights=f32:wio:3x1x1 pads=1 pad_value=0.5");
  const ReferenceOutput output =
      interpret_output(conv, {.src = src.data(), .weights = weights.data()}, {});
  EXPECT_EQ(output.y, 5 + 2 - 50);
  EXPECT_EQ(output.s, 5 + 2 + 50);
}

TEST(Interpreter, NaNAndInfReachEveryOutputThatUsesThem) {
  const std::vector<float> src = {1, kNaN, 1, 1, kInf, 1}, weights = {0, 1};
  const std::vector<double> y = run("conv1d src=f32:nwc:1x6x1 weights=f32:wio:2x1x1 post=relu",
                                    {.src = src.data(), .weights = weights.data()});
  EXPECT_TRUE(std::isnan(y[0]));
  EXPECT_TRUE(std::isnan(y[1]));  // a weight of zero does not hide it
  EXPECT_EQ(y[2], 1);
  EXPECT_EQ(y[3], kInf);
  EXPECT_TRUE(std::isnan(y[4]));  // 0 * Inf
}

TEST(Interpreter, AnInfSumIsCertain) {
  const std::vector<float> src = {kInf}, weights = {1};
  const ReferenceOutput output =
      interpret_output(conv_of("conv1d src=f32:nwc:1x1x1 weights=f32:wio:1x1x1 post=sigmoid"),
                       {.src = src.data(), .weights = weights.data()}, {});
  EXPECT_EQ(output.y, 1);
  EXPECT_LT(output.tolerance, 5 * kU);
}

TEST(Interpreter, NoBoundHoldsWherePartialSumsMayOverflow) {
  const std::vector<float> src = {FLT_MAX, FLT_MAX, FLT_MAX}, weights = {1, 1, -1};
  const ReferenceOutput output =
      interpret_output(conv_of("conv1d src=f32:nwc:1x3x1 weights=f32:wio:3x1x1"),
                       {.src = src.data(), .weights = weights.data()}, {});
  EXPECT_EQ(output.tolerance, kInf);
  EXPECT_TRUE(within_tolerance(kInf, output));
  EXPECT_FALSE(within_tolerance(kNaN, output));
}

// --- within_tolerance ---

TEST(WithinTolerance, PassesOnlyUpToTheBound) {
  const ReferenceOutput reference{.y = 1, .s = 1, .tolerance = 0x1p-20};
  EXPECT_TRUE(within_tolerance(1, reference));
  EXPECT_TRUE(within_tolerance(1 + 0x1p-20f, reference));
  EXPECT_FALSE(within_tolerance(1 + 0x1p-19f, reference));
  EXPECT_TRUE(within_tolerance(1 - 0x1p-20f, reference));
  EXPECT_FALSE(within_tolerance(1 - 0x1p-19f, reference));
  EXPECT_FALSE(within_tolerance(kNaN, reference));
  EXPECT_FALSE(within_tolerance(kInf, reference));
}

TEST(WithinTolerance, ZeroToleranceMeansEquality) {
  EXPECT_TRUE(within_tolerance(-0.0f, {.y = 0, .s = 0, .tolerance = 0}));
  EXPECT_FALSE(within_tolerance(FLT_TRUE_MIN, {.y = 0, .s = 0, .tolerance = 0}));
}

TEST(WithinTolerance, NaNAndInfDemandTheSame) {
  const ReferenceOutput nan{.y = kNaN, .s = kNaN, .tolerance = kNaN};
  EXPECT_TRUE(within_tolerance(kNaN, nan));
  EXPECT_FALSE(within_tolerance(0, nan));
  EXPECT_FALSE(within_tolerance(kInf, nan));
  const ReferenceOutput inf{.y = -kInf, .s = kInf, .tolerance = kInf};
  EXPECT_TRUE(within_tolerance(-kInf, inf));
  EXPECT_FALSE(within_tolerance(kInf, inf));
  EXPECT_FALSE(within_tolerance(-FLT_MAX, inf));
  EXPECT_FALSE(within_tolerance(kNaN, inf));
}

TEST(WithinTolerance, InfPassesOnlyWhereTheAnswerMayLeaveTheRange) {
  const ReferenceOutput beyond{.y = 2.0 * FLT_MAX, .s = 1, .tolerance = 1};
  EXPECT_TRUE(within_tolerance(kInf, beyond));
  EXPECT_FALSE(within_tolerance(-kInf, beyond));
  const ReferenceOutput below{.y = -FLT_MAX, .s = 1, .tolerance = 1e31};
  EXPECT_TRUE(within_tolerance(-kInf, below));
  EXPECT_TRUE(within_tolerance(-FLT_MAX, below));
  EXPECT_FALSE(within_tolerance(kInf, below));
  EXPECT_FALSE(within_tolerance(kInf, {.y = 1e38, .s = 1, .tolerance = 1e30}));
}

}  // namespace
}  // namespace convgen::ir
