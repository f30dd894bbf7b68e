// SPDX-License-Identifier: Apache-2.0
// FreeRanges: lowest first, neighbours joined, never two owners of a byte.
#include "runtime/free_ranges.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/support/random.h"

namespace convgen {
namespace {

TEST(FreeRangesTest, TakesTheLowestThatIsLongEnough) {
  FreeRanges ranges(100);
  EXPECT_EQ(ranges.take(10), 0u);
  EXPECT_EQ(ranges.take(20), 10u);
  EXPECT_EQ(ranges.take(30), 30u);
  ranges.give_back(0, 10);
  EXPECT_EQ(ranges.take(11), 60u) << "ten bytes are free below, which is too few";
  EXPECT_EQ(ranges.take(4), 0u);
  EXPECT_EQ(ranges.take(6), 4u);
  EXPECT_EQ(ranges.free_bytes(), 29u);
}

TEST(FreeRangesTest, JoinsNeighboursOnBothSides) {
  FreeRanges ranges(30);
  for (size_t i = 0; i < 3; ++i) ASSERT_EQ(ranges.take(10), 10 * i);
  ranges.give_back(0, 10);
  ranges.give_back(20, 10);
  EXPECT_FALSE(ranges.take(11).has_value()) << "20 bytes are free, but not in one piece";
  ranges.give_back(10, 10);
  EXPECT_TRUE(ranges.all_free());
  EXPECT_EQ(ranges.take(30), 0u);
}

TEST(FreeRangesTest, NothingFitsIntoWhatIsFull) {
  FreeRanges ranges(8);
  EXPECT_FALSE(ranges.take(9).has_value());
  EXPECT_EQ(ranges.take(8), 0u);
  EXPECT_FALSE(ranges.take(1).has_value());
  EXPECT_FALSE(ranges.all_free());
}

struct Taken {
  size_t offset, size;
};

TEST(FreeRangesTest, NoByteHasTwoOwners) {
  constexpr size_t kSize = 500;
  FreeRanges ranges(kSize);
  testing::Random random(3);
  std::vector<Taken> all;
  std::vector<bool> owned(kSize);
  for (int step = 0; step < 20'000; ++step) {
    if (random.below(2) == 0 || all.empty()) {
      const auto size = static_cast<size_t>(1 + random.below(40));
      const auto offset = ranges.take(size);
      if (!offset) continue;
      ASSERT_LE(*offset + size, kSize);
      for (size_t at = *offset; at < *offset + size; ++at) {
        ASSERT_FALSE(owned[at]);
        owned[at] = true;
      }
      all.push_back({*offset, size});
    } else {
      std::swap(all[static_cast<size_t>(random.below(static_cast<int64_t>(all.size())))],
                all.back());
      const Taken taken = all.back();
      all.pop_back();
      ranges.give_back(taken.offset, taken.size);
      for (size_t at = taken.offset; at < taken.offset + taken.size; ++at) owned[at] = false;
    }
  }
  for (const Taken& taken : all) ranges.give_back(taken.offset, taken.size);
  EXPECT_TRUE(ranges.all_free());
  EXPECT_EQ(ranges.take(kSize), 0u) << "what came back was not joined";
}

}  // namespace
}  // namespace convgen
