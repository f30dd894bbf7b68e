// SPDX-License-Identifier: Apache-2.0
// Processes that share a directory: they find what others left, survive every failing system call,
// and being killed at every one of them harms nobody else.
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/support/child_process.h"
#include "tests/support/environment.h"
#include "tests/support/soak.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CONVGEN_TEST_PRELOADS 0
#else
#define CONVGEN_TEST_PRELOADS 1
#endif

namespace convgen {
namespace {

namespace fs = std::filesystem;
using testing::ChildProcess;
using testing::run_child;
using testing::ScopedDirectory;
using testing::Variables;
using Words = std::vector<std::string>;

const std::string kWorker = CONVGEN_TEST_STORE_WORKER;
const std::string kConv = "conv1d src=f32:nwc:1x9x3 weights=f32:wio:2x3x4";
const std::string kOtherConv = "conv1d src=f32:nwc:1x10x3 weights=f32:wio:2x3x4";

Words compile_words(const Words& convs) {
  Words words = {kWorker, "compile"};
  words.insert(words.end(), convs.begin(), convs.end());
  return words;
}

// Of "... name=VALUE ..."; empty where there is none.
std::string value_of(const std::string& text, const std::string& name) {
  const size_t at = text.find(name + "=");
  if (at == text.npos) return "";
  const size_t begin = at + name.size() + 1;
  return text.substr(begin, text.find_first_of(" \n", begin) - begin);
}

std::vector<std::string> leftovers_in(const fs::path& directory) {
  std::vector<std::string> names;
  if (!fs::exists(directory)) return names;
  for (const auto& file : fs::directory_iterator(directory))
    if (file.path().extension() != ".cgo") names.push_back(file.path().filename());
  return names;
}

class StoreProcessTest : public ::testing::Test {
 protected:
  std::string directory() const { return root_.path() / "cache"; }
  Variables variables() const { return {{"CONVGEN_CACHE_DIR", directory()}}; }
  Variables with_shim(Variables more = {}) const {
    more.insert({{"CONVGEN_CACHE_DIR", directory()},
                 {"CONVGEN_FAULT_DIRECTORY", directory()},
                 {"LD_PRELOAD", CONVGEN_TEST_FAULT_SHIM}});
    return more;
  }
  // What a process that is let alone says.
  std::string compile(const Words& convs) const {
    const auto ended = run_child(compile_words(convs), variables());
    EXPECT_EQ(ended.exit, 0) << "signal " << ended.signal << "\n" << ended.out;
    return ended.out;
  }

  const ScopedDirectory root_;
};

TEST_F(StoreProcessTest, SecondProcessCompilesNothing) {
  const Words convs = {kConv, kOtherConv,
                       "conv2d src=f32:nhwc:1x12x12x16 weights=f32:hwio:3x3x16x16 pads=1x1",
                       "conv2d src=f32:nhwc:1x8x8x16 weights=f32:hwio:3x3x1x16 groups=16",
                       "conv2d src=f32:nchw:1x4x8x8 weights=f32:oihw:8x4x3x3 post=bias,silu"};
  const std::string first = compile(convs), second = compile(convs);
  EXPECT_EQ(value_of(first, "compiles"), "5");
  EXPECT_EQ(value_of(first, "store_hits"), "0");
  EXPECT_EQ(value_of(second, "compiles"), "0");
  EXPECT_EQ(value_of(second, "store_hits"), "5");
  EXPECT_EQ(value_of(first, "digest"), value_of(second, "digest"));
  EXPECT_EQ(leftovers_in(directory()).size(), 0u);
}

// ENOSPC, EIO, EROFS, EACCES, EMFILE, ESTALE, EINTR, EBUSY, EDQUOT and short reads and writes.
TEST_F(StoreProcessTest, EverySystemCallMayFail) {
  if (!CONVGEN_TEST_PRELOADS) GTEST_SKIP() << "the sanitizer's library must be the first";
  const auto ended = run_child({kWorker, "faults", kConv}, with_shim());
  EXPECT_EQ(ended.exit, 0) << "signal " << ended.signal << "\n" << ended.out;
  EXPECT_NE(ended.out.find(" cases, 0 wrong"), std::string::npos) << ended.out;
}

TEST_F(StoreProcessTest, KilledAtEverySystemCall) {
  if (!CONVGEN_TEST_PRELOADS) GTEST_SKIP() << "the sanitizer's library must be the first";
  const std::string digest = value_of(compile({kConv, kOtherConv}), "digest");
  constexpr int kMostCalls = 200;
  int kills = 0, seen_leftovers = 0;
  for (;; ++kills) {
    ASSERT_LT(kills, kMostCalls) << "it is killed for ever";
    SCOPED_TRACE("killed at call " + std::to_string(kills + 1));
    fs::remove_all(directory());
    const auto killed = run_child(
        compile_words({kConv}), with_shim({{"CONVGEN_FAULT_KILL_AT", std::to_string(kills + 1)}}));
    if (killed.exit == 0) break;  // it makes fewer calls
    ASSERT_EQ(killed.signal, SIGKILL) << killed.out;
    const size_t left = leftovers_in(directory()).size();
    ASSERT_LE(left, 1u);
    seen_leftovers += left == 1;
    // The next one hits or compiles; it stores something, so nothing is left over.
    ASSERT_EQ(value_of(compile({kConv, kOtherConv}), "digest"), digest);
    ASSERT_EQ(leftovers_in(directory()).size(), 0u);
    const std::string third = compile({kConv, kOtherConv});
    ASSERT_EQ(value_of(third, "store_hits"), "2") << third;
    ASSERT_EQ(value_of(third, "digest"), digest);
  }
  RecordProperty("kill_points", kills);
  EXPECT_GT(kills, 10) << "the shim sees no calls";
  EXPECT_GT(seen_leftovers, 0) << "no kill came between the file and its name";
}

// At once, round after round in script/soak.
TEST_F(StoreProcessTest, SixteenProcessesInAColdDirectory) {
  constexpr int kProcesses = 16;
  const int keys = testing::soak_minutes() > 0 ? 200 : 8;
  Words convs;
  for (int i = 0; i < keys; ++i)
    convs.push_back("conv1d src=f32:nwc:1x" + std::to_string(9 + i) + "x3 weights=f32:wio:2x3x4");
  const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(testing::soak_minutes());
  std::string digest;
  int rounds = 0;
  do {
    fs::remove_all(directory());
    std::vector<ChildProcess> processes;
    for (int i = 0; i < kProcesses; ++i) processes.emplace_back(compile_words(convs), variables());
    for (ChildProcess& process : processes) {
      const auto ended = process.wait();
      ASSERT_EQ(ended.exit, 0) << "signal " << ended.signal << "\n" << ended.out;
      if (digest.empty()) digest = value_of(ended.out, "digest");
      ASSERT_EQ(value_of(ended.out, "digest"), digest);
    }
    const std::string after = compile(convs);
    ASSERT_EQ(value_of(after, "store_hits"), std::to_string(keys)) << after;
    ASSERT_EQ(value_of(after, "digest"), digest);
    ASSERT_EQ(leftovers_in(directory()).size(), 0u);
    ++rounds;
  } while (std::chrono::steady_clock::now() < end);
  if (testing::soak_minutes() > 0) RecordProperty("rounds", rounds);
}

// While others compile, over and over.
TEST_F(StoreProcessTest, DirectoryIsRemovedUnderThem) {
  const Words convs = {kConv, kOtherConv};
  const std::string digest = value_of(compile(convs), "digest");
  const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(testing::soak_minutes());
  do {
    std::vector<ChildProcess> processes;
    for (int i = 0; i < 4; ++i) processes.emplace_back(compile_words(convs), variables());
    std::error_code ignored;
    for (int i = 0; i < 100; ++i) fs::remove_all(directory(), ignored);
    for (ChildProcess& process : processes) {
      const auto ended = process.wait();
      ASSERT_EQ(ended.exit, 0) << "signal " << ended.signal << "\n" << ended.out;
      ASSERT_EQ(value_of(ended.out, "digest"), digest);
    }
  } while (std::chrono::steady_clock::now() < end);
}

}  // namespace
}  // namespace convgen
