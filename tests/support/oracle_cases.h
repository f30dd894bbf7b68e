// SPDX-License-Identifier: Apache-2.0
// The answers of TensorFlow in f64, tests/data/oracle, as one list of cases for every engine.
// CONVGEN_TEST_DATA_DIR names the data folder. A damaged file throws: that is a broken checkout.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ir/conv.h"
#include "ir/interpreter.h"

namespace convgen::testing {

struct OracleCase {
  std::string name;
  ir::Conv conv;
  std::vector<float> src, weights, bias, add;  // bias and add empty where the chain has none
  std::vector<double> dst;                     // the answer, in dst's layout
  std::vector<double> bound;                   // S = sum |x*w| + |bias| + |add|
  int64_t terms = 0;                           // products per output

  ir::TensorInputs inputs() const {
    return {.src = src.data(), .weights = weights.data(), .bias = bias.data(), .add = add.data()};
  }
};

// All names, in the order of index.json.
std::vector<std::string> oracle_case_names();

OracleCase load_oracle_case(const std::string& name);

}  // namespace convgen::testing
