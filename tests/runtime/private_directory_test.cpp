// SPDX-License-Identifier: Apache-2.0
// PrivateDirectory: which directories and files are trusted, and files that appear whole or not at
// all. Some cases need root, to give files to somebody else.
#include "runtime/private_directory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/support/environment.h"

namespace convgen {
namespace {

namespace fs = std::filesystem;
using testing::ScopedDirectory;

constexpr uid_t kNobody = 65534;
constexpr size_t kMost = 1 << 20;
const std::string kKilled = "tmp-0123456789abcdef0123456789abcdef";

void write_text(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

PrivateDirectory open_sure(const fs::path& path) {
  auto directory = PrivateDirectory::open_or_make(path);
  EXPECT_TRUE(directory.ok()) << directory.status().message();
  return *std::move(directory);
}

void expect_refused(const fs::path& path, const std::string& why) {
  for (const Status& status :
       {PrivateDirectory::open(path).status(), PrivateDirectory::open_or_make(path).status()}) {
    EXPECT_EQ(status.code(), StatusCode::kIoError) << path;
    EXPECT_NE(status.message().find(why), std::string::npos) << status.message();
  }
}

// --- The directory ---

TEST(PrivateDirectoryTest, MakesWhatIsMissingForItsUserAlone) {
  const ScopedDirectory root;
  const fs::path path = root.path() / "a/b";
  const mode_t before = ::umask(0);
  const auto none = PrivateDirectory::open(path);
  ASSERT_TRUE(none.ok());
  EXPECT_FALSE(none->has_value());
  EXPECT_FALSE(fs::exists(root.path() / "a"));
  open_sure(path);
  ::umask(before);
  for (const char* name : {"a", "a/b"})
    EXPECT_EQ(fs::status(root.path() / name).permissions(), fs::perms(0700)) << name;
}

TEST(PrivateDirectoryTest, RefusesWhatOthersCanWriteTo) {
  const ScopedDirectory root;
  for (const unsigned mode : {0770u, 0720u, 0707u, 0702u, 0777u, 01777u}) {
    fs::permissions(root.path(), fs::perms(mode));
    expect_refused(root.path(), "expected one that lets nobody else write");
  }
  for (const unsigned mode : {0700u, 0755u, 0711u}) {
    fs::permissions(root.path(), fs::perms(mode));
    EXPECT_TRUE(PrivateDirectory::open(root.path()).ok()) << mode;
  }
}

TEST(PrivateDirectoryTest, RefusesLinksAndFiles) {
  const ScopedDirectory root;
  const std::string link = root.path() / "link", file = root.path() / "file";
  fs::create_directory(root.path() / "real");
  fs::create_directory_symlink(root.path() / "real", link);
  write_text(file, "x");
  for (const std::string& path : {link, link + "/", link + "//", link + "/.", link + "/./", file})
    expect_refused(path, "symbolic link");
  fs::create_directory_symlink(root.path() / "nowhere", root.path() / "dangling");
  expect_refused(root.path() / "dangling", "symbolic link");
  EXPECT_FALSE(fs::exists(root.path() / "nowhere")) << "made through a link";
  EXPECT_TRUE(PrivateDirectory::open(root.path() / "real/").ok());
}

TEST(PrivateDirectoryTest, RefusesDirectoriesOfOthers) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a directory away";
  const ScopedDirectory root;
  ASSERT_EQ(::chown(root.path().c_str(), kNobody, kNobody), 0);
  expect_refused(root.path(), "belongs to user 65534");
}

// --- Files ---

TEST(PrivateDirectoryTest, WritesAndReadsWholeFiles) {
  const ScopedDirectory root;
  const PrivateDirectory directory = open_sure(root.path());
  const std::string text("a\0b", 3);
  EXPECT_FALSE(directory.read("x", kMost).has_value());
  const mode_t before = ::umask(0);
  ASSERT_TRUE(directory.write("x", text).ok());
  ::umask(before);
  EXPECT_EQ(directory.read("x", kMost), text);
  EXPECT_EQ(directory.read("x", kMost, 2), text.substr(0, 2));
  EXPECT_EQ(directory.read("x", 3), text);
  EXPECT_FALSE(directory.read("x", 2).has_value());
  EXPECT_EQ(fs::status(root.path() / "x").permissions(), fs::perms(0600));
  ASSERT_TRUE(directory.write("x", "").ok()) << "in place of what was there";
  EXPECT_EQ(directory.read("x", kMost), "");
  EXPECT_EQ(std::distance(fs::directory_iterator(root.path()), fs::directory_iterator()), 1);
}

TEST(PrivateDirectoryTest, ReadsRegularFilesOfItsUserAlone) {
  const ScopedDirectory root;
  const PrivateDirectory directory = open_sure(root.path());
  const auto expect_unread = [&](const std::string& name) {
    EXPECT_FALSE(directory.read(name, kMost).has_value()) << name;
  };
  write_text(root.path() / "file", "x");
  fs::create_symlink("file", root.path() / "symlink");
  fs::create_directory(root.path() / "directory");
  ASSERT_EQ(::mkfifo((root.path() / "pipe").c_str(), 0600), 0);
  for (const char* name : {"symlink", "directory", "pipe", "/dev/zero"}) expect_unread(name);
  ASSERT_TRUE(directory.read("file", kMost).has_value());
  fs::permissions(root.path() / "file", fs::perms(0620));
  expect_unread("file");
  fs::permissions(root.path() / "file", fs::perms(0600));
  fs::create_hard_link(root.path() / "file", root.path() / "hard");
  expect_unread("file");
  expect_unread("hard");
  fs::remove(root.path() / "hard");
  ASSERT_TRUE(directory.read("file", kMost).has_value());
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown((root.path() / "file").c_str(), kNobody, kNobody), 0);
    expect_unread("file");
  }
}

TEST(PrivateDirectoryTest, ReplacesWhatIsNotItsOwn) {
  const ScopedDirectory root;
  const PrivateDirectory directory = open_sure(root.path());
  write_text(root.path() / "precious", "mine");
  fs::create_symlink("precious", root.path() / "symlink");
  fs::create_hard_link(root.path() / "precious", root.path() / "hard");
  ASSERT_EQ(::mkfifo((root.path() / "pipe").c_str(), 0600), 0);
  for (const char* name : {"symlink", "hard", "pipe"}) {
    ASSERT_TRUE(directory.write(name, "new").ok());
    EXPECT_EQ(directory.read(name, kMost), "new") << name;
  }
  EXPECT_EQ(directory.read("precious", kMost), "mine");
  fs::create_directory(root.path() / "directory");
  EXPECT_EQ(directory.write("directory", "new").code(), StatusCode::kIoError);
  EXPECT_EQ(directory.files([](std::string_view) { return true; }).size(), 4u) << "a leftover";
}

TEST(PrivateDirectoryTest, ListsRegularFilesOfTheNamesWanted) {
  const ScopedDirectory root;
  const PrivateDirectory directory = open_sure(root.path());
  ASSERT_TRUE(directory.write("yes", "12345").ok());
  ASSERT_TRUE(directory.write("no", "12345").ok());
  fs::create_symlink("yes", root.path() / "yes.link");
  fs::create_directory(root.path() / "yes.directory");
  const auto files = directory.files([](std::string_view name) { return name.starts_with("yes"); });
  ASSERT_EQ(files.size(), 1u);
  EXPECT_EQ(files[0].name, "yes");
  EXPECT_EQ(files[0].bytes, 5u);
}

// In a child: a write beyond RLIMIT_FSIZE is an error, no signal, and one who has blocked or wants
// that signal himself finds things as they were.
int write_too_much(const fs::path& path) {
  const rlimit limit{1000, 1000};
  if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 1;
  const auto directory = PrivateDirectory::open(path);
  if (!directory.ok() || !directory->has_value()) return 2;
  if ((*directory)->write("x", std::string(5000, 'x')).ok()) return 3;
  if (!(*directory)->write("x", "small").ok()) return 4;
  sigset_t blocked, pending;
  sigpending(&pending);
  pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
  return sigismember(&pending, SIGXFSZ) != 0 || sigismember(&blocked, SIGXFSZ) != 0 ? 5 : 0;
}

TEST(PrivateDirectoryTest, LimitsOnFileSizeDoNotKill) {
  const ScopedDirectory root;
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) _exit(write_too_much(root.path()));
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(open_sure(root.path()).files([](std::string_view) { return true; }).size(), 1u);
}

// --- Leftovers ---

TEST(PrivateDirectoryTest, RemovesWhatKilledWritersLeft) {
  const ScopedDirectory root;
  const PrivateDirectory directory = open_sure(root.path());
  const std::vector<std::string> others = {"tmp-mine", kKilled + "0", "file",
                                           "tmp-0123456789ABCDEF0123456789abcdef"};
  for (const std::string& name : others) write_text(root.path() / name, "x");
  write_text(root.path() / kKilled, "x");
  const int writer = ::open((root.path() / kKilled).c_str(), O_WRONLY);
  ASSERT_EQ(::flock(writer, LOCK_EX), 0);
  directory.remove_abandoned();
  EXPECT_TRUE(fs::exists(root.path() / kKilled)) << "somebody writes it";
  ::close(writer);
  directory.remove_abandoned();
  EXPECT_FALSE(fs::exists(root.path() / kKilled));
  for (const std::string& name : others) EXPECT_TRUE(fs::exists(root.path() / name)) << name;
}

}  // namespace
}  // namespace convgen
