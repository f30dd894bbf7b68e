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
    EXPECT_NE(expect_done({command, "--help"}).out.find("examples:"), std::string::npos) << command;
  }
}

TEST_F(ToolTest, RefusesBadCommandLines) {
  expect_refused({"frobnicate"}, "unknown command 'frobnicate', expected one of emit, bundle, run");
  expect_refused({""}, "unknown command ''");
  expect_refused({"--frobnicate"},
                 "--frobnicate: no option of convgen, expected one of --version,");
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

// Wherever a word is one of few, the nearest is suggested, at the end of the message.
TEST_F(ToolTest, SuggestsTheNearestWord) {
  const auto suggests = [&](const Words& words, const std::string& near,
                            const Environment& environment = {}) {
    expect_refused(words, "; did you mean '" + near + "'?\n", environment);
  };
  suggests({"verfy", kConv}, "verify");
  suggests({"--verson"}, "--version");
  suggests({"--hlep", "emit", kConv}, "--help");
  suggests({"emit", kConv, "--emti=asm"}, "--emit");
  suggests({"emit", kConv, "--mpcu", "haswell"}, "--mcpu");
  suggests({"verify", "--rand", "3"}, "--random");
  suggests({"emit", "--scedule=unroll=tile"}, "--schedule");
  suggests({"emit", kConv, "--emit=conv,assm"}, "asm");
  suggests({"emit", kConv, "--mcpu=haswel"}, "haswell");
  suggests({"emit", kConv, "--mattr=+avx521f"}, "+avx512f");
  suggests({"emit", kConv, "--schedule=lane=8"}, "lanes");
  suggests({"emit", kConv, "--schedule=unroll=tlie"}, "tile");
  suggests({"verify", kConv, "--engine=genric"}, "generic");
  suggests({"verify", kConv, "--data=real"}, "reals");
  suggests({"bench", kConv, "--engines=jit,interprter"}, "interpreter");
  suggests({"cache", "stat"}, "stats");
  suggests({"emit", "conv2 src=f32:nhwc:1x8x8x4"}, "conv2d");
  suggests({"emit", kConv + " stride=2x2"}, "strides");
  suggests({"emit", "conv2d src=f32:nhwc:1x8x8x4 pads=smae"}, "same");
  suggests({"emit", kConv + " post=leaky_rleu:0.1"}, "leaky_relu");
  suggests({"emit", kConv + " accuracy=stict"}, "strict");
  suggests({"emit", "conv2d src=f23:nhwc:1x8x8x4 weights=f32:hwio:3x3x4x8"}, "f32");
  suggests({"emit", "conv2d src=f32:NHWC:1x8x8x4 weights=f32:hwio:3x3x4x8"}, "nhwc");
  suggests({"emit", kConv}, "haswell", {{"CONVGEN_MCPU", "haswel"}});
  suggests({"verify", kConv}, "perf-map", {{"CONVGEN_JIT_PROFILE", "perfmap"}});
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
