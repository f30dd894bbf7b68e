// SPDX-License-Identifier: Apache-2.0
// convgen bench --compile.
#include <nlohmann/json.hpp>

#include "tests/tools/tool_fixture.h"

namespace convgen::tool {
namespace {

const char* const kPhases[] = {"select", "emit", "passes", "codegen", "link", "total"};

TEST_F(ToolTest, BenchCompilePrintsThePhasesOfEachConvolution) {
  const Ran ran = expect_done(
      {"bench", "--compile", kConv + " name=small", kConv, "--json", "--seconds=0", "--threads=2"});
  const std::vector<std::string> lines = lines_of(ran.out);
  ASSERT_EQ(lines.size(), 3u);
  const auto row = nlohmann::json::parse(lines[0]);
  EXPECT_EQ(row["conv"], kCanonical);
  EXPECT_EQ(row["name"], "small");
  EXPECT_GT(row["code_bytes"], 0);
  double sum = 0;
  for (const std::string phase : kPhases) {
    EXPECT_GT(row["min_ms"][phase], 0) << phase;
    EXPECT_GE(row["median_ms"][phase], row["min_ms"][phase]) << phase;
    if (phase != "total") sum += row["min_ms"][phase].get<double>();
  }
  EXPECT_GE(row["min_ms"]["total"], sum);  // a run's total holds its phases
  const auto summary = nlohmann::json::parse(lines[2]);
  EXPECT_EQ(summary["convs"], 2);
  EXPECT_EQ(summary["refused"], 0);
  EXPECT_LE(summary["median_ms"], summary["p95_ms"]);
  EXPECT_LE(summary["p95_ms"], summary["max_ms"]);
  ASSERT_EQ(summary["rates"].size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(summary["rates"][i]["threads"], i + 1);
    EXPECT_GT(summary["rates"][i]["compiles_per_second"], 0);
  }
}

TEST_F(ToolTest, BenchCompilePrintsATable) {
  const Ran ran = expect_done({"bench", "--compile", kConv, "--seconds=0"});
  for (const char* sign : {"cpu ", "llvm ", "select", "codegen", "median",
                           "1 convolutions, 0 refused", "95th percentile", "1 thread: "})
    EXPECT_NE(ran.out.find(sign), std::string::npos) << sign << "\n" << ran.out;
}

}  // namespace
}  // namespace convgen::tool
