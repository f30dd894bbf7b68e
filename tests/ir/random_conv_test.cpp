// SPDX-License-Identifier: Apache-2.0
// Random convolutions: valid, the same everywhere, within their limits, and rich in the shapes
// that specialised code gets wrong.
#include "ir/random_conv.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "ir/text.h"

namespace convgen::ir {
namespace {

const std::vector<Conv>& three_thousand() {
  static const std::vector<Conv> convs = [] {
    std::vector<Conv> result;
    for (uint64_t i = 0; i < 3000; ++i) result.push_back(random_conv(1, i));
    return result;
  }();
  return convs;
}

int64_t count(const std::function<bool(const Conv&)>& fact) {
  return std::count_if(three_thousand().begin(), three_thousand().end(), fact);
}

// Convolutions of which some spatial axis has the fact.
int64_t count_axes(const std::function<bool(const Conv&, int)>& fact) {
  return count([&](const Conv& c) { return fact(c, 0) || fact(c, 1) || fact(c, 2); });
}

int64_t effective_kernel(const Conv& conv, int axis) {
  return (conv.kernel[axis] - 1) * conv.dilations[axis] + 1;
}

TEST(RandomConv, IsValid) {
  for (const Conv& conv : three_thousand()) {
    const std::string text = print_conv(conv);
    const Result<Conv> again = parse_conv(text);
    ASSERT_TRUE(again.ok()) << text << ": " << again.status().message();
    ASSERT_EQ(*again, conv) << text;
  }
}

TEST(RandomConv, IsTheSameEverywhere) {
  uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (uint64_t i = 0; i < 200; ++i) {
    for (char c : print_conv(random_conv(1, i)) + "\n") {
      hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
    }
  }
  EXPECT_EQ(hash, 15566896702019156145u)
      << "a changed generator changes every recorded (seed, index)";
}

TEST(RandomConv, SeedsAndIndicesTellApart) {
  std::set<std::string> texts;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    for (uint64_t i = 0; i < 20; ++i) texts.insert(print_conv(random_conv(seed, i)));
  }
  EXPECT_GT(texts.size(), 395u);
}

TEST(RandomConv, KeepsItsLimits) {
  for (double max_multiply_adds : {1.0, 1e3, 1e5}) {
    for (int64_t max_elements : {1, 100, 10'000}) {
      for (uint64_t i = 0; i < 200; ++i) {
        const Conv conv = random_conv(2, i, {max_multiply_adds, max_elements});
        ASSERT_LE(conv.multiply_adds(), max_multiply_adds) << print_conv(conv);
        ASSERT_LE(conv.src_elements(), max_elements) << print_conv(conv);
        ASSERT_LE(conv.weights_elements(), max_elements) << print_conv(conv);
        ASSERT_LE(conv.dst_elements(), max_elements) << print_conv(conv);
      }
    }
  }
}

TEST(RandomConv, IsMostlySmall) {
  std::vector<double> work;
  for (const Conv& conv : three_thousand()) work.push_back(conv.multiply_adds());
  std::sort(work.begin(), work.end());
  EXPECT_GT(work[work.size() / 2], 5e3);
  EXPECT_LT(work[work.size() / 2], 5e4);
  EXPECT_GT(work[work.size() * 9 / 10], 1e5);
  EXPECT_LE(work.back(), 2e6);
}

TEST(RandomConv, CoversEveryRankAndLayoutTriple) {
  std::set<std::tuple<int, ActivationLayout, WeightsLayout, ActivationLayout>> seen;
  for (const Conv& c : three_thousand()) {
    seen.emplace(c.spatial_rank, c.src_layout, c.weights_layout, c.dst_layout);
  }
  EXPECT_EQ(seen.size(), 3u * 8);
}

TEST(RandomConv, CoversEveryPostOpAndLongChains) {
  for (int kind = 0; kind <= static_cast<int>(PostOpKind::kSquare); ++kind) {
    EXPECT_GT(count([&](const Conv& c) { return c.uses(static_cast<PostOpKind>(kind)); }), 50);
  }
  for (size_t length : {0, 1, 2, 3, 4, 8}) {
    EXPECT_GT(count([&](const Conv& c) { return c.post.size() == length; }), 50);
  }
}

TEST(RandomConv, CoversGroups) {
  const auto depthwise = [](const Conv& c) { return c.groups > 1 && c.ic_per_group() == 1; };
  for (int64_t multiplier : {1, 2, 3}) {
    EXPECT_GT(count([&](const Conv& c) { return depthwise(c) && c.oc_per_group() == multiplier; }),
              80);
  }
  EXPECT_GT(count([&](const Conv& c) { return c.groups > 1 && !depthwise(c); }), 200);
  EXPECT_GT(count([](const Conv& c) { return c.groups == 1; }), 1500);
}

// Several groups a vector, as many channels out as in: algorithms of their own.
TEST(RandomConv, CoversSquareGroups) {
  const auto square = [](const Conv& c, int64_t channels) {
    return c.groups > 1 && c.ic_per_group() == channels && c.oc_per_group() == channels;
  };
  for (int64_t channels : {2, 4, 8, 16})
    EXPECT_GT(count([&](const Conv& c) { return square(c, channels); }), 30) << channels;
  EXPECT_GT(count([&](const Conv& c) {
              return square(c, c.ic_per_group()) && c.ic_per_group() > 1 &&
                     c.src_layout == ActivationLayout::kChannelsLast &&
                     c.accuracy == Accuracy::kNormal;
            }),
            100);
}

TEST(RandomConv, CoversChannelsAroundTheVectorWidth) {
  for (int64_t channels : {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33}) {
    EXPECT_GT(count([&](const Conv& c) { return c.oc_per_group() == channels; }), 20) << channels;
    EXPECT_GT(count([&](const Conv& c) { return c.ic_per_group() == channels; }), 20) << channels;
  }
}

TEST(RandomConv, CoversLongRowsOfFewChannels) {
  const auto few = [](const Conv& c) { return c.groups == 1 && c.ic <= 5 && c.oc <= 8; };
  EXPECT_GT(count([&](const Conv& c) { return few(c) && c.out.w >= 32; }), 150);
  EXPECT_GT(count([&](const Conv& c) { return few(c) && c.out.w >= 64; }), 50);
  EXPECT_GT(count([&](const Conv& c) { return few(c) && c.out.w >= 16 && c.strides.w > 1; }), 50);
  EXPECT_GT(count([&](const Conv& c) { return c.in.w > 40; }), 150);
  EXPECT_GT(count([&](const Conv& c) { return c.in.w > 40 && c.ic == 3 && c.oc == 3; }), 20);
}

TEST(RandomConv, CoversOddStridesPadsAndKernels) {
  const auto pad = [](const Conv& c, int i) { return std::max(c.pads_begin[i], c.pads_end[i]); };
  EXPECT_GT(count_axes([](auto& c, int i) { return c.strides[i] > c.kernel[i]; }), 300);
  EXPECT_GT(count_axes([](auto& c, int i) { return c.dilations[i] > 1 && c.kernel[i] > 1; }), 300);
  EXPECT_GT(count_axes([](auto& c, int i) { return effective_kernel(c, i) > c.in[i]; }), 300);
  EXPECT_GT(count_axes([&](auto& c, int i) {
              return pad(c, i) >= effective_kernel(c, i) && pad(c, i) > 0;
            }),
            200);
  EXPECT_GT(count_axes([](auto& c, int i) { return c.pads_begin[i] > c.pads_end[i]; }), 300);
  EXPECT_GT(count_axes([](auto& c, int i) { return c.pads_begin[i] < c.pads_end[i]; }), 300);
  EXPECT_GT(count([](auto& c) { return !c.has_padding(); }), 300);
  EXPECT_GT(count([](auto& c) { return c.pad_value != 0 && c.has_padding(); }), 50);
}

TEST(RandomConv, CoversSmallAndEmptyOutputs) {
  EXPECT_GT(count([](const Conv& c) { return c.out.product() == 1; }), 150);
  EXPECT_GT(count([](const Conv& c) { return c.n == 0; }), 5);
  EXPECT_GT(count([](const Conv& c) { return c.oc == 0; }), 5);
  EXPECT_GT(count([](const Conv& c) { return c.n > 1; }), 500);
  EXPECT_GT(count([](const Conv& c) { return c.accuracy == Accuracy::kStrict; }), 300);
}

}  // namespace
}  // namespace convgen::ir
