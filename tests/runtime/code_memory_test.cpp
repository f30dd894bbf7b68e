// SPDX-License-Identifier: Apache-2.0
// CodeMemory: pages that are never writable and executable at once, few mappings for many kernels,
// space that is used again, and what remains where the system forbids one way or both.
#include "runtime/code_memory.h"

#include <gtest/gtest.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "runtime/code_slab.h"
#include "tests/support/child.h"
#include "tests/support/memory_maps.h"

namespace convgen {
namespace {

using testing::count_code_mappings;
using testing::count_mappings;
using testing::count_writable_code;
using testing::kNoWay;
using testing::run_in_child;

size_t page_bytes() { return round_to_pages(1); }

// int f() { return value; }
std::string code_returning(int value) {
#if defined(__x86_64__)
  std::string code = "\xb8....\xc3";  // mov eax, value; ret
  std::memcpy(code.data() + 1, &value, 4);
#else
  const uint32_t words[] = {0x52800000U | static_cast<uint32_t>(value & 0xffff) << 5, 0xd65f03c0U};
  const std::string code(reinterpret_cast<const char*>(words), sizeof words);
#endif
  return code;
}

int run(const char* code) {
  return reinterpret_cast<int (*)()>(reinterpret_cast<uintptr_t>(code))();
}

CodePages publish(CodeMemory& memory, int value, size_t size = 100) {
  auto pages = memory.allocate(size);
  EXPECT_TRUE(pages.ok()) << pages.status().message();
  const Status status = pages->publish(code_returning(value));
  EXPECT_TRUE(status.ok()) << status.message();
  return *std::move(pages);
}

TEST(CodeMemoryTest, PublishesCodeThatRuns) {
  const auto memory = CodeMemory::create();
  const CodePages one = publish(*memory, 1), two = publish(*memory, 2);
  EXPECT_EQ(run(one.data()), 1);
  EXPECT_EQ(run(two.data()), 2);
  EXPECT_EQ(one.size(), page_bytes());
  EXPECT_EQ(memory->count_slabs(), 1u);
}

TEST(CodeMemoryTest, PagesKeepTheirMemoryAlive) {
  auto memory = CodeMemory::create();
  const CodePages pages = publish(*memory, 7);
  memory.reset();
  EXPECT_EQ(run(pages.data()), 7);
}

TEST(CodeMemoryTest, ManyLiveKernelsAreFewMappings) {
  const int before = count_mappings();
  const auto memory = CodeMemory::create();
  std::vector<CodePages> all;
  for (int i = 0; i < 3000; ++i) all.push_back(publish(*memory, i));
  EXPECT_LE(count_mappings(), before + 10);
  EXPECT_GE(count_code_mappings(), 1) << "the count sees no code";
  // Holes split no mapping either: that alone could exhaust their number.
  for (size_t i = 0; i < all.size(); i += 2) all[i] = CodePages();
  EXPECT_LE(count_mappings(), before + 10);
  for (size_t i = 1; i < all.size(); i += 2) ASSERT_EQ(run(all[i].data()), static_cast<int>(i));
  for (size_t i = 0; i < all.size(); i += 2) all[i] = publish(*memory, static_cast<int>(i));
  EXPECT_LE(count_mappings(), before + 10);
  for (size_t i = 0; i < all.size(); ++i) ASSERT_EQ(run(all[i].data()), static_cast<int>(i));
}

TEST(CodeMemoryTest, SpaceIsUsedAgain) {
  const auto memory = CodeMemory::create();
  const CodePages keeps_the_slab = publish(*memory, 0);
  CodePages pages = publish(*memory, 1, 3 * page_bytes());
  const char* const place = pages.data();
  pages = CodePages();
  const CodePages again = publish(*memory, 2, 2 * page_bytes());
  EXPECT_EQ(again.data(), place);
  EXPECT_EQ(run(again.data()), 2);
}

TEST(CodeMemoryTest, EmptySlabsAreUnmapped) {
  const auto memory = CodeMemory::create();
  const int before = count_code_mappings();
  for (int round = 0; round < 3; ++round) {
    std::vector<CodePages> all;
    for (int i = 0; i < 40; ++i) all.push_back(publish(*memory, i, size_t{300} << 10));
    EXPECT_GE(memory->count_slabs(), 3u);
    EXPECT_GT(count_code_mappings(), before);
    all.clear();
    EXPECT_EQ(memory->count_slabs(), 0u);
    EXPECT_EQ(count_code_mappings(), before);
  }
}

TEST(CodeMemoryTest, WhatIsLargerThanASlabGetsItsOwn) {
  const auto memory = CodeMemory::create();
  const CodePages small = publish(*memory, 1), large = publish(*memory, 2, size_t{9} << 20);
  EXPECT_GE(large.size(), size_t{9} << 20);
  EXPECT_EQ(memory->count_slabs(), 2u);
  EXPECT_EQ(run(small.data()) + run(large.data()), 3);
}

TEST(CodeMemoryTest, ThreadsShareIt) {
  const auto memory = CodeMemory::create();
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::vector<CodePages> mine(8);
      for (int i = 0; i < 2000; ++i) {
        const int value = t * 10'000 + i;
        CodePages& slot = mine[static_cast<size_t>(i) % mine.size()];
        slot = publish(*memory, value);
        wrong += run(slot.data()) != value;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(memory->count_slabs(), 0u);
}

// Other kernels run while their neighbours come and go, so their pages cannot be touched.
TEST(CodeMemoryTest, IsNeverWritableAndExecutable) {
  const auto memory = CodeMemory::create();
  const CodePages neighbour = publish(*memory, 5);
  std::atomic<bool> stop = false;
  std::atomic<int> seen = 0, wrong = 0;
  std::thread watcher([&] {
    while (!stop) seen += count_writable_code();
  });
  std::thread runner([&] {
    while (!stop) wrong += run(neighbour.data()) != 5;
  });
  for (int i = 0; i < 3000; ++i) publish(*memory, i);
  stop = true;
  watcher.join();
  runner.join();
  EXPECT_EQ(seen, 0);
  EXPECT_EQ(wrong, 0);
}

using CodeMemoryDeathTest = ::testing::Test;

TEST(CodeMemoryDeathTest, WritingToCodeDies) {
  const auto memory = CodeMemory::create();
  const CodePages pages = publish(*memory, 1);
  EXPECT_DEATH(*static_cast<volatile char*>(pages.data()) = 0, "");
}

bool has_guard_pages() {
  utsname system{};
  int major = 0, minor = 0;
  return uname(&system) == 0 && sscanf(system.release, "%d.%d", &major, &minor) == 2 &&
         (major > 6 || (major == 6 && minor >= 13));
}

// By reading: a call would die of zeros as well.
TEST(CodeMemoryDeathTest, ReachingForCodeThatWentDies) {
  if (!has_guard_pages()) GTEST_SKIP() << "guard pages came with Linux 6.13";
  const auto memory = CodeMemory::create();
  const CodePages keeps_the_slab = publish(*memory, 0);
  const volatile char* const place = publish(*memory, 1).data();
  EXPECT_DEATH(static_cast<void>(*place), "");
}

// --- Where the system forbids memory to become executable ---

TEST(CodeMemoryTest, MemoryFilesTakeOverUnderMdwe) {
  const int result = run_in_child([] {
    if (!testing::refuse_gain_of_execution()) return kNoWay;
    if (CodeSlab::create_private(page_bytes()).ok()) return 1;
    const auto memory = CodeMemory::create();
    const int before = count_mappings();
    std::vector<CodePages> all;
    for (int i = 0; i < 3000; ++i) all.push_back(publish(*memory, i));
    for (int i = 0; i < 3000; ++i)
      if (run(all[static_cast<size_t>(i)].data()) != i) return 2;
    if (count_mappings() > before + 10) return 3;
    if (count_writable_code() != 0) return 4;
    all.clear();
    return memory->count_slabs() == 0 ? 0 : 5;
  });
  if (result == kNoWay) GTEST_SKIP() << "this system has no PR_SET_MDWE";
  EXPECT_EQ(result, 0) << "1 private memory works, 2 wrong code, 3 mappings, 4 W and X, 5 slabs";
}

// The right may go while code lives. The first kernel then fails, and no later one.
TEST(CodeMemoryTest, MdweMayComeLate) {
  const int result = run_in_child([] {
    const auto memory = CodeMemory::create();
    const CodePages before = publish(*memory, 1);
    if (!testing::refuse_gain_of_execution()) return kNoWay;
    auto refused = memory->allocate(100);
    if (!refused.ok() || refused->publish(code_returning(2)).ok()) return 1;
    const CodePages after = publish(*memory, 3);
    return run(before.data()) == 1 && run(after.data()) == 3 ? 0 : 2;
  });
  if (result == kNoWay) GTEST_SKIP() << "this system has no PR_SET_MDWE";
  EXPECT_EQ(result, 0) << "1 not refused, 2 wrong code";
}

TEST(CodeMemoryTest, SaysWhatWasRefused) {
  const int result = run_in_child([] {
    if (!testing::refuse_executable_memory()) return kNoWay;
    const auto pages = CodeMemory::create()->allocate(100);
    if (pages.ok()) return 1;
    const std::string message = pages.status().message();
    if (pages.status().code() != StatusCode::kResourceExhausted) return 2;
    const bool both = message.find("mprotect: Permission denied") != std::string::npos &&
                      message.find("memory file: Permission denied") != std::string::npos;
    return both ? 0 : 3;
  });
  if (result == kNoWay) GTEST_SKIP() << "this system has no seccomp filters";
  EXPECT_EQ(result, 0) << "1 not refused, 2 another code, 3 another message";
}

// --- Parents and children ---

// Both write to what is the same place for both; each must see its own.
int fork_and_publish(CodeMemory& memory) {
  const CodePages common = publish(memory, 1);
  CodePages dropped = publish(memory, 2);
  int ready[2];
  if (pipe(ready) != 0) return 1;
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    char byte;
    if (read(ready[0], &byte, 1) != 1) _exit(1);  // the parent has used the space again
    if (run(common.data()) != 1 || run(dropped.data()) != 2) _exit(2);
    const CodePages mine = publish(memory, 30);
    _exit(run(mine.data()) == 30 && run(common.data()) == 1 ? 0 : 3);
  }
  dropped = CodePages();
  const CodePages again = publish(memory, 4), more = publish(memory, 5);
  if (write(ready[1], "x", 1) != 1) return 1;
  int status = 0;
  if (waitpid(child, &status, 0) != child || !WIFEXITED(status)) return 4;
  const bool right = run(common.data()) == 1 && run(again.data()) == 4 && run(more.data()) == 5;
  return right ? WEXITSTATUS(status) : 5;
}

TEST(CodeMemoryTest, ForkedProcessesDoNotDisturbEachOther) {
  EXPECT_EQ(run_in_child([] { return fork_and_publish(*CodeMemory::create()); }), 0);
}

TEST(CodeMemoryTest, ForkedProcessesDoNotDisturbEachOtherUnderMdwe) {
  const int result = run_in_child([] {
    if (!testing::refuse_gain_of_execution()) return kNoWay;
    return fork_and_publish(*CodeMemory::create());
  });
  if (result == kNoWay) GTEST_SKIP() << "this system has no PR_SET_MDWE";
  EXPECT_EQ(result, 0);
}

}  // namespace
}  // namespace convgen
