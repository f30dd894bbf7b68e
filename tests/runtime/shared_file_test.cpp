// SPDX-License-Identifier: Apache-2.0
// Files that several processes write: whole or not at all, one at a time, private.
#include "runtime/shared_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/environment.h"

namespace convgen {
namespace {

namespace fs = std::filesystem;
using testing::ScopedDirectory;

std::string text_of(const std::string& path) {
  const auto text = read_if_present(path, 1 << 20);
  return text.ok() && text->has_value() ? **text : "(none)";
}

unsigned mode_of(const fs::path& path) {
  struct stat info = {};
  EXPECT_EQ(::stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 0777;
}

TEST(SharedFileTest, ReadsWhatIsThere) {
  const ScopedDirectory directory;
  const std::string path = directory.path() / "file";
  EXPECT_FALSE((*read_if_present(path, 10)).has_value());
  EXPECT_FALSE((*read_if_present(path + "/below", 10)).has_value());
  ASSERT_TRUE(replace_file(path, "0123456789").ok());
  EXPECT_EQ(text_of(path), "0123456789");
  const auto refused = read_if_present(path, 9);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.status().code(), StatusCode::kIoError);
  EXPECT_NE(refused.status().message().find(path), std::string::npos);
  EXPECT_EQ(read_if_present(directory.path(), 10).status().code(), StatusCode::kIoError);
}

TEST(SharedFileTest, NewFilesAndDirectoriesArePrivate) {
  const ScopedDirectory directory;
  const std::string path = directory.path() / "a/b/file";
  EXPECT_EQ(replace_file(path, "x").code(), StatusCode::kIoError) << "no directory yet";
  ASSERT_TRUE(make_directories_for(path).ok());
  ASSERT_TRUE(make_directories_for(path).ok()) << "they are there already";
  ASSERT_TRUE(replace_file(path, "x").ok());
  EXPECT_EQ(mode_of(path), 0600u);
  EXPECT_EQ(mode_of(directory.path() / "a"), 0700u);
  EXPECT_EQ(mode_of(directory.path() / "a/b"), 0700u);
}

TEST(SharedFileTest, ReplacingKeepsModeAndLinksAndLeavesNothingElse) {
  const ScopedDirectory directory;
  const fs::path real = directory.path() / "real", link = directory.path() / "link";
  ASSERT_TRUE(replace_file(real, "old").ok());
  fs::permissions(real, fs::perms(0644));
  fs::create_symlink(real, link);
  ASSERT_TRUE(replace_file(link, "new").ok());
  EXPECT_TRUE(fs::is_symlink(link));
  EXPECT_EQ(text_of(real), "new");
  EXPECT_EQ(mode_of(real), 0644u);
  EXPECT_EQ(std::distance(fs::directory_iterator(directory.path()), fs::directory_iterator()), 2);
}

TEST(SharedFileTest, SaysWhatCannotBeWritten) {
  const ScopedDirectory directory;
  const std::string file = directory.path() / "file";
  ASSERT_TRUE(replace_file(file, "x").ok());
  for (const Status& status :
       {make_directories_for(file + "/a/b"), replace_file(file + "/a", "x"),
        append_to_file(file + ".missing", "x"), FileLock::take(file + "/a").status()}) {
    EXPECT_EQ(status.code(), StatusCode::kIoError);
    EXPECT_NE(status.message().find(file), std::string::npos) << status.message();
  }
  EXPECT_EQ(text_of(file), "x");
}

TEST(SharedFileTest, OneHoldsTheLock) {
  const ScopedDirectory directory;
  const std::string path = directory.path() / "counter";
  ASSERT_TRUE(replace_file(path, "0").ok());
  std::vector<std::thread> threads;
  std::atomic<int> failed = 0;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        const auto lock = FileLock::take(path);
        if (!lock.ok()) ++failed;
        if (!replace_file(path, std::to_string(std::stoi(text_of(path)) + 1)).ok()) ++failed;
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(text_of(path), "200");
}

}  // namespace
}  // namespace convgen
