// SPDX-License-Identifier: Apache-2.0
// Whole networks, built block for block: the list of their convolutions, and each of them by the
// JIT against the nodes that it stands for.
#include <algorithm>
#include <fstream>

#include "tests/support/kernels.h"
#include "tests/tools/onnx_import/import_support.h"
#include "tests/tools/onnx_import/reference.h"

namespace convgen::onnx_import {
namespace {

using testing::ModelBuilder;

std::vector<std::string> lines_of(const std::string& file) {
  std::ifstream stream(std::string(CONVGEN_TEST_DATA_DIR) + "/onnx/" + file);
  EXPECT_TRUE(stream.is_open()) << file;
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);)
    if (!line.starts_with('#')) lines.push_back(line);
  return lines;
}

size_t count_fused(const ImportedModel& model, const std::string& op_type) {
  size_t count = 0;
  for (const ImportedConv& imported : model.convs)
    count += static_cast<size_t>(std::ranges::count(imported.fused, op_type));
  return count;
}

void expect_all_match(ModelBuilder& net, size_t convs) {
  const ImportedModel model = testing::import_or_throw(net);
  ASSERT_EQ(model.convs.size(), convs);
  const Engine engine = testing::make_engine();
  uint64_t seed = testing::test_seed();
  for (const ImportedConv& imported : model.convs) {
    SCOPED_TRACE(ir::print_conv(imported.conv) + " name=" + imported.conv.name);
    EXPECT_TRUE(testing::matches_nodes(engine, net.model(), imported, ++seed));
  }
}

TEST(NetworkTest, ResNet18) {
  const ImportedModel model = testing::import_or_throw(testing::resnet18(224));
  EXPECT_EQ(testing::texts(model), lines_of("resnet18.conv"));
  EXPECT_EQ(count_fused(model, "BatchNormalization"), 20u);
  EXPECT_EQ(count_fused(model, "Relu"), 17u);
  EXPECT_EQ(count_fused(model, "Add"), 8u);
  EXPECT_TRUE(model.skipped.empty());
}

TEST(NetworkTest, MobileNetV2) {
  const ImportedModel model = testing::import_or_throw(testing::mobilenet_v2(224));
  EXPECT_EQ(testing::texts(model), lines_of("mobilenet_v2.conv"));
  EXPECT_EQ(count_fused(model, "BatchNormalization"), 52u);
  EXPECT_EQ(count_fused(model, "Clip"), 35u);
  EXPECT_EQ(count_fused(model, "Add"), 10u);
}

// Each reads only what the model is given, or a node or a convolution before it makes.
TEST(NetworkTest, ListIsAnOrderToRunIn) {
  const ImportedModel model = testing::import_or_throw(testing::resnet18(64));
  std::vector<std::string> made;
  for (const ImportedConv& imported : model.convs) {
    if (!imported.residual.empty() && !imported.residual.starts_with("MaxPool")) {
      EXPECT_NE(std::ranges::find(made, imported.residual), made.end()) << imported.conv.name;
    }
    made.push_back(imported.dst);
  }
}

TEST(NetworkTest, ResNet18Computes) {
  ModelBuilder net = testing::resnet18(64);
  expect_all_match(net, 20);
}

TEST(NetworkTest, MobileNetV2Computes) {
  ModelBuilder net = testing::mobilenet_v2(64);
  expect_all_match(net, 52);
}

}  // namespace
}  // namespace convgen::onnx_import
