// SPDX-License-Identifier: Apache-2.0
// The built command as a user meets it: exit codes, messages, files. Every case runs the binary in
// a directory of its own, so that what it leaves behind can be seen.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "tools/npy.h"

namespace convgen::tool {
namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

const std::string kConv = "conv2d src=f32:nhwc:1x8x8x4 weights=f32:hwio:3x3x4x8 pads=same";
const std::string kCanonical = "conv2d src=f32:nhwc:1x8x8x4 weights=f32:hwio:3x3x4x8 pads=1x1";

struct Ran {
  int exit = -1;  // -1: by a signal
  std::string out;
  std::string err;
};

std::string read_file(const fs::path& path) {
  if (!fs::is_regular_file(path)) return "";
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_text(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

class ToolTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "convgen_tool.XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    work_ = root_ / "work";
    fs::create_directory(work_);
    write_text(root_ / "in", "");
  }
  void TearDown() override { fs::remove_all(root_); }

  void set_input(const std::string& text) { write_text(root_ / "in", text); }

  // Runs the tool in work_ with the environment of this process but for `environment`, and without
  // a cache directory unless that names one.
  Ran run(const Words& words, const std::map<std::string, std::string>& environment = {},
          const std::function<void(pid_t)>& while_running = {}) {
    Words all = {CONVGEN_TOOL_PATH};
    all.insert(all.end(), words.begin(), words.end());
    const Words variables = make_environment(environment);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    constexpr int kWrite = O_WRONLY | O_CREAT | O_TRUNC;
    posix_spawn_file_actions_addopen(&actions, 0, (root_ / "in").c_str(), O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, (root_ / "out").c_str(), kWrite, 0600);
    posix_spawn_file_actions_addopen(&actions, 2, (root_ / "err").c_str(), kWrite, 0600);
    posix_spawn_file_actions_addchdir_np(&actions, work_.c_str());
    pid_t child = 0;
    const int failure = ::posix_spawn(&child, CONVGEN_TOOL_PATH, &actions, nullptr,
                                      pointers(all).data(), pointers(variables).data());
    posix_spawn_file_actions_destroy(&actions);
    EXPECT_EQ(failure, 0) << CONVGEN_TOOL_PATH;
    if (failure == 0 && while_running) while_running(child);
    int status = 0;
    if (failure == 0) ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(root_ / "out"),
            read_file(root_ / "err")};
  }

  Ran expect_done(const Words& words) {
    Ran ran = run(words);
    EXPECT_EQ(ran.exit, 0) << ran.err;
    return ran;
  }

  // The request is refused with `message`, nothing is printed and no file appears or changes.
  void expect_refused(const Words& words, const std::string& message,
                      const std::map<std::string, std::string>& environment = {}) {
    const std::set<std::string> before = files();
    const Ran ran = run(words, environment);
    SCOPED_TRACE(testing::PrintToString(words));
    EXPECT_EQ(ran.exit, 2);
    EXPECT_EQ(ran.out, "");
    EXPECT_TRUE(ran.err.starts_with("convgen: error: ")) << ran.err;
    EXPECT_EQ(std::count(ran.err.begin(), ran.err.end(), '\n'), 1) << ran.err;
    EXPECT_NE(ran.err.find(message), std::string::npos) << ran.err;
    EXPECT_EQ(files(), before);
  }

  std::set<std::string> files() const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(work_)) names.insert(entry.path().filename());
    return names;
  }

  std::string write_array(const std::string& name, const std::vector<int64_t>& shape) const {
    NpyArray array{shape, {}};
    int64_t elements = 1;
    for (const int64_t extent : shape) elements *= extent;
    for (int64_t i = 0; i < elements; ++i) array.data.push_back(static_cast<float>(i % 7 - 3));
    EXPECT_TRUE(write_npy(work_ / name, array).ok());
    return name;
  }

  fs::path root_, work_;

 private:
  static Words make_environment(const std::map<std::string, std::string>& changes) {
    Words variables;
    for (char** variable = ::environ; *variable != nullptr; ++variable) {
      if (!std::string_view(*variable).starts_with("CONVGEN_")) variables.emplace_back(*variable);
    }
    if (!changes.contains("CONVGEN_CACHE_DIR")) variables.push_back("CONVGEN_CACHE_DIR=");
    for (const auto& [name, value] : changes) variables.push_back(name + "=" + value);
    return variables;
  }

  static std::vector<char*> pointers(const Words& words) {
    std::vector<char*> pointers;
    for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
    pointers.push_back(nullptr);
    return pointers;
  }
};

// --- The command line ---

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

// --- CONV arguments ---

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

// --- emit ---

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

// --- run ---

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

// --- verify ---

// "PASS ERROR BOUND CONV": two numbers, then the canonical text.
void expect_pass_line(const std::string& line, const std::string& conv) {
  std::istringstream words(line);
  std::string verdict, error, bound, text;
  words >> verdict >> error >> bound;
  std::getline(words.ignore(), text);
  EXPECT_EQ(verdict, "PASS") << line;
  EXPECT_LE(std::stod(error), std::stod(bound)) << line;
  EXPECT_TRUE(conv.empty() || text == conv) << line;
}

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

// --- bench ---

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

// --- bench --compile ---

const char* const kPhases[] = {"select", "emit", "passes", "codegen", "link", "total"};

TEST_F(ToolTest, BenchCompilePrintsThePhasesOfEachConvolution) {
  const Ran ran = expect_done(
      {"bench", "--compile", kConv + " name=small", kConv, "--json", "--seconds=0", "--threads=2"});
  const std::vector<std::string> lines = lines_of(ran.out);
  ASSERT_EQ(lines.size(), 3u);
  const auto row = nlohmann::json::parse(lines[0]);
  EXPECT_EQ(row["conv"], kCanonical);
  EXPECT_EQ(row["name"], "small");
  EXPECT_GT(row["code_bytes"], 0);
  double sum = 0;
  for (const std::string phase : kPhases) {
    EXPECT_GT(row["min_ms"][phase], 0) << phase;
    EXPECT_GE(row["median_ms"][phase], row["min_ms"][phase]) << phase;
    if (phase != "total") sum += row["min_ms"][phase].get<double>();
  }
  EXPECT_GE(row["min_ms"]["total"], sum);  // a run's total holds its phases
  const auto summary = nlohmann::json::parse(lines[2]);
  EXPECT_EQ(summary["convs"], 2);
  EXPECT_EQ(summary["refused"], 0);
  EXPECT_LE(summary["median_ms"], summary["p95_ms"]);
  EXPECT_LE(summary["p95_ms"], summary["max_ms"]);
  ASSERT_EQ(summary["rates"].size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(summary["rates"][i]["threads"], i + 1);
    EXPECT_GT(summary["rates"][i]["compiles_per_second"], 0);
  }
}

TEST_F(ToolTest, BenchCompilePrintsATable) {
  const Ran ran = expect_done({"bench", "--compile", kConv, "--seconds=0"});
  for (const char* sign : {"cpu ", "llvm ", "select", "codegen", "median",
                           "1 convolutions, 0 refused", "95th percentile", "1 thread: "})
    EXPECT_NE(ran.out.find(sign), std::string::npos) << sign << "\n" << ran.out;
}

// --- tune ---

const std::string kOther = "conv1d name=other src=f32:nwc:1x40x8 weights=f32:wio:3x8x8";

TEST_F(ToolTest, TunesAndUsesWhatItFound) {
  const std::map<std::string, std::string> cache = {{"CONVGEN_CACHE_DIR", "cache"}};
  const Words words = {"tune", kConv, kOther, "--budget=0.05"};
  const Ran first = run(words, cache);
  EXPECT_EQ(first.exit, 0) << first.err;
  EXPECT_EQ(first.err, "") << "no progress in a pipe";
  const std::vector<std::string> lines = lines_of(first.out);
  ASSERT_EQ(lines.size(), 4u) << first.out;
  EXPECT_TRUE(lines[0].starts_with(kCanonical)) << lines[0];
  EXPECT_TRUE(lines[1].starts_with("other ")) << lines[1];
  EXPECT_TRUE(lines[2].starts_with("tuned 2 convolutions: geometric mean ")) << lines[2];
  EXPECT_EQ(lines[3], "kept in cache/tuning");
  EXPECT_EQ(lines_of(read_file(work_ / "cache/tuning")).size(), 3u);
  EXPECT_FALSE(fs::exists(work_ / "cache/tuning.journal"));

  const Ran second = run(words, cache);
  EXPECT_EQ(second.exit, 0) << second.err;
  EXPECT_NE(lines_of(second.out)[0].find("tuned before"), std::string::npos) << second.out;
  const Ran info = run({"info"}, cache);
  EXPECT_NE(info.out.find("cache/tuning (2 of 2 entries for this target)"), std::string::npos)
      << info.out;
}

TEST_F(ToolTest, ExplainSaysWhatTheTuningFileSays) {
  const std::map<std::string, std::string> cache = {{"CONVGEN_CACHE_DIR", "cache"}};
  run({"tune", kConv, "--budget=0"}, cache);
  std::string file = read_file(work_ / "cache/tuning");
  size_t at = file.find(kCanonical);
  for (int field = 0; field < 3; ++field) at = file.find('\t', at) + 1;  // the schedule's
  const std::string odd =
      "direct lanes=4 tile=3x1 ic_unroll=1 order=oc_outer unroll=tile edges=ranged epilogue=loop "
      "output_tile=4 passes=1 merge_rows=0 prefetch=0 rows_per_task=2 tiles_per_task=0 "
      "blocks_per_task=0";
  write_text(work_ / "cache/tuning", file.replace(at, file.find('\t', at) - at, odd));
  const Ran ran = run({"explain", kConv, "--seconds=0"}, cache);
  EXPECT_NE(ran.out.find("schedule   " + odd + "\n"), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("why        from the tuning file; selected was "), std::string::npos)
      << ran.out;
  const Ran by_hand = run({"explain", kConv, "--seconds=0", "--schedule=tile=2x1"}, cache);
  EXPECT_NE(by_hand.out.find("why        by hand; selected was "), std::string::npos)
      << by_hand.out;
  EXPECT_NE(by_hand.out.find("tile=2x1 ic_unroll=1 order=oc_outer"), std::string::npos)
      << "over the tuned words";
}

TEST_F(ToolTest, TunePrintsOneJsonObjectALine) {
  const Ran ran = expect_done(
      {"tune", kConv + " name=small", kOther, "--budget=0.02", "--tuning-file=t", "--json"});
  const std::vector<std::string> lines = lines_of(ran.out);
  ASSERT_EQ(lines.size(), 2u) << ran.out;
  const auto row = nlohmann::json::parse(lines[0]);
  EXPECT_EQ(row["conv"], kCanonical);
  EXPECT_EQ(row["name"], "small");
  EXPECT_EQ(row["threads"], 1);
  EXPECT_GT(row["tuned_us"], 0);
  EXPECT_GE(row["ratio"], 1);
  EXPECT_EQ(row["outcome"], row["schedule"] == row["default_schedule"] ? "default" : "tuned");
  EXPECT_EQ(nlohmann::json::parse(lines[1])["name"], "other");
}

TEST_F(ToolTest, TuneTakesEmptyConvolutions) {
  const Ran ran = expect_done(
      {"tune", "conv1d name=none src=f32:nwc:0x8x3 weights=f32:wio:2x3x4", "--tuning-file=t"});
  EXPECT_EQ(ran.out, "none                     nothing to compute\n");
}

TEST_F(ToolTest, TuneRefusesDamagedAndUnwritableFiles) {
  write_text(work_ / "t", "nonsense\n");
  expect_refused({"tune", kConv, "--tuning-file=t"}, "t:1: version=nonsense: expected");
  expect_refused({"tune", kConv, "--tuning-file=t/u"}, "t");
  EXPECT_EQ(read_file(work_ / "t"), "nonsense\n");
}

// Waits until a text stands in a file, or 60 seconds.
void wait_for(const fs::path& path, const std::string& text) {
  for (int i = 0; i < 6000 && read_file(path).find(text) == std::string::npos; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
}

TEST_F(ToolTest, TuneEndsOnInterruptAndIsResumed) {
  // Hundreds of candidates: minutes, if nothing ends it.
  const Words words = {"tune",        kConv, kOther, "--tuning-file=t", "--candidates=2000",
                       "--budget=600"};
  const Ran ran = run(words, {}, [&](pid_t child) {
    wait_for(work_ / "t.journal", kCanonical);
    ::kill(child, SIGINT);
  });
  EXPECT_EQ(ran.exit, 1) << ran.out << ran.err;
  EXPECT_EQ(ran.out, "");
  EXPECT_TRUE(ran.err.starts_with("convgen: note: interrupted in convolution 1 of 2; ")) << ran.err;
  EXPECT_NE(ran.err.find("the same command goes on from there"), std::string::npos) << ran.err;
  EXPECT_FALSE(fs::exists(work_ / "t"));
  EXPECT_NE(read_file(work_ / "t.journal").find(kCanonical), std::string::npos);

  const Ran rest = run({"tune", kConv, kOther, "--tuning-file=t", "--budget=0.05"});
  EXPECT_EQ(rest.exit, 0) << rest.err;
  EXPECT_FALSE(fs::exists(work_ / "t.journal"));
  EXPECT_EQ(lines_of(read_file(work_ / "t")).size(), 3u);
}

// --- --constant-weights ---

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

// --- cache ---

TEST_F(ToolTest, KeepsKernelsOnDisk) {
  const std::map<std::string, std::string> cache = {{"CONVGEN_CACHE_DIR", "cache"},
                                                    {"CONVGEN_VERBOSE", "1"}};
  const Words verify = {"verify", kConv, kOther};
  const Ran first = run(verify, cache), second = run(verify, cache);
  EXPECT_EQ(first.exit, 0) << first.err;
  EXPECT_EQ(second.out, first.out);
  for (const auto& [ran, word, other] :
       {std::tuple{first, "compile", "load"}, std::tuple{second, "load", "compile"}}) {
    EXPECT_NE(ran.err.find(std::string("convgen,") + word + ",jit,"), std::string::npos) << ran.err;
    EXPECT_EQ(ran.err.find(std::string("convgen,") + other), std::string::npos) << ran.err;
  }
  write_text(work_ / "cache/notes", "mine");

  const auto in_cache = [&](const Words& words) { return run(words, cache).out; };
  const std::string directory = fs::canonical(work_ / "cache");
  EXPECT_EQ(in_cache({"cache", "path"}), directory + "\n");
  const auto stats = nlohmann::json::parse(in_cache({"cache", "stats", "--json"}));
  EXPECT_EQ(stats["entries"], 2);
  EXPECT_EQ(stats["directory"], directory);
  EXPECT_GT(stats["bytes"], 2000);
  EXPECT_EQ(stats["max_bytes"], 256 << 20);
  EXPECT_NE(in_cache({"cache", "stats"}).find("entries:    2\n"), std::string::npos);
  EXPECT_NE(in_cache({"info"}).find("cache directory: " + directory + " (2 kernels, "),
            std::string::npos);
  const std::vector<std::string> listed = lines_of(in_cache({"cache", "list"}));
  ASSERT_EQ(listed.size(), 2u);
  EXPECT_TRUE(listed[0].ends_with(kCanonical) || listed[1].ends_with(kCanonical)) << listed[0];
  for (const std::string& line : lines_of(in_cache({"cache", "list", "--json"})))
    EXPECT_TRUE(nlohmann::json::parse(line)["conv"].get<std::string>().starts_with("conv")) << line;
  EXPECT_EQ(in_cache({"cache", "clear"}), "removed 2 kernels\n");
  EXPECT_EQ(in_cache({"cache", "list"}), "");
  EXPECT_EQ(read_file(work_ / "cache/notes"), "mine");
}

TEST_F(ToolTest, RandomKernelsAndMeasuredOnesAreNotKept) {
  const std::map<std::string, std::string> cache = {{"CONVGEN_CACHE_DIR", "cache"}};
  for (const Words& words : {Words{"verify", "--random", "3"}, Words{"bench", kConv, "--seconds=0"},
                             Words{"explain", kConv, "--seconds=0"}, Words{"info"}})
    EXPECT_EQ(run(words, cache).exit, 0) << words[0];
  EXPECT_FALSE(fs::exists(work_ / "cache"));
}

TEST_F(ToolTest, WarnsOnceOfADirectoryThatIsNotToBeTrusted) {
  fs::create_directory(work_ / "cache");
  fs::permissions(work_ / "cache", fs::perms(0777));
  for (const char* verbose : {"", "1"}) {
    const Ran ran = run({"verify", kConv, kOther},
                        {{"CONVGEN_CACHE_DIR", "cache"}, {"CONVGEN_VERBOSE", verbose}});
    EXPECT_EQ(ran.exit, 0) << ran.err;
    const size_t at = ran.err.find("convgen: warning: kernels are not kept on disk: ");
    ASSERT_NE(at, std::string::npos) << ran.err;
    EXPECT_NE(ran.err.find("cache: has mode 0777, expected"), std::string::npos) << ran.err;
    EXPECT_EQ(ran.err.find("warning", ran.err.find('\n', at)), std::string::npos) << ran.err;
  }
  EXPECT_TRUE(fs::is_empty(work_ / "cache"));
  for (const char* action : {"stats", "list", "clear"})
    expect_refused({"cache", action}, "has mode 0777", {{"CONVGEN_CACHE_DIR", "cache"}});
  EXPECT_NE(run({"info"}, {{"CONVGEN_CACHE_DIR", "cache"}}).out.find("not used: "),
            std::string::npos);
}

TEST_F(ToolTest, TellsThatNothingIsKept) {
  for (const char* action : {"stats", "list", "clear", "path"}) {
    const Ran ran = run({"cache", action});
    EXPECT_EQ(ran.exit, 0) << ran.err;
    EXPECT_TRUE(ran.err.starts_with("convgen: note: the cache is off")) << ran.err;
  }
  EXPECT_NE(run({"info"}).out.find("cache directory: none"), std::string::npos);
}

// --- explain, info ---

TEST_F(ToolTest, ExplainsWhatWasDecided) {
  const Ran ran = expect_done({"explain", kConv, "--seconds=0.01"});
  for (const char* sign :
       {"conv       conv2d", "dst        1x8x8x8", "flops      36864", "bytes ", "intensity ",
        "schedule ", "why ", "tasks ", "code size ", "peak ", "predicted ", "measured "}) {
    EXPECT_NE(ran.out.find(sign), std::string::npos) << sign << "\n" << ran.out;
  }
  expect_refused({"explain", kConv, "--mcpu=nonsense"}, "nonsense");
}

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
