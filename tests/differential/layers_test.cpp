// SPDX-License-Identifier: Apache-2.0
// Every layer of tests/data/layers.conv compiles and verifies, by the JIT and by the generic path.
// Border outputs and a random sample are checked where a layer has too many.
#include <gtest/gtest.h>

#include <cctype>
#include <fstream>
#include <string>
#include <tuple>
#include <vector>

#include "ir/text.h"
#include "runtime/verify.h"
#include "tests/support/kernels.h"

namespace convgen::testing {
namespace {

std::vector<std::string> layer_texts() {
  std::ifstream file(std::string(CONVGEN_TEST_DATA_DIR) + "/layers.conv");
  std::vector<std::string> texts;
  for (std::string line; std::getline(file, line);)
    if (!line.empty() && line[0] != '#') texts.push_back(line);
  return texts;
}

TEST(LayersFileTest, HoldsAllLayers) { EXPECT_EQ(layer_texts().size(), 42u); }

using Param = std::tuple<EngineKind, std::string>;

class LayersTest : public ::testing::TestWithParam<Param> {};

TEST_P(LayersTest, Verifies) {
  const auto& [engine_kind, text] = GetParam();
  const ir::Conv conv = conv_of(text);
  const Kernel kernel = compile_kernel(make_engine(), conv, {engine_kind, "", 1});
  EXPECT_EQ(kernel.engine_name(), engine_kind == EngineKind::kJit ? "jit" : "generic");
  const VerifyOptions options{.seed = 1, .data = VerifyData::kReals, .max_multiply_adds = 2e7};
  const Result<VerifyReport> report = verify_kernel(kernel, options);
  ASSERT_TRUE(report.ok()) << report.status().message();
  const Reproducer again{.data = "reals", .engine = kernel.engine_name()};
  EXPECT_TRUE(report->pass) << report->failure << "\n  again: " << again.text(conv);
  EXPECT_GT(report->checked_outputs, 0);
  EXPECT_GT(report->max_error, 0) << "no rounding at all: nothing was compared";
}

std::string test_name(const ::testing::TestParamInfo<Param>& info) {
  std::string name = conv_of(std::get<1>(info.param)).name;
  for (char& c : name)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  return (std::get<0>(info.param) == EngineKind::kJit ? "jit_" : "generic_") + name;
}

INSTANTIATE_TEST_SUITE_P(All, LayersTest,
                         ::testing::Combine(::testing::Values(EngineKind::kJit,
                                                              EngineKind::kGeneric),
                                            ::testing::ValuesIn(layer_texts())),
                         test_name);

}  // namespace
}  // namespace convgen::testing
