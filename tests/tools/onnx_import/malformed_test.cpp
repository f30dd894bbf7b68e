// SPDX-License-Identifier: Apache-2.0
// Damaged and hostile models: whatever the bytes, an import ends with a model or a message.
#include <limits>

#include "tests/support/soak.h"
#include "tests/tools/onnx_import/import_support.h"

namespace convgen::onnx_import {
namespace {

using testing::ModelBuilder;
using testing::set_int;
using testing::set_ints;
using testing::set_text;

// A model with one of everything the importer looks into.
ModelBuilder small_net() {
  ModelBuilder net;
  const std::string x = net.input("x", {1, 2, 4, 4});
  std::string y = net.node("Relu", {net.batch_norm(net.conv(x, {.oc = 2, .bias = true}))});
  y = net.clip(net.node("Add", {net.conv(y, {.oc = 2}), x}), 0, 6);
  net.node("If", {net.input("condition", {})});
  onnx::AttributeProto& branch = *net.last().add_attribute();
  branch.set_name("then_branch");
  branch.set_type(onnx::AttributeProto::GRAPH);
  onnx::NodeProto& inner = *branch.mutable_g()->add_node();
  inner.set_op_type("Neg");
  inner.add_input("x");
  inner.add_output("inner");
  net.output(y);
  return net;
}

// Imports, and looks at what came out: sizes must be those of a valid convolution.
void import_anything(const std::string& bytes) {
  ImportOptions options;
  options.read_weights = true;
  const auto imported = import_bytes(bytes, "", options);
  if (!imported.ok()) {
    EXPECT_NE(imported.status().code(), StatusCode::kInternal);
    EXPECT_FALSE(imported.status().message().empty());
    EXPECT_EQ(imported.status().message().find('\n'), std::string::npos);
    return;
  }
  for (const ImportedConv& found : imported->convs) {
    const auto elements = static_cast<size_t>(found.conv.weights_elements());
    EXPECT_EQ(found.weights.size(), found.constant_weights ? elements : 0);
    EXPECT_TRUE(ir::parse_conv(ir::print_conv(found.conv)).ok());
  }
}

TEST(MalformedTest, TheWholeModelImports) {
  EXPECT_EQ(testing::import_or_throw(small_net()).convs.size(), 2u);
}

TEST(MalformedTest, CutAtEveryByte) {
  const std::string bytes = small_net().bytes();
  for (size_t length = 0; length < bytes.size(); ++length) {
    SCOPED_TRACE(length);
    import_anything(bytes.substr(0, length));
  }
}

// One to four bytes changed; a soak changes more models.
TEST(MalformedTest, ChangedBytes) {
  const std::string bytes = small_net().bytes();
  testing::Random random(testing::test_seed());
  const int changes = testing::soak_or(200000, 4000);
  for (int i = 0; i < changes; ++i) {
    std::string changed = bytes;
    for (int64_t n = random.below(4); n >= 0; --n) {
      char& byte = changed[static_cast<size_t>(random.below(static_cast<int64_t>(bytes.size())))];
      byte = random.one_in(2) ? static_cast<char>(byte ^ (1 << random.below(8)))
                              : static_cast<char>(random.next());
    }
    SCOPED_TRACE(i);
    import_anything(changed);
  }
}

// F47 of others: a model of eight bytes, and bytes that are nothing at all.
TEST(MalformedTest, RandomBytes) {
  testing::Random random(testing::test_seed());
  for (int i = 0; i < 2000; ++i) {
    std::string bytes(static_cast<size_t>(random.below(64)), '\0');
    for (char& byte : bytes) byte = static_cast<char>(random.next());
    import_anything(bytes);
  }
  EXPECT_EQ(testing::import_status("").message(),
            "no ONNX model, it has no graph or says no operator set");
  EXPECT_EQ(testing::import_status("\x08\x08\x3a\x04\x0a\x02\x0a").message(),
            "no ONNX model, its bytes are no such protobuf message");
}

// --- onnx #8036: ranks and lists that shape inference trusted ---

TEST(MalformedTest, WeightsOfEveryRank) {
  for (size_t src = 0; src < 7; ++src) {
    for (size_t weights = 0; weights < 7; ++weights) {
      for (const bool through_relu : {false, true}) {
        SCOPED_TRACE(::testing::Message() << src << " " << weights << " " << through_relu);
        ModelBuilder net;
        std::string x = net.input("x", testing::Dims(src, 1));
        if (through_relu) x = net.node("Relu", {x});
        net.random("w", testing::Dims(weights, 1), -1, 1);
        net.output(net.node("Conv", {x, "w"}));
        const Status status = testing::import_status(net.bytes());
        EXPECT_EQ(status.ok(), src == weights && src >= 3 && src <= 5) << status.message();
      }
    }
  }
}

TEST(MalformedTest, NodesWithoutOperands) {
  for (const int inputs : {0, 1}) {
    ModelBuilder net = small_net();
    auto& node = *net.model().mutable_graph()->mutable_node(0);
    node.mutable_input()->DeleteSubrange(inputs, node.input_size() - inputs);
    EXPECT_EQ(testing::import_status(net.bytes()).message(),
              "Conv '/Conv_0': " + std::to_string(inputs) +
                  " inputs and 1 outputs, expected 2 or 3 and 1");
  }
}

TEST(MalformedTest, GraphsThatAreNoOrder) {
  ModelBuilder net = small_net();
  net.model().mutable_graph()->mutable_node()->SwapElements(0, 1);
  EXPECT_EQ(testing::import_status(net.bytes()).message(),
            "BatchNormalization '/BatchNormalization_0': reads 'Conv_0_out', which nothing before "
            "it makes");
  ModelBuilder twice = small_net();
  twice.model().mutable_graph()->mutable_node(2)->set_output(0, "Conv_0_out");
  const std::string message = testing::import_status(twice.bytes()).message();
  EXPECT_NE(message.find("'Conv_0_out'"), std::string::npos) << message;
}

// --- Sizes ---

TEST(MalformedTest, TensorsThatPromiseMoreThanTheyHold) {
  const auto with_dim = [](int64_t dim) {
    ModelBuilder net = small_net();
    net.model().mutable_graph()->mutable_initializer(0)->set_dims(0, dim);
    return testing::import_status(net.bytes()).message();
  };
  EXPECT_EQ(with_dim(3), "tensor 'Conv_0.weight': 144 bytes of data, its dims promise 216");
  EXPECT_EQ(with_dim(-2), "tensor 'Conv_0.weight': dim -2 must not be negative");
  EXPECT_EQ(with_dim(std::numeric_limits<int64_t>::max()),
            "tensor 'Conv_0.weight': the size in bytes overflows int64");
}

TEST(MalformedTest, HugeDimsOfInputs) {
  for (const int64_t dim : {int64_t{1} << 31, int64_t{1} << 32, int64_t{1} << 62,
                            std::numeric_limits<int64_t>::max()}) {
    ModelBuilder net;
    net.output(net.conv(net.input("x", {dim, 3, dim, dim}), {.stride = 2}));
    import_anything(net.bytes());
  }
}

// SAME with stride 3 makes onnx 1.12 subtract the stride from the dim until it is small.
TEST(MalformedTest, InferenceThatDoesNotEnd) {
  ModelBuilder net;
  net.output(net.conv(net.input("x", {1, 1, int64_t{1} << 62, 8}), {.stride = 3}));
  auto& node = *net.model().mutable_graph()->mutable_node(0);
  node.clear_attribute();
  set_ints(node, "strides", {3, 3});
  set_text(node, "auto_pad", "SAME_UPPER");
  EXPECT_EQ(testing::import_status(net.bytes()).message(),
            "the model is damaged: onnx's shape inference took too long");
}

// A model-local function that calls itself overflows the stack of onnx's inference.
TEST(MalformedTest, FunctionsThatCallThemselves) {
  ModelBuilder net = small_net();
  onnx::FunctionProto& function = *net.model().add_functions();
  function.set_name("F");
  function.set_domain("com.example");
  function.add_input("a");
  function.add_output("b");
  onnx::OperatorSetIdProto& domain = *net.model().add_opset_import();
  domain.set_domain("com.example");
  domain.set_version(1);
  *function.add_opset_import() = domain;
  onnx::NodeProto& inner = *function.add_node();
  inner.set_op_type("F");
  inner.set_domain("com.example");
  inner.add_input("a");
  inner.add_output("b");
  onnx::NodeProto& call = *net.model().mutable_graph()->add_node();
  call = inner;
  call.set_input(0, "x");
  import_anything(net.bytes());
}

TEST(MalformedTest, NamesOfAnyBytes) {
  ModelBuilder net = small_net();
  net.model().mutable_graph()->mutable_node(0)->set_name("a\n\x1b[31m\xff" +
                                                         std::string(5000, 'x'));
  set_int(*net.model().mutable_graph()->mutable_node(0), "auto_pad", 1);
  const std::string message = testing::import_status(net.bytes()).message();
  EXPECT_LT(message.size(), 300u);
  EXPECT_TRUE(message.starts_with("Conv 'a??[31m?xxx")) << message;
}

// onnx quotes names as they are; found by tests/fuzz/inputs.
TEST(MalformedTest, NamesOfAnyBytesInWordsOfOnnx) {
  ModelBuilder net = small_net();
  onnx::NodeProto& node = *net.model().mutable_graph()->mutable_node(0);
  node.set_domain("ai.onnx");  // which small_net does not import
  node.set_name("a\x1b[31m\xff" + std::string(5000, 'x'));
  const std::string message = testing::import_status(net.bytes()).message();
  EXPECT_LT(message.size(), 500u);
  EXPECT_NE(message.find("shape inference: "), std::string::npos) << message;
  EXPECT_NE(message.find("a?[31m?xxx"), std::string::npos) << message;
}

}  // namespace
}  // namespace convgen::onnx_import
