// SPDX-License-Identifier: Apache-2.0
// ModelBuilder, and the two networks.
#include "tests/tools/onnx_import/model_builder.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>

namespace convgen::testing {
namespace {

onnx::AttributeProto& attribute(onnx::NodeProto& node, const std::string& name,
                                onnx::AttributeProto::AttributeType type) {
  onnx::AttributeProto& added = *node.add_attribute();
  added.set_name(name);
  added.set_type(type);
  return added;
}

void set_type(onnx::ValueInfoProto& value, const Dims& dims) {
  auto& tensor = *value.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(onnx::TensorProto::FLOAT);
  auto& shape = *tensor.mutable_shape();
  for (const int64_t dim : dims) {
    auto& added = *shape.add_dim();
    if (dim >= 0) added.set_dim_value(dim);
  }
}

}  // namespace

void set_int(onnx::NodeProto& node, const std::string& name, int64_t value) {
  attribute(node, name, onnx::AttributeProto::INT).set_i(value);
}

void set_ints(onnx::NodeProto& node, const std::string& name, const Dims& values) {
  onnx::AttributeProto& added = attribute(node, name, onnx::AttributeProto::INTS);
  for (const int64_t value : values) added.add_ints(value);
}

void set_float(onnx::NodeProto& node, const std::string& name, float value) {
  attribute(node, name, onnx::AttributeProto::FLOAT).set_f(value);
}

void set_text(onnx::NodeProto& node, const std::string& name, const std::string& value) {
  attribute(node, name, onnx::AttributeProto::STRING).set_s(value);
}

ModelBuilder::ModelBuilder() {
  model_.set_ir_version(8);
  model_.add_opset_import()->set_version(14);
  model_.mutable_graph()->set_name("test");
}

std::string ModelBuilder::input(const std::string& name, const Dims& dims) {
  onnx::ValueInfoProto& value = *model_.mutable_graph()->add_input();
  value.set_name(name);
  set_type(value, dims);
  if (dims.size() > 1) channels_[name] = dims[1];
  return name;
}

std::string ModelBuilder::constant(const std::string& name, const Dims& dims,
                                   const std::vector<float>& values) {
  onnx::TensorProto& tensor = *model_.mutable_graph()->add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(onnx::TensorProto::FLOAT);
  for (const int64_t dim : dims) tensor.add_dims(dim);
  std::string raw(values.size() * sizeof(float), '\0');
  std::memcpy(raw.data(), values.data(), raw.size());
  tensor.set_raw_data(raw);
  return name;
}

std::string ModelBuilder::random(const std::string& name, const Dims& dims, float low, float high) {
  int64_t elements = 1;
  for (const int64_t dim : dims) elements *= dim;
  std::vector<float> values(static_cast<size_t>(elements));
  for (float& value : values) value = low + (high - low) * (random_.real() + 1) / 2;
  return constant(name, dims, values);
}

std::string ModelBuilder::fresh(const std::string& op_type) {
  return fmt::format("{}_{}", op_type, counts_[op_type]++);
}

std::string ModelBuilder::node(const std::string& op_type, const Values& inputs) {
  const std::string name = fresh(op_type);
  onnx::NodeProto& node = *model_.mutable_graph()->add_node();
  node.set_op_type(op_type);
  node.set_name("/" + name);
  for (const std::string& input : inputs) node.add_input(input);
  node.add_output(name + "_out");
  channels_[node.output(0)] = channels_[inputs[0]];
  return node.output(0);
}

std::string ModelBuilder::conv(const std::string& src, const ConvWords& words) {
  const int64_t ic = channels_[src] / words.groups;
  const std::string name = fmt::format("Conv_{}", counts_["Conv"]);
  const float scale = 1 / std::sqrt(static_cast<float>(ic * words.kernel * words.kernel));
  Values inputs = {src, random(name + ".weight", {words.oc, ic, words.kernel, words.kernel},
                               -2 * scale, 2 * scale)};
  if (words.bias) inputs.push_back(random(name + ".bias", {words.oc}, -1, 1));
  const std::string made = node("Conv", inputs);
  set_ints(last(), "kernel_shape", {words.kernel, words.kernel});
  set_ints(last(), "strides", {words.stride, words.stride});
  set_ints(last(), "pads", Dims(4, words.pad));
  set_int(last(), "group", words.groups);
  channels_[made] = words.oc;
  return made;
}

std::string ModelBuilder::batch_norm(const std::string& x) {
  const std::string name = fmt::format("BatchNormalization_{}", counts_["BatchNormalization"]);
  const Dims dims = {channels_[x]};
  const Values inputs = {
      x, random(name + ".scale", dims, 0.5f, 1.5f), random(name + ".bias", dims, -0.5f, 0.5f),
      random(name + ".mean", dims, -0.5f, 0.5f), random(name + ".var", dims, 0.25f, 2)};
  return node("BatchNormalization", inputs);
}

std::string ModelBuilder::clip(const std::string& x, float low, float high) {
  const std::string name = fmt::format("Clip_{}", counts_["Clip"]);
  return node("Clip", {x, constant(name + ".min", {}, {low}), constant(name + ".max", {}, {high})});
}

void ModelBuilder::output(const std::string& value) {
  onnx::ValueInfoProto& output = *model_.mutable_graph()->add_output();
  output.set_name(value);
  output.mutable_type()->mutable_tensor_type()->set_elem_type(onnx::TensorProto::FLOAT);
}

// --- Networks ---

namespace {

void add_classifier(ModelBuilder& net, const std::string& x, int64_t channels) {
  const std::string pooled = net.node("GlobalAveragePool", {x});
  const std::string flat = net.node("Flatten", {pooled});
  const Values inputs = {flat, net.random("fc.weight", {10, channels}, -1, 1),
                         net.random("fc.bias", {10}, -1, 1)};
  const std::string logits = net.node("Gemm", inputs);
  set_int(net.last(), "transB", 1);
  net.output(logits);
}

// conv3x3, conv3x3, and the block's input beside them, where its shape changes by a 1x1.
std::string basic_block(ModelBuilder& net, const std::string& x, int64_t channels, int64_t stride,
                        bool changes) {
  std::string y = net.batch_norm(net.conv(x, {.oc = channels, .stride = stride}));
  y = net.batch_norm(net.conv(net.node("Relu", {y}), {.oc = channels}));
  const ConvWords shortcut{.oc = channels, .kernel = 1, .stride = stride, .pad = 0};
  const std::string beside = changes ? net.batch_norm(net.conv(x, shortcut)) : x;
  return net.node("Relu", {net.node("Add", {y, beside})});
}

// Expansion by t, depthwise, projection; beside them the input where nothing changes.
std::string inverted_residual(ModelBuilder& net, const std::string& x, int64_t ic, int64_t t,
                              int64_t oc, int64_t stride) {
  const int64_t wide = ic * t;
  std::string y = x;
  if (t != 1) {
    y = net.clip(net.batch_norm(net.conv(x, {.oc = wide, .kernel = 1, .pad = 0})), 0, 6);
  }
  y = net.conv(y, {.oc = wide, .stride = stride, .groups = wide});
  y = net.clip(net.batch_norm(y), 0, 6);
  y = net.batch_norm(net.conv(y, {.oc = oc, .kernel = 1, .pad = 0}));
  return stride == 1 && ic == oc ? net.node("Add", {x, y}) : y;
}

}  // namespace

ModelBuilder resnet18(int64_t image) {
  ModelBuilder net;
  std::string x = net.input("input", {1, 3, image, image});
  x = net.node("Relu",
               {net.batch_norm(net.conv(x, {.oc = 64, .kernel = 7, .stride = 2, .pad = 3}))});
  x = net.node("MaxPool", {x});
  set_ints(net.last(), "kernel_shape", {3, 3});
  set_ints(net.last(), "strides", {2, 2});
  set_ints(net.last(), "pads", {1, 1, 1, 1});
  for (const int64_t channels : {64, 128, 256, 512}) {
    const bool first_stage = channels == 64;
    x = basic_block(net, x, channels, first_stage ? 1 : 2, !first_stage);
    x = basic_block(net, x, channels, 1, false);
  }
  add_classifier(net, x, 512);
  return net;
}

ModelBuilder mobilenet_v2(int64_t image) {
  struct Stage {
    int64_t t, oc, repeats, stride;
  };
  ModelBuilder net;
  std::string x = net.input("input", {1, 3, image, image});
  x = net.clip(net.batch_norm(net.conv(x, {.oc = 32, .stride = 2})), 0, 6);
  int64_t ic = 32;
  for (const Stage& stage : {Stage{1, 16, 1, 1},
                             {6, 24, 2, 2},
                             {6, 32, 3, 2},
                             {6, 64, 4, 2},
                             {6, 96, 3, 1},
                             {6, 160, 3, 2},
                             {6, 320, 1, 1}}) {
    for (int64_t i = 0; i < stage.repeats; ++i) {
      x = inverted_residual(net, x, ic, stage.t, stage.oc, i == 0 ? stage.stride : 1);
      ic = stage.oc;
    }
  }
  x = net.clip(net.batch_norm(net.conv(x, {.oc = 1280, .kernel = 1, .pad = 0})), 0, 6);
  add_classifier(net, x, 1280);
  return net;
}

}  // namespace convgen::testing
