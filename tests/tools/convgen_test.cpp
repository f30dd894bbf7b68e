// SPDX-License-Identifier: Apache-2.0
// What no single command decides: help, requests that are refused, output that cannot be written.
#include "tests/tools/tool_fixture.h"

namespace convgen::tool {
namespace {

TEST_F(ToolTest, ShowsVersionAndHelp) {
  EXPECT_TRUE(expect_done({"--version"}).out.starts_with("convgen "));
  EXPECT_NE(expect_done({"--help"}).out.find("verify"), std::string::npos);
  for (const char* command :
       {"emit", "run", "verify", "bench", "tune", "explain", "cache", "info"}) {
    EXPECT_NE(expect_done({command, "--help"}).out.find("example:"), std::string::npos) << command;
  }
}

TEST_F(ToolTest, RefusesBadCommandLines) {
  expect_refused({}, "subcommand");
  expect_refused({"frobnicate"}, "unknown command 'frobnicate', expected one of emit, run");
  expect_refused({""}, "unknown command ''");
  expect_refused({"--frobnicate"}, "subcommand is required");
  expect_refused({"emit"}, "CONV");
  expect_refused({"emit", kConv, "--frobnicate"}, "--frobnicate");
  expect_refused({"emit", "conv2d", "pads=same"}, "quote each convolution");
  expect_refused({"verify", kConv, "--threads", "0"}, "--threads");
  expect_refused({"verify", kConv, "--threads", "1025"}, "--threads");
  expect_refused({"verify", kConv, "--threads", "two"}, "--threads");
  expect_refused({"verify", kConv, "--engine=gpu"}, "gpu");
  expect_refused({"verify", kConv, "--data=noise"}, "noise");
  expect_refused({"verify", "--random", "-1"}, "--random: -1: expected a whole number");
  expect_refused({"verify", kConv, "--seed", "99999999999999999999"}, "--seed");
  expect_refused({"verify"}, "expected CONV... or --random N");
  expect_refused({"verify", kConv, "--engine=generic", "--schedule=unroll=tile"}, "--schedule");
  expect_refused({"bench", kConv, "--engines=jit,gpu"}, "--engines=gpu");
  expect_refused({"bench", kConv, "--seconds=nan"}, "--seconds");
  expect_refused({"bench", kConv, "--seconds=-1"}, "--seconds");
  expect_refused({"bench", kConv, "--json", "--csv"}, "--csv");
  expect_refused({"cache"}, "ACTION");
  expect_refused({"cache", "burn"}, "burn");
  expect_refused({"cache", "stats", "list"}, "list");
  expect_refused({"bench", kConv, "--compile", "--engines=jit"}, "--engines");
  expect_refused({"bench", kConv, "--compile", "--csv"}, "--csv");
  expect_refused({"tune"}, "CONV");
  expect_refused({"tune", kConv}, "--tuning-file: none given, and CONVGEN_CACHE_DIR is empty");
  const auto tune_refused = [&](const std::string& option, const std::string& message) {
    expect_refused({"tune", kConv, "--tuning-file=t", option}, message);
  };
  tune_refused("--budget=nan", "--budget");
  tune_refused("--budget=-1", "--budget");
  tune_refused("--candidates=0", "--candidates");
  tune_refused("--candidates=-1", "--candidates");
  tune_refused("--threads=0", "--threads");
  tune_refused("--mcpu=nonsense", "nonsense");
  tune_refused("conv9d", "conv9d");
}

TEST_F(ToolTest, RefusesBadEnvironment) {
  for (const char* threads : {"0", "many", "-3", "1025", "99999999999999999999", "2 "}) {
    expect_refused({"verify", kConv}, std::string("CONVGEN_NUM_THREADS=") + threads,
                   {{"CONVGEN_NUM_THREADS", threads}});
  }
  expect_refused({"emit", kConv}, "no_such_cpu", {{"CONVGEN_MCPU", "no_such_cpu"}});
  expect_refused({"info"}, "no_such_cpu", {{"CONVGEN_MCPU", "no_such_cpu"}});
  expect_refused({"verify", kConv}, "CONVGEN_JIT_PROFILE=prof", {{"CONVGEN_JIT_PROFILE", "prof"}});
  for (const Words& words : {Words{"verify", kConv}, Words{"cache", "stats"}})
    expect_refused(words, "CONVGEN_CACHE_MAX_BYTES=1G: expected a whole number of bytes",
                   {{"CONVGEN_CACHE_MAX_BYTES", "1G"}});
}

TEST_F(ToolTest, RefusesBadConvolutions) {
  expect_refused({"emit", ""}, "conv text");
  expect_refused({"emit", "convolve"}, "convolve");
  expect_refused({"emit", kConv + " strides=0x1"}, "strides");
  expect_refused({"emit", "conv2d src=f16:nhwc:1x8x8x4 weights=f16:hwio:3x3x4x8"}, "f16");
  expect_refused({"emit", "mb1ic3"}, "");
  expect_refused({"bench", kConv, "conv9d"}, "conv9d");
}

TEST_F(ToolTest, ReportsOutputThatCannotBeWritten) {
  fs::create_symlink("/dev/full", root_ / "out");
  for (const Words& words : {Words{"verify", "--random", "3"}, Words{"emit", kConv}}) {
    const Ran ran = run(words);
    EXPECT_EQ(ran.exit, 2);
    EXPECT_NE(ran.err.find("cannot write standard output: No space"), std::string::npos) << ran.err;
  }
  fs::remove(root_ / "out");
}

}  // namespace
}  // namespace convgen::tool
