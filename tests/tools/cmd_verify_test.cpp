// SPDX-License-Identifier: Apache-2.0
// convgen verify.
#include "tests/tools/tool_fixture.h"

namespace convgen::tool {
namespace {

TEST_F(ToolTest, VerifiesGivenConvolutions) {
  for (const char* engine : {"jit", "generic"}) {
    const Ran ran =
        expect_done({"verify", kConv, "mb1ic4ih8oc8oh8kh3ph1n\"twice\"", "--engine", engine});
    const std::vector<std::string> lines = lines_of(ran.out);
    ASSERT_EQ(lines.size(), 3u);
    expect_pass_line(lines[0], kCanonical);
    expect_pass_line(lines[1], kCanonical);
    EXPECT_EQ(lines[2], "verified 2 convolutions: 2 passed, 0 failed (seed 1)");
  }
}

TEST_F(ToolTest, VerifiesRandomConvolutionsTheSameWayTwice) {
  const Words words = {"verify", "--random", "20", "--seed", "7"};
  const Ran ran = expect_done(words);
  const std::vector<std::string> lines = lines_of(ran.out);
  ASSERT_EQ(lines.size(), 21u);
  for (size_t i = 0; i < 20; ++i) expect_pass_line(lines[i], "");
  EXPECT_EQ(lines[20], "verified 20 convolutions: 20 passed, 0 failed (seed 7)");
  EXPECT_EQ(expect_done(words).out, ran.out);
}

TEST_F(ToolTest, VerifyCountsWhatCannotBeCompiledAsFailed) {
  const Ran ran = run({"verify", kConv, "--schedule=lanes=3"});
  EXPECT_EQ(ran.exit, 1);
  EXPECT_EQ(ran.out, "FAIL nan nan " + kCanonical +
                         "\nverified 1 convolutions: 0 passed, 1 failed (seed 1)\n");
  EXPECT_TRUE(ran.err.starts_with("  ")) << ran.err;
  EXPECT_NE(ran.err.find("again: convgen verify --seed 1"), std::string::npos) << ran.err;
}

}  // namespace
}  // namespace convgen::tool
