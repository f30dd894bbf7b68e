// SPDX-License-Identifier: Apache-2.0
// convgen emit.
#include "tests/tools/tool_fixture.h"

namespace convgen::tool {
namespace {

TEST_F(ToolTest, EmitsEveryTextStage) {
  const std::map<std::string, std::string> signs = {{"conv", kCanonical},
                                                    {"schedule", "lanes="},
                                                    {"llvm", "define "},
                                                    {"llvm-opt", "define "},
                                                    {"asm", "my_conv:"}};
  for (const auto& [stage, sign] : signs) {
    const Ran ran = expect_done({"emit", kConv, "--emit=" + stage, "--function", "my_conv"});
    EXPECT_NE(ran.out.find(sign), std::string::npos) << stage;
  }
  EXPECT_NE(expect_done({"emit", kConv}).out.find("@convgen_kernel("), std::string::npos);
}

TEST_F(ToolTest, EmitsObjectAndBitcode) {
  EXPECT_EQ(expect_done({"emit", kConv, "--emit=obj", "-o", "k.o"}).out, "");
  EXPECT_TRUE(read_file(work_ / "k.o")
                  .starts_with("\x7f"
                               "ELF"));
  EXPECT_TRUE(expect_done({"emit", kConv, "--emit=bc"}).out.starts_with("BC\xc0\xde"));
}

TEST_F(ToolTest, EmitsSeveralStagesUnderOnePrefix) {
  expect_done({"emit", kConv, "--emit=conv,schedule,llvm,llvm-opt,asm,obj,bc,asm", "-o", "k"});
  EXPECT_EQ(files(), (std::set<std::string>{"k.conv", "k.schedule", "k.ll", "k.opt.ll", "k.s",
                                            "k.o", "k.bc"}));
  EXPECT_EQ(read_file(work_ / "k.conv"), kCanonical + "\n");
  EXPECT_EQ(read_file(work_ / "k.ll"), expect_done({"emit", kConv}).out);
}

// With a header, code comes with the functions that it declares.
TEST_F(ToolTest, EmitsTheCInterface) {
  expect_done({"emit", kConv, "--emit=asm,header", "--function=conv1", "-o", "k"});
  EXPECT_EQ(files(), (std::set<std::string>{"k.s", "k.h"}));
  EXPECT_NE(read_file(work_ / "k.s").find("conv1_pack_weights:"), std::string::npos);
  EXPECT_NE(read_file(work_ / "k.h").find("int conv1(const float* src,"), std::string::npos);
  EXPECT_NE(expect_done({"emit", kConv, "--emit=header"}).out.find("int convgen_kernel("),
            std::string::npos);
}

TEST_F(ToolTest, EmitsForOtherTargets) {
  const Words asm_for = {"emit", kConv, "--emit=asm", "--mcpu"};
  const auto emit_for = [&](const std::string& cpu) {
    Words words = asm_for;
    words.push_back(cpu);
    return expect_done(words).out;
  };
  EXPECT_NE(emit_for("haswell").find("%ymm"), std::string::npos);
  EXPECT_EQ(emit_for("x86-64-v2").find("%ymm"), std::string::npos);
  // The option outranks the variable, the variable the host.
  EXPECT_EQ(run({"emit", kConv, "--emit=asm"}, {{"CONVGEN_MCPU", "haswell"}}).out,
            emit_for("haswell"));
  EXPECT_EQ(
      run({"emit", kConv, "--emit=asm", "--mcpu=haswell"}, {{"CONVGEN_MCPU", "x86-64-v2"}}).out,
      emit_for("haswell"));
}

TEST_F(ToolTest, EmitsByAScheduleGivenByHand) {
  EXPECT_NE(expect_done({"emit", kConv, "--emit=schedule", "--schedule=unroll=taps"})
                .out.find("unroll=taps"),
            std::string::npos);
}

TEST_F(ToolTest, EmitRefusesBadRequests) {
  expect_refused({"emit", kConv, "--emit=wasm"}, "--emit=wasm: expected stages out of conv,");
  expect_refused({"emit", kConv, "--emit=asm,obj"}, "--emit=obj: is no text, use -o FILE");
  expect_refused({"emit", kConv, "--emit=asm,llvm", "-o", "-"}, "-o PREFIX");
  expect_refused({"emit", kConv, "-o", "no/such/dir.ll"}, "no/such/dir.ll: No such file");
  expect_refused({"emit", kConv, "-o", "."}, "cannot write .");
  expect_refused({"emit", kConv, "--emit=asm,llvm", "-o", "no/such"}, "no/such");
  for (const char* name : {"", "1st", "a-b", "a b", "main;", "\xc3\xa9"}) {
    expect_refused({"emit", kConv, "--function", name}, "c identifier");
  }
  expect_refused({"emit", kConv, "--mtriple=nonsense"}, "nonsense");
  expect_refused({"emit", kConv, "--mcpu=nonsense"}, "nonsense");
  expect_refused({"emit", kConv, "--mattr=+nonsense"}, "nonsense");
  expect_refused({"emit", kConv, "--schedule=nonsense"}, "nonsense");
  expect_refused({"emit", kConv, "--schedule=lanes=3"}, "lanes");
}

// The second of two files cannot be written: the first must not appear either.
TEST_F(ToolTest, EmitWritesAllFilesOrNone) {
  fs::create_directory(work_ / "k.ll");
  expect_refused({"emit", kConv, "--emit=conv,llvm", "-o", "k"}, "k.ll");
}

}  // namespace
}  // namespace convgen::tool
