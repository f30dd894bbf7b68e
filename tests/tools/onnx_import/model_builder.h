// SPDX-License-Identifier: Apache-2.0
// Models made by tests: nodes one after the other, constants drawn at random but the same each
// time, and two published networks, block for block.
#pragma once

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/support/random.h"

namespace convgen::testing {

using Dims = std::vector<int64_t>;
using Values = std::vector<std::string>;

struct ConvWords {
  int64_t oc = 4;
  int64_t kernel = 3;
  int64_t stride = 1;
  int64_t pad = 1;
  int64_t groups = 1;
  bool bias = false;
};

class ModelBuilder {
 public:
  ModelBuilder();

  // Each returns the name of the value it makes.
  std::string input(const std::string& name, const Dims& dims);
  std::string constant(const std::string& name, const Dims& dims, const std::vector<float>& values);
  std::string random(const std::string& name, const Dims& dims, float low, float high);
  std::string node(const std::string& op_type, const Values& inputs);
  std::string conv(const std::string& src, const ConvWords& words);
  std::string batch_norm(const std::string& x);
  std::string clip(const std::string& x, float low, float high);
  void output(const std::string& value);

  // The node made last, to set attributes of.
  onnx::NodeProto& last() { return *model_.mutable_graph()->mutable_node()->rbegin(); }
  onnx::ModelProto& model() { return model_; }
  const onnx::ModelProto& model() const { return model_; }
  std::string bytes() const { return model_.SerializeAsString(); }

 private:
  std::string fresh(const std::string& op_type);

  onnx::ModelProto model_;
  std::map<std::string, int64_t> channels_;
  std::map<std::string, int> counts_;
  Random random_{7};
};

void set_int(onnx::NodeProto& node, const std::string& name, int64_t value);
void set_ints(onnx::NodeProto& node, const std::string& name, const Dims& values);
void set_float(onnx::NodeProto& node, const std::string& name, float value);
void set_text(onnx::NodeProto& node, const std::string& name, const std::string& value);

// ResNet-18 (He et al., CVPR 2016) as torchvision builds it: 20 convolutions, none with a bias.
ModelBuilder resnet18(int64_t image);

// MobileNetV2 (Sandler et al., CVPR 2018), width 1: 52 convolutions, 17 of them depthwise.
ModelBuilder mobilenet_v2(int64_t image);

}  // namespace convgen::testing
