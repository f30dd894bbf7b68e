// SPDX-License-Identifier: Apache-2.0
// The tuning file: it round-trips, no damage goes unnoticed, writers lose nothing of each other's,
// and an Engine takes from it what is meant for its target and nothing else.
#include "runtime/tuning_file.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "codegen/select_schedule.h"
#include "ir/text.h"
#include "runtime/jit_kernel_maker.h"
#include "runtime/shared_file.h"
#include "runtime/verify.h"
#include "tests/support/environment.h"
#include "tests/support/kernels.h"

namespace convgen {
namespace {

namespace fs = std::filesystem;
using testing::compile_kernel;
using testing::conv_of;
using testing::for_threads;
using testing::ScopedDirectory;
using testing::ScopedVariable;

const char* const kConv = "conv2d src=f32:nhwc:1x6x7x5 weights=f32:hwio:3x3x5x9 pads=1x1";
const char* const kHeader = "convgen-tuning 1\n";
// Legal everywhere, selected nowhere.
const char* const kOdd =
    "direct lanes=4 tile=3x1 ic_unroll=1 order=oc_outer unroll=tile edges=ranged epilogue=loop "
    "stores=cached "
    "output_tile=4 passes=1 merge_rows=0 prefetch=0 rows_per_task=2 tiles_per_task=0 "
    "blocks_per_task=0";

TuningEntry entry_of(const std::string& conv, const codegen::Target& target, int threads = 1) {
  return {tuning_key(conv_of(conv), threads, target), kOdd, 12.5, 14.25, "direct lanes=4", 13};
}

codegen::Target host() { return *codegen::host_target(); }

std::string text_of(const std::string& path) {
  const auto text = read_if_present(path, kMaxTuningFileBytes);
  return text.ok() && text->has_value() ? **text : "(none)";
}

// --- Text ---

TEST(TuningFileTest, RoundTrips) {
  const ScopedDirectory directory;
  const std::string path = directory.path() / "a/tuning";
  TuningEntry with = entry_of(kConv, host());
  TuningEntry without = entry_of(kConv, host(), 2);
  without.runner_up = "";
  without.runner_up_us = 0;
  without.us = 0.1 + 0.2;  // all digits survive
  for (const TuningEntry& entry : {with, without}) ASSERT_TRUE(keep_tuning_entry(path, entry).ok());
  const auto table = TuningTable::read(path, true);
  ASSERT_TRUE(table.ok()) << table.status().message();
  EXPECT_EQ(table->size(), 2u);
  for (const TuningEntry& entry : {with, without}) {
    ASSERT_NE(table->find(entry.key), nullptr);
    EXPECT_EQ(*table->find(entry.key), entry);
  }
  EXPECT_EQ(text_of(path),
            kHeader + print_tuning_entry(with) + "\n" + print_tuning_entry(without) + "\n");
}

TEST(TuningFileTest, MissingFileIsEmptyOrAnError) {
  const auto empty = TuningTable::read("/nonexistent/tuning", false);
  ASSERT_TRUE(empty.ok());
  EXPECT_EQ(empty->size(), 0u);
  const auto refused = TuningTable::read("/nonexistent/tuning", true);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.status().code(), StatusCode::kIoError);
  EXPECT_NE(refused.status().message().find("/nonexistent/tuning"), std::string::npos);
}

TEST(TuningFileTest, NamesLineFieldValueAndRule) {
  const std::string s = "conv2d a", t = "x86;llvm 19;generator 2", d = "direct lanes=4";
  const auto line = [](std::vector<std::string> fields) {
    return fmt::format("{}\n", fmt::join(fields, "\t"));
  };
  const std::pair<std::string, std::string> cases[] = {
      {"", "F:1: version=: expected the line 'convgen-tuning 1'"},
      {"convgen-tuning 2\n", "F:1: version=convgen-tuning 2: expected"},
      {"convgen-tuning 1", "F:1: line=convgen-tuning 1: cut off"},
      {"nonsense\n", "F:1: version=nonsense"},
      {"\x01\xff\n", "F:1: version=??"},
      {kHeader + std::string("one\n"), "F:2: line=one: 1 fields found, expected 8"},
      {kHeader + line({s, "1", t, d, "1", "1", "-", "-", "-"}),
       "F:2: line=conv2d a?1?x86;llvm 19;"
       "generator 2?direct lanes=4?1?1?-?"
       "-?-: 9 fields found"},
      {kHeader + line({"", "1", t, d, "1", "1", "-", "-"}), "F:2: signature=: expected printable"},
      {kHeader + line({"dconv", "1", t, d, "1", "1", "-", "-"}), "F:2: signature=dconv: expected"},
      {kHeader + line({s, "0", t, d, "1", "1", "-", "-"}), "F:2: threads=0: expected a number fro"},
      {kHeader + line({s, "1025", t, d, "1", "1", "-", "-"}), "F:2: threads=1025: expected"},
      {kHeader + line({s, "two", t, d, "1", "1", "-", "-"}), "F:2: threads=two: expected"},
      {kHeader + line({s, "", t, d, "1", "1", "-", "-"}), "F:2: threads=: expected"},
      {kHeader + line({s, "1", "", d, "1", "1", "-", "-"}), "F:2: target=: expected printable"},
      {kHeader + line({s, "1", t, "", "1", "1", "-", "-"}), "F:2: schedule=: expected printable"},
      {kHeader + line({s, "1", t, "a\xe9", "1", "1", "-", "-"}), "F:2: schedule=a?: expected"},
      {kHeader + line({s, "1", t, d, "0", "1", "-", "-"}), "F:2: us=0: expected a number above 0"},
      {kHeader + line({s, "1", t, d, "nan", "1", "-", "-"}), "F:2: us=nan: expected"},
      {kHeader + line({s, "1", t, d, "inf", "1", "-", "-"}), "F:2: us=inf: expected"},
      {kHeader + line({s, "1", t, d, "1e15", "1", "-", "-"}), "F:2: us=1e15: expected"},
      {kHeader + line({s, "1", t, d, "-1", "1", "-", "-"}), "F:2: us=-1: expected"},
      {kHeader + line({s, "1", t, d, "1 ", "1", "-", "-"}), "F:2: us=1 : expected"},
      {kHeader + line({s, "1", t, d, "1", "", "-", "-"}), "F:2: default_us=: expected"},
      {kHeader + line({s, "1", t, d, "1", "1", "", "2"}), "F:2: runner_up=: expected"},
      {kHeader + line({s, "1", t, d, "1", "1", d, "-"}), "F:2: runner_up_us=-: expected"},
      {kHeader + line({s, "1", t, d, "1", "1", "-", "2x"}), "F:2: runner_up_us=2x: expected"},
      {kHeader + line({s, "1", t, d, "1", "1", "-", "-\r"}), "F:2: runner_up_us=-?: expected"},
      {kHeader + ("# fine\n\n" + line({s, "1", t, d, "1", "1", "-", "-"})) +
           line({s, "1", t, "other", "1", "1", "-", "-"}),
       "F:5: signature=conv2d a: line 4 has the same signature, threads and target"},
      {kHeader + line({s + std::string(kMaxTuningLineBytes, 'x'), "1", t, d, "1", "1", "-", "-"}),
       "longer than 65536 bytes"},
  };
  for (const auto& [text, message] : cases) {
    const auto table = TuningTable::parse(text, "F");
    ASSERT_FALSE(table.ok()) << text;
    EXPECT_EQ(table.status().code(), StatusCode::kInvalidArgument);
    EXPECT_NE(table.status().message().find(message), std::string::npos)
        << table.status().message() << "\n  expected: " << message;
    EXPECT_LT(table.status().message().size(), 300u);
  }
}

// Whatever is cut off, what is still read is right.
TEST(TuningFileTest, TruncatedFilesYieldNoWrongEntry) {
  const TuningEntry first = entry_of(kConv, host()), second = entry_of(kConv, host(), 2);
  const std::string one = kHeader + print_tuning_entry(first) + "\n";
  const std::string text = one + "# between\n" + print_tuning_entry(second) + "\n";
  for (size_t length = 0; length < text.size(); ++length) {
    const auto table = TuningTable::parse(text.substr(0, length), "F");
    if (!table.ok()) continue;
    ASSERT_EQ(text[length - 1], '\n') << length;
    EXPECT_EQ(table->size(), length < one.size() ? 0u : 1u) << length;
    if (const TuningEntry* found = table->find(first.key); found != nullptr) {
      EXPECT_EQ(*found, first);
    }
    EXPECT_EQ(table->find(second.key), nullptr);
  }
}

// --- Writing ---

TEST(TuningFileTest, ReplacesTheLineOfItsKeyAndLeavesTheOthers) {
  const ScopedDirectory directory;
  const std::string path = directory.path() / "tuning";
  const std::string first = print_tuning_entry(entry_of(kConv, host(), 1));
  const std::string third = print_tuning_entry(entry_of(kConv, host(), 3));
  TuningEntry second = entry_of(kConv, host(), 2);
  const auto with_second = [&] {
    return kHeader + ("# mine\n\n" + first) + "\n" + print_tuning_entry(second) + "\n# and\n" +
           third + "\n";
  };
  ASSERT_TRUE(replace_file(path, with_second()).ok());
  second.us = 1;
  ASSERT_TRUE(keep_tuning_entry(path, second).ok());
  EXPECT_EQ(text_of(path), with_second());
}

TEST(TuningFileTest, DamagedFileIsNotOverwritten) {
  const ScopedDirectory directory;
  const std::string path = directory.path() / "tuning";
  const std::string damaged = kHeader + std::string("half a li");
  ASSERT_TRUE(replace_file(path, damaged).ok());
  const Status status = keep_tuning_entry(path, entry_of(kConv, host()));
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find(path + ":2"), std::string::npos) << status.message();
  EXPECT_EQ(text_of(path), damaged);
}

TEST(TuningFileTest, RefusesEntriesThatWouldDamageTheFile) {
  const ScopedDirectory directory;
  const std::string path = directory.path() / "tuning";
  const auto refused = [&](auto change) {
    TuningEntry entry = entry_of(kConv, host());
    change(entry);
    EXPECT_EQ(keep_tuning_entry(path, entry).code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(text_of(path), "(none)");
  };
  refused([](TuningEntry& entry) { entry.schedule += "\n"; });
  refused([](TuningEntry& entry) { entry.schedule += "\tx"; });
  refused([](TuningEntry& entry) { entry.us = 0; });
  refused([](TuningEntry& entry) { entry.key.threads = 0; });
  refused([](TuningEntry& entry) { entry.key.signature.append(kMaxTuningLineBytes, 'x'); });
}

TEST(TuningFileTest, UnwritableDirectoryIsAnError) {
  const ScopedDirectory directory;
  const std::string file = directory.path() / "file";
  ASSERT_TRUE(replace_file(file, "").ok());
  EXPECT_EQ(keep_tuning_entry(file + "/tuning", entry_of(kConv, host())).code(),
            StatusCode::kIoError);
  if (::geteuid() == 0) return;  // root may write anywhere
  fs::permissions(directory.path(), fs::perms(0500));
  EXPECT_EQ(keep_tuning_entry(directory.path() / "tuning", entry_of(kConv, host())).code(),
            StatusCode::kIoError);
  fs::permissions(directory.path(), fs::perms(0700));
}

TEST(TuningFileTest, ConcurrentWritersLoseNothing) {
  constexpr int kProcesses = 4, kEach = 10;
  const ScopedDirectory directory;
  const std::string path = directory.path() / "tuning";
  std::vector<pid_t> children;
  for (int child = 0; child < kProcesses; ++child) {
    children.push_back(::fork());
    ASSERT_GE(children.back(), 0);
    if (children.back() != 0) continue;
    for (int i = 0; i < kEach; ++i)
      if (!keep_tuning_entry(path, entry_of(kConv, host(), 1 + child * kEach + i)).ok()) ::_exit(1);
    ::_exit(0);
  }
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  const auto table = TuningTable::read(path, true);
  ASSERT_TRUE(table.ok()) << table.status().message();
  EXPECT_EQ(table->size(), static_cast<size_t>(kProcesses * kEach));
}

// --- Where it lies ---

TEST(TuningFileTest, DefaultFileFollowsTheEnvironment) {
  const ScopedVariable xdg("XDG_CACHE_HOME", "/x"), home("HOME", "/h");
  {
    const ScopedVariable cache("CONVGEN_CACHE_DIR", "/c");
    EXPECT_EQ(default_tuning_file(), "/c/tuning");
  }
  {
    const ScopedVariable cache("CONVGEN_CACHE_DIR", "");
    EXPECT_EQ(default_tuning_file(), "");
  }
  const ScopedVariable restore("CONVGEN_CACHE_DIR", "");
  ::unsetenv("CONVGEN_CACHE_DIR");
  EXPECT_EQ(default_tuning_file(), "/x/convgen/tuning");
  {
    const ScopedVariable relative("XDG_CACHE_HOME", "x");
    EXPECT_EQ(default_tuning_file(), "/h/.cache/convgen/tuning");
  }
  const ScopedVariable no_xdg("XDG_CACHE_HOME", ""), no_home("HOME", "");
  EXPECT_EQ(default_tuning_file(), "");
}

// --- What an Engine makes of it ---

class TunedEngineTest : public ::testing::Test {
 protected:
  void keep(const TuningEntry& entry) { ASSERT_TRUE(keep_tuning_entry(path_, entry).ok()); }
  Engine engine() const {
    Result<Engine> engine = Engine::create({.tuning_file = path_});
    EXPECT_TRUE(engine.ok()) << engine.status().message();
    return *engine;
  }
  // What a kernel of kConv is made by.
  std::string schedule(const CompileOptions& options = {}) const {
    return compile_kernel(engine(), conv_of(kConv), options).schedule();
  }
  std::string selected(int threads = 1) const {
    return print_schedule(codegen::select_schedule(conv_of(kConv), host(), threads).schedule);
  }

  const ScopedDirectory directory_;
  const std::string path_ = directory_.path() / "tuning";
};

TEST_F(TunedEngineTest, CompilesTheTunedSchedule) {
  keep(entry_of(kConv, host()));
  EXPECT_EQ(schedule(), kOdd);
  EXPECT_NE(selected(), kOdd);
  EXPECT_EQ(schedule(for_threads(2)), selected(2)) << "tuned for one thread only";
  const Result<VerifyReport> report = verify_kernel(compile_kernel(engine(), conv_of(kConv)));
  ASSERT_TRUE(report.ok());
  EXPECT_TRUE(report->pass) << report->failure;
}

TEST_F(TunedEngineTest, WordsByHandStandOverTheTunedOnes) {
  keep(entry_of(kConv, host()));
  std::string expected = kOdd;
  expected.replace(expected.find("tile=3x1"), 8, "tile=2x1");
  EXPECT_EQ(schedule(testing::with_schedule("tile=2x1")), expected);
}

TEST_F(TunedEngineTest, IgnoresWhatIsStaleOrIllegal) {
  const auto expect_ignored = [&](auto change) {
    TuningEntry entry = entry_of(kConv, host());
    change(entry);
    fs::remove(path_);
    keep(entry);
    EXPECT_EQ(schedule(), selected());
  };
  expect_ignored([](TuningEntry& entry) { entry.key.target = "x86_64;other;cpu;+sse"; });
  expect_ignored([](TuningEntry& entry) { entry.key.target.back() = '0'; });  // generator version
  expect_ignored([](TuningEntry& entry) {
    const size_t at = entry.key.target.find(";llvm ");
    entry.key.target.replace(at, 7, ";llvm 2");
  });
  const auto expect_ignored_word = [&](const std::string& word, const std::string& other) {
    expect_ignored([&](TuningEntry& entry) {
      entry.schedule.replace(entry.schedule.find(word), word.size(), other);
    });
  };
  expect_ignored_word("direct", "tomorrow");
  expect_ignored_word("direct", "depthwise");
  expect_ignored_word("lanes=4", "lanes=64");
  expect_ignored_word("lanes=4", "width=4");
  expect_ignored_word("lanes=4 ", "");
  expect_ignored_word("merge_rows=0", "merge_rows=1");
  expect_ignored([](TuningEntry& entry) { entry.key.signature += " post=relu"; });
}

TEST_F(TunedEngineTest, OtherTargetHasItsOwn) {
  const Engine lower = *Engine::create({.mcpu = "x86-64-v2", .use_tuning = false});
  keep(entry_of(kConv, JitKernelMaker::of(lower)->target));
  EXPECT_EQ(schedule(), selected());
  const Engine tuned = *Engine::create({.mcpu = "x86-64-v2", .tuning_file = path_});
  EXPECT_EQ(compile_kernel(tuned, conv_of(kConv)).schedule(), kOdd);
}

TEST_F(TunedEngineTest, GivenFileMustBeSound) {
  const auto create = [&] { return Engine::create({.tuning_file = path_}).status(); };
  EXPECT_EQ(create().code(), StatusCode::kIoError);
  ASSERT_TRUE(replace_file(path_, "nonsense\n").ok());
  EXPECT_EQ(create().code(), StatusCode::kInvalidArgument);
  EXPECT_NE(create().message().find(path_ + ":1"), std::string::npos);
}

TEST_F(TunedEngineTest, DefaultFileIsReadWhereThereIsOne) {
  const ScopedVariable cache("CONVGEN_CACHE_DIR", directory_.path());
  const auto schedule_of = [](const EngineOptions& options) {
    return compile_kernel(*Engine::create(options), conv_of(kConv)).schedule();
  };
  EXPECT_EQ(schedule_of({}), selected()) << "there is none yet";
  keep(entry_of(kConv, host()));
  EXPECT_EQ(schedule_of({}), kOdd);
  EXPECT_EQ(schedule_of({.use_tuning = false}), selected());
  const ScopedVariable none("CONVGEN_CACHE_DIR", "");
  EXPECT_EQ(schedule_of({}), selected());
}

TEST_F(TunedEngineTest, DamagedDefaultFileCountsAsMissing) {
  const ScopedVariable cache("CONVGEN_CACHE_DIR", directory_.path());
  ASSERT_TRUE(replace_file(path_, "nonsense\n").ok());
  const auto log_of = [&] {
    ::testing::internal::CaptureStderr();
    const Result<Engine> engine = Engine::create();
    EXPECT_TRUE(engine.ok());
    return ::testing::internal::GetCapturedStderr();
  };
  EXPECT_EQ(log_of(), "");
  const ScopedVariable verbose("CONVGEN_VERBOSE", "1");
  const std::string log = log_of();
  EXPECT_EQ(log.rfind("convgen: warning: no tuned schedules: " + path_ + ":1: ", 0), 0u) << log;
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 1) << log;
}

}  // namespace
}  // namespace convgen
