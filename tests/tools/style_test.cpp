// SPDX-License-Identifier: Apache-2.0
// Colours and progress on a terminal, and not a byte of them anywhere else.
#include "tests/tools/pseudo_terminal.h"
#include "tests/tools/tool_fixture.h"

namespace convgen::tool {
namespace {

class StyleTest : public ToolTest {
 protected:
  // What the tool prints to a terminal that has colours.
  std::string on_terminal(const Words& words, Environment environment = {}) {
    if (!environment.contains("TERM")) environment["TERM"] = "xterm";
    PseudoTerminal terminal(with_tool(words), make_environment(environment), work_);
    return terminal.read_all();
  }

  static bool holds(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }
};

TEST_F(StyleTest, ColoursOnATerminal) {
  EXPECT_TRUE(holds(on_terminal({"verify", kConv}), "\033[32mPASS\033[0m "));
  EXPECT_TRUE(
      holds(on_terminal({"verify", kConv, "--schedule=lanes=3"}), "\033[1;31mFAIL\033[0m "));
  EXPECT_TRUE(holds(on_terminal({"frobnicate"}), "convgen: \033[1;31merror:\033[0m unknown"));
  EXPECT_TRUE(
      holds(on_terminal({"cache", "list"}), "convgen: \033[1mnote:\033[0m the cache is off"));
  EXPECT_TRUE(holds(on_terminal({"help", "emit"}), "\033[1moptions:\033[0m"));
}

TEST_F(StyleTest, BenchMarksTheBestEngineAndTheHeader) {
  const std::string text = on_terminal({"bench", kConv, "--seconds=0.01"});
  EXPECT_TRUE(holds(text, "\033[1m  engine "));
  size_t marked = 0;
  for (size_t at = text.find("\033[32m"); at != text.npos; at = text.find("\033[32m", at + 1))
    ++marked;
  EXPECT_EQ(marked, 1u) << text;
  EXPECT_FALSE(holds(on_terminal({"bench", kConv, "--seconds=0", "--engines=jit"}), "\033[32m"))
      << "alone, it is no best";
}

TEST_F(StyleTest, TheEnvironmentSaysNo) {
  for (const auto& [name, value] :
       {std::pair("NO_COLOR", "1"), std::pair("TERM", "dumb"), std::pair("TERM", "")})
    for (const Words& words : {Words{"verify", kConv}, Words{"frobnicate"}, Words{"--help"}}) {
      const std::string text = on_terminal(words, {{name, value}});
      EXPECT_FALSE(holds(text, "\033[3") || holds(text, "\033[1")) << name << "=" << value;
    }
  EXPECT_FALSE(holds(on_terminal({"verify", kConv}, {{"TERM", "dumb"}}), "\033"))
      << "nor progress, which moves the cursor";
}

TEST_F(StyleTest, ForcedInAPipe) {
  const Ran ran = run({"verify", kConv}, {{"CLICOLOR_FORCE", "1"}});
  EXPECT_TRUE(ran.out.starts_with("\033[32mPASS\033[0m ")) << ran.out;
  EXPECT_TRUE(run({"verify", kConv}, {{"CLICOLOR_FORCE", "0"}}).out.starts_with("PASS "));
  EXPECT_TRUE(run({"verify", kConv}, {{"CLICOLOR_FORCE", "1"}, {"NO_COLOR", "1"}})
                  .out.starts_with("PASS "));
}

TEST_F(StyleTest, APipeGetsNoEscapeByte) {
  for (const Words& words : std::vector<Words>{{},
                                               {"--help"},
                                               {"frobnicate"},
                                               {"verify", kConv, "--schedule=lanes=3"},
                                               {"verify", "--random", "3"},
                                               {"bench", kConv, "--seconds=0"},
                                               {"bench", "--compile", kConv, "--seconds=0"},
                                               {"tune", kConv, "--budget=0", "--tuning-file=t"},
                                               {"explain", kConv, "--seconds=0"},
                                               {"cache", "list"},
                                               {"info"},
                                               {"man"},
                                               {"help", "emit"}}) {
    const Ran ran = run(words, {{"TERM", "xterm"}});
    EXPECT_FALSE(holds(ran.out + ran.err, "\033") || holds(ran.out + ran.err, "\r"))
        << testing::PrintToString(words);
  }
}

// Each line of progress is erased before anything else is printed, and at the end.
TEST_F(StyleTest, LongWorkShowsProgressOnATerminal) {
  const std::string erase = "\r\033[K";
  const std::string verify = on_terminal({"verify", "--random", "3"});
  EXPECT_TRUE(holds(verify, "\rverify 1/3" + erase + "\033[32mPASS")) << verify;
  EXPECT_TRUE(holds(verify, "\rverify 3/3" + erase + "verified 3 ")) << verify;
  const std::string bench = on_terminal({"bench", kConv, kOther, "--seconds=0"});
  EXPECT_TRUE(holds(bench, "\rbench 2/2" + erase)) << bench;
  const std::string compile = on_terminal({"bench", "--compile", kConv, "--seconds=0"});
  EXPECT_TRUE(holds(compile, "\rbench 1/1" + erase)) << compile;
  EXPECT_TRUE(holds(on_terminal({"tune", kConv, "--budget=0", "--tuning-file=t"}), "tune 1/1 ["));
}

}  // namespace
}  // namespace convgen::tool
