// SPDX-License-Identifier: Apache-2.0
// Labels for convolutions: what a model calls a node, fit for name=, file names and shells.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>

namespace convgen::onnx_import {

// Gives each name once. Letters, digits, '_', '.' and '-' stay, others become '_'; it begins with a
// letter, "conv_" where there is none; what was given before gets a number.
class Names {
 public:
  std::string unique(std::string_view wanted);

 private:
  std::set<std::string> given_;
  std::map<std::string, int> last_number_;  // so that a thousand equal names cost no million tries
};

}  // namespace convgen::onnx_import
