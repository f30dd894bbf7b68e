// SPDX-License-Identifier: Apache-2.0
// The conv text: what each word accepts and refuses, the canonical form, and that reading what was
// printed gives the same convolution. Reads tests/data for texts from elsewhere.
#include "ir/text.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace convgen::ir {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

// The least that is valid; tests append words to it.
const std::string kBase = "conv2d src=f32:nhwc:1x9x11x4 weights=f32:hwio:3x3x4x8";

std::string canonical(const std::string& text) {
  const Result<Conv> conv = parse_conv(text);
  return conv.ok() ? print_conv(*conv) : conv.status().message();
}

void expect_error(const std::string& text, std::string_view message,
                  StatusCode code = StatusCode::kInvalidArgument) {
  const Result<Conv> conv = parse_conv(text);
  ASSERT_FALSE(conv.ok()) << text;
  EXPECT_EQ(conv.status().code(), code) << text;
  EXPECT_NE(conv.status().message().find(message), std::string::npos)
      << text << "\nsays:  " << conv.status().message() << "\nlacks: " << message;
}

// Reading, printing and reading again gives the same, and printing it again the same text.
void expect_round_trip(const std::string& text) {
  const Result<Conv> conv = parse_conv(text);
  ASSERT_TRUE(conv.ok()) << text << "\n" << conv.status().message();
  const std::string printed = print_conv(*conv);
  const Result<Conv> again = parse_conv(printed);
  ASSERT_TRUE(again.ok()) << printed << "\n" << again.status().message();
  EXPECT_EQ(*again, *conv) << text << "\n" << printed;
  EXPECT_EQ(print_conv(*again), printed);
}

// --- The canonical form ---

TEST(Text, SpellingsOfOneConvolutionPrintEqually) {
  const std::string spellings[] = {
      kBase,
      kBase + " strides=1x1 pads=valid dilations=1x1 groups=1 accuracy=normal",
      kBase + " strides=1x1x1x1 pads=0x0 pad_value=0 dst=f32:nhwc name=label",
      kBase + " pads=0:0x0 pad_value=-0",
      "conv2d  weights=f32:hwio:3x3x4x8\tname=other src=f32:nhwc:1x9x11x4 ",
      "\n" + kBase + "\r\n",
      "conv2d src=f32:nhwc:01x009x11x4 weights=f32:hwio:3x3x4x8",
      "mb1ic4ih9iw11oc8kh3kw3",
  };
  for (const std::string& text : spellings) EXPECT_EQ(canonical(text), kBase) << text;
}

TEST(Text, CanonicalOrderAndEveryWord) {
  EXPECT_EQ(canonical("conv2d accuracy=strict post=bias,clamp:0:6 groups=2 dilations=1x2 "
                      "pad_value=-1.50 pads=1x0:1 strides=1x2x1x1 dst=f32:nchw "
                      "weights=f32:oihw:8x2x3x3 src=f32:nhwc:1x9x11x4 name=n"),
            "conv2d src=f32:nhwc:1x9x11x4 weights=f32:oihw:8x2x3x3 dst=f32:nchw strides=2x1 "
            "pads=1x0:1 pad_value=-1.5 dilations=1x2 groups=2 post=bias,clamp:0:6 "
            "accuracy=strict");
}

TEST(Text, SamePrintsAsNumbers) {
  const std::string odd = "conv2d src=f32:nhwc:1x224x7x4 weights=f32:hwio:7x3x4x8 strides=2x1 ";
  EXPECT_EQ(canonical(odd + "pads=same"), odd + "pads=2:3x1");
  EXPECT_EQ(canonical(odd + "pads=same_lower"), odd + "pads=3:2x1");
  EXPECT_EQ(canonical(odd + "pads=2:3x1:1"), canonical(odd + "pads=same"));
}

TEST(Text, OtherRanks) {
  expect_round_trip("conv1d src=f32:ncw:2x18x16 weights=f32:oiw:27x18x3 strides=1x1x3 pads=1:0");
  expect_round_trip("conv3d src=f32:ncdhw:1x5x8x8x6 weights=f32:dhwio:2x3x1x5x20 pads=0:2x0x0");
  expect_round_trip("conv3d src=f32:ndhwc:1x5x8x8x6 weights=f32:oidhw:20x6x2x3x1 dst=f32:ncdhw");
}

TEST(Text, EmptyImageRoundTrips) {
  for (const char* pads : {"same", "same_lower"}) {
    for (const char* strides : {"1x1", "2x3", "5x1"}) {
      expect_round_trip("conv2d src=f32:nhwc:1x0x0x4 weights=f32:hwio:3x3x4x8 pads=" +
                        std::string(pads) + " strides=" + strides);
    }
  }
}

// --- Post-ops and floats ---

TEST(Text, EveryPostOpRoundTrips) {
  const std::string ops[] = {"bias",    "add",       "scale",       "relu",       "leaky_relu:0.1",
                             "elu:1",   "clamp:0:6", "min:255",     "max:0",      "tanh",
                             "gelu",    "gelu_tanh", "silu",        "hard_swish", "abs",
                             "sigmoid", "square",    "hard_sigmoid"};
  for (const std::string& op : ops) {
    EXPECT_EQ(canonical(kBase + " post=" + op), kBase + " post=" + op);
  }
}

TEST(Text, ChainsKeepOrderAndRepeats) {
  const std::string text = kBase + " post=relu,add,relu,bias,bias,scale,min:1,min:-1";
  EXPECT_EQ(canonical(text), text);
}

TEST(Text, LongChainsAreLegal) {
  std::string text = kBase + " post=bias";
  while (text.size() < 60000) text += ",leaky_relu:0.25";
  EXPECT_EQ(canonical(text), text);
}

TEST(Text, FloatsPrintShortest) {
  EXPECT_EQ(print_float(0.1f), "0.1");
  EXPECT_EQ(print_float(255), "255");
  EXPECT_EQ(print_float(-0.0f), "-0");
  EXPECT_EQ(print_float(kInf), "inf");
  EXPECT_EQ(print_post_op({PostOpKind::kClamp, -0.5f, 6}), "clamp:-0.5:6");
  EXPECT_EQ(print_post_op({PostOpKind::kRelu, 1, 2}), "relu");
}

TEST(Text, MinusZeroAndInfinityRoundTrip) {
  const std::string text = kBase + " post=max:-0,min:inf,clamp:-inf:-0";
  EXPECT_EQ(canonical(text), text);
  const Result<Conv> conv = parse_conv(text);
  ASSERT_TRUE(conv.ok());
  EXPECT_TRUE(std::signbit(conv->post[0].a));
  expect_round_trip(text);
}

TEST(Text, RandomFloatsRoundTrip) {
  std::mt19937 random(7);
  for (int i = 0; i < 2000; ++i) {
    float value = std::bit_cast<float>(static_cast<uint32_t>(random()));
    if (!std::isfinite(value)) continue;
    const Result<Conv> conv = parse_conv(kBase + " post=min:" + print_float(value));
    ASSERT_TRUE(conv.ok()) << print_float(value);
    EXPECT_EQ(conv->post[0], (PostOp{PostOpKind::kMin, value}));
  }
}

// --- Each word's rules ---

TEST(Text, Characters) {
  expect_error("", "conv text: is empty");
  expect_error(" \t\n", "conv text: is empty");
  expect_error(std::string(65 * 1024, 'a'), "conv text: 66560 bytes found");
  expect_error(kBase + "\nname=x", "control characters are not allowed");
  expect_error(kBase + std::string("\0 name=x", 8), "control characters");
  expect_error(kBase + " gr\xc3\xb6up=1", "unknown key \"gr\\xc3\\xb6up\"");
}

TEST(Text, FirstWordIsTheOperation) {
  expect_error("src=f32:nhwc:1x9x11x4",
               "src=f32:nhwc:1x9x11x4: unknown operation, expected conv1d");
  expect_error("conv4d", "expected conv1d, conv2d or conv3d");
  expect_error("conv2 src=f32:nhwc:1x9x11x4", "did you mean 'conv2d'?");
  expect_error("conv3d_bwd_data whatever", "reserved", StatusCode::kUnsupported);
}

TEST(Text, Keys) {
  expect_error(kBase + " relu", "relu: expected key=value");
  expect_error(kBase + " stride=2x2", "unknown key \"stride\", expected src, weights");
  expect_error(kBase + " stride=2x2", "did you mean 'strides'?");
  expect_error(kBase + " =2x2", "unknown key \"\"");
  expect_error(kBase + " groups=1 groups=1", "groups=1: groups= is given twice");
  for (const char* key : {"dst", "strides", "pads", "pad_value", "groups", "post", "name"}) {
    expect_error(kBase + " " + key + "=", std::string(key) + "=: a value is missing");
  }
}

TEST(Text, Tensors) {
  expect_error("conv2d src=f32", "src=f32: expected TYPE:LAYOUT:DIMS");
  expect_error("conv2d src=:nhwc:1", "expected TYPE:LAYOUT:DIMS");
  expect_error("conv2d src=f32:nhwc:1:2", "expected TYPE:LAYOUT:DIMS");
  expect_error("conv2d dst=f32", "dst=f32: expected TYPE:LAYOUT");
  expect_error("conv2d src=f32:nhwc:", "a number is missing");
  expect_error("conv2d src=f32:nhwc:1x", "a number is missing");
  expect_error("conv2d src=f32:nhwc:1x+2x3x4", "\"+2\" is not a whole number");
  expect_error("conv2d src=f32:nhwc:1x2.5x3x4", "\"2.5\" is not a whole number");
  expect_error("conv2d src=f32:nhwc:1x0x1fx4", "\"1f\" is not a whole number");
  expect_error("conv2d src=f32:nhwc:9223372036854775808x1x1x1", "9223372036854775808 overflows");
  expect_error("conv2d src=f32:nhwc:1x1x1x1", "weights=: is required");
  expect_error(kBase + " dst=f32:nhwc:1x7x9x8", "takes no dims");
  expect_error("conv2d src=bf16:nhwc:1x9x11x4 weights=f32:hwio:3x3x4x8", "type bf16 is reserved",
               StatusCode::kUnsupported);
}

TEST(Text, DimsMayBeLeftOutOfASpec) {
  const Result<ConvSpec> spec = parse_conv_spec("conv2d src=f32:nhwc weights=f32:hwio");
  ASSERT_TRUE(spec.ok()) << spec.status().message();
  EXPECT_EQ(spec->src.layout, "nhwc");
  EXPECT_TRUE(spec->src.dims.empty());
  EXPECT_TRUE(parse_conv_spec("conv1d").ok());
  expect_error("conv2d src=f32:nhwc weights=f32:hwio:1x1x1x1", "src=f32:nhwc: has no dims");
  expect_error("conv2d", "src=: is required");
}

TEST(Text, NumberLists) {
  expect_error(kBase + " strides=2", "strides=2: 1 numbers found, conv2d takes 2");
  expect_error(kBase + " strides=2x-1", "stride -1 of width must be at least 1");
  expect_error(kBase + " strides=2xx2", "strides=2xx2: a number is missing");
  expect_error(kBase + " strides=2,2", "\"2,2\" is not a whole number");
  expect_error(kBase + " strides=99999999999999999999x1", "overflows int64");
  expect_error(kBase + " dilations=1x0", "dilation 0 of width must be at least 1");
  expect_error(kBase + " groups=2x2", "\"2x2\" is not a whole number");
  expect_error(kBase + " groups=0", "groups=0: must be at least 1");
}

TEST(Text, Pads) {
  expect_error(kBase + " pads=sane", "expected same, same_lower, valid");
  expect_error(kBase + " pads=sane", "did you mean 'same'?");
  expect_error(kBase + " pads=1", "pads=1: 1 entries found, conv2d takes 2");
  expect_error(kBase + " pads=1x1:2:3", "\"1:2:3\" is no pad, expected BEGIN:END or one number");
  expect_error(kBase + " pads=1x:2", "a number is missing");
  expect_error(kBase + " pads=-1x0", "pads=-1x0: pad -1 of height must not be negative");
}

TEST(Text, PadValue) {
  expect_error(kBase + " pad_value=x", "\"x\" is not a number");
  expect_error(kBase + " pad_value=1,5", "\"1,5\" is not a number");
  expect_error(kBase + " pad_value=1e39", "1e39 is out of the range of f32");
  expect_error(kBase + " pad_value=inf", "pad_value=inf: must be finite");
  expect_error(kBase + " pad_value=nan", "NaN is not allowed");
}

TEST(Text, PostOps) {
  expect_error(kBase + " post=bias,", "post=bias,: unknown post-op \"\"");
  expect_error(kBase + " post=rellu", "did you mean 'relu'?");
  expect_error(kBase + " post=softmax", "expected bias, add, scale, relu");
  expect_error(kBase + " post=elu", "\"elu\" is not of the form elu:A");
  expect_error(kBase + " post=leaky_relu", "not of the form leaky_relu:A");
  expect_error(kBase + " post=clamp:0", "\"clamp:0\" is not of the form clamp:LO:HI");
  expect_error(kBase + " post=relu:6", "\"relu:6\" is not of the form relu");
  expect_error(kBase + " post=min:", "a number is missing");
  expect_error(kBase + " post=min:1x", "\"1x\" is not a number");
  expect_error(kBase + " post=min:nan", "NaN is not allowed");
  expect_error(kBase + " post=max:-1e39", "-1e39 is out of the range of f32");
  expect_error(kBase + " post=elu:inf", "post=elu:inf: A must be finite");
  expect_error(kBase + " post=clamp:6:0", "LO must not be greater than HI");
}

TEST(Text, AccuracyAndName) {
  expect_error(kBase + " accuracy=stict",
               "accuracy=stict: expected normal or strict; did you mean");
  const Result<Conv> conv = parse_conv(kBase + " name=a=b,c:d");
  ASSERT_TRUE(conv.ok());
  EXPECT_EQ(conv->name, "a=b,c:d");
}

TEST(Text, BenchdnnTakesNoFurtherWords) {
  expect_error("mb1ic4ih9oc8kh3 post=relu", "post=relu: benchdnn text takes no further words");
}

// --- Texts from elsewhere ---

std::vector<std::string> oracle_texts() {
  std::vector<std::string> texts;
  const std::filesystem::path folder(CONVGEN_TEST_DATA_DIR "/oracle");
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".json") continue;
    std::ifstream file(entry.path());
    const std::string json(std::istreambuf_iterator<char>(file), {});
    const std::string key = "\"conv\": \"";
    const size_t begin = json.find(key);
    if (begin == std::string::npos) continue;  // index.json
    const size_t value = begin + key.size();
    texts.push_back(json.substr(value, json.find('"', value) - value));
  }
  return texts;
}

std::vector<std::string> layer_texts() {
  std::vector<std::string> texts;
  std::ifstream file(CONVGEN_TEST_DATA_DIR "/layers.conv");
  for (std::string line; std::getline(file, line);) {
    if (!line.empty() && line[0] != '#') texts.push_back(line);
  }
  return texts;
}

TEST(Text, OracleCasesRoundTrip) {
  const std::vector<std::string> texts = oracle_texts();
  EXPECT_GE(texts.size(), 100u);
  for (const std::string& text : texts) expect_round_trip(text);
}

TEST(Text, NetworkLayersRoundTrip) {
  const std::vector<std::string> texts = layer_texts();
  EXPECT_GE(texts.size(), 40u);
  for (const std::string& text : texts) expect_round_trip(text);
}

// --- Damaged texts ---

std::string mutated(std::string text, std::mt19937& random) {
  const auto below = [&](size_t n) { return static_cast<size_t>(random() % n); };
  constexpr std::string_view kTypical = "x:=,-0129 nhwcf_\"e";
  for (size_t i = 1 + below(4); i > 0 && !text.empty(); --i) {
    const size_t at = below(text.size());
    const char typical = kTypical[below(kTypical.size())];
    switch (below(4)) {
      case 0:
        text[at] = static_cast<char>(random());
        break;
      case 1:
        text[at] = typical;
        break;
      case 2:
        text.insert(at, 1, typical);
        break;
      default:
        text.erase(at, 1 + below(5));
    }
  }
  return text;
}

TEST(Text, DamagedTextsGiveAMessageOrRoundTrip) {
  std::vector<std::string> texts = oracle_texts();
  texts.push_back("mb1ic3ih224oc64oh112kh7sh2ph3");
  texts.push_back("g4mb2_ic8id5iw9_oc8_kd3kw2_sd2_pd1_dd1_n\"name\"");
  std::mt19937 random(20240501);
  int survivors = 0;
  for (int i = 0; i < 20000; ++i) {
    const std::string text = mutated(texts[static_cast<size_t>(i) % texts.size()], random);
    const Result<Conv> conv = parse_conv(text);
    if (conv.ok()) {
      ++survivors;
      expect_round_trip(text);
      continue;
    }
    const std::string message = conv.status().message();
    ASSERT_FALSE(message.empty());
    for (char c : message) ASSERT_TRUE(c >= 0x20 && c < 0x7f) << text << "\n" << message;
  }
  EXPECT_GT(survivors, 100);  // else the mutations reach nothing but the first check
}

}  // namespace
}  // namespace convgen::ir
