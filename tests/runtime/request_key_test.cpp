// SPDX-License-Identifier: Apache-2.0
// RequestKey: equal where the same was asked for, and nowhere else.
#include "runtime/request_key.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "tests/support/kernels.h"

namespace convgen {
namespace {

using testing::conv_of;

const char* const kConv =
    "conv2d src=f32:nhwc:2x6x7x8 weights=f32:hwio:3x3x4x10 groups=2 pads=1x1 post=clamp:0:6,bias";

std::string key_of(const ir::Conv& conv, const CompileOptions& options = {},
                   const ConstantWeights* constants = nullptr) {
  return std::string(RequestKey(conv, options, constants).view());
}

TEST(RequestKeyTest, SpellingAndNameDoNotMatter) {
  EXPECT_EQ(key_of(conv_of(kConv)), key_of(conv_of(std::string(kConv) + " name=x")));
  EXPECT_EQ(key_of(conv_of("conv2d src=f32:nhwc:1x6x7x5 weights=f32:hwio:3x3x5x9 pads=same")),
            key_of(conv_of("conv2d weights=f32:hwio:3x3x5x9 src=f32:nhwc:1x6x7x5 pads=1x1")));
}

// Each field of a convolution, changed alone.
TEST(RequestKeyTest, EveryFieldMatters) {
  const ir::Conv conv = conv_of(kConv);
  std::vector<ir::Conv> others;
  const auto change = [&](auto edit) {
    others.push_back(conv);
    edit(others.back());
  };
  change([](ir::Conv&) {});
  change([](ir::Conv& c) { c.spatial_rank = 3; });
  change([](ir::Conv& c) { c.src_layout = ir::ActivationLayout::kChannelsFirst; });
  change([](ir::Conv& c) { c.dst_layout = ir::ActivationLayout::kChannelsFirst; });
  change([](ir::Conv& c) { c.weights_layout = ir::WeightsLayout::kOISpatial; });
  change([](ir::Conv& c) { c.accuracy = ir::Accuracy::kStrict; });
  for (int64_t ir::Conv::*field : {&ir::Conv::n, &ir::Conv::ic, &ir::Conv::oc, &ir::Conv::groups})
    change([&](ir::Conv& c) { c.*field += 1; });
  for (ir::Extent3 ir::Conv::*extent :
       {&ir::Conv::in, &ir::Conv::kernel, &ir::Conv::out, &ir::Conv::strides, &ir::Conv::dilations,
        &ir::Conv::pads_begin, &ir::Conv::pads_end})
    for (int axis = 0; axis < 3; ++axis) change([&](ir::Conv& c) { (c.*extent)[axis] += 1; });
  change([](ir::Conv& c) { c.pad_value = 1; });
  change([](ir::Conv& c) { c.post[0].a = -0.0f; });
  change([](ir::Conv& c) { c.post[0].b = 5; });
  change([](ir::Conv& c) { c.post[1].kind = ir::PostOpKind::kScale; });
  change([](ir::Conv& c) { c.post.pop_back(); });
  change([](ir::Conv& c) { c.post.clear(); });
  std::set<std::string> keys;
  for (const ir::Conv& other : others) keys.insert(key_of(other));
  EXPECT_EQ(keys.size(), others.size());
}

TEST(RequestKeyTest, OptionsMatterButNotHowLongToWait) {
  const ir::Conv conv = conv_of(kConv);
  const std::string plain = key_of(conv);
  EXPECT_NE(plain, key_of(conv, {.engine = EngineKind::kGeneric}));
  EXPECT_NE(plain, key_of(conv, {.schedule = "tile=1x1"}));
  EXPECT_NE(plain, key_of(conv, {.threads = 2}));
  EXPECT_EQ(plain, key_of(conv, {.mode = CompileMode::kGenericFirst,
                                 .deadline = std::chrono::milliseconds(5)}));
}

TEST(RequestKeyTest, WeightsMatterByTheirBits) {
  const ir::Conv conv = conv_of("conv1d src=f32:nwc:1x9x1 weights=f32:wio:2x1x1");
  std::set<std::string> keys = {key_of(conv)};
  const std::vector<ConstantWeights> all = {
      {{0, 0}, false}, {{0, 0}, true}, {{0, -0.0f}, false}, {{1, 0}, false}, {{NAN, 0}, false}};
  for (const ConstantWeights& constants : all) keys.insert(key_of(conv, {}, &constants));
  EXPECT_EQ(keys.size(), all.size() + 1);
}

// The end of the schedule's words and the beginning of the weights cannot be taken for each other.
TEST(RequestKeyTest, PartsDoNotRunTogether) {
  const ir::Conv conv = conv_of("conv1d src=f32:nwc:1x9x1 weights=f32:wio:2x1x1");
  ConstantWeights one{{1.0f}, false}, two{{1.0f, 2.0f}, false};
  const std::string as_words(reinterpret_cast<const char*>(two.values.data()), 8);
  EXPECT_NE(key_of(conv, {.schedule = as_words.substr(0, 4)}, &one),
            key_of(conv, {.schedule = as_words}, nullptr));
  EXPECT_NE(key_of(conv, {.schedule = ""}, &two), key_of(conv, {.schedule = as_words}, nullptr));
}

}  // namespace
}  // namespace convgen
