// SPDX-License-Identifier: Apache-2.0
// --constant-weights of every command that takes it.
#include <nlohmann/json.hpp>

#include "tests/tools/tool_fixture.h"

namespace convgen::tool {
namespace {

const std::string kPicture =
    "conv2d src=f32:nhwc:1x9x40x3 weights=f32:hwio:3x3x1x3 groups=3 pads=same";

// Small integers, some of them 0: every engine is exact.
TEST_F(ToolTest, RunWithConstantWeightsGivesTheSame) {
  write_array("x.npy", {1, 9, 40, 3});
  write_array("w.npy", {3, 3, 1, 3});
  const auto dst_of = [&](const Words& more) {
    Words words = {"run", kPicture, "--src", "x.npy", "--dst", "y.npy"};
    words.insert(words.end(), more.begin(), more.end());
    expect_done(words);
    return read_file(work_ / "y.npy");
  };
  const std::string expected = dst_of({"--weights", "w.npy"});
  EXPECT_NE(expected, "");
  for (const Words& more : std::vector<Words>{{},
                                              {"--assume-finite"},
                                              {"--threads", "2"},
                                              {"--schedule=filter lanes=4 tile=12x2"},
                                              {"--engine=generic"},
                                              {"--engine=interpreter"}}) {
    Words words = {"--constant-weights", "w.npy"};
    words.insert(words.end(), more.begin(), more.end());
    EXPECT_EQ(dst_of(words), expected) << testing::PrintToString(words);
  }
  // What the text leaves out follows from the file, as it does with --weights.
  expect_done({"run", "conv2d groups=3 pads=same", "--src", "x.npy", "--constant-weights", "w.npy",
               "--dst", "y.npy"});
  EXPECT_EQ(read_file(work_ / "y.npy"), expected);
}

TEST_F(ToolTest, EmitsCodeForConstantWeights) {
  write_array("w.npy", {3, 3, 1, 3});
  const auto emit = [&](const Words& more) {
    Words words = {"emit", kPicture, "--mcpu=x86-64-v3"};
    words.insert(words.end(), more.begin(), more.end());
    return expect_done(words).out;
  };
  const Words constants = {"--emit=schedule", "--constant-weights", "w.npy"};
  EXPECT_TRUE(emit(constants).starts_with("filter ")) << emit(constants);
  EXPECT_FALSE(emit({"--emit=schedule"}).starts_with("filter "));
  // Only where weights are 0 does it matter what src holds.
  EXPECT_EQ(emit({"--constant-weights", "w.npy"}),
            emit({"--constant-weights", "w.npy", "--assume-finite"}));
  NpyArray sharpen{{3, 3, 1, 3}, {}};
  for (int i = 0; i < 27; ++i)
    sharpen.data.push_back(i / 3 == 4 ? 5.0f : i / 3 % 2 == 1 ? -1.0f : 0.0f);
  ASSERT_TRUE(write_npy(work_ / "s.npy", sharpen).ok());
  EXPECT_NE(emit({"--constant-weights", "s.npy"}),
            emit({"--constant-weights", "s.npy", "--assume-finite"}));
  fs::remove(work_ / "s.npy");
  expect_done({"emit", kPicture, "--emit=schedule,llvm,asm,obj,bc", "-o", "k", "--constant-weights",
               "w.npy"});
  EXPECT_EQ(files(), (std::set<std::string>{"w.npy", "k.schedule", "k.ll", "k.s", "k.o", "k.bc"}));
  // Weights that make no filter are data of the object.
  write_array("d.npy", {3, 3, 20, 32});
  const Ran dense = expect_done({"emit", "conv2d src=f32:nhwc:1x8x8x20 weights=f32:hwio:3x3x20x32",
                                 "--constant-weights", "d.npy"});
  EXPECT_NE(dense.out.find("@weights = private constant"), std::string::npos);
}

TEST_F(ToolTest, VerifiesExplainsAndTimesConstantWeights) {
  write_array("w.npy", {3, 3, 1, 3});
  const Words constants = {"--constant-weights", "w.npy"};
  for (const Words& more : std::vector<Words>{{}, {"--assume-finite"}, {"--engine=generic"}}) {
    Words words = {"verify", kPicture, "--constant-weights", "w.npy"};
    words.insert(words.end(), more.begin(), more.end());
    const std::vector<std::string> lines = lines_of(expect_done(words).out);
    ASSERT_EQ(lines.size(), 2u);
    expect_pass_line(lines[0], "");
  }
  const Ran failed = run(
      {"verify", kPicture, "--constant-weights", "w.npy", "--assume-finite", "--schedule=lanes=3"});
  EXPECT_EQ(failed.exit, 1);
  EXPECT_NE(failed.err.find(" --constant-weights w.npy --assume-finite 'conv2d"), std::string::npos)
      << failed.err;

  const std::string text =
      expect_done({"explain", kPicture, "--constant-weights", "w.npy", "--seconds=0.01"}).out;
  for (const char* sign : {"schedule   filter ", "why        weights are constants: ", "measured "})
    EXPECT_NE(text.find(sign), std::string::npos) << sign << "\n" << text;

  const std::vector<std::string> rows =
      lines_of(expect_done({"bench", kPicture, "--engines=jit,variable,generic", "--json",
                            "--seconds=0.01", "--constant-weights", "w.npy", "--threads=2"})
                   .out);
  ASSERT_EQ(rows.size(), 3u);
  const Words engines = {"jit", "variable", "generic"};
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto row = nlohmann::json::parse(rows[i]);
    EXPECT_EQ(row["engine"], engines[i]);
    EXPECT_EQ(row["schedule"].get<std::string>().starts_with("filter "), i == 0) << rows[i];
    EXPECT_GT(row["min_us"], 0);
  }
}

TEST_F(ToolTest, RefusesConstantWeightsThatDoNotFit) {
  write_array("x.npy", {1, 9, 40, 3});
  write_array("w.npy", {3, 3, 1, 3});
  write_array("wrong.npy", {3, 3, 3, 1});
  write_text(work_ / "bad.npy", "no array");
  for (const Words& command :
       std::vector<Words>{{"emit", kPicture},
                          {"verify", kPicture},
                          {"explain", kPicture},
                          {"bench", kPicture},
                          {"run", kPicture, "--src", "x.npy", "--dst", "y.npy"}}) {
    const bool is_run = command[0] == "run";
    const auto refused = [&](const Words& more, const std::string& message) {
      Words words = command;
      words.insert(words.end(), more.begin(), more.end());
      expect_refused(words, message);
    };
    refused({"--constant-weights", "missing.npy"}, "missing.npy: No such file");
    refused({"--constant-weights", "bad.npy"}, "bad.npy: byte 0: no .npy file");
    refused({"--constant-weights", "wrong.npy"},
            is_run ? "weights: the conv says 3x3x1x3, wrong.npy holds 3x3x3x1"
                   : "constant-weights: wrong.npy holds 3x3x3x1, expected 3x3x1x3");
    refused({"--assume-finite"}, "--assume-finite: is given, but --constant-weights is not");
    refused({"--constant-weights"}, "--constant-weights");
    // verify reports a refused schedule as a failure, bench has printed its heading by then.
    if (command[0] != "verify" && command[0] != "bench")
      refused({"--constant-weights", "w.npy", "--schedule=filter lanes=4 tile=16x1"},
              "schedule tile=16x1: floats of a filter's tile");
  }
  const Words run_words = {"run", kPicture, "--src", "x.npy", "--dst", "y.npy"};
  Words both = run_words;
  both.insert(both.end(), {"--weights", "w.npy", "--constant-weights", "w.npy"});
  expect_refused(both, "--weights: are given, and --constant-weights too");
  expect_refused(run_words, "--weights: are missing, or --constant-weights");
  expect_refused({"verify", "--random", "3", "--constant-weights", "w.npy"}, "leave out --random");
  expect_refused({"bench", kPicture, "--engines=variable"}, "--engines=variable");
}

}  // namespace
}  // namespace convgen::tool
