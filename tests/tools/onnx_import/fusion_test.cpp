// SPDX-License-Identifier: Apache-2.0
// What is fused, and what must not be: small graphs around one convolution or two, checked by
// their text, and by numbers against the nodes they stand for.
#include "tools/onnx_import/fusion.h"

#include <functional>

#include "tests/support/kernels.h"
#include "tests/tools/onnx_import/import_support.h"
#include "tests/tools/onnx_import/reference.h"

namespace convgen::onnx_import {
namespace {

using testing::ConvWords;
using testing::ModelBuilder;
using testing::set_float;
using testing::set_int;

// A convolution, then what `tail` makes of its output.
using Tail = std::function<std::string(ModelBuilder&, const std::string&)>;

ModelBuilder net_of(const Tail& tail, const ConvWords& words = {}) {
  ModelBuilder net;
  const std::string x = net.input("x", {2, 3, 6, 5});
  net.output(tail(net, net.conv(x, words)));
  return net;
}

std::string post_of(const ImportedConv& imported) {
  const std::string text = ir::print_conv(imported.conv);
  const size_t at = text.find(" post=");
  return at == text.npos ? "" : text.substr(at + 6);
}

void expect_fused(const Tail& tail, const std::string& post, size_t fused,
                  const ConvWords& words = {}) {
  SCOPED_TRACE(post);
  const ModelBuilder net = net_of(tail, words);
  const ImportedModel model = testing::import_or_throw(net);
  ASSERT_EQ(model.convs.size(), 1u);
  EXPECT_EQ(post_of(model.convs[0]), post);
  EXPECT_EQ(model.convs[0].fused.size(), fused);
  const Engine engine = testing::make_engine();
  EXPECT_TRUE(testing::matches_nodes(engine, net.model(), model.convs[0], 3));
}

// A tail of one node.
Tail one(const std::string& op_type) {
  return [op_type](ModelBuilder& net, const std::string& x) { return net.node(op_type, {x}); };
}

Tail with_alpha(const std::string& op_type, float alpha) {
  return [=](ModelBuilder& net, const std::string& x) {
    const std::string y = net.node(op_type, {x});
    set_float(net.last(), "alpha", alpha);
    return y;
  };
}

Tail clipped(const testing::Values& bounds) {
  return [bounds](ModelBuilder& net, const std::string& x) {
    net.constant("low", {}, {-0.25f});
    net.constant("high", {}, {0.5f});
    testing::Values inputs = {x};
    inputs.insert(inputs.end(), bounds.begin(), bounds.end());
    return net.node("Clip", inputs);
  };
}

TEST(FusionTest, Activations) {
  expect_fused(one("Relu"), "relu", 1);
  expect_fused(one("Relu"), "bias,relu", 1, {.bias = true});
  expect_fused(one("Sigmoid"), "sigmoid", 1);
  expect_fused(one("Tanh"), "tanh", 1);
  expect_fused(one("Abs"), "abs", 1);
  expect_fused(one("HardSwish"), "hard_swish", 1);
  expect_fused(one("LeakyRelu"), "leaky_relu:0.01", 1);
  expect_fused(with_alpha("LeakyRelu", 0.3f), "leaky_relu:0.3", 1);
  expect_fused(one("Elu"), "elu:1", 1);
  expect_fused(with_alpha("Elu", 0.5f), "elu:0.5", 1);
  expect_fused(one("Identity"), "", 1);
}

TEST(FusionTest, ClipWithItsBounds) {
  expect_fused(clipped({"low", "high"}), "clamp:-0.25:0.5", 1);
  expect_fused(clipped({"low"}), "max:-0.25", 1);
  expect_fused(clipped({"", "high"}), "min:0.5", 1);
  expect_fused(clipped({}), "", 1);
}

// Before version 11 the bounds are attributes.
TEST(FusionTest, ClipWithAttributes) {
  ModelBuilder net = net_of([](ModelBuilder& made, const std::string& x) {
    const std::string y = made.node("Clip", {x});
    set_float(made.last(), "min", 0);
    set_float(made.last(), "max", 6);
    return y;
  });
  net.model().mutable_opset_import(0)->set_version(6);
  EXPECT_EQ(post_of(testing::import_or_throw(net).convs[0]), "clamp:0:6");
}

TEST(FusionTest, ClipWithBoundsThatAreNotKnownOrCross) {
  const auto late = [](ModelBuilder& net, const std::string& x) {
    return net.node("Clip", {x, net.input("late", {}), ""});
  };
  EXPECT_EQ(testing::import_or_throw(net_of(late)).convs[0].fused.size(), 0u);
  EXPECT_EQ(testing::import_or_throw(net_of(clipped({"high", "low"}))).convs[0].fused.size(), 0u);
}

TEST(FusionTest, HardSigmoidOnlyWithOurSlope) {
  expect_fused(with_alpha("HardSigmoid", 1.0f / 6), "hard_sigmoid", 1);
  expect_fused(one("HardSigmoid"), "", 0);  // its default slope is 0.2
}

TEST(FusionTest, GatesAreSiluAndHardSwish) {
  const auto gate = [](const std::string& op_type, bool gate_first) {
    return [=](ModelBuilder& net, const std::string& x) {
      const std::string y = net.node(op_type, {x});
      if (op_type == "HardSigmoid") set_float(net.last(), "alpha", 1.0f / 6);
      return gate_first ? net.node("Mul", {y, x}) : net.node("Mul", {x, y});
    };
  };
  expect_fused(gate("Sigmoid", false), "silu", 2);
  expect_fused(gate("Sigmoid", true), "silu", 2);
  expect_fused(gate("HardSigmoid", false), "hard_swish", 2);
  const ModelBuilder tanh_gate = net_of(gate("Tanh", false));
  EXPECT_EQ(testing::import_or_throw(tanh_gate).convs[0].fused.size(), 0u);
}

TEST(FusionTest, BatchNormalizationIsFolded) {
  const auto norm = [](ModelBuilder& net, const std::string& x) { return net.batch_norm(x); };
  expect_fused(norm, "bias", 1);
  expect_fused(norm, "bias", 1, {.bias = true});
  expect_fused(norm, "bias", 1, {.oc = 6, .groups = 3, .bias = true});
  const auto with_epsilon = [](ModelBuilder& net, const std::string& x) {
    const std::string y = net.batch_norm(x);
    set_float(net.last(), "epsilon", 0.25f);
    return net.node("Relu", {y});
  };
  expect_fused(with_epsilon, "bias,relu", 2);
}

TEST(FusionTest, ScalesAndShiftsOfChannelsAreFolded) {
  const auto scaled = [](ModelBuilder& net, const std::string& x) {
    return net.node("Mul", {net.random("s", {1, 4, 1, 1}, 0.5f, 2), x});
  };
  expect_fused(scaled, "", 1);
  expect_fused(scaled, "bias", 1, {.bias = true});
  const auto shifted = [](ModelBuilder& net, const std::string& x) {
    return net.node("Add", {x, net.random("b", {4, 1, 1}, -1, 1)});
  };
  expect_fused(shifted, "bias", 1);
  const auto by_one_number = [](ModelBuilder& net, const std::string& x) {
    return net.node("Mul", {x, net.constant("two", {}, {2})});
  };
  expect_fused(by_one_number, "", 1);
}

// One number a column broadcasts, but is no bias; behind a post-op nothing is folded.
TEST(FusionTest, OtherConstantsAreNotFolded) {
  const auto columns = [](ModelBuilder& net, const std::string& x) {
    return net.node("Add", {x, net.random("b", {5}, -1, 1)});
  };
  expect_fused(columns, "", 0);
  const auto late = [](ModelBuilder& net, const std::string& x) {
    return net.batch_norm(net.node("Relu", {x}));
  };
  expect_fused(late, "relu", 1);
}

TEST(FusionTest, TrainingIsNotFolded) {
  const auto training = [](ModelBuilder& net, const std::string& x) {
    const std::string y = net.batch_norm(x);
    set_int(net.last(), "training_mode", 1);
    return y;
  };
  EXPECT_EQ(testing::import_or_throw(net_of(training)).convs[0].fused.size(), 0u);
  const auto with_statistics = [](ModelBuilder& net, const std::string& x) {
    const std::string y = net.batch_norm(x);
    net.last().add_output("mean");
    return y;
  };
  EXPECT_EQ(testing::import_or_throw(net_of(with_statistics)).convs[0].fused.size(), 0u);
}

// The weights of the first convolution become an input of the graph.
void pass_weights(ModelBuilder& net) {
  auto& graph = *net.model().mutable_graph();
  const onnx::TensorProto weights = graph.initializer(0);
  graph.mutable_initializer()->DeleteSubrange(0, 1);
  net.input(weights.name(), {weights.dims().begin(), weights.dims().end()});
}

TEST(FusionTest, WeightsOfRunTimeKeepTheirBatchNormalization) {
  ModelBuilder net = net_of([](ModelBuilder& made, const std::string& x) {
    return made.node("Relu", {made.batch_norm(x)});
  });
  pass_weights(net);
  const ImportedModel kept = testing::import_or_throw(net);
  EXPECT_FALSE(kept.convs[0].constant_weights);
  EXPECT_TRUE(kept.convs[0].weights.empty());
  EXPECT_EQ(kept.convs[0].fused.size(), 0u);
}

TEST(FusionTest, WeightsOfRunTimeTakeActivations) {
  ModelBuilder net = net_of(one("Relu"), {.bias = true});
  pass_weights(net);
  const ImportedModel model = testing::import_or_throw(net);
  EXPECT_EQ(post_of(model.convs[0]), "bias,relu");
  EXPECT_EQ(model.convs[0].bias.size(), 4u);
}

// --- Add ---

TEST(FusionTest, AddIsAResidual) {
  const auto added = [](ModelBuilder& net, const std::string& x) {
    return net.node("Relu", {net.node("Add", {net.input("r", {2, 4, 6, 5}), x})});
  };
  expect_fused(added, "add,relu", 2);
  const ImportedModel model = testing::import_or_throw(net_of(added));
  EXPECT_EQ(model.convs[0].residual, "r");
  EXPECT_EQ(model.convs[0].dst, "Relu_0_out");
}

TEST(FusionTest, OneResidualOnly) {
  const auto twice = [](ModelBuilder& net, const std::string& x) {
    const std::string y = net.node("Add", {x, net.input("r", {2, 4, 6, 5})});
    return net.node("Add", {y, net.input("s", {2, 4, 6, 5})});
  };
  expect_fused(twice, "add", 1);
}

TEST(FusionTest, NoBroadcastResidual) {
  const auto row = [](ModelBuilder& net, const std::string& x) {
    return net.node("Add", {x, net.input("r", {2, 1, 6, 5})});
  };
  EXPECT_EQ(testing::import_or_throw(net_of(row)).convs[0].fused.size(), 0u);
}

// Of two convolutions that are added, the later one takes the earlier one's output.
TEST(FusionTest, AddGoesToTheLaterConvolution) {
  for (const bool later_first : {false, true}) {
    ModelBuilder net;
    const std::string x = net.input("x", {1, 3, 6, 5});
    const std::string a = net.conv(x, {});
    const std::string b = net.batch_norm(net.conv(x, {}));
    net.output(later_first ? net.node("Add", {b, a}) : net.node("Add", {a, b}));
    const ImportedModel model = testing::import_or_throw(net);
    ASSERT_EQ(model.convs.size(), 2u);
    EXPECT_EQ(post_of(model.convs[0]), "");
    EXPECT_EQ(post_of(model.convs[1]), "bias,add");
    EXPECT_EQ(model.convs[1].residual, model.convs[0].dst);
  }
}

// A residual that is only made after the convolution would need it: by a node that is no part of an
// earlier convolution.
TEST(FusionTest, ResidualMustBeThere) {
  ModelBuilder net;
  const std::string x = net.input("x", {1, 4, 6, 5});
  const std::string y = net.conv(x, {});
  const std::string late = net.node("Softplus", {x});
  net.output(net.node("Add", {y, late}));
  EXPECT_EQ(testing::import_or_throw(net).convs[0].fused.size(), 0u);
}

// The residual is what an earlier convolution makes with all that is fused into it, though the last
// of those nodes stands behind this convolution.
TEST(FusionTest, ResidualOfAnEarlierChain) {
  ModelBuilder net;
  const std::string x = net.input("x", {1, 4, 6, 5});
  const std::string a = net.conv(x, {});
  const std::string b = net.conv(x, {});
  const std::string relu = net.node("Relu", {a});
  net.output(net.node("Add", {b, relu}));
  const ImportedModel model = testing::import_or_throw(net);
  EXPECT_EQ(post_of(model.convs[1]), "add");
  EXPECT_EQ(model.convs[1].residual, relu);
}

// --- What others can see ---

TEST(FusionTest, NothingBehindAnOutputOfTheGraph) {
  const auto seen = [](ModelBuilder& net, const std::string& x) {
    net.output(x);
    return net.node("Relu", {x});
  };
  expect_fused(seen, "", 0);
  const auto seen_later = [](ModelBuilder& net, const std::string& x) {
    const std::string y = net.batch_norm(x);
    net.output(y);
    return net.node("Relu", {y});
  };
  expect_fused(seen_later, "bias", 1);
}

TEST(FusionTest, NothingBehindASecondReader) {
  const auto read_twice = [](ModelBuilder& net, const std::string& x) {
    net.output(net.node("Tanh", {x}));
    return net.node("Relu", {x});
  };
  expect_fused(read_twice, "", 0);
  const auto gate_read_twice = [](ModelBuilder& net, const std::string& x) {
    const std::string gate = net.node("Sigmoid", {x});
    net.output(gate);
    return net.node("Mul", {x, gate});
  };
  expect_fused(gate_read_twice, "", 0);
}

TEST(FusionTest, NothingBehindAReaderInASubgraph) {
  const auto captured = [](ModelBuilder& net, const std::string& x) {
    const std::string y = net.node("Relu", {x});
    net.node("If", {net.input("condition", {})});
    onnx::AttributeProto& branch = *net.last().add_attribute();
    branch.set_name("then_branch");
    branch.set_type(onnx::AttributeProto::GRAPH);
    onnx::NodeProto& inner = *branch.mutable_g()->add_node();
    inner.set_op_type("Neg");
    inner.add_input(x);
    inner.add_output("inner");
    return y;
  };
  EXPECT_EQ(testing::import_or_throw(net_of(captured)).convs[0].fused.size(), 0u);
}

TEST(FusionTest, OperatorsOfOtherDomainsAreNotOurs) {
  ModelBuilder net = net_of(one("Relu"));
  net.last().set_domain("com.example");
  onnx::OperatorSetIdProto& domain = *net.model().add_opset_import();
  domain.set_domain("com.example");
  domain.set_version(1);
  EXPECT_EQ(testing::import_or_throw(net).convs[0].fused.size(), 0u);
}

TEST(FusionTest, ConstantsFromNodes) {
  ModelBuilder net;
  const std::string x = net.input("x", {1, 3, 6, 5});
  const std::string y = net.conv(x, {});
  auto& graph = *net.model().mutable_graph();
  onnx::NodeProto conv = graph.node(0);
  const onnx::TensorProto weights = graph.initializer(0);
  graph.clear_node();
  graph.clear_initializer();
  onnx::NodeProto& constant = *graph.add_node();
  constant.set_op_type("Constant");
  constant.add_output("made");
  onnx::AttributeProto& value = *constant.add_attribute();
  value.set_name("value");
  value.set_type(onnx::AttributeProto::TENSOR);
  *value.mutable_t() = weights;
  conv.set_input(1, net.node("Identity", {"made"}));
  *graph.add_node() = conv;
  net.output(y);
  const ImportedModel model = testing::import_or_throw(net);
  EXPECT_TRUE(model.convs[0].constant_weights);
  EXPECT_EQ(model.convs[0].weights.size(), 4u * 3 * 9);
}

}  // namespace
}  // namespace convgen::onnx_import
