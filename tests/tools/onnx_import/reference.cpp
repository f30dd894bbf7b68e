// SPDX-License-Identifier: Apache-2.0
// ONNX operators by their formulas, element by element.
#include "tests/tools/onnx_import/reference.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "ir/interpreter.h"
#include "tests/support/kernels.h"

namespace convgen::testing {
namespace {

using onnx::NodeProto;

struct Tensor {
  std::vector<int64_t> dims;
  std::vector<double> data;
};

float real(const NodeProto& node, const std::string& name, float absent) {
  for (const auto& attribute : node.attribute())
    if (attribute.name() == name) return attribute.f();
  return absent;
}

class Nodes {
 public:
  explicit Nodes(const onnx::ModelProto& model) : model_(model) {
    values_[""];  // an optional input that is left out
    for (const onnx::TensorProto& tensor : model.graph().initializer()) {
      std::vector<float> values(tensor.raw_data().size() / sizeof(float));
      std::memcpy(values.data(), tensor.raw_data().data(), tensor.raw_data().size());
      set(tensor.name(), {tensor.dims().begin(), tensor.dims().end()}, values);
    }
  }

  void set(const std::string& name, const std::vector<int64_t>& dims,
           const std::vector<float>& values) {
    values_[name] = {dims, {values.begin(), values.end()}};
  }

  // Evaluates what `wanted` is made of, and no other node. `conv` is the only convolution to be
  // met.
  const Tensor& evaluate(const std::string& wanted, const ir::Conv& conv) {
    const auto known = values_.find(wanted);
    if (known != values_.end()) return known->second;
    const NodeProto& node = maker_of(wanted);
    for (const std::string& input : node.input()) evaluate(input, conv);
    return values_[wanted] = run(node, conv);
  }

 private:
  const NodeProto& maker_of(const std::string& value) const {
    return *std::ranges::find_if(model_.graph().node(),
                                 [&](const NodeProto& node) { return node.output(0) == value; });
  }
  const Tensor& in(const NodeProto& node, int i) const { return values_.at(node.input(i)); }

  Tensor run(const NodeProto& node, const ir::Conv& conv) const {
    const std::string& op = node.op_type();
    if (op == "Conv") return run_conv(node, conv);
    if (op == "BatchNormalization") return run_batch_norm(node);
    if (op == "Add") return each(node, [](double x, double y) { return x + y; });
    if (op == "Mul") return each(node, [](double x, double y) { return x * y; });
    return run_unary(node);
  }

  // The same convolution without its post-ops, on the weights of the model.
  Tensor run_conv(const NodeProto& node, ir::Conv conv) const {
    conv.post.clear();
    const auto floats = [](const Tensor& tensor) {
      return std::vector<float>(tensor.data.begin(), tensor.data.end());
    };
    const std::vector<float> src = floats(in(node, 0)), weights = floats(in(node, 1));
    Tensor dst{conv.dst_dims(),
               ir::interpret(conv, {.src = src.data(), .weights = weights.data()}).y};
    if (node.input_size() < 3) return dst;
    const size_t plane = static_cast<size_t>(conv.out.product());
    for (size_t i = 0; i < dst.data.size(); ++i)
      dst.data[i] += in(node, 2).data[i / plane % static_cast<size_t>(conv.oc)];
    return dst;
  }

  Tensor run_batch_norm(const NodeProto& node) const {
    Tensor result = in(node, 0);
    const double epsilon = real(node, "epsilon", 1e-5f);
    const size_t channels = static_cast<size_t>(result.dims[1]);
    const size_t plane = result.data.size() / static_cast<size_t>(result.dims[0]) / channels;
    for (size_t i = 0; i < result.data.size(); ++i) {
      const size_t c = i / plane % channels;
      double& x = result.data[i];
      x = in(node, 1).data[c] * (x - in(node, 3).data[c]) /
              std::sqrt(in(node, 4).data[c] + epsilon) +
          in(node, 2).data[c];
    }
    return result;
  }

  // Broadcasts the one that is smaller.
  Tensor each(const NodeProto& node, const std::function<double(double, double)>& f) const {
    const bool swapped = in(node, 0).data.size() < in(node, 1).data.size();
    const Tensor& large = in(node, swapped ? 1 : 0);
    const Tensor& small = in(node, swapped ? 0 : 1);
    Tensor result = large;
    const size_t channels = static_cast<size_t>(large.dims[1]);
    const size_t plane = large.data.size() / static_cast<size_t>(large.dims[0]) / channels;
    for (size_t i = 0; i < large.data.size(); ++i) {
      const bool same = small.data.size() == large.data.size();
      const size_t at = same ? i : small.data.size() == 1 ? 0 : i / plane % channels;
      result.data[i] = f(large.data[i], small.data[at]);
    }
    return result;
  }

  Tensor run_unary(const NodeProto& node) const {
    const std::string& op = node.op_type();
    const auto bound = [&](int i, double absent) {
      return node.input_size() > i && !node.input(i).empty() ? in(node, i).data[0] : absent;
    };
    const double alpha = real(node, "alpha", op == "Elu" ? 1 : op == "LeakyRelu" ? 0.01f : 0.2f);
    const double beta = real(node, "beta", 0.5f);
    const double low = op == "Clip" ? bound(1, -INFINITY) : 0;
    const double high = op == "Clip" ? bound(2, INFINITY) : 0;
    const std::map<std::string, std::function<double(double)>> formulas = {
        {"Relu", [](double x) { return std::max(x, 0.0); }},
        {"Clip", [&](double x) { return std::min(std::max(x, low), high); }},
        {"LeakyRelu", [&](double x) { return x < 0 ? alpha * x : x; }},
        {"Elu", [&](double x) { return x < 0 ? alpha * std::expm1(x) : x; }},
        {"Sigmoid", [](double x) { return 1 / (1 + std::exp(-x)); }},
        {"Tanh", [](double x) { return std::tanh(x); }},
        {"Abs", [](double x) { return std::abs(x); }},
        {"Identity", [](double x) { return x; }},
        {"HardSigmoid", [&](double x) { return std::clamp(alpha * x + beta, 0.0, 1.0); }},
        {"HardSwish", [](double x) { return x * std::clamp(x / 6 + 0.5, 0.0, 1.0); }}};
    const auto formula = formulas.find(op);
    if (formula == formulas.end()) throw std::runtime_error("no reference for " + op);
    Tensor result = in(node, 0);
    std::ranges::transform(result.data, result.data.begin(), formula->second);
    return result;
  }

  const onnx::ModelProto& model_;
  std::map<std::string, Tensor> values_;
};

}  // namespace

::testing::AssertionResult matches_nodes(const Engine& engine, const onnx::ModelProto& model,
                                         const onnx_import::ImportedConv& imported, uint64_t seed) {
  const ir::Conv& conv = imported.conv;
  HostTensors tensors = random_tensors(conv, seed, Data::kReals);
  if (imported.constant_weights) tensors.weights = imported.weights;
  if (!imported.bias.empty()) tensors.bias = imported.bias;
  const Kernel kernel = compile_kernel(engine, conv);
  const ir::Summation summation = kernel.summation();
  const auto kernel_right =
      matches_interpreter(conv, tensors, run_kernel(kernel, tensors), false, summation);
  if (!kernel_right) return kernel_right;

  Nodes nodes(model);
  nodes.set(imported.src, conv.src_dims(), tensors.src);
  if (!imported.residual.empty()) nodes.set(imported.residual, conv.dst_dims(), tensors.add);
  const Tensor& expected = nodes.evaluate(imported.dst, conv);
  const ir::Reference folded = ir::interpret(conv, tensors.inputs());
  if (expected.dims != conv.dst_dims()) {
    return ::testing::AssertionFailure() << imported.dst << " has other dims";
  }
  for (size_t i = 0; i < folded.y.size(); ++i) {
    // Folding rounds each weight and the bias once, by 2^-24 of itself; S sums their products.
    // Post-ops of networks amplify by less than 1.2.
    const double bound = 1.2 * 0x1p-24 * (folded.s[i] + 1);
    if (std::abs(folded.y[i] - expected.data[i]) <= bound) continue;
    return ::testing::AssertionFailure()
           << imported.dst << "[" << i << "]: nodes " << expected.data[i] << ", fused "
           << folded.y[i] << ", bound " << bound;
  }
  return ::testing::AssertionSuccess();
}

}  // namespace convgen::testing
