// SPDX-License-Identifier: Apache-2.0
// convgen tune, and what other commands say of what it found.
#include <signal.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/tools/tool_fixture.h"

namespace convgen::tool {
namespace {

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
      "stores=cached "
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

}  // namespace
}  // namespace convgen::tool
