// SPDX-License-Identifier: Apache-2.0
// convgen explain.
#include "tests/tools/tool_fixture.h"

namespace convgen::tool {
namespace {

TEST_F(ToolTest, ExplainsWhatWasDecided) {
  const Ran ran = expect_done({"explain", kConv, "--seconds=0.01"});
  for (const char* sign :
       {"conv       conv2d", "dst        1x8x8x8", "flops      36864", "bytes ", "intensity ",
        "schedule ", "why ", "tasks ", "code size ", "peak ", "predicted ", "measured "}) {
    EXPECT_NE(ran.out.find(sign), std::string::npos) << sign << "\n" << ran.out;
  }
  expect_refused({"explain", kConv, "--mcpu=nonsense"}, "nonsense");
}

}  // namespace
}  // namespace convgen::tool
