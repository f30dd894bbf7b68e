// SPDX-License-Identifier: Apache-2.0
// Dims that a model leaves open, and types through the nodes between convolutions.
#include "tools/onnx_import/shapes.h"

#include "tests/tools/onnx_import/import_support.h"

namespace convgen::onnx_import {
namespace {

using testing::ModelBuilder;
using testing::set_ints;

// input [N, 3, H, -1], a convolution, a pooling that halves, another convolution.
ModelBuilder open_net() {
  ModelBuilder net;
  std::string x = net.input("input", {-1, 3, -1, -1});
  auto& shape = *net.model()
                     .mutable_graph()
                     ->mutable_input(0)
                     ->mutable_type()
                     ->mutable_tensor_type()
                     ->mutable_shape();
  shape.mutable_dim(0)->set_dim_param("N");
  shape.mutable_dim(2)->set_dim_param("H");
  x = net.node("MaxPool", {net.conv(x, {})});
  set_ints(net.last(), "kernel_shape", {2, 2});
  set_ints(net.last(), "strides", {2, 2});
  net.output(net.conv(x, {}));
  return net;
}

ImportOptions with(std::vector<std::pair<std::string, int64_t>> dims,
                   std::vector<std::pair<std::string, std::vector<int64_t>>> shapes) {
  ImportOptions options;
  options.dims = std::move(dims);
  options.shapes = std::move(shapes);
  return options;
}

std::string why(const ModelBuilder& net, const ImportOptions& options) {
  return testing::import_status(net.bytes(), options).message();
}

TEST(ShapesTest, OpenDimsAreNamed) {
  EXPECT_EQ(why(open_net(), {}),
            "Conv '/Conv_0': dim 0 of its input 'input' is not known: 'N'; the model leaves open: "
            "input=Nx3xHx?; give --dim NAME=N or --shape INPUT=DIMS");
  EXPECT_EQ(why(open_net(), with({{"N", 1}, {"H", 32}}, {})),
            "Conv '/Conv_0': dim 3 of its input 'input' is not known; the model leaves open: "
            "input=1x3x32x?; give --dim NAME=N or --shape INPUT=DIMS");
}

TEST(ShapesTest, GivenShapeReachesEveryConvolution) {
  const ImportedModel model =
      testing::import_or_throw(open_net(), with({}, {{"input", {2, 3, 32, 48}}}));
  ASSERT_EQ(model.convs.size(), 2u);
  EXPECT_EQ(model.convs[0].conv.src_dims(), (std::vector<int64_t>{2, 3, 32, 48}));
  EXPECT_EQ(model.convs[1].conv.src_dims(), (std::vector<int64_t>{2, 4, 16, 24}));
}

// What exporters write down about inner values has the same symbols.
TEST(ShapesTest, SymbolsAreSetEverywhere) {
  ModelBuilder net = open_net();
  onnx::ValueInfoProto& inner = *net.model().mutable_graph()->add_value_info();
  inner = net.model().graph().input(0);
  inner.set_name("Conv_0_out");
  inner.mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim(1)->set_dim_value(4);
  const ImportedModel by_shape =
      testing::import_or_throw(net, with({}, {{"input", {2, 3, 32, 48}}}));
  EXPECT_EQ(by_shape.convs[1].conv.n, 2);
  onnx::GraphProto& graph = *net.model().mutable_graph();
  graph.mutable_input(0)
      ->mutable_type()
      ->mutable_tensor_type()
      ->mutable_shape()
      ->mutable_dim(3)
      ->set_dim_value(8);
  EXPECT_EQ(testing::import_or_throw(net, with({{"N", 3}, {"H", 16}}, {})).convs[1].conv.n, 3);
}

TEST(ShapesTest, WrongNamesAndContradictions) {
  EXPECT_EQ(
      why(open_net(), with({{"M", 1}}, {})),
      "dim 'M'=1: no value of the model has such a dim, its inputs leave open: input=Nx3xHx?");
  EXPECT_EQ(why(open_net(), with({}, {{"image", {1}}})),
            "shape of 'image': the model has no such input, it has 'input'");
  EXPECT_EQ(why(open_net(), with({}, {{"input", {1, 4, 8, 8}}})),
            "shape of 'input': 1x4x8x8 contradicts the model's Nx3xHx?");
  EXPECT_EQ(why(open_net(), with({}, {{"input", {1, 3, 8}}})),
            "shape of 'input': 1x3x8 contradicts the model's Nx3xHx?");
}

TEST(ShapesTest, OneSymbolTwoNumbers) {
  ModelBuilder net = open_net();
  auto& shape = *net.model()
                     .mutable_graph()
                     ->mutable_input(0)
                     ->mutable_type()
                     ->mutable_tensor_type()
                     ->mutable_shape();
  shape.mutable_dim(3)->set_dim_param("H");
  EXPECT_EQ(why(net, with({}, {{"input", {1, 3, 8, 9}}})),
            "shape of 'input': 1x3x8x9 contradicts the model's Nx3xHxH");
  EXPECT_EQ(why(net, with({}, {{"input", {1, 3, 8, 8}}})), "");
}

// Through Shape and Reshape, as PyTorch's exporter writes them.
TEST(ShapesTest, ShapesThatAreComputed) {
  ModelBuilder net;
  const std::string x = net.input("x", {2, 8, 6, 6});
  const std::string shape = net.node("Shape", {x});
  const std::string y = net.node("Reshape", {x, shape});
  net.random("w", {4, 8, 3, 3}, -1, 1);
  net.output(net.node("Conv", {y, "w"}));
  EXPECT_EQ(testing::import_or_throw(net).convs[0].conv.src_dims(),
            (std::vector<int64_t>{2, 8, 6, 6}));
}

TEST(ShapesTest, ShapesThatNobodyKnows) {
  ModelBuilder net;
  const std::string x = net.node("Mystery", {net.input("x", {1, 3, 8, 8})});
  net.last().set_domain("com.example");
  onnx::OperatorSetIdProto& domain = *net.model().add_opset_import();
  domain.set_domain("com.example");
  domain.set_version(1);
  net.random("w", {4, 3, 3, 3}, -1, 1);
  net.output(net.node("Conv", {x, "w"}));
  EXPECT_EQ(why(net, {}),
            "Conv '/Conv_0': the shape of its input 'Mystery_0_out', made by Mystery '/Mystery_0' "
            "is not known");
}

// Models before version 4 list initializers as inputs too, or do not.
TEST(ShapesTest, OldModels) {
  ModelBuilder net;
  net.output(net.conv(net.conv(net.input("x", {1, 3, 8, 8}), {}), {}));
  net.model().set_ir_version(3);
  EXPECT_TRUE(testing::import_or_throw(net).convs[1].constant_weights);
  net.input("Conv_0.weight", {4, 3, 3, 3});
  EXPECT_TRUE(testing::import_or_throw(net).convs[0].constant_weights);
}

// Operator sets that are newer than the library.
TEST(ShapesTest, NewModels) {
  ModelBuilder net;
  const std::string x = net.clip(net.conv(net.input("x", {1, 3, 8, 8}), {}), 0, 6);
  net.output(net.conv(net.node("Softplus", {x}), {}));
  net.model().mutable_opset_import(0)->set_version(25);
  net.model().set_ir_version(13);
  EXPECT_EQ(testing::import_or_throw(net).convs.size(), 2u);
}

}  // namespace
}  // namespace convgen::onnx_import
