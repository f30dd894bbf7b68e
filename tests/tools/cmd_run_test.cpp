// SPDX-License-Identifier: Apache-2.0
// convgen run.
#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/tools/tool_fixture.h"

namespace convgen::tool {
namespace {

class WorkedExampleTest : public ToolTest, public testing::WithParamInterface<const char*> {};

TEST_P(WorkedExampleTest, EveryEngineGivesTheAnswer) {
  const fs::path oracle = fs::path(CONVGEN_TEST_DATA_DIR) / "oracle";
  const auto example =
      nlohmann::json::parse(read_file(oracle / (std::string(GetParam()) + ".json")));
  const Result<NpyArray> expected = read_npy(oracle / example["dst"].get<std::string>());
  const Result<NpyArray> bound = read_npy(oracle / example["bound"].get<std::string>());
  ASSERT_TRUE(expected.ok() && bound.ok());
  for (const char* engine : {"jit", "generic", "interpreter"}) {
    SCOPED_TRACE(engine);
    expect_done({"run", example["conv"], "--src", oracle / example["src"].get<std::string>(),
                 "--weights", oracle / example["weights"].get<std::string>(), "--dst", "y.npy",
                 std::string("--engine=") + engine});
    const Result<NpyArray> dst = read_npy(work_ / "y.npy");
    ASSERT_TRUE(dst.ok()) << dst.status().message();
    EXPECT_EQ(dst->shape, expected->shape);
    ASSERT_EQ(dst->data.size(), expected->data.size());
    // gamma(terms + 2), doubled since dst and bound have been rounded to f32 here.
    const float gamma = std::ldexp(example["terms"].get<float>() + 2, -23);
    for (size_t i = 0; i < dst->data.size(); ++i) {
      EXPECT_LE(std::abs(dst->data[i] - expected->data[i]), gamma * bound->data[i]) << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Oracle, WorkedExampleTest,
                         testing::Values("seed1", "seed2", "seed3", "seed4"),
                         [](const auto& example) { return std::string(example.param); });

TEST_F(ToolTest, RunTakesFromTheFilesWhatTheTextLeavesOut) {
  write_array("x.npy", {1, 5, 5, 2});
  write_array("w.npy", {3, 3, 2, 4});
  const Words files = {"--src", "x.npy", "--weights", "w.npy", "--dst", "y.npy"};
  std::set<std::string> answers;
  for (const char* conv : {"conv2d pads=same", "conv2d src=f32:nhwc weights=f32:hwio pads=1:1x1:1",
                           "conv2d src=f32:nhwc:1x5x5x2 weights=f32:hwio:3x3x2x4 pads=same"}) {
    Words words = {"run", conv};
    words.insert(words.end(), files.begin(), files.end());
    expect_done(words);
    answers.insert(read_file(work_ / "y.npy"));
  }
  EXPECT_EQ(answers.size(), 1u);
  EXPECT_EQ(read_npy(work_ / "y.npy")->shape, (std::vector<int64_t>{1, 5, 5, 4}));
}

TEST_F(ToolTest, RunReadsStandardInputAndWritesStandardOutput) {
  write_array("x.npy", {1, 5, 2});
  write_array("w.npy", {3, 2, 4});
  expect_done({"run", "conv1d", "--src", "x.npy", "--weights", "w.npy", "--dst", "y.npy"});
  set_input(read_file(work_ / "x.npy"));
  const Ran ran = expect_done({"run", "conv1d", "--src", "-", "--weights", "w.npy", "--dst", "-"});
  EXPECT_EQ(ran.out, read_file(work_ / "y.npy"));
}

TEST_F(ToolTest, RunAppliesThePostOps) {
  write_array("x.npy", {1, 4, 1});
  write_array("w.npy", {1, 1, 2});
  write_array("v.npy", {2});
  write_array("r.npy", {1, 4, 2});
  const Words common = {"run",       "conv1d post=bias,add,scale",
                        "--src",     "x.npy",
                        "--weights", "w.npy",
                        "--bias",    "v.npy",
                        "--add",     "r.npy",
                        "--scale",   "v.npy",
                        "--dst"};
  std::set<std::string> answers;
  for (const char* engine : {"jit", "generic", "interpreter"}) {
    Words words = common;
    words.insert(words.end(), {"y.npy", "--engine", engine, "--threads", "2"});
    expect_done(words);
    answers.insert(read_file(work_ / "y.npy"));
  }
  EXPECT_EQ(answers.size(), 1u);  // small integers: every engine is exact
}

TEST_F(ToolTest, RunAcceptsAnEmptyBatch) {
  write_array("x.npy", {0, 5, 2});
  write_array("w.npy", {3, 2, 4});
  for (const char* engine : {"jit", "generic", "interpreter"}) {
    expect_done({"run", "conv1d", "--src", "x.npy", "--weights", "w.npy", "--dst", "y.npy",
                 "--engine", engine});
    EXPECT_EQ(read_npy(work_ / "y.npy")->shape, (std::vector<int64_t>{0, 3, 4}));
  }
}

TEST_F(ToolTest, RunRefusesTensorsThatDoNotFit) {
  write_array("x.npy", {1, 5, 5, 2});
  write_array("w.npy", {3, 3, 2, 4});
  write_array("w1.npy", {3, 2, 4});
  write_array("b3.npy", {3});
  write_text(work_ / "bad.npy", "no array");
  const auto refused = [&](const std::string& conv, const std::string& message, Words more = {}) {
    Words words = {"run", conv, "--dst", "y.npy"};
    if (std::ranges::find(more, "--src") == more.end()) more.insert(more.end(), {"--src", "x.npy"});
    if (std::ranges::find(more, "--weights") == more.end()) {
      more.insert(more.end(), {"--weights", "w.npy"});
    }
    words.insert(words.end(), more.begin(), more.end());
    expect_refused(words, message);
  };
  refused("conv2d src=f32:nhwc:1x6x5x2", "src: the conv says 1x6x5x2, x.npy holds 1x5x5x2");
  refused("conv2d weights=f32:hwio:3x3x2x5", "weights: the conv says 3x3x2x5, w.npy holds 3x3x2x4");
  refused("conv2d", "w1.npy holds 3 dimensions (3x2x4), layout hwio needs 4",
          {"--weights", "w1.npy"});
  refused("conv3d", "x.npy holds 4 dimensions", {});
  refused("conv2d src=f32:nchw", "", {});
  refused("conv2d post=bias", "--bias: is missing, post= uses bias");
  refused("conv2d", "--bias: b3.npy is given, but post= of the conv does not use it",
          {"--bias", "b3.npy"});
  refused("conv2d post=bias", "bias: b3.npy holds 3, expected 4", {"--bias", "b3.npy"});
  refused("conv2d post=add", "add: b3.npy holds 3, expected 1x3x3x4", {"--add", "b3.npy"});
  refused("conv2d", "bad.npy: byte 0: no .npy file", {"--src", "bad.npy"});
  refused("conv2d", "missing.npy: No such file", {"--src", "missing.npy"});
  refused("conv2d", "standard input", {"--src", "-", "--weights", "-"});
  refused("conv2d", "--schedule", {"--engine=generic", "--schedule=unroll=tile"});
  refused("conv2d pads=9999999999x9999999999", "", {});
  expect_refused({"run", "conv2d", "--src", "x.npy", "--weights", "w.npy"}, "--dst");
  expect_refused({"run", "conv2d", "--src", "x.npy", "--weights", "w.npy", "--dst", "no/y.npy"},
                 "no/y.npy: No such file");
}

}  // namespace
}  // namespace convgen::tool
