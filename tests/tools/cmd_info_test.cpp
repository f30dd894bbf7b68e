// SPDX-License-Identifier: Apache-2.0
// convgen info.
#include "tests/tools/tool_fixture.h"

namespace convgen::tool {
namespace {

TEST_F(ToolTest, TellsAboutTheMachine) {
  const std::string out = expect_done({"info"}).out;
  for (const char* field :
       {"convgen:", "llvm:", "cpu:", "triple:", "isa:", "vectors:", "features:", "caches:",
        "generic path:", "peak:", "threads:", "cache directory:", "tuning file:"}) {
    EXPECT_NE(out.find(field), std::string::npos) << field << "\n" << out;
  }
  const Ran forced = run({"info"}, {{"CONVGEN_MCPU", "x86-64-v2"}});
  EXPECT_EQ(forced.exit, 0) << forced.err;
  EXPECT_NE(forced.out.find("forced by CONVGEN_MCPU=x86-64-v2"), std::string::npos) << forced.out;
}

}  // namespace
}  // namespace convgen::tool
