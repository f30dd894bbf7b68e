// SPDX-License-Identifier: Apache-2.0
// Convolutions from arguments, files and standard input.
#include "tests/tools/tool_fixture.h"

namespace convgen::tool {
namespace {

TEST_F(ToolTest, ReadsConvolutionsFromFilesAndStandardInput) {
  write_text(work_ / "one.conv", "# a comment\n\n  " + kConv + "  # and another\r\n");
  set_input(kConv + "\n");
  for (const char* arg : {"@one.conv", "@-", "-"}) {
    EXPECT_EQ(expect_done({"emit", arg, "--emit=conv"}).out, kCanonical + "\n") << arg;
  }
}

TEST_F(ToolTest, ReadsBenchdnnText) {
  EXPECT_EQ(expect_done({"emit", "mb1ic3ih224oc64oh112kh7sh2ph3", "--emit=conv"}).out,
            "conv2d src=f32:nhwc:1x224x224x3 weights=f32:hwio:7x7x3x64 strides=2x2 "
            "pads=3:2x3:2\n");
}

TEST_F(ToolTest, NamesFileAndLineOfABadConvolution) {
  write_text(work_ / "two.conv", kConv + "\n# fine so far\nconv2d src=nonsense\n");
  write_text(work_ / "none.conv", "# nothing\n\n");
  expect_refused({"verify", "@two.conv"}, "two.conv:3: ");
  expect_refused({"emit", "@two.conv"}, "holds 2 convolutions, this command takes one");
  expect_refused({"verify", "@none.conv"}, "none.conv: holds no convolution");
  expect_refused({"verify", "@missing.conv"}, "missing.conv: No such file");
  expect_refused({"verify", "@."}, "directory");
  expect_refused({"verify", "@"}, "expected a file name");
  expect_refused({"verify", "-"}, "standard input: holds no convolution");
}

}  // namespace
}  // namespace convgen::tool
