// SPDX-License-Identifier: Apache-2.0
// What a Conv says about itself: shapes in every layout, work, equality.
#include "ir/conv.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace convgen::ir {
namespace {

using Dims = std::vector<int64_t>;

Conv conv3d() {
  Conv conv;
  conv.spatial_rank = 3;
  conv.n = 2;
  conv.ic = 6;
  conv.oc = 8;
  conv.groups = 2;
  conv.in = {7, 8, 9};
  conv.kernel = {1, 2, 3};
  conv.out = {7, 7, 7};
  return conv;
}

TEST(Extent3, IndexesDepthFirst) {
  Extent3 extent{2, 3, 4};
  EXPECT_EQ(extent[0], 2);
  EXPECT_EQ(extent[1], 3);
  EXPECT_EQ(extent[2], 4);
  EXPECT_EQ(extent.product(), 24);
  extent[1] = 5;
  EXPECT_EQ(extent.h, 5);
}

TEST(Conv, DimsFollowTheLayouts) {
  Conv conv = conv3d();
  conv.dst_layout = ActivationLayout::kChannelsFirst;
  EXPECT_EQ(conv.src_dims(), (Dims{2, 7, 8, 9, 6}));
  EXPECT_EQ(conv.dst_dims(), (Dims{2, 8, 7, 7, 7}));
  EXPECT_EQ(conv.weights_dims(), (Dims{1, 2, 3, 3, 8}));
  conv.weights_layout = WeightsLayout::kOISpatial;
  EXPECT_EQ(conv.weights_dims(), (Dims{8, 3, 1, 2, 3}));
}

TEST(Conv, DimsLeaveUnusedAxesOut) {
  Conv conv = conv3d();
  conv.spatial_rank = 1;
  conv.in = {1, 1, 9};
  conv.kernel = {1, 1, 3};
  EXPECT_EQ(conv.src_dims(), (Dims{2, 9, 6}));
  EXPECT_EQ(conv.weights_dims(), (Dims{3, 3, 8}));
}

TEST(Conv, CountsElementsAndWork) {
  const Conv conv = conv3d();
  EXPECT_EQ(conv.terms(), 1 * 2 * 3 * 3);
  EXPECT_EQ(conv.src_elements(), 2 * 7 * 8 * 9 * 6);
  EXPECT_EQ(conv.weights_elements(), 18 * 8);
  EXPECT_EQ(conv.dst_elements(), 2 * 8 * 343);
  EXPECT_EQ(conv.multiply_adds(), 2.0 * 8 * 343 * 18);
}

TEST(Conv, MultiplyAddsMayPassInt64) {
  Conv conv = conv3d();
  conv.n = int64_t{1} << 40;
  conv.out.w = int64_t{1} << 40;
  EXPECT_GT(conv.multiply_adds(), std::ldexp(1.0, 63));
}

TEST(Conv, KnowsItsPostOps) {
  Conv conv = conv3d();
  EXPECT_FALSE(conv.uses(PostOpKind::kBias));
  conv.post = {{PostOpKind::kBias}, {PostOpKind::kRelu}};
  EXPECT_TRUE(conv.uses(PostOpKind::kBias));
  EXPECT_FALSE(conv.uses(PostOpKind::kAdd));
}

TEST(Conv, KnowsItsPadding) {
  Conv conv = conv3d();
  EXPECT_FALSE(conv.has_padding());
  conv.pads_end.h = 1;
  EXPECT_TRUE(conv.has_padding());
}

TEST(Conv, EqualityIgnoresOnlyTheName) {
  const Conv conv = conv3d();
  Conv other = conv;
  other.name = "label";
  EXPECT_EQ(conv, other);
  other.strides.w = 2;
  EXPECT_NE(conv, other);
  other = conv;
  other.accuracy = Accuracy::kStrict;
  EXPECT_NE(conv, other);
  other = conv;
  other.post.push_back({PostOpKind::kRelu});
  EXPECT_NE(conv, other);
}

TEST(PostOp, MinusZeroIsNotZero) {
  EXPECT_EQ((PostOp{PostOpKind::kMax, -0.0f}), (PostOp{PostOpKind::kMax, -0.0f}));
  EXPECT_NE((PostOp{PostOpKind::kMax, -0.0f}), (PostOp{PostOpKind::kMax, 0.0f}));
}

}  // namespace
}  // namespace convgen::ir
