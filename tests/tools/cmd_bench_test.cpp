// SPDX-License-Identifier: Apache-2.0
// convgen bench.
#include <nlohmann/json.hpp>

#include "tests/tools/tool_fixture.h"

namespace convgen::tool {
namespace {

TEST_F(ToolTest, BenchPrintsOneJsonObjectALine) {
  const Ran ran = expect_done({"bench", kConv + " name=small", "--json", "--seconds=0.01",
                               "--engines=jit,generic,interpreter"});
  const std::vector<std::string> lines = lines_of(ran.out);
  ASSERT_EQ(lines.size(), 3u);
  const Words engines = {"jit", "generic", "interpreter"};
  for (size_t i = 0; i < lines.size(); ++i) {
    const auto row = nlohmann::json::parse(lines[i]);
    EXPECT_EQ(row["conv"], kCanonical);
    EXPECT_EQ(row["name"], "small");
    EXPECT_EQ(row["engine"], engines[i]);
    EXPECT_EQ(row["threads"], 1);
    EXPECT_GT(row["min_us"], 0);
    EXPECT_GE(row["median_us"], row["min_us"]);
    EXPECT_GT(row["gflops"], 0);
    EXPECT_GE(row["compile_ms"], 0);
    EXPECT_GT(row["peak_gflops"], 0);
    EXPECT_GT(row["share_of_peak"], 0);
    EXPECT_EQ(row["schedule"].get<std::string>().empty(), engines[i] != "jit");
  }
}

TEST_F(ToolTest, BenchPrintsCsvWithAHeader) {
  const Ran ran = expect_done({"bench", kConv + " name=a,\"b", kConv, "--csv", "--seconds=0.01"});
  const std::vector<std::string> lines = lines_of(ran.out);
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_EQ(lines[0],
            "conv,name,engine,threads,min_us,median_us,gflops,compile_ms,peak_gflops,"
            "share_of_peak,schedule");
  EXPECT_TRUE(lines[1].starts_with(kCanonical + ",\"a,\"\"b\",jit,1,")) << lines[1];
  EXPECT_TRUE(lines[4].starts_with(kCanonical + ",,generic,1,")) << lines[4];
}

TEST_F(ToolTest, BenchPrintsATable) {
  const Ran ran = expect_done({"bench", kConv, "--seconds=0.01", "--threads", "2"});
  for (const char* sign : {"cpu ", "isa ", "llvm ", "2 threads", "peak ", "of peak", "1.00x"}) {
    EXPECT_NE(ran.out.find(sign), std::string::npos) << sign << "\n" << ran.out;
  }
}

TEST_F(ToolTest, BenchLeavesTheInterpreterOutOfLargeConvolutions) {
  const Ran ran = expect_done({"bench", "--engines=all", "--json", "--seconds=0",
                               "conv2d src=f32:nhwc:1x64x64x128 weights=f32:hwio:3x3x128x128"});
  EXPECT_EQ(lines_of(ran.out).size(), 2u);
  EXPECT_NE(ran.err.find("note: interpreter skipped"), std::string::npos) << ran.err;
}

}  // namespace
}  // namespace convgen::tool
