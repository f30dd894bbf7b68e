// SPDX-License-Identifier: Apache-2.0
// The shells' completions, asked by the shells themselves: what they offer where the cursor stands.
#include "tests/tools/pseudo_terminal.h"
#include "tests/tools/tool_fixture.h"

namespace convgen::tool {
namespace {

class CompletionTest : public ToolTest {
 protected:
  void SetUp() override {
    ToolTest::SetUp();
    write_text(work_ / "layers.conv", kConv + "\n");
    write_text(work_ / "input.npy", "");
    write_text(work_ / "notes.txt", "");
    fs::create_directory(work_ / "inner");
  }

  bool has(const std::string& shell) { return run_in_bash("command -v " + shell).exit == 0; }

  // What bash would offer: `words` as bash splits them, the cursor at the end of the last.
  std::set<std::string> bash_offers(const Words& words) {
    std::string line = "source <(convgen completion bash); COMP_WORDS=(";
    for (const std::string& word : words) line += "\"" + word + "\" ";
    line += ") COMP_CWORD=" + std::to_string(words.size() - 1) +
            "; _convgen; printf '%s\\n' \"${COMPREPLY[@]}\"";
    const Ran ran = run_in_bash(line);
    EXPECT_EQ(ran.err, "");
    return set_of(ran.out);
  }

  // What fish would offer, without the explanations behind tabs.
  std::set<std::string> fish_offers(const std::string& line) {
    const Ran ran = run_in_bash(
        "fish --no-config -c 'convgen completion fish | source; complete -C \"" + line + "\"'",
        {{"HOME", work_}});
    EXPECT_EQ(ran.err, "");
    return set_of(ran.out);
  }

  // What a shell on a terminal runs where a person types each line with TAB and ENTER behind it:
  // the words of `convgen`, which is a function there that prints them.
  Words typed_in(const Words& shell, const std::string& setup, const Words& lines) {
    PseudoTerminal terminal(
        shell, make_environment({{"TERM", "vt100"}, {"HOME", work_}, {"ZDOTDIR", work_}}), work_);
    terminal.type(path_line() + setup +
                  "\nconvgen() { printf '<%s>' \"$@\"; echo ' e''nd'; }; PS1='a''t rest> '\n");
    size_t from = 0;
    Words ran;
    for (const std::string& line : lines) {
      terminal.read_until("at rest> ", from);  // TAB means nothing to a shell that is busy
      from = terminal.size();
      terminal.type(line + "\t\n");
      const std::string seen = terminal.read_until(" end\r\n", from);
      const size_t end = std::min(seen.find(" end\r\n"), seen.size());
      const size_t begin = seen.find_last_of("\r\n", end - 1) + 1;
      ran.push_back(seen.substr(begin, end - begin));
      from += end;
    }
    return ran;
  }

  static std::set<std::string> set_of(const std::string& text) {
    std::set<std::string> words;
    for (const std::string& line : lines_of(text))
      if (!line.empty()) words.insert(line.substr(0, line.find('\t')));
    return words;
  }
};

using Offers = std::set<std::string>;

TEST_F(CompletionTest, BashOffersCommandsAndOptions) {
  EXPECT_EQ(bash_offers({"convgen", "e"}), (Offers{"emit", "explain"}));
  EXPECT_TRUE(bash_offers({"convgen", ""}).contains("verify"));
  EXPECT_EQ(bash_offers({"convgen", "--v"}), (Offers{"--version"}));
  EXPECT_EQ(bash_offers({"convgen", "emit", "--m"}), (Offers{"--mtriple", "--mcpu", "--mattr"}));
  EXPECT_EQ(bash_offers({"convgen", "verify", "@", "x", "--se"}), (Offers{"--seed"}));
  EXPECT_EQ(bash_offers({"convgen", "verify", "--json"}), Offers{}) << "an option of others";
  EXPECT_EQ(bash_offers({"convgen", "help", "ve"}), (Offers{"verify"}));
}

TEST_F(CompletionTest, BashOffersValues) {
  EXPECT_EQ(bash_offers({"convgen", "run", "--engine", ""}),
            (Offers{"jit", "generic", "interpreter"}));
  // Bash takes "=" for a word.
  EXPECT_EQ(bash_offers({"convgen", "verify", "--engine", "=", "g"}), (Offers{"generic"}));
  EXPECT_EQ(bash_offers({"convgen", "verify", "--engine", "="}), (Offers{"jit", "generic"}));
  EXPECT_EQ(bash_offers({"convgen", "emit", "--emit", "=", "conv,ll"}),
            (Offers{"conv,llvm", "conv,llvm-opt"}));
  EXPECT_EQ(bash_offers({"convgen", "emit", "--mcpu", "hasw"}), (Offers{"haswell"}));
  EXPECT_EQ(bash_offers({"convgen", "cache", "c"}), (Offers{"clear"}));
  EXPECT_EQ(bash_offers({"convgen", "bench", "--threads", "1"}), Offers{}) << "any number";
  EXPECT_EQ(bash_offers({"convgen", "completion", ""}), (Offers{"bash", "zsh", "fish"}));
}

TEST_F(CompletionTest, BashOffersFiles) {
  EXPECT_EQ(bash_offers({"convgen", "run", "--src", "in"}), (Offers{"input.npy", "inner"}));
  EXPECT_EQ(bash_offers({"convgen", "emit", "-o", "no"}), (Offers{"notes.txt"}));
  EXPECT_EQ(bash_offers({"convgen", "verify", "@"}),
            (Offers{"@layers.conv", "@input.npy", "@notes.txt", "@inner"}));
  EXPECT_EQ(bash_offers({"convgen", "verify", "@", "la"}), (Offers{"@layers.conv"}));
}

const Words kTyped = {"convgen verif",
                      "convgen emit @la",
                      "convgen emit --func",
                      "convgen emit a --emit=conv,sch",
                      "convgen emit --mcpu hasw",
                      "convgen cache cl",
                      "convgen run --src inp"};
const Words kCompleted = {"<verify>",
                          "<emit><@layers.conv>",
                          "<emit><--function>",
                          "<emit><a><--emit=conv,schedule>",
                          "<emit><--mcpu><haswell>",
                          "<cache><clear>",
                          "<run><--src><input.npy>"};

// The shell itself splits the line and puts the answer into it.
TEST_F(CompletionTest, BashCompletesLinesThatAreTyped) {
  EXPECT_EQ(typed_in({"/bin/bash", "--norc", "-i"}, "source <(convgen completion bash)", kTyped),
            kCompleted);
}

TEST_F(CompletionTest, FishOffersTheSame) {
  if (!has("fish")) GTEST_SKIP() << "fish is not installed";
  EXPECT_EQ(fish_offers("convgen e"), (Offers{"emit", "explain"}));
  EXPECT_EQ(fish_offers("convgen emit --m"), (Offers{"--mtriple", "--mcpu", "--mattr"}));
  EXPECT_EQ(fish_offers("convgen run --engine "), (Offers{"jit", "generic", "interpreter"}));
  EXPECT_EQ(fish_offers("convgen emit --emit=conv,ll"),
            (Offers{"--emit=conv,llvm", "--emit=conv,llvm-opt"}));
  EXPECT_EQ(fish_offers("convgen emit --mcpu hasw"), (Offers{"haswell"}));
  EXPECT_EQ(fish_offers("convgen cache c"), (Offers{"clear"}));
  EXPECT_EQ(fish_offers("convgen verify @la"), (Offers{"@layers.conv"}));
  const Offers npy = fish_offers("convgen run --src in");
  EXPECT_TRUE(npy.contains("input.npy")) << testing::PrintToString(npy);
  EXPECT_FALSE(npy.contains("notes.txt"));
  EXPECT_EQ(fish_offers("convgen emit -o no"), (Offers{"notes.txt"}));
}

TEST_F(CompletionTest, ZshCompletesLinesThatAreTyped) {
  if (!has("zsh")) GTEST_SKIP() << "zsh is not installed";
  EXPECT_EQ(run_in_bash("convgen completion zsh > _convgen; zsh -n _convgen").err, "");
  const std::string setup =
      "unsetopt prompt_cr prompt_sp; autoload -U compinit; compinit -u -D\n"
      "source <(convgen completion zsh)";
  EXPECT_EQ(typed_in({"/usr/bin/env", "zsh", "-f", "-i"}, setup, kTyped), kCompleted);
}

}  // namespace
}  // namespace convgen::tool
