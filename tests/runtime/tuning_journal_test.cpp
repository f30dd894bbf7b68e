// SPDX-License-Identifier: Apache-2.0
// The journal: what was measured is found again, whatever happened to the end of the file.
#include "runtime/tuning_journal.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "runtime/shared_file.h"
#include "tests/support/environment.h"

namespace convgen {
namespace {

namespace fs = std::filesystem;
using testing::ScopedDirectory;
using Ratios = std::map<std::string, double>;

const TuningKey kKey{"conv2d a", 1, "target"};
const TuningKey kOther{"conv2d a", 2, "target"};

class TuningJournalTest : public ::testing::Test {
 protected:
  TuningJournal open() const {
    Result<TuningJournal> journal = TuningJournal::open(file_);
    EXPECT_TRUE(journal.ok()) << journal.status().message();
    return *journal;
  }
  std::string text() const { return *(*read_if_present(file_ + ".journal", 1 << 20)); }
  void write(const std::string& text) const {
    ASSERT_TRUE(replace_file(file_ + ".journal", text).ok());
  }

  const ScopedDirectory directory_;
  const std::string file_ = directory_.path() / "tuning";
};

TEST_F(TuningJournalTest, FindsWhatWasMeasured) {
  const TuningJournal journal = open();
  EXPECT_EQ(*journal.ratios(kKey), Ratios());
  ASSERT_TRUE(journal.add(kKey, "direct tile=1x1", 1.5).ok());
  ASSERT_TRUE(journal.add(kOther, "direct tile=1x1", 0.5).ok());
  ASSERT_TRUE(journal.add(kKey, "direct tile=2x1", 0.75).ok());
  ASSERT_TRUE(journal.add(kKey, "direct tile=1x1", 1.25).ok());
  const Ratios expected = {{"direct tile=1x1", 1.25}, {"direct tile=2x1", 0.75}};
  EXPECT_EQ(*journal.ratios(kKey), expected) << "the last measurement counts";
  EXPECT_EQ(*open().ratios(kKey), expected) << "another run sees them";
}

TEST_F(TuningJournalTest, FinishedKeysGo) {
  const TuningJournal journal = open();
  ASSERT_TRUE(journal.add(kKey, "a", 1.5).ok());
  ASSERT_TRUE(journal.add(kOther, "b", 0.5).ok());
  ASSERT_TRUE(journal.finish(kKey).ok());
  EXPECT_EQ(*journal.ratios(kKey), Ratios());
  EXPECT_EQ(*journal.ratios(kOther), (Ratios{{"b", 0.5}}));
  ASSERT_TRUE(journal.finish(kOther).ok());
  EXPECT_FALSE(fs::exists(journal.path()));
  ASSERT_TRUE(journal.finish(kOther).ok());
  ASSERT_TRUE(journal.add(kKey, "c", 2).ok()) << "it comes back";
  EXPECT_EQ(*journal.ratios(kKey), (Ratios{{"c", 2}}));
}

// A cut number is a number: a line without its end is none.
TEST_F(TuningJournalTest, TruncatedAnywhereItYieldsNoWrongRatio) {
  ASSERT_TRUE(open().add(kKey, "a", 1.25).ok());
  ASSERT_TRUE(open().add(kKey, "b", 2.125).ok());
  const std::string whole = text();
  for (size_t length = 0; length < whole.size(); ++length) {
    write(whole.substr(0, length));
    const TuningJournal journal = open();
    const Result<Ratios> ratios = journal.ratios(kKey);
    ASSERT_TRUE(ratios.ok());
    for (const auto& [schedule, ratio] : *ratios) EXPECT_EQ(ratio, schedule == "a" ? 1.25 : 2.125);
    ASSERT_TRUE(journal.add(kKey, "c", 3).ok());
    EXPECT_EQ(journal.ratios(kKey)->at("c"), 3) << "cut at " << length << ": " << text();
  }
}

TEST_F(TuningJournalTest, SkipsWhatIsNoRecord) {
  ASSERT_TRUE(open().add(kKey, "a", 1.25).ok());
  write(text() + "nonsense\n\nconv2d a\t1\ttarget\tb\t-1\nconv2d a\tx\ttarget\tb\t1\n");
  ASSERT_TRUE(open().add(kKey, "c", 3).ok());
  EXPECT_EQ(*open().ratios(kKey), (Ratios{{"a", 1.25}, {"c", 3}}));
}

TEST_F(TuningJournalTest, LeavesForeignFilesAlone) {
  write("a letter\n");
  const Result<TuningJournal> journal = TuningJournal::open(file_);
  ASSERT_FALSE(journal.ok());
  EXPECT_EQ(journal.status().code(), StatusCode::kInvalidArgument);
  EXPECT_NE(journal.status().message().find(file_ + ".journal:1: "), std::string::npos);
  EXPECT_EQ(text(), "a letter\n");
}

TEST_F(TuningJournalTest, UnwritablePlaceIsAnError) {
  ASSERT_TRUE(replace_file(file_, "").ok());
  EXPECT_EQ(TuningJournal::open(file_ + "/tuning").status().code(), StatusCode::kIoError);
}

TEST_F(TuningJournalTest, ManyWritersLoseNothing) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      const TuningJournal journal = open();
      const TuningKey key{"conv2d " + std::to_string(t), 1, "target"};
      for (int i = 0; i < 20; ++i)
        EXPECT_TRUE(journal.add(kKey, std::to_string(t * 20 + i), 1).ok());
      EXPECT_TRUE(journal.add(key, "x", 1).ok());
      EXPECT_TRUE(journal.finish(key).ok());
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(open().ratios(kKey)->size(), 80u);
}

}  // namespace
}  // namespace convgen
