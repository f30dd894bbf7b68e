// SPDX-License-Identifier: Apache-2.0
// What --help says: of every command and option, in lines that fit, with examples that work. The
// commands are taken from the help itself, so a new one is held to the same.
#include <regex>

#include "tests/tools/tiny_onnx_model.h"
#include "tests/tools/tool_fixture.h"

namespace convgen::tool {
namespace {

constexpr size_t kHelpColumn = 30;

class HelpTest : public ToolTest {
 protected:
  // The lines below "TITLE:", up to an empty one.
  static Words section(const std::string& help, const std::string& title) {
    Words lines;
    bool inside = false;
    for (const std::string& line : lines_of(help)) {
      if (inside && line.empty()) break;
      if (inside) lines.push_back(line);
      inside |= line == title + ":";
    }
    return lines;
  }

  // The commands that `convgen --help` lists: what stands alone in front of an explanation.
  Words commands() {
    Words names;
    for (const std::string& line : lines_of(expect_done({"--help"}).out))
      if (line.starts_with("  ") && line[2] >= 'a' && line[2] <= 'z' && line.size() > kHelpColumn &&
          line[kHelpColumn - 1] == ' ' && !line.starts_with("  convgen"))
        names.push_back(line.substr(2, line.find(' ', 2) - 2));
    EXPECT_GE(names.size(), 11u);
    return names;
  }

  std::string help_of(const std::string& command) { return expect_done({command, "--help"}).out; }

  // Each with its continued lines.
  static Words examples_of(const std::string& help) {
    Words examples;
    bool goes_on = false;
    for (const std::string& line : section(help, "examples")) {
      if (goes_on)
        examples.back() += "\n" + line;
      else
        examples.push_back(line);
      goes_on = line.ends_with('\\');
    }
    return examples;
  }

  // Files that examples read: .conv and .onnx by any name, one convolution for @one.conv, else two.
  void write_files_of(const std::string& example) {
    const std::regex name(R"([@ ]([A-Za-z0-9_]+\.(conv|onnx)))");
    for (std::sregex_iterator i(example.begin(), example.end(), name), end; i != end; ++i) {
      const std::string file = (*i)[1], convs = file == "one.conv" ? "" : kOther + "\n";
      write_text(work_ / file, (*i)[2] == "conv" ? kConv + "\n" + convs : tiny_onnx_model());
    }
  }

  void write_arrays() {
    write_array("x.npy", {1, 8, 8, 4});
    write_array("w.npy", {3, 3, 4, 8});
    write_array("b.npy", {8});
    write_array("photo.npy", {1, 16, 16, 3});
    write_array("edge.npy", {3, 3, 1, 3});
  }
};

TEST_F(HelpTest, EveryExampleWorks) {
  write_arrays();
  Words helps = {expect_done({"--help"}).out};
  for (const std::string& command : commands()) helps.push_back(help_of(command));
  for (const std::string& help : helps) {
    const Words examples = examples_of(help);
    EXPECT_FALSE(examples.empty()) << "no example:\n" << help;
    for (const std::string& example : examples) {
      write_files_of(example);
      const Ran ran = run_in_bash("set -o pipefail\n" + example, {{"CONVGEN_CACHE_DIR", "cache"}});
      // An optional part of convgen may be missing, and says so.
      const bool optional = ran.err.find("this convgen was built without") != std::string::npos;
      EXPECT_TRUE(ran.exit == 0 || optional) << example << "\n" << ran.err;
    }
  }
}

TEST_F(HelpTest, EveryCommandAndOptionIsDescribed) {
  for (const std::string& command : commands()) {
    const std::string help = help_of(command);
    EXPECT_GT(lines_of(help)[0].size(), 10u) << command;
    for (const char* title : {"arguments", "options"}) {
      const Words lines = section(help, title);
      for (size_t i = 0; i < lines.size(); ++i) {
        if (lines[i][2] == ' ') continue;  // an explanation that goes on
        const bool beside = lines[i].size() > kHelpColumn && lines[i][kHelpColumn - 1] == ' ';
        const bool below = i + 1 < lines.size() && lines[i + 1][2] == ' ';
        EXPECT_TRUE(beside || below) << command << ": " << lines[i];
      }
    }
    EXPECT_FALSE(section(help, "options").empty()) << command;
  }
}

TEST_F(HelpTest, FitsHundredColumns) {
  Words helps = {expect_done({"--help"}).out, run({}).err};
  for (const std::string& command : commands()) helps.push_back(help_of(command));
  for (const std::string& help : helps)
    for (const std::string& line : lines_of(help)) EXPECT_LE(line.size(), 100u) << line;
}

TEST_F(HelpTest, IsTheSameByCommandAndByOption) {
  EXPECT_EQ(expect_done({"help"}).out, expect_done({"--help"}).out);
  for (const std::string& command : commands())
    EXPECT_EQ(command == "help" ? help_of(command) : expect_done({"help", command}).out,
              help_of(command));
  expect_refused({"help", "verfy"}, "COMMAND: verfy: expected emit, bundle, run, ");
  expect_refused({"help", "verfy"}, "; did you mean 'verify'?");
}

TEST_F(HelpTest, GroupsTheCommandsAndSaysWhereMoreIs) {
  const std::string help = expect_done({"--help"}).out;
  EXPECT_EQ(section(help, "measure").size(), 2u) << help;
  EXPECT_EQ(help.find("\nSubcommands:"), std::string::npos) << "CLI11's word";
  for (const char* where : {"docs/tool.md", "docs/conv-ir.md", "man convgen", "convgen help "})
    EXPECT_NE(help.find(where), std::string::npos) << where;
}

TEST_F(HelpTest, NamesWhatOptionsTake) {
  const std::string emit = help_of("emit"), verify = help_of("verify");
  EXPECT_NE(emit.find("stages to dump, several with commas: conv, schedule, llvm, "),
            std::string::npos)
      << emit;
  EXPECT_NE(emit.find("default llvm"), std::string::npos) << emit;
  EXPECT_NE(emit.find("usage: convgen emit [options] CONV\n"), std::string::npos) << emit;
  EXPECT_NE(verify.find("usage: convgen verify [options] [CONV...]\n"), std::string::npos)
      << verify;
  EXPECT_NE(verify.find("what computes: jit or generic; default jit"), std::string::npos) << verify;
  EXPECT_NE(verify.find("in 1..1024"), std::string::npos) << verify;
}

TEST_F(HelpTest, IsShortWhereNoCommandIsGiven) {
  const Ran ran = run({});
  EXPECT_EQ(ran.exit, 2);
  EXPECT_EQ(ran.out, "");
  EXPECT_TRUE(ran.err.starts_with("convgen: error: no command is given, expected a subcommand\n"))
      << ran.err;
  for (const std::string& command : commands())
    EXPECT_NE(ran.err.find("\n  " + command + " "), std::string::npos) << command;
}

}  // namespace
}  // namespace convgen::tool
