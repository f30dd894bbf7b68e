// SPDX-License-Identifier: Apache-2.0
// convgen cache, and the kernels that commands keep on disk.
#include <nlohmann/json.hpp>
#include <tuple>

#include "tests/tools/tool_fixture.h"

namespace convgen::tool {
namespace {

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

}  // namespace
}  // namespace convgen::tool
