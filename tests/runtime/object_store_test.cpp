// SPDX-License-Identifier: Apache-2.0
// ObjectStore: what was put is found; whatever else lies under its name is a miss, then rewritten;
// it stays within its bound, and leaves the files of others alone.
#include "runtime/object_store.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/environment.h"
#include "tests/support/soak.h"

namespace convgen {
namespace {

namespace fs = std::filesystem;
using testing::ScopedDirectory;
using testing::ScopedVariable;

constexpr uid_t kNobody = 65534;
constexpr int64_t kTwoYears = int64_t{2} * 365 * 24 * 60 * 60;
const std::string kObject(2000, 'o');

StoreKey key_number(int number) { return {"conv " + std::to_string(number), "schedule", "target"}; }

std::string file_of(const StoreKey& key) {
  return store_file_name(store_prefix(key), key.constants);
}

void write_text(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

std::string text_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The file was used so many seconds from now.
void set_time(const fs::path& path, int64_t from_now) {
  const timespec time{::time(nullptr) + from_now, 0}, times[] = {time, time};
  ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW), 0);
}

class ObjectStoreTest : public ::testing::Test {
 protected:
  ObjectStore open(uint64_t max_bytes = kDefaultStoreBytes) const {
    return ObjectStore(path(), max_bytes, false);
  }
  fs::path path() const { return root_.path() / "cache"; }
  fs::path path_of(int number) const { return path() / file_of(key_number(number)); }
  uint64_t bytes_on_disk() const {
    uint64_t bytes = 0;
    for (const auto& file : fs::directory_iterator(path())) bytes += file.file_size();
    return bytes;
  }

  const ScopedDirectory root_;
};

// --- Found and kept ---

TEST_F(ObjectStoreTest, FindsWhatWasPut) {
  ObjectStore store = open();
  EXPECT_FALSE(store.find(key_number(1)).has_value());
  EXPECT_FALSE(fs::exists(path())) << "looking makes no directory";
  store.put(key_number(1), kObject);
  EXPECT_EQ(store.find(key_number(1)), kObject);
  EXPECT_FALSE(store.find(key_number(2)).has_value());
  EXPECT_EQ(open().find(key_number(1)), kObject);
  store.put(key_number(1), "other");
  EXPECT_EQ(store.find(key_number(1)), "other");
  EXPECT_TRUE(store.status().ok()) << store.status().message();
  EXPECT_EQ(fs::status(path()).permissions(), fs::perms(0700));
}

TEST_F(ObjectStoreTest, EmptyIsOff) {
  ObjectStore store("", kDefaultStoreBytes, false);
  store.put(key_number(1), kObject);
  EXPECT_FALSE(store.find(key_number(1)).has_value());
  EXPECT_TRUE(store.status().ok());
  EXPECT_EQ(store.list()->size(), 0u);
  EXPECT_EQ(*store.clear(), 0);
}

TEST_F(ObjectStoreTest, RelativeOnesStayWhereTheyWere) {
  const fs::path before = fs::current_path();
  fs::current_path(root_.path());
  ObjectStore store("cache", kDefaultStoreBytes, false);
  fs::current_path(before);
  store.put(key_number(1), kObject);
  EXPECT_TRUE(fs::exists(path_of(1)));
  EXPECT_EQ(store.directory(), path());
}

TEST_F(ObjectStoreTest, BoundOfTheEnvironment) {
  for (const char* good : {"", "0", "1000", "18446744073709551615"}) {
    const ScopedVariable variable("CONVGEN_CACHE_MAX_BYTES", good);
    EXPECT_TRUE(default_store_bytes().ok()) << good;
  }
  for (const char* bad : {"-1", "1.5", "1G", " 1", "18446744073709551616", "x"}) {
    const ScopedVariable variable("CONVGEN_CACHE_MAX_BYTES", bad);
    EXPECT_EQ(default_store_bytes().status().code(), StatusCode::kInvalidArgument) << bad;
  }
  EXPECT_EQ(*default_store_bytes(), kDefaultStoreBytes);
}

// --- Distrust ---

TEST_F(ObjectStoreTest, RefusedDirectoriesAreNotedOnceAndLeftAlone) {
  open().put(key_number(1), kObject);
  fs::permissions(path(), fs::perms(0777));
  ObjectStore store(path(), kDefaultStoreBytes, true);
  ::testing::internal::CaptureStderr();
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(store.find(key_number(1)).has_value());
    store.put(key_number(2), kObject);
  }
  const std::string told = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(told, "convgen: warning: " + store.status().message() + "\n");
  EXPECT_NE(told.find("kernels are not kept on disk: " + path().string() + ": has mode 0777"),
            std::string::npos)
      << told;
  EXPECT_FALSE(fs::exists(path_of(2)));
  EXPECT_EQ(store.list().status().code(), StatusCode::kIoError);
  EXPECT_EQ(store.clear().status().code(), StatusCode::kIoError);
  EXPECT_TRUE(fs::exists(path_of(1)));
}

// What may lie under the name of entry 1 of a sound store, whose file is first moved to "kept".
struct Hostile {
  const char* name;
  std::function<void(const fs::path& path, const fs::path& kept)> make;
  bool rewritten = true;
};

const Hostile kHostiles[] = {
    {"symlink", [](const fs::path& path, const fs::path& kept) { fs::create_symlink(kept, path); }},
    {"hard link",
     [](const fs::path& path, const fs::path& kept) { fs::create_hard_link(kept, path); }},
    {"pipe", [](const fs::path& path, const fs::path&) { ::mkfifo(path.c_str(), 0600); }},
    {"directory", [](const fs::path& path, const fs::path&) { fs::create_directory(path); }, false},
    {"mode 0777",
     [](const fs::path& path, const fs::path& kept) {
       fs::copy_file(kept, path);
       fs::permissions(path, fs::perms(0777));
     }},
    {"no bytes", [](const fs::path& path, const fs::path&) { write_text(path, ""); }},
    {"4 GiB, sparse",
     [](const fs::path& path, const fs::path& kept) {
       fs::copy_file(kept, path);
       fs::resize_file(path, uint64_t{4} << 30);
     }},
    {"another key's",
     [](const fs::path& path, const fs::path&) {
       write_text(path, write_store_entry(store_prefix(key_number(2)), key_number(2), kObject));
     }},
    {"another build's",
     [](const fs::path& path, const fs::path&) {
       std::string prefix = store_prefix(key_number(1));
       prefix.replace(prefix.find("\nllvm "), 7, "\nllvm 9");
       write_text(path, write_store_entry(prefix, key_number(1), kObject));
     }},
    {"another cpu's",
     [](const fs::path& path, const fs::path&) {
       StoreKey other = key_number(1);
       other.target += ",+avx512f";
       write_text(path, write_store_entry(store_prefix(other), other, kObject));
     }},
    {"somebody else's",
     [](const fs::path& path, const fs::path& kept) {
       fs::copy_file(kept, path);
       if (::chown(path.c_str(), kNobody, kNobody) != 0) fs::remove(path);
     }},
};

TEST_F(ObjectStoreTest, WhatLiesUnderTheNameIsAMissThenRewritten) {
  for (const Hostile& hostile : kHostiles) {
    SCOPED_TRACE(hostile.name);
    fs::remove_all(path());
    ObjectStore store = open();
    store.put(key_number(1), kObject);
    fs::rename(path_of(1), path() / "kept");
    hostile.make(path_of(1), path() / "kept");
    EXPECT_FALSE(store.find(key_number(1)).has_value());
    EXPECT_TRUE(store.status().ok()) << "a bad entry is no trouble: " << store.status().message();
    store.put(key_number(1), kObject);
    EXPECT_EQ(store.find(key_number(1)).has_value(), hostile.rewritten);
    EXPECT_TRUE(fs::exists(path() / "kept"));
  }
}

// Every byte in script/soak, else some.
TEST_F(ObjectStoreTest, DamagedFilesAreMissesThenRewritten) {
  ObjectStore store = open();
  store.put(key_number(1), kObject);
  const std::string sound = text_of(path_of(1));
  const auto expect_rewritten = [&](const std::string& bytes, const std::string& what) {
    write_text(path_of(1), bytes);
    ASSERT_FALSE(store.find(key_number(1)).has_value()) << what;
    store.put(key_number(1), kObject);
    ASSERT_EQ(store.find(key_number(1)), kObject) << what;
  };
  const size_t step = testing::soak_minutes() > 0 ? 1 : 29;
  for (size_t at = 0; at < sound.size(); at += step) {
    expect_rewritten(sound.substr(0, at), "cut to " + std::to_string(at));
    std::string flipped = sound;
    flipped[at] = static_cast<char>(~flipped[at]);
    expect_rewritten(flipped, "byte " + std::to_string(at));
  }
}

// --- Removed, and written to, while in use ---

TEST_F(ObjectStoreTest, DirectoriesMayGoAtAnyTime) {
  ObjectStore store = open();
  std::atomic<bool> done = false;
  std::thread remover([&] {
    std::error_code ignored;
    while (!done) fs::remove_all(path(), ignored);
  });
  for (int i = 0; i < 500; ++i) {
    store.put(key_number(i), kObject);
    const auto found = store.find(key_number(i));
    if (found) {
      EXPECT_EQ(*found, kObject);
    }
  }
  done = true;
  remover.join();
  store.put(key_number(0), kObject);
  EXPECT_EQ(store.find(key_number(0)), kObject);
}

TEST_F(ObjectStoreTest, ThreadsWriteOneKey) {
  ObjectStore store = open();
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        store.put(key_number(i % 3), kObject);
        const auto found = store.find(key_number(i % 3));
        wrong += !found || *found != kObject;
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(store.list()->size(), 3u);
  EXPECT_TRUE(store.status().ok()) << store.status().message();
}

// --- Size ---

TEST_F(ObjectStoreTest, StaysWithinItsBound) {
  constexpr uint64_t kBound = 50000;
  ObjectStore store = open(kBound);
  for (int i = 0; i < 200; ++i) {
    store.put(key_number(i), kObject);
    ASSERT_LE(bytes_on_disk(), kBound) << i;
    ASSERT_TRUE(store.find(key_number(i)).has_value()) << "the newest went first: " << i;
  }
  EXPECT_GE(bytes_on_disk(), kBound / 2);
}

TEST_F(ObjectStoreTest, NeighboursFillNoMoreThanATenthMore) {
  constexpr uint64_t kBound = 200000;
  std::vector<std::unique_ptr<ObjectStore>> stores;
  for (int i = 0; i < 16; ++i)
    stores.push_back(std::make_unique<ObjectStore>(path(), kBound, false));
  for (int i = 0; i < 400; ++i) {
    stores[static_cast<size_t>(i % 16)]->put(key_number(i), kObject);
    ASSERT_LE(bytes_on_disk(), kBound + kBound / 10) << i;
  }
}

TEST_F(ObjectStoreTest, DropsWhatWasNotUsedForLongest) {
  for (int i = 0; i < 10; ++i) open().put(key_number(i), kObject);
  for (int i = 0; i < 10; ++i) set_time(path_of(i), -1000 + i);
  ASSERT_TRUE(open().find(key_number(0)).has_value());  // used now
  const uint64_t each = fs::file_size(path_of(1));
  open(each * 10 + each / 2).put(key_number(10), kObject);  // 7 of 10.5 fit in 70 %
  for (int i = 0; i <= 10; ++i) EXPECT_EQ(fs::exists(path_of(i)), i == 0 || i > 4) << i;
}

// A clock that was years ahead must not keep old entries for ever, nor one that is years behind
// drop the new ones.
TEST_F(ObjectStoreTest, ClocksMayBeYearsOff) {
  for (const int64_t off : {-kTwoYears, kTwoYears}) {
    SCOPED_TRACE(off);
    fs::remove_all(path());
    for (int i = 0; i < 10; ++i) open().put(key_number(i), kObject);
    for (int i = 0; i < 10; ++i) set_time(path_of(i), off + i);
    EXPECT_TRUE(open().find(key_number(3)).has_value());
    for (int i = 0; i < 10; ++i) set_time(path_of(i), off + i);
    const uint64_t each = fs::file_size(path_of(1));
    ObjectStore store = open(each * 10);
    for (int i = 10; i < 15; ++i) {
      store.put(key_number(i), kObject);
      EXPECT_TRUE(fs::exists(path_of(i))) << i;
      EXPECT_LE(bytes_on_disk(), each * 10);
    }
  }
}

TEST_F(ObjectStoreTest, TooLargeForTheBoundIsNotKept) {
  ObjectStore store = open(1000);
  store.put(key_number(1), kObject);
  EXPECT_FALSE(fs::exists(path()));
  open(0).put(key_number(1), "");
  EXPECT_FALSE(fs::exists(path()));
  open().put(key_number(1), std::string(kMaxStoreEntryBytes, 'x'));
  EXPECT_FALSE(fs::exists(path()));
  EXPECT_TRUE(store.status().ok());
}

TEST_F(ObjectStoreTest, FilesOfOthersStay) {
  const ScopedDirectory elsewhere;
  write_text(elsewhere.path() / "precious", std::string(100000, 'x'));
  open().put(key_number(1), kObject);
  const std::vector<std::string> others = {
      "tuning",   "tuning.lock",        "notes.txt",
      "tmp-mine", std::string(64, 'a'), std::string(64, 'a') + ".o"};
  for (const std::string& name : others) write_text(path() / name, std::string(100000, 'x'));
  fs::create_directory(path() / (std::string(64, 'b') + ".cgo"));
  fs::create_symlink(elsewhere.path() / "precious", path() / (std::string(64, 'c') + ".cgo"));
  for (const std::string& name : others) set_time(path() / name, -kTwoYears);
  ObjectStore store = open(20000);
  for (int i = 0; i < 30; ++i) store.put(key_number(i), kObject);
  EXPECT_EQ(fs::exists(path_of(1)), false) << "nothing was pruned";
  EXPECT_GT(*store.clear(), 0);
  EXPECT_EQ(store.list()->size(), 0u);
  for (const std::string& name : others) EXPECT_TRUE(fs::exists(path() / name)) << name;
  EXPECT_TRUE(fs::is_directory(path() / (std::string(64, 'b') + ".cgo")));
  EXPECT_TRUE(fs::is_symlink(path() / (std::string(64, 'c') + ".cgo")));
  EXPECT_TRUE(fs::exists(elsewhere.path() / "precious"));
}

// --- For people ---

TEST_F(ObjectStoreTest, ListsTheLastUsedFirst) {
  ObjectStore store = open();
  EXPECT_EQ(store.list()->size(), 0u);
  for (int i = 0; i < 3; ++i) store.put(key_number(i), kObject);
  set_time(path_of(0), -10);
  set_time(path_of(1), -20);
  write_text(path() / (std::string(64, 'd') + ".cgo"), "no entry");
  set_time(path() / (std::string(64, 'd') + ".cgo"), -30);
  const auto entries = store.list();
  ASSERT_TRUE(entries.ok());
  std::vector<std::string> convs;
  for (const ObjectStore::Entry& entry : *entries) convs.push_back(entry.conv);
  EXPECT_EQ(convs, (std::vector<std::string>{"conv 2", "conv 0", "conv 1", ""}));
  EXPECT_EQ(entries->front().bytes, fs::file_size(path_of(2)));
  EXPECT_EQ(entries->front().name, file_of(key_number(2)));
}

}  // namespace
}  // namespace convgen
