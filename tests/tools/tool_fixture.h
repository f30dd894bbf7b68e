// SPDX-License-Identifier: Apache-2.0
// The built command as a user meets it: exit codes, messages, files. Every case runs the binary in
// a directory of its own, so that what it leaves behind can be seen.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "tools/npy.h"

namespace convgen::tool {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;
using Environment = std::map<std::string, std::string>;

inline const std::string kConv = "conv2d src=f32:nhwc:1x8x8x4 weights=f32:hwio:3x3x4x8 pads=same";
inline const std::string kCanonical =
    "conv2d src=f32:nhwc:1x8x8x4 weights=f32:hwio:3x3x4x8 pads=1x1";
inline const std::string kOther = "conv1d name=other src=f32:nwc:1x40x8 weights=f32:wio:3x8x8";

struct Ran {
  int exit = -1;  // -1: by a signal
  std::string out;
  std::string err;
};

inline std::string read_file(const fs::path& path) {
  if (!fs::is_regular_file(path)) return "";
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void write_text(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

inline std::vector<std::string> lines_of(const std::string& text) {
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
  Ran run(const Words& words, const Environment& environment = {},
          const std::function<void(pid_t)>& while_running = {}) {
    return run_program(with_tool(words), environment, while_running);
  }

  // A line for bash, which finds convgen on its path.
  Ran run_in_bash(const std::string& line, const Environment& environment = {}) {
    return run_program({"/bin/bash", "-c", path_line() + line}, environment);
  }

  // words[0] is the program.
  Ran run_program(const Words& all, const Environment& environment = {},
                  const std::function<void(pid_t)>& while_running = {}) {
    const Words variables = make_environment(environment);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    constexpr int kWrite = O_WRONLY | O_CREAT | O_TRUNC;
    posix_spawn_file_actions_addopen(&actions, 0, (root_ / "in").c_str(), O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, (root_ / "out").c_str(), kWrite, 0600);
    posix_spawn_file_actions_addopen(&actions, 2, (root_ / "err").c_str(), kWrite, 0600);
    posix_spawn_file_actions_addchdir_np(&actions, work_.c_str());
    pid_t child = 0;
    const int failure = ::posix_spawn(&child, all[0].c_str(), &actions, nullptr,
                                      pointers(all).data(), pointers(variables).data());
    posix_spawn_file_actions_destroy(&actions);
    EXPECT_EQ(failure, 0) << all[0];
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
                      const Environment& environment = {}) {
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

  static Words with_tool(const Words& words) {
    Words all = {CONVGEN_TOOL_PATH};
    all.insert(all.end(), words.begin(), words.end());
    return all;
  }

  static std::string path_line() {
    return "PATH='" + fs::path(CONVGEN_TOOL_PATH).parent_path().string() + "':$PATH\n";
  }

  static Words make_environment(const Environment& changes) {
    Words variables;
    for (char** variable = ::environ; *variable != nullptr; ++variable) {
      const std::string_view text = *variable;
      const bool decides = text.starts_with("CONVGEN_") || text.starts_with("NO_COLOR=") ||
                           text.starts_with("CLICOLOR");
      if (!decides && !changes.contains(std::string(text.substr(0, text.find('=')))))
        variables.emplace_back(text);
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

  fs::path root_, work_;
};

// "PASS ERROR BOUND CONV": two numbers, then the canonical text.
inline void expect_pass_line(const std::string& line, const std::string& conv) {
  std::istringstream words(line);
  std::string verdict, error, bound, text;
  words >> verdict >> error >> bound;
  std::getline(words.ignore(), text);
  EXPECT_EQ(verdict, "PASS") << line;
  EXPECT_LE(std::stod(error), std::stod(bound)) << line;
  EXPECT_TRUE(conv.empty() || text == conv) << line;
}

}  // namespace convgen::tool
