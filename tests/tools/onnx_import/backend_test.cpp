// SPDX-License-Identifier: Apache-2.0
// The Conv cases of ONNX's own backend tests, all of them: each model imported, run by the JIT on
// the inputs that come with it, and compared with the outputs that come with it.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

#include "tests/support/kernels.h"
#include "tests/tools/onnx_import/import_support.h"

namespace convgen::onnx_import {
namespace {

namespace fs = std::filesystem;

const fs::path kData = CONVGEN_ONNX_TESTDATA;  // empty where it is not installed

bool holds_conv(const onnx::ModelProto& model) {
  return std::ranges::any_of(model.graph().node(),
                             [](const auto& node) { return node.op_type() == "Conv"; });
}

onnx::ModelProto read_model(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  onnx::ModelProto model;
  EXPECT_TRUE(model.ParseFromIstream(&file)) << path;
  return model;
}

// The directories, relative to the data, of models that hold a Conv.
std::vector<std::string> conv_cases() {
  std::vector<std::string> cases;
  if (kData.empty()) return cases;
  for (const auto& entry : fs::recursive_directory_iterator(kData)) {
    if (entry.path().filename() != "model.onnx" || !holds_conv(read_model(entry.path()))) continue;
    cases.push_back(entry.path().parent_path().lexically_relative(kData).string());
  }
  std::ranges::sort(cases);
  return cases;
}

struct Tensor {
  std::vector<int64_t> dims;
  std::vector<float> data;
};

Tensor read_tensor(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  onnx::TensorProto proto;
  EXPECT_TRUE(proto.ParseFromIstream(&file)) << path;
  EXPECT_EQ(proto.data_type(), onnx::TensorProto::FLOAT) << path;
  Tensor tensor{{proto.dims().begin(), proto.dims().end()},
                {proto.float_data().begin(), proto.float_data().end()}};
  if (!proto.has_raw_data()) return tensor;
  tensor.data.resize(proto.raw_data().size() / sizeof(float));
  std::memcpy(tensor.data.data(), proto.raw_data().data(), proto.raw_data().size());
  return tensor;
}

// The inputs of data set `set` by name: input_N.pb belongs to the N-th input without initializer.
std::map<std::string, Tensor> read_inputs(const onnx::ModelProto& model, const fs::path& set) {
  std::map<std::string, Tensor> inputs;
  size_t number = 0;
  for (const auto& input : model.graph().input()) {
    const auto is_it = [&](const auto& tensor) { return tensor.name() == input.name(); };
    if (std::ranges::any_of(model.graph().initializer(), is_it)) continue;
    inputs[input.name()] = read_tensor(set / ("input_" + std::to_string(number++) + ".pb"));
  }
  return inputs;
}

// The comparison of ONNX's own runner: 1e-3 of the value, and 1e-7.
void expect_close(const std::vector<float>& found, const std::vector<float>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    const double error = std::abs(double{found[i]} - double{expected[i]});
    ASSERT_LE(error, 1e-7 + 1e-3 * std::abs(expected[i])) << "element " << i;
  }
}

void run_case(const std::string& name) {
  const fs::path directory = kData / name;
  const onnx::ModelProto model = read_model(directory / "model.onnx");
  ImportOptions options;
  options.read_weights = true;
  const auto imported = import_model(directory / "model.onnx", options);
  ASSERT_TRUE(imported.ok()) << imported.status().message();
  ASSERT_EQ(imported->convs.size(), 1u);
  const ImportedConv& only = imported->convs[0];
  ASSERT_EQ(only.dst, model.graph().output(0).name())
      << "the model holds more than the convolution";

  const auto conv_node = std::ranges::find(model.graph().node(), "Conv", &onnx::NodeProto::op_type);
  std::map<std::string, Tensor> inputs = read_inputs(model, directory / "test_data_set_0");
  testing::HostTensors tensors;
  ASSERT_EQ(inputs[only.src].dims, only.conv.src_dims());
  tensors.src = inputs[only.src].data;
  tensors.weights = only.constant_weights ? only.weights : inputs[conv_node->input(1)].data;
  tensors.bias = only.bias;
  if (only.conv.uses(ir::PostOpKind::kBias) && tensors.bias.empty())
    tensors.bias = inputs[conv_node->input(2)].data;

  const Engine engine = testing::make_engine();
  const Kernel kernel = testing::compile_kernel(engine, only.conv);
  ASSERT_EQ(kernel.engine_name(), "jit");
  const std::vector<float> dst = testing::run_kernel(kernel, tensors);
  const Tensor expected = read_tensor(directory / "test_data_set_0" / "output_0.pb");
  EXPECT_EQ(expected.dims, only.conv.dst_dims());
  expect_close(dst, expected.data);
  EXPECT_TRUE(testing::matches_interpreter(only.conv, tensors, dst, false, kernel.summation()));
}

TEST(BackendTest, AllConvCases) {
  if (kData.empty()) GTEST_SKIP() << "ONNX's backend test data is not installed (libonnx-testdata)";
  const std::vector<std::string> cases = conv_cases();
  EXPECT_GE(cases.size(), 33u) << "as many as there are in onnx 1.12";
  for (const std::string& name : cases) {
    SCOPED_TRACE(name);
    run_case(name);
  }
  RecordProperty("cases", static_cast<int>(cases.size()));
}

}  // namespace
}  // namespace convgen::onnx_import
