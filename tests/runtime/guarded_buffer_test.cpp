// SPDX-License-Identifier: Apache-2.0
// GuardedBuffer: all of it usable, and one byte further faults.
#include "runtime/guarded_buffer.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <utility>

namespace convgen {
namespace {

GuardedBuffer make_buffer(size_t bytes, Flush flush) {
  Result<GuardedBuffer> buffer = GuardedBuffer::create(bytes, flush);
  EXPECT_TRUE(buffer.ok()) << buffer.status().message();
  return *std::move(buffer);
}

volatile char* bytes_of(const GuardedBuffer& buffer) {
  return static_cast<volatile char*>(buffer.data());
}

TEST(GuardedBufferTest, IsUsableToTheLastByte) {
  for (const size_t bytes : {1u, 3u, 4u, 60u, 4095u, 4096u, 4097u, 100000u}) {
    for (const Flush flush : {Flush::kEnd, Flush::kBegin}) {
      const GuardedBuffer buffer = make_buffer(bytes, flush);
      EXPECT_EQ(buffer.size_bytes(), bytes);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % sizeof(float), 0u);
      std::memset(buffer.data(), 0x5a, bytes);
      EXPECT_EQ(bytes_of(buffer)[bytes - 1], 0x5a);
    }
  }
}

// Any death will do: a sanitizer turns the signal into an exit.
using GuardedBufferDeathTest = ::testing::Test;

TEST(GuardedBufferDeathTest, ReadingOneByteFurtherFaults) {
  for (const size_t bytes : {4u, 4096u, 4100u}) {
    const GuardedBuffer at_end = make_buffer(bytes, Flush::kEnd);
    const GuardedBuffer at_begin = make_buffer(bytes, Flush::kBegin);
    EXPECT_DEATH((void)bytes_of(at_end)[bytes], "");
    EXPECT_DEATH((void)bytes_of(at_begin)[-1], "");
  }
}

TEST(GuardedBufferDeathTest, WritingAReadOnlyBufferFaults) {
  GuardedBuffer buffer = make_buffer(64, Flush::kEnd);
  buffer.floats()[3] = 7;
  ASSERT_TRUE(buffer.make_read_only());
  EXPECT_EQ(buffer.floats()[3], 7);
  EXPECT_DEATH(buffer.floats()[3] = 8, "");
}

TEST(GuardedBufferDeathTest, AnEmptyBufferMayNotBeRead) {
  for (const Flush flush : {Flush::kEnd, Flush::kBegin}) {
    GuardedBuffer buffer = make_buffer(0, flush);
    EXPECT_NE(buffer.data(), nullptr);
    EXPECT_TRUE(buffer.make_read_only());
    EXPECT_DEATH((void)bytes_of(buffer)[0], "");
  }
}

TEST(GuardedBufferTest, MovesItsMemory) {
  GuardedBuffer first = make_buffer(16, Flush::kEnd);
  first.floats()[0] = 3;
  const void* data = first.data();
  GuardedBuffer second = std::move(first);
  EXPECT_EQ(second.data(), data);
  GuardedBuffer third;
  third = std::move(second);
  EXPECT_EQ(third.floats()[0], 3);
}

TEST(GuardedBufferTest, MoreThanThereIsIsAnError) {
  for (const size_t bytes : {SIZE_MAX, SIZE_MAX / 2}) {
    Result<GuardedBuffer> buffer = GuardedBuffer::create(bytes, Flush::kEnd);
    ASSERT_FALSE(buffer.ok());
    EXPECT_EQ(buffer.status().code(), StatusCode::kResourceExhausted);
  }
}

}  // namespace
}  // namespace convgen
