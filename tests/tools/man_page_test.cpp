// SPDX-License-Identifier: Apache-2.0
// The manual page is sound roff, and holds what help and docs/tool.md hold.
#include <regex>

#include "tests/tools/tool_fixture.h"

namespace convgen::tool {
namespace {

class ManPageTest : public ToolTest {
 protected:
  // The page as a reader sees it, roughly: escapes of characters undone, fonts taken out.
  std::string readable() {
    std::string page = expect_done({"man"}).out;
    const std::pair<const char*, const char*> kEscapes[] = {
        {R"(\\f[BIR])", ""}, {R"(\\-)", "-"}, {R"(\\\(aq)", "'"}, {R"(\\\(ti)", "~"}};
    for (const auto& [escape, text] : kEscapes)
      page = std::regex_replace(page, std::regex(escape), text);
    return page;
  }

  // The first words of all entries, "-h, --help" or "-o FILE", that a command's part has.
  static std::set<std::string> entries_of(const std::string& page, const std::string& command) {
    const size_t begin = page.find("\n.SS " + command + "\n");
    if (begin == page.npos) return {};
    std::istringstream lines(page.substr(begin + 1, page.find("\n.S", begin + 1) - begin));
    std::set<std::string> entries;
    for (std::string line; std::getline(lines, line);) {
      if (line != ".TP" || !std::getline(lines, line)) continue;
      std::istringstream words(std::regex_replace(line, std::regex(","), ""));
      for (std::string word; words >> word;) entries.insert(word);
    }
    return entries;
  }

  // What `program` says of the page, where it is installed; else the test is skipped.
  std::string complaints(const std::string& program, const std::string& line) {
    write_text(work_ / "convgen.1", expect_done({"man"}).out);
    if (run_in_bash("command -v " + program).exit != 0) return "not installed";
    const Ran ran = run_in_bash(line, {{"LC_ALL", "C.UTF-8"}, {"MANWIDTH", "80"}});
    return ran.exit == 0 && ran.err.empty() ? "" : ran.out + ran.err + "failed";
  }
};

TEST_F(ManPageTest, HasTheSectionsOfAManualPage) {
  const std::string page = expect_done({"man"}).out;
  EXPECT_NE(page.find("\n.TH CONVGEN 1 "), std::string::npos);
  size_t at = 0;
  for (const char* title : {"NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "COMMANDS", "EXIT STATUS",
                            "ENVIRONMENT", "EXAMPLES", "SEE ALSO"}) {
    at = page.find(std::string("\n.SH ") + title + "\n", at);
    ASSERT_NE(at, std::string::npos) << title;
  }
  EXPECT_NE(page.find("\nconvgen \\- "), std::string::npos) << "what apropos reads";
  EXPECT_EQ(expect_done({"man"}).out, page) << "no date";
  // A line that begins with a period or an apostrophe is a request; those that are used are these.
  for (const std::string& line : lines_of(page)) {
    if (!line.starts_with('.') && !line.starts_with('\'')) continue;
    EXPECT_TRUE(std::regex_search(line, std::regex(R"(^\.(TH|SH|SS|TP|PP|RS|RE|nf|fi|\\")( |$))")))
        << line;
  }
}

// The completion for bash lists them: "    'emit') echo '--emit -o ...' ;;".
TEST_F(ManPageTest, HoldsEveryCommandAndOption) {
  const std::string page = readable();
  const std::regex line_of_command(R"( *'([a-z]+)'\) echo '(.*)' ;;)");
  int found = 0;
  for (const std::string& line : lines_of(expect_done({"completion", "bash"}).out)) {
    std::smatch command;
    if (!std::regex_match(line, command, line_of_command)) continue;
    const std::set<std::string> entries = entries_of(page, command[1]);
    std::istringstream names(command[2]);
    for (std::string name; names >> name; ++found)
      EXPECT_TRUE(entries.contains(name)) << command[1] << " " << name;
  }
  EXPECT_GT(found, 40);
}

TEST_F(ManPageTest, HoldsEveryVariableOfTheDocumentation) {
  const std::string page = readable();
  const std::string docs = read_file(fs::path(CONVGEN_TEST_DATA_DIR) / "../../docs/tool.md");
  const std::regex variable(R"(\n\| `([A-Z_]+)` \|)");
  int found = 0;
  for (std::sregex_iterator i(docs.begin(), docs.end(), variable), end; i != end; ++i, ++found)
    EXPECT_NE(page.find("\n.TP\n" + (*i)[1].str() + "\n"), std::string::npos) << (*i)[1];
  EXPECT_GE(found, 9);
}

TEST_F(ManPageTest, PleasesMan) {
  const std::string said = complaints("man", "man --warnings -l convgen.1 > page");
  if (said == "not installed") GTEST_SKIP() << "man is not installed";
  EXPECT_EQ(said, "");
  EXPECT_NE(read_file(work_ / "page").find("CONVGEN_CACHE_DIR"), std::string::npos);
}

TEST_F(ManPageTest, PleasesMandoc) {
  // The page has no date on purpose.
  const std::string said = complaints(
      "mandoc",
      "mandoc -T lint -W warning convgen.1 | grep -v 'missing date' | tee said; ! test -s said");
  if (said == "not installed") GTEST_SKIP() << "mandoc is not installed";
  EXPECT_EQ(said, "");
}

}  // namespace
}  // namespace convgen::tool
