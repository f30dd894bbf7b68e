// SPDX-License-Identifier: Apache-2.0
// One test for each rule of make_conv, and the grids of sizes that broke other libraries.
// Specs are built in C++ here; the same rules reached through text are text_test's.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "ir/conv_spec.h"

namespace convgen::ir {
namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// conv2d src=f32:nhwc:1x9x11x4 weights=f32:hwio:3x3x4x8
ConvSpec valid_spec() {
  ConvSpec spec;
  spec.src = {"f32", "nhwc", {1, 9, 11, 4}};
  spec.weights = {"f32", "hwio", {3, 3, 4, 8}};
  return spec;
}

// Reads the eight numbers n h w c | kh kw i o into a spec.
ConvSpec spec_of(const std::vector<int64_t>& numbers) {
  ConvSpec spec;
  spec.src = {"f32", "nhwc", {numbers.begin(), numbers.begin() + 4}};
  spec.weights = {"f32", "hwio", {numbers.begin() + 4, numbers.end()}};
  return spec;
}

using Edit = std::function<void(ConvSpec&)>;

ConvSpec edited(const Edit& edit) {
  ConvSpec spec = valid_spec();
  edit(spec);
  return spec;
}

void expect_error(const Edit& edit, std::string_view message,
                  StatusCode code = StatusCode::kInvalidArgument) {
  const Result<Conv> conv = make_conv(edited(edit));
  ASSERT_FALSE(conv.ok()) << "expected: " << message;
  EXPECT_EQ(conv.status().code(), code);
  EXPECT_NE(conv.status().message().find(message), std::string::npos)
      << conv.status().message() << "\nlacks: " << message;
}

Conv expect_conv(const Edit& edit) {
  const Result<Conv> conv = make_conv(edited(edit));
  EXPECT_TRUE(conv.ok()) << conv.status().message();
  return conv.ok() ? *conv : Conv{};
}

TEST(MakeConv, ReadsEveryField) {
  const Conv conv = expect_conv([](ConvSpec& s) {
    s.strides = {2, 3};
    s.pads.kind = PadsSpec::Kind::kExplicit;
    s.pads.explicit_pads = {{1, 0}, {2, 2}};
    s.dilations = {1, 2};
    s.dst = {"f32", "nchw", {}};
    s.accuracy = Accuracy::kStrict;
    s.name = "label";
  });
  EXPECT_EQ(conv.spatial_rank, 2);
  EXPECT_EQ(conv.n, 1);
  EXPECT_EQ(conv.ic, 4);
  EXPECT_EQ(conv.oc, 8);
  EXPECT_EQ(conv.in, (Extent3{1, 9, 11}));
  EXPECT_EQ(conv.kernel, (Extent3{1, 3, 3}));
  EXPECT_EQ(conv.strides, (Extent3{1, 2, 3}));
  EXPECT_EQ(conv.dilations, (Extent3{1, 1, 2}));
  EXPECT_EQ(conv.pads_begin, (Extent3{0, 1, 2}));
  EXPECT_EQ(conv.pads_end, (Extent3{0, 0, 2}));
  EXPECT_EQ(conv.out, (Extent3{1, 4, 4}));
  EXPECT_EQ(conv.dst_layout, ActivationLayout::kChannelsFirst);
  EXPECT_EQ(conv.accuracy, Accuracy::kStrict);
  EXPECT_EQ(conv.name, "label");
}

TEST(MakeConv, ChannelsFirstAndOihwMeanTheSame) {
  const Conv conv = expect_conv([](ConvSpec& s) {
    s.src = {"f32", "nchw", {1, 4, 9, 11}};
    s.weights = {"f32", "oihw", {8, 4, 3, 3}};
    s.dst.layout = "nhwc";
  });
  Conv same = expect_conv([](ConvSpec&) {});
  same.src_layout = ActivationLayout::kChannelsFirst;
  same.weights_layout = WeightsLayout::kOISpatial;
  EXPECT_EQ(conv, same);
}

// --- What is said, and in which words ---

TEST(MakeConv, CheckOp) {
  expect_error([](ConvSpec& s) { s.op = "conv4d"; }, "conv4d: unknown operation");
  expect_error([](ConvSpec& s) { s.op = "Conv2D"; }, "did you mean 'conv2d'?");
  expect_error([](ConvSpec& s) { s.op = ""; }, "expected conv1d, conv2d or conv3d");
}

TEST(MakeConv, ReservedOpsAreUnsupported) {
  for (std::string op : {"conv1d", "conv2d", "conv3d"}) {
    for (std::string suffix : {"_transpose", "_bwd_data", "_bwd_weights"}) {
      expect_error([&](ConvSpec& s) { s.op = op + suffix; }, op + suffix + ": reserved",
                   StatusCode::kUnsupported);
    }
  }
}

TEST(MakeConv, CheckTensorsSaid) {
  expect_error([](ConvSpec& s) { s.src = {}; }, "src=: is required");
  expect_error([](ConvSpec& s) { s.weights = {}; }, "weights=: is required");
  expect_error([](ConvSpec& s) { s.src.dims = {}; }, "src=f32:nhwc: has no dims");
  expect_error([](ConvSpec& s) { s.weights.dims = {}; }, "weights=f32:hwio: has no dims");
  expect_error([](ConvSpec& s) { s.src.type = ""; }, "src=:nhwc:1x9x11x4: has no type");
  expect_error([](ConvSpec& s) { s.src.layout = ""; }, "has no layout");
}

TEST(MakeConv, CheckDstHasNoDims) {
  expect_error(
      [](ConvSpec& s) {
        s.dst = {"f32", "nhwc", {1, 7, 9, 8}};
      },
      "dst=f32:nhwc:1x7x9x8: takes no dims, they follow from the other words");
}

TEST(MakeConv, CheckTypes) {
  for (std::string type : {"f64", "f16", "bf16", "s8", "u8", "s32"}) {
    const std::string message = "type " + type + " is reserved";
    expect_error([&](ConvSpec& s) { s.src.type = type; }, message, StatusCode::kUnsupported);
    expect_error([&](ConvSpec& s) { s.weights.type = type; }, message, StatusCode::kUnsupported);
    expect_error([&](ConvSpec& s) { s.dst.type = type; }, message, StatusCode::kUnsupported);
  }
  expect_error([](ConvSpec& s) { s.src.type = "f31"; }, "unknown type \"f31\"");
  expect_error([](ConvSpec& s) { s.dst.type = "F32"; }, "did you mean 'f32'?");
}

TEST(MakeConv, CheckLayouts) {
  expect_error([](ConvSpec& s) { s.src.layout = "nwc"; }, "\"nwc\" is no layout of conv2d");
  expect_error([](ConvSpec& s) { s.src.layout = "nwhc"; }, "did you mean 'nhwc'?");
  expect_error([](ConvSpec& s) { s.weights.layout = "dhwio"; }, "expected hwio or oihw");
  expect_error([](ConvSpec& s) { s.dst.layout = "ncdhw"; }, "dst=:ncdhw: \"ncdhw\" is no layout");
  expect_error([](ConvSpec& s) { s.op = "conv1d"; }, "expected nwc or ncw");
}

// --- Shapes ---

TEST(MakeConv, CheckNumberOfDims) {
  for (size_t length : {1, 2, 3, 5, 6, 7}) {
    const std::string found = std::to_string(length) + " dims found, ";
    expect_error([&](ConvSpec& s) { s.src.dims.assign(length, 1); }, found + "nhwc has 4");
    expect_error([&](ConvSpec& s) { s.weights.dims.assign(length, 1); }, found + "hwio has 4");
  }
}

TEST(MakeConv, CheckSrcDims) {
  expect_error([](ConvSpec& s) { s.src.dims[0] = -1; }, "dimension -1 of n must be at least 0");
  expect_error([](ConvSpec& s) { s.src.dims[1] = kMin; }, "of h must be at least 0");
  expect_error([](ConvSpec& s) { s.src.dims[3] = 0; }, "dimension 0 of c must be at least 1");
}

TEST(MakeConv, CheckWeightsDims) {
  expect_error([](ConvSpec& s) { s.weights.dims[0] = 0; }, "dimension 0 of h must be at least 1");
  expect_error([](ConvSpec& s) { s.weights.dims[1] = -3; }, "dimension -3 of w must be at least 1");
  expect_error([](ConvSpec& s) { s.weights.dims[2] = 0; }, "dimension 0 of i must be at least 1");
  expect_error([](ConvSpec& s) { s.weights.dims[3] = -1; }, "dimension -1 of o must be at least 0");
}

TEST(MakeConv, CheckGroups) {
  expect_error([](ConvSpec& s) { s.groups = 0; }, "groups=0: must be at least 1");
  expect_error([](ConvSpec& s) { s.groups = kMin; }, "must be at least 1");
  expect_error([](ConvSpec& s) { s.groups = 3; }, "groups=3: must divide the 8 output channels");
}

TEST(MakeConv, CheckChannelsAgree) {
  expect_error([](ConvSpec& s) { s.weights.dims[2] = 3; },
               "weights=f32:hwio:3x3x3x8: i 3 times groups 1 must be the 4 channels of src");
  expect_error([](ConvSpec& s) { s.groups = 2; }, "i 4 times groups 2 must be the 4 channels");
  expect_error(
      [](ConvSpec& s) {
        s.weights.dims = {3, 3, kMax, 0};
        s.groups = kMax;
      },
      "must be the 4 channels");
}

TEST(MakeConv, DepthwiseWithMultiplier) {
  const Conv conv = expect_conv([](ConvSpec& s) {
    s.groups = 4;
    s.weights.dims = {3, 3, 1, 8};
  });
  EXPECT_EQ(conv.ic_per_group(), 1);
  EXPECT_EQ(conv.oc_per_group(), 2);
}

// --- Strides, dilations, pads ---

TEST(MakeConv, CheckStrides) {
  expect_error(
      [](ConvSpec& s) {
        s.strides = {0, 2};
      },
      "strides=0x2: stride 0 of height must be at least 1");
  expect_error([](ConvSpec& s) { s.strides = {1, -1}; }, "stride -1 of width must be at least 1");
  for (size_t length : {1, 3, 5, 6}) {
    expect_error([&](ConvSpec& s) { s.strides.assign(length, 1); },
                 std::to_string(length) + " numbers found, conv2d takes 2, or 4");
  }
}

TEST(MakeConv, StridesMayNameBatchAndChannels) {
  EXPECT_EQ(expect_conv([](ConvSpec& s) { s.strides = {1, 2, 3, 1}; }).strides, (Extent3{1, 2, 3}));
  const Edit channels_first = [](ConvSpec& s) {
    s.src = {"f32", "nchw", {1, 4, 9, 11}};
    s.strides = {1, 1, 2, 3};
  };
  EXPECT_EQ(expect_conv(channels_first).strides, (Extent3{1, 2, 3}));
}

TEST(MakeConv, CheckFullStrides) {
  expect_error(
      [](ConvSpec& s) {
        s.strides = {2, 1, 1, 1};
      },
      "strides=2x1x1x1: stride 2 of batch must be 1");
  expect_error([](ConvSpec& s) { s.strides = {1, 2, 2, 0}; }, "stride 0 of channels must be 1");
  expect_error(
      [](ConvSpec& s) {
        s.src = {"f32", "nchw", {1, 4, 9, 11}};
        s.strides = {1, 2, 2, 1};
      },
      "stride 2 of channels must be 1");
}

TEST(MakeConv, CheckDilations) {
  expect_error(
      [](ConvSpec& s) {
        s.dilations = {1, 0};
      },
      "dilations=1x0: dilation 0 of width must be at least 1");
  for (size_t length : {1, 3, 4}) {
    expect_error([&](ConvSpec& s) { s.dilations.assign(length, 1); },
                 std::to_string(length) + " numbers found, conv2d takes 2");
  }
}

TEST(MakeConv, CheckEffectiveKernel) {
  expect_error(
      [](ConvSpec& s) {
        s.dilations = {kMax, 1};
      },
      "the effective kernel of height, (kernel 3 - 1) * dilation + 1, overflows int64");
}

TEST(MakeConv, CheckExplicitPads) {
  const auto pads = [](std::vector<std::pair<int64_t, int64_t>> list) {
    return [list](ConvSpec& s) { s.pads = {PadsSpec::Kind::kExplicit, list}; };
  };
  expect_error(pads({}), "0 entries found, conv2d takes 2");
  expect_error(pads({{1, 1}}), "pads=1: 1 entries found, conv2d takes 2");
  expect_error(pads({{1, 1}, {1, 1}, {1, 1}}), "3 entries found");
  expect_error(pads({{1, 1}, {0, -2}}), "pads=1x0:-2: pad -2 of width must not be negative");
  expect_error(
      [](ConvSpec& s) {
        s.pads = {PadsSpec::Kind::kSame, {{1, 1}, {1, 1}}};
      },
      "pads=same: takes no numbers");
}

TEST(MakeConv, CheckPaddedInput) {
  expect_error(
      [](ConvSpec& s) {
        s.pads = {PadsSpec::Kind::kExplicit, {{kMax, 0}, {0, 0}}};
      },
      "input 9 of height with its pads overflows int64");
  expect_error(
      [](ConvSpec& s) {
        s.pads = {PadsSpec::Kind::kExplicit, {{0, 0}, {kMax, kMax}}};
      },
      "input 11 of width");
}

struct SameCase {
  int64_t in, kernel, stride, dilation, begin, end;
};

TEST(MakeConv, SamePadsFollowTheFormula) {
  // total = max((ceil(in/stride)-1)*stride + (k-1)*dilation+1 - in, 0), the smaller half first
  const SameCase cases[] = {
      {224, 7, 2, 1, 2, 3}, {56, 3, 1, 1, 1, 1}, {6, 3, 3, 1, 0, 0},     {5, 2, 1, 1, 0, 1},
      {10, 1, 3, 1, 0, 0},  {7, 3, 1, 4, 4, 4},  {1, 125, 9, 1, 62, 62},
  };
  for (const SameCase& c : cases) {
    const auto pads_of = [&](PadsSpec::Kind kind) {
      return expect_conv([&](ConvSpec& s) {
        s.src.dims[1] = c.in;
        s.weights.dims[0] = c.kernel;
        s.strides = {c.stride, 1};
        s.dilations = {c.dilation, 1};
        s.pads.kind = kind;
      });
    };
    const Conv upper = pads_of(PadsSpec::Kind::kSame);
    EXPECT_EQ(upper.pads_begin.h, c.begin);
    EXPECT_EQ(upper.pads_end.h, c.end);
    EXPECT_EQ(upper.out.h, (c.in + c.stride - 1) / c.stride);
    const Conv lower = pads_of(PadsSpec::Kind::kSameLower);
    EXPECT_EQ(lower.pads_begin.h, c.end);
    EXPECT_EQ(lower.pads_end.h, c.begin);
  }
}

// --- The output and all sizes ---

TEST(MakeConv, CheckKernelFits) {
  expect_error([](ConvSpec& s) { s.weights.dims[1] = 12; },
               "weights=f32:hwio:3x12x4x8: effective kernel 12 of width is larger than the padded "
               "input 11");
  expect_error([](ConvSpec& s) { s.dilations = {5, 1}; }, "effective kernel 11 of height");
}

TEST(MakeConv, EmptyImageIsLegalWhereTheFormulaSaysZero) {
  const auto empty_image = [](int64_t stride, PadsSpec::Kind kind) {
    return [=](ConvSpec& s) {
      s.src.dims[1] = 0;
      s.strides = {stride, 1};
      s.pads.kind = kind;
    };
  };
  // floor((0 - 3) / stride) + 1 is 0 from stride 3 on
  EXPECT_EQ(expect_conv(empty_image(3, PadsSpec::Kind::kValid)).out.h, 0);
  expect_error(empty_image(2, PadsSpec::Kind::kValid), "larger than the padded input 0");
  for (int64_t stride : {1, 2, 3, 4, 9}) {
    EXPECT_EQ(expect_conv(empty_image(stride, PadsSpec::Kind::kSame)).out.h, 0);
    EXPECT_EQ(expect_conv(empty_image(stride, PadsSpec::Kind::kSameLower)).out.h, 0);
  }
}

TEST(MakeConv, NoBatchAndNoOutputChannelsAreLegal) {
  const Conv conv = expect_conv([](ConvSpec& s) {
    s.src.dims[0] = 0;
    s.weights.dims = {3, 3, 1, 0};
    s.groups = 4;
  });
  EXPECT_EQ(conv.dst_elements(), 0);
}

TEST(MakeConv, CheckSizesInBytes) {
  expect_error(
      [](ConvSpec& s) {
        s = spec_of({int64_t{1} << 61, 1, 1, 1, 1, 1, 1, 8});
      },
      "src=f32:nhwc:2305843009213693952x1x1x1: the size in bytes overflows int64");
  expect_error([](ConvSpec& s) { s.weights.dims[3] = kMax; },
               "weights=f32:hwio:3x3x4x9223372036854775807: the size in bytes overflows");
  expect_error(
      [](ConvSpec& s) {
        s.src.dims[0] = int64_t{1} << 40;
        s.weights.dims[3] = int64_t{1} << 20;
      },
      "dst=f32:nhwc:1099511627776x7x9x1048576: the size in bytes overflows");
}

TEST(MakeConv, ZeroDimDoesNotExcuseOverflowOfTheOthers) {
  const int64_t large = int64_t{1} << 40;
  expect_error([&](ConvSpec& s) { s.src.dims = {0, large, large, 4}; }, "overflows int64");
}

// --- What is computed besides ---

TEST(MakeConv, CheckPadValue) {
  for (float value : {kInf, -kInf, kNan}) {
    expect_error([&](ConvSpec& s) { s.pad_value = value; }, "must be finite");
  }
  EXPECT_FALSE(std::signbit(expect_conv([](ConvSpec& s) { s.pad_value = -0.0f; }).pad_value));
}

TEST(MakeConv, CheckPostOps) {
  const auto post = [](PostOp op) {
    return [op](ConvSpec& s) { s.post = {{PostOpKind::kBias}, op}; };
  };
  expect_error(post({PostOpKind::kLeakyRelu, kInf}), "post=leaky_relu:inf: A must be finite");
  expect_error(post({PostOpKind::kElu, -kInf}), "post=elu:-inf: A must be finite");
  expect_error(post({PostOpKind::kMin, kNan}), "NaN is not allowed");
  expect_error(post({PostOpKind::kClamp, 0, kNan}), "NaN is not allowed");
  expect_error(post({PostOpKind::kClamp, 6, 0}), "post=clamp:6:0: LO must not be greater than HI");
  expect_error(post({static_cast<PostOpKind>(77)}), "post=77: no such post-op");
  EXPECT_EQ(expect_conv(post({PostOpKind::kClamp, -kInf, kInf})).post.size(), 2u);
  EXPECT_EQ(expect_conv(post({PostOpKind::kMax, -kInf})).post.size(), 2u);
}

TEST(MakeConv, NumbersAPostOpDoesNotTakeAreDropped) {
  const Conv conv = expect_conv([](ConvSpec& s) { s.post = {{PostOpKind::kRelu, 5, 6}}; });
  EXPECT_EQ(conv.post[0], PostOp{PostOpKind::kRelu});
}

// --- Grids that broke others ---

TEST(MakeConv, GridOfZerosAndOnes) {
  for (int bits = 0; bits < 256; ++bits) {
    std::vector<int64_t> d(8);
    for (int i = 0; i < 8; ++i) d[static_cast<size_t>(i)] = bits >> i & 1;
    const Result<Conv> conv = make_conv(spec_of(d));
    const bool legal = d[3] == 1 && d[4] == 1 && d[5] == 1 && d[6] == 1;
    ASSERT_EQ(conv.ok(), legal) << "case " << bits << ": " << conv.status().message();
    if (legal) {
      EXPECT_EQ(conv->dst_elements(), d[0] * d[1] * d[2] * d[7]);
    }
  }
}

TEST(MakeConv, HugeSizesNeverWrap) {
  const int64_t huge[] = {(int64_t{1} << 31) - 1, int64_t{1} << 31, int64_t{1} << 32,
                          int64_t{1} << 62, kMax};
  const auto fits = [](const std::vector<int64_t>& dims) {
    long double bytes = 4;
    for (int64_t dim : dims) bytes *= static_cast<long double>(dim);
    return bytes <= static_cast<long double>(kMax);
  };
  for (size_t i = 0; i < 8; ++i) {
    for (size_t j = 0; j < 8; ++j) {
      for (int64_t a : huge) {
        for (int64_t b : huge) {
          std::vector<int64_t> d{1, 1, 1, 1, 1, 1, 1, 1};
          d[i] = a;
          d[j] = b;
          const Result<Conv> conv = make_conv(spec_of(d));
          if (!conv.ok()) continue;
          EXPECT_TRUE(fits(conv->src_dims())) << i << " " << j << " " << a << " " << b;
          EXPECT_TRUE(fits(conv->dst_dims())) << i << " " << j << " " << a << " " << b;
        }
      }
    }
  }
}

TEST(MakeConv, HugeAttributesNeverWrap) {
  const int64_t huge[] = {kMin, -1, (int64_t{1} << 31) - 1, int64_t{1} << 32, int64_t{1} << 62,
                          kMax};
  const PadsSpec::Kind kinds[] = {PadsSpec::Kind::kValid, PadsSpec::Kind::kSame,
                                  PadsSpec::Kind::kSameLower, PadsSpec::Kind::kExplicit};
  for (int64_t a : huge) {
    for (int64_t b : huge) {
      for (PadsSpec::Kind kind : kinds) {
        for (int64_t in : {int64_t{0}, int64_t{1}, kMax / 4}) {
          ConvSpec spec = spec_of({1, in, 1, 1, 3, 1, 1, 1});
          spec.strides = {a, 1};
          spec.dilations = {b, 1};
          spec.pads.kind = kind;
          if (kind == PadsSpec::Kind::kExplicit) spec.pads.explicit_pads = {{a, b}, {0, 0}};
          const Result<Conv> conv = make_conv(spec);
          EXPECT_TRUE(!conv.ok() || conv->out.h >= 0);
        }
      }
    }
  }
}

TEST(MakeConv, KernelFarBeyondTheInput) {
  ConvSpec spec = spec_of({1, 1, 1, 1, 125, 1, 1, 1});
  spec.strides = {7, 9};
  spec.pads = {PadsSpec::Kind::kExplicit, {{63, 63}, {0, 0}}};
  EXPECT_EQ(make_conv(spec)->out, (Extent3{1, 1, 1}));
}

TEST(MakeConv, ListsOfAnyLengthNeverCrash) {
  for (const char* op : {"conv1d", "conv2d", "conv3d"}) {
    for (size_t length = 0; length < 8; ++length) {
      const std::vector<int64_t> ones(length, 1);
      for (int field = 0; field < 5; ++field) {
        ConvSpec spec = valid_spec();
        spec.op = op;
        if (field == 0) spec.src.dims = ones;
        if (field == 1) spec.weights.dims = ones;
        if (field == 2) spec.strides = ones;
        if (field == 3) spec.dilations = ones;
        if (field == 4) spec.pads = {PadsSpec::Kind::kExplicit, {length, {1, 1}}};
        const Result<Conv> conv = make_conv(spec);
        EXPECT_NE(conv.ok(), !conv.status().message().empty());
      }
    }
  }
}

TEST(MakeConv, MessagesEscapeWhatTheyQuote) {
  expect_error([](ConvSpec& s) { s.src.layout = std::string("n\0\n\x1b[2J", 7); },
               "\"n\\x00\\x0a\\x1b[2J\" is no layout");
  const Result<Conv> conv = make_conv(edited([](ConvSpec& s) { s.op.assign(1 << 20, 'x'); }));
  ASSERT_FALSE(conv.ok());
  EXPECT_LT(conv.status().message().size(), 400u);
}

}  // namespace
}  // namespace convgen::ir
