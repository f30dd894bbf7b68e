// SPDX-License-Identifier: Apache-2.0
// One Conv node: what its attributes mean, what they are where they are absent, and what is
// refused, with the exact message.
#include "tools/onnx_import/conv_node.h"

#include "tests/tools/onnx_import/import_support.h"

namespace convgen::onnx_import {
namespace {

using testing::Dims;
using testing::ModelBuilder;
using testing::set_int;
using testing::set_ints;
using testing::set_text;

// x [src] convolved with w [weights] of the model, with no attribute yet.
ModelBuilder bare_conv(const Dims& src, const Dims& weights) {
  ModelBuilder net;
  net.input("x", src);
  net.random("w", weights, -1, 1);
  net.output(net.node("Conv", {"x", "w"}));
  return net;
}

std::string text_of(const ModelBuilder& net) {
  const auto imported = import_bytes(net.bytes(), "", {});
  if (!imported.ok()) return imported.status().message();
  return ir::print_conv(imported->convs.at(0).conv);
}

TEST(ConvNodeTest, AbsentAttributesAreOnnxDefaults) {
  EXPECT_EQ(text_of(bare_conv({2, 3, 8, 9}, {4, 3, 3, 2})),
            "conv2d src=f32:nchw:2x3x8x9 weights=f32:oihw:4x3x3x2");
  EXPECT_EQ(text_of(bare_conv({2, 3, 8}, {4, 3, 3})),
            "conv1d src=f32:ncw:2x3x8 weights=f32:oiw:4x3x3");
  EXPECT_EQ(text_of(bare_conv({2, 3, 8, 9, 7}, {4, 3, 3, 2, 1})),
            "conv3d src=f32:ncdhw:2x3x8x9x7 weights=f32:oidhw:4x3x3x2x1");
}

TEST(ConvNodeTest, AllAttributes) {
  ModelBuilder net = bare_conv({1, 4, 20, 20}, {6, 2, 3, 5});
  set_int(net.last(), "group", 2);
  set_ints(net.last(), "kernel_shape", {3, 5});
  set_ints(net.last(), "strides", {2, 1});
  set_ints(net.last(), "dilations", {1, 2});
  set_ints(net.last(), "pads", {0, 1, 2, 3});  // begins, then ends
  EXPECT_EQ(text_of(net),
            "conv2d src=f32:nchw:1x4x20x20 weights=f32:oihw:6x2x3x5 strides=2x1 pads=0:2x1:3 "
            "dilations=1x2 groups=2");
}

TEST(ConvNodeTest, AutoPad) {
  const auto padded = [](const std::string& auto_pad, const Dims& pads) {
    ModelBuilder net = bare_conv({1, 1, 8, 8}, {1, 1, 4, 4});
    set_text(net.last(), "auto_pad", auto_pad);
    if (!pads.empty()) set_ints(net.last(), "pads", pads);
    return text_of(net);
  };
  const std::string start = "conv2d src=f32:nchw:1x1x8x8 weights=f32:oihw:1x1x4x4";
  EXPECT_EQ(padded("SAME_UPPER", {}), start + " pads=1:2x1:2");
  EXPECT_EQ(padded("SAME_LOWER", {}), start + " pads=2:1x2:1");
  EXPECT_EQ(padded("VALID", {}), start);
  EXPECT_EQ(padded("VALID", {0, 0, 0, 0}), start);
  EXPECT_EQ(padded("SAME_UPPER", {0, 0, 0, 0}), start + " pads=1:2x1:2");
  EXPECT_EQ(padded("NOTSET", {1, 1, 1, 1}), start + " pads=1x1");
  EXPECT_EQ(padded("SAME_UPPER", {1, 1, 1, 1}),
            "Conv '/Conv_0': auto_pad SAME_UPPER and pads exclude each other");
  EXPECT_EQ(padded("SAME", {}),
            "Conv '/Conv_0': auto_pad 'SAME': expected NOTSET, SAME_UPPER, SAME_LOWER or VALID");
  EXPECT_EQ(padded("SAME\x1b\xff", {1, 1, 1, 1}),
            "Conv '/Conv_0': auto_pad 'SAME?\?': expected NOTSET, SAME_UPPER, SAME_LOWER or VALID");
}

TEST(ConvNodeTest, ListsOfTheWrongLength) {
  for (const std::string name : {"strides", "dilations", "kernel_shape", "pads"}) {
    for (const size_t length : {1, 3, 5}) {
      ModelBuilder net = bare_conv({1, 1, 8, 8}, {1, 1, 3, 3});
      set_ints(net.last(), name, Dims(length, 1));
      const int expected = name == "pads" ? 4 : 2;
      EXPECT_EQ(text_of(net), "Conv '/Conv_0': " + name + ": " + std::to_string(length) +
                                  " numbers found, weights of rank 4 take " +
                                  std::to_string(expected));
    }
  }
}

TEST(ConvNodeTest, RulesOfTheConvText) {
  ModelBuilder stride = bare_conv({1, 1, 8, 8}, {1, 1, 3, 3});
  set_ints(stride.last(), "strides", {0, 1});
  EXPECT_EQ(text_of(stride), "Conv '/Conv_0': strides: 0 is less than 1");
  ModelBuilder pads = bare_conv({1, 1, 8, 8}, {1, 1, 3, 3});
  set_ints(pads.last(), "pads", {-1, 0, 0, 0});
  EXPECT_EQ(text_of(pads), "Conv '/Conv_0': pads=-1:0x0: pad -1 of height must not be negative");
  ModelBuilder group = bare_conv({1, 4, 8, 8}, {4, 4, 3, 3});
  set_int(group.last(), "group", 3);
  EXPECT_EQ(text_of(group),
            "Conv '/Conv_0': groups=3: must divide the 4 output channels of weights");
}

TEST(ConvNodeTest, ContradictoryKernelShape) {
  ModelBuilder net = bare_conv({1, 1, 8, 8}, {1, 1, 3, 3});
  set_ints(net.last(), "kernel_shape", {3, 5});
  EXPECT_EQ(text_of(net), "Conv '/Conv_0': kernel_shape 3x5 contradicts the weights 1x1x3x3");
}

TEST(ConvNodeTest, AttributeOfAnotherType) {
  ModelBuilder net = bare_conv({1, 1, 8, 8}, {1, 1, 3, 3});
  set_text(net.last(), "group", "2");
  EXPECT_EQ(text_of(net), "Conv '/Conv_0': attribute 'group' has type 3, expected 2");
}

TEST(ConvNodeTest, BiasOfAnotherLength) {
  ModelBuilder net = bare_conv({1, 1, 8, 8}, {4, 1, 3, 3});
  net.last().add_input(net.random("b", {3}, -1, 1));
  EXPECT_EQ(text_of(net), "Conv '/Conv_0': its bias 'b' is 3, expected 4 numbers of f32");
}

// --- What is not served ---

TEST(ConvNodeTest, OtherTypesAreSkipped) {
  ModelBuilder net = bare_conv({1, 1, 8, 8}, {1, 1, 3, 3});
  net.input("half", {1, 1, 8, 8});
  auto& half = *net.model().mutable_graph()->mutable_input(1);
  half.mutable_type()->mutable_tensor_type()->set_elem_type(onnx::TensorProto::FLOAT16);
  net.node("Conv", {"half", "w"});
  const auto both = import_bytes(net.bytes(), "", {});
  ASSERT_TRUE(both.ok()) << both.status().message();
  EXPECT_EQ(both->convs.size(), 1u);
  EXPECT_EQ(both->skipped,
            std::vector<std::string>{
                "Conv '/Conv_1': its input 'half' is of type FLOAT16, so far there is FLOAT"});
}

TEST(ConvNodeTest, NothingButWhatIsNotServedIsAnError) {
  ModelBuilder net;
  net.output(
      net.node("Conv", {net.input("x", {1, 1, 2, 2, 2, 2}), net.input("w", {1, 1, 1, 1, 1, 1})}));
  const Status four_axes = testing::import_status(net.bytes());
  EXPECT_EQ(four_axes.code(), StatusCode::kUnsupported);
  EXPECT_EQ(four_axes.message(), "Conv '/Conv_0': 4 spatial axes, so far there are 1, 2 and 3");
  ModelBuilder transposed;
  transposed.output(transposed.node(
      "ConvTranspose", {transposed.input("x", {1, 1, 4, 4}), transposed.input("w", {1, 1, 3, 3})}));
  EXPECT_EQ(testing::import_status(transposed.bytes()).message(),
            "ConvTranspose '/ConvTranspose_0': unsupported, so far there is Conv");
  ModelBuilder none;
  none.output(none.node("Relu", {none.input("x", {1})}));
  EXPECT_EQ(testing::import_status(none.bytes()).message(), "the model has no Conv");
}

TEST(ConvNodeTest, ConvolutionsInSubgraphsAreNamed) {
  ModelBuilder net = bare_conv({1, 1, 8, 8}, {1, 1, 3, 3});
  net.output(net.node("If", {net.input("condition", {})}));
  onnx::AttributeProto& branch = *net.last().add_attribute();
  branch.set_name("then_branch");
  branch.set_type(onnx::AttributeProto::GRAPH);
  *branch.mutable_g()->add_node() = net.model().graph().node(0);
  const auto imported = import_bytes(net.bytes(), "", {});
  ASSERT_TRUE(imported.ok()) << imported.status().message();
  ASSERT_EQ(imported->skipped.size(), 1u);
  EXPECT_EQ(imported->skipped[0],
            "If '/If_0': has convolutions inside, only those of the main graph count");
}

// --- Names ---

TEST(ConvNodeTest, NamesAreLabelsAndUnique) {
  ModelBuilder net;
  const std::string x = net.input("x", {1, 1, 8, 8});
  net.random("w", {1, 1, 3, 3}, -1, 1);
  for (const std::string name :
       {"/layer1/layer1.0/conv 1", "../../etc", "", "a", "a", "a_2", "a", "-x", "7"}) {
    net.output(net.node("Conv", {x, "w"}));
    net.last().set_name(name);
  }
  std::vector<std::string> names;
  for (const ImportedConv& imported : testing::import_or_throw(net).convs)
    names.push_back(imported.conv.name);
  EXPECT_EQ(names, (std::vector<std::string>{"layer1_layer1.0_conv_1", "etc", "Conv_2_out", "a",
                                             "a_2", "a_2_2", "a_3", "x", "conv_7"}));
}

}  // namespace
}  // namespace convgen::onnx_import
