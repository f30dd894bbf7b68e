// SPDX-License-Identifier: Apache-2.0
// F1 to F15: failures that other convolution libraries were known for, each by what triggered it.
// The numbers are those of the table in docs/testing.md. One test each, short, on every instruction
// set; the tests that the table names beside them go deeper.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "ir/conv_spec.h"
#include "ir/text.h"
#include "runtime/verify.h"
#include "tests/support/kernels.h"
#include "tests/support/sparse_tensor.h"

namespace convgen::testing {
namespace {

// Right on integers and reals, between unreadable pages, by machine code of every instruction set
// and by the generic path.
void expect_right_everywhere(const std::string& text) {
  const ir::Conv conv = conv_of(text);
  for (const auto& [mcpu, engine] : make_engines())
    for (const CompileOptions& options : {CompileOptions(), generic_engine()}) {
      const Kernel kernel = compile_kernel(engine, conv, options);
      for (const VerifyData data : {VerifyData::kIntegers, VerifyData::kReals}) {
        const Reproducer again{.mcpu = mcpu,
                               .data = data == VerifyData::kIntegers ? "integers" : "reals",
                               .engine = kernel.engine_name()};
        announce_in_case_of_fault(again.text(conv));
        const Result<VerifyReport> report = verify_kernel(kernel, {.data = data});
        ASSERT_TRUE(report.ok()) << report.status().message();
        EXPECT_TRUE(report->pass) << report->failure << "\n  again: " << again.text(conv);
        EXPECT_EQ(report->checked_outputs, conv.dst_elements());
      }
    }
}

// invalid_argument, and a message that names `field`.
void expect_refused(const Result<ir::Conv>& conv, const std::string& field,
                    const std::string& what) {
  ASSERT_FALSE(conv.ok()) << what;
  EXPECT_EQ(conv.status().code(), StatusCode::kInvalidArgument) << what;
  EXPECT_NE(conv.status().message().find(field), std::string::npos)
      << what << ": " << conv.status().message();
}

ir::ConvSpec plain_spec() {
  ir::ConvSpec spec;
  spec.src = {"f32", "nhwc", {2, 5, 6, 4}};
  spec.weights = {"f32", "hwio", {3, 3, 4, 8}};
  return spec;
}

TEST(NamedFailuresTest, F1FilterWithoutTapsOrChannels) {
  for (int bits = 1; bits < 8; ++bits) {
    const int kh = bits & 1 ? 0 : 3, kw = bits & 2 ? 0 : 3, ic = bits & 4 ? 0 : 4;
    for (const char* pads : {"same", "same_lower", "valid", "1x1"}) {
      const std::string text = fmt::format(
          "conv2d src=f32:nhwc:1x5x5x{} weights=f32:hwio:{}x{}x{}x8 pads={}", ic, kh, kw, ic, pads);
      const Result<ir::Conv> conv = ir::parse_conv(text);
      ASSERT_FALSE(conv.ok()) << text;
      EXPECT_EQ(conv.status().code(), StatusCode::kInvalidArgument) << text;
    }
  }
}

TEST(NamedFailuresTest, F2EmptyTensors) {
  for (const char* text :
       {"conv2d src=f32:nhwc:0x5x5x4 weights=f32:hwio:3x3x4x8 post=bias,add",
        "conv2d src=f32:nhwc:2x5x5x4 weights=f32:hwio:3x3x4x0 post=bias,add",
        "conv2d src=f32:nhwc:1x0x5x4 weights=f32:hwio:3x3x4x8 pads=same strides=2x2",
        "conv2d src=f32:nchw:0x4x5x5 weights=f32:oihw:4x1x3x3 groups=4 pads=same"}) {
    const ir::Conv conv = conv_of(text);
    EXPECT_EQ(conv.dst_elements(), 0) << text;
    for (const auto& [mcpu, engine] : make_engines())
      for (const CompileOptions& options : {CompileOptions(), generic_engine()})
        EXPECT_TRUE(compile_kernel(engine, conv, options).run({}).ok()) << text;
  }
}

// Before anything divides by it: text, spec and benchdnn, whoever asks.
TEST(NamedFailuresTest, F3StridesOfZeroAndLess) {
  for (const int64_t stride : {int64_t{0}, int64_t{-1}, std::numeric_limits<int64_t>::min()}) {
    ir::ConvSpec spec = plain_spec();
    spec.strides = {1, stride};
    for (const auto kind :
         {ir::PadsSpec::Kind::kValid, ir::PadsSpec::Kind::kSame, ir::PadsSpec::Kind::kSameLower}) {
      spec.pads.kind = kind;
      expect_refused(ir::make_conv(spec), "strides", std::to_string(stride));
    }
    EXPECT_FALSE(ir::parse_conv(fmt::format("mb1ic3ih9oc4kh3sh{}", stride)).ok());
  }
}

TEST(NamedFailuresTest, F4ShapesThatDisagree) {
  const auto refused = [](auto change, const std::string& field) {
    ir::ConvSpec spec = plain_spec();
    change(spec);
    expect_refused(ir::make_conv(spec), field, field);
  };
  refused([](ir::ConvSpec& s) { s.weights.dims[2] = 5; }, "weights");
  refused([](ir::ConvSpec& s) { s.groups = 2; }, "weights");
  refused([](ir::ConvSpec& s) { s.groups = 3; }, "groups");
  refused([](ir::ConvSpec& s) { s.weights.dims = {3, 3, 2, 7}, s.groups = 2; }, "groups");
  refused([](ir::ConvSpec& s) { s.weights.dims = {7, 3, 4, 8}; }, "kernel");
  refused([](ir::ConvSpec& s) { s.src.dims.pop_back(); }, "src");
  refused([](ir::ConvSpec& s) { s.weights.dims.push_back(1); }, "weights");
  refused([](ir::ConvSpec& s) { s.dst.dims = {2, 5, 6, 8}; }, "dst");
  // Packed weights of one convolution are none of another.
  const Engine engine = make_engine();
  const Kernel kernel = compile_kernel(engine, *ir::make_conv(plain_spec()));
  ir::ConvSpec other = plain_spec();
  other.weights.dims[3] = 9;
  const HostTensors tensors = random_tensors(kernel.conv(), 1, Data::kReals);
  const std::vector<float> large(3 * 3 * 4 * 9);
  const auto packed = compile_kernel(engine, *ir::make_conv(other)).pack(large.data());
  ASSERT_TRUE(packed.ok());
  std::vector<float> dst(static_cast<size_t>(kernel.conv().dst_elements()));
  EXPECT_EQ(kernel.run({.src = tensors.src.data(), .packed = &*packed, .dst = dst.data()}).code(),
            StatusCode::kInvalidArgument);
}

TEST(NamedFailuresTest, F5SizesThatOverflow) {
  for (const int64_t huge : {int64_t{1} << 62, std::numeric_limits<int64_t>::max()})
    for (size_t dim = 0; dim < 4; ++dim) {
      ir::ConvSpec spec = plain_spec();
      spec.src.dims[dim] = huge;
      if (dim == 3) spec.weights.dims[2] = huge;
      EXPECT_FALSE(ir::make_conv(spec).ok()) << huge << " in dim " << dim;
    }
  // 2^32 in two dims: their product is 0 in 64 bits.
  ir::ConvSpec spec = plain_spec();
  spec.src.dims = {int64_t{1} << 32, int64_t{1} << 32, 6, 4};
  expect_refused(ir::make_conv(spec), "src", "2^32 x 2^32");
}

TEST(NamedFailuresTest, F6NoOperandsWhereTheChainNeedsThem) {
  const ir::Conv conv =
      conv_of("conv1d src=f32:nwc:1x5x3 weights=f32:wio:3x3x4 post=bias,scale,add");
  const HostTensors tensors = random_tensors(conv, 1, Data::kReals);
  std::vector<float> dst(static_cast<size_t>(conv.dst_elements()), 7.0f);
  const std::vector<float> before = dst;
  for (const CompileOptions& options : {CompileOptions(), generic_engine()}) {
    const Kernel kernel = compile_kernel(make_engine(), conv, options);
    for (int missing = 0; missing < 5; ++missing) {
      const auto unless = [&](int index, const std::vector<float>& tensor) {
        return missing == index ? nullptr : tensor.data();
      };
      const Status status = kernel.run({.src = unless(0, tensors.src),
                                        .weights = unless(1, tensors.weights),
                                        .bias = unless(2, tensors.bias),
                                        .add = unless(3, tensors.add),
                                        .scale = unless(4, tensors.scale),
                                        .dst = dst.data()});
      EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << missing;
      EXPECT_EQ(dst, before) << "written all the same";
    }
  }
}

// Dilation over 2^31 and 2^32 floats, as im2col once met it.
// tests/differential/huge_tensors_test.cpp has every algorithm.
TEST(NamedFailuresTest, F7OffsetsBeyond32Bits) {
  const ir::Conv conv = conv_of(
      "conv2d src=f32:nhwc:1x80003x14000x4 weights=f32:hwio:3x1x4x5 strides=1x2000 "
      "dilations=40000x1");
  SparseTensor src(conv.src_elements());
  if (!src.exists()) GTEST_SKIP() << "the system refuses so many addresses";
  for (int64_t h = 0; h < conv.in.h; h += h % 40000 == 2 ? 39998 : 1)
    for (int64_t w = 0; w < conv.in.w; w += 2000)
      for (int64_t c = 0; c < 4; ++c)
        src.data()[(h * conv.in.w + w) * 4 + c] = static_cast<float>(h % 7 + w % 5 + c + 1);
  src.make_read_only();
  const std::vector<float> weights =
      random_tensors(conv_of("conv2d src=f32:nhwc:1x3x1x4 weights=f32:hwio:3x1x4x5"), 1,
                     Data::kIntegers)
          .weights;
  const ir::TensorInputs inputs{src.data(), weights.data()};
  const ir::Reference due = ir::interpret(conv, inputs);
  for (const auto& [mcpu, engine] : make_engines())
    for (const CompileOptions& options : {CompileOptions(), generic_engine()}) {
      std::vector<float> dst(static_cast<size_t>(conv.dst_elements()));
      const Status status =
          compile_kernel(engine, conv, options)
              .run({.src = src.data(), .weights = weights.data(), .dst = dst.data()});
      ASSERT_TRUE(status.ok()) << status.message();
      for (size_t i = 0; i < dst.size(); ++i) ASSERT_EQ(dst[i], due.y[i]) << i << " " << mcpu;
    }
}

TEST(NamedFailuresTest, F8KernelsLargerThanTheImage) {
  expect_right_everywhere(
      "conv2d src=f32:nhwc:1x1x1x16 weights=f32:hwio:125x1x16x8 strides=3x5 pads=63x0");
  expect_right_everywhere("conv1d src=f32:ncw:1x3x1 weights=f32:oiw:5x3x125 strides=7 pads=63:63");
  expect_right_everywhere(
      "conv2d src=f32:nhwc:2x1x2x8 weights=f32:hwio:9x7x1x8 groups=8 strides=11x13 pads=5x4");
  expect_right_everywhere(
      "conv3d src=f32:ndhwc:1x1x1x1x3 weights=f32:dhwio:3x5x7x3x4 strides=2x3x4 pads=1x2x3");
}

TEST(NamedFailuresTest, F9AsymmetricPads) {
  for (const char* pads : {"0:1x0:1", "1:0x1:0", "0:2x2:0", "2:0x0:2", "3:1x1:4"})
    for (const char* tensors : {"src=f32:nhwc:1x7x9x16 weights=f32:hwio:3x3x16x17",
                                "src=f32:nchw:1x3x7x9 "
                                "weights=f32:oihw:5x3x3x3",
                                "src=f32:nhwc:1x7x9x13 weights=f32:hwio:3x3x1x13 groups=13"})
      for (const char* strides : {"1x1", "2x2"})
        expect_right_everywhere(
            fmt::format("conv2d {} pads={} strides={}", tensors, pads, strides));
}

// Every tail of every vector, flush against an unreadable page on either side (verify_kernel).
TEST(NamedFailuresTest, F10TailsOfVectors) {
  for (int channels = 1; channels <= 33; ++channels) {
    expect_right_everywhere(
        fmt::format("conv1d src=f32:nwc:1x5x{0} weights=f32:wio:2x{0}x3 post=bias,add", channels));
    expect_right_everywhere(
        fmt::format("conv1d src=f32:nwc:1x3x2 weights=f32:wio:2x2x{0} post=bias,add", channels));
    expect_right_everywhere(
        fmt::format("conv1d src=f32:ncw:1x2x{0} weights=f32:oiw:3x2x1 post=add", channels));
  }
}

TEST(NamedFailuresTest, F11ListsOfWrongLength) {
  for (size_t length = 0; length <= 6; ++length) {
    const std::vector<int64_t> list(length, 1);
    const auto check = [&](auto set, bool legal, const char* field) {
      ir::ConvSpec spec = plain_spec();
      set(spec);
      const Result<ir::Conv> conv = ir::make_conv(spec);
      EXPECT_EQ(conv.ok(), legal) << field << " of " << length << ": " << conv.status().message();
      if (!legal) expect_refused(conv, field, field);
    };
    check([&](auto& s) { s.strides = list; }, length == 0 || length == 2 || length == 4, "strides");
    check([&](auto& s) { s.dilations = list; }, length == 0 || length == 2, "dilations");
    check(
        [&](auto& s) {
          s.pads = {ir::PadsSpec::Kind::kExplicit, {length, {1, 1}}};
        },
        length == 2, "pads");
  }
  ir::ConvSpec spec = plain_spec();
  spec.groups = 0;
  expect_refused(ir::make_conv(spec), "groups", "groups of 0");
  spec = plain_spec();
  spec.strides = {1'250'000'000'000, 1};
  EXPECT_TRUE(ir::make_conv(spec).ok()) << "one row of outputs";
  expect_right_everywhere(ir::print_conv(*ir::make_conv(spec)));
}

TEST(NamedFailuresTest, F12MorePaddingBehindThanBefore) {
  expect_right_everywhere(
      "conv2d src=f32:nhwc:1x27x27x3 weights=f32:hwio:11x11x3x24 strides=4x4 pads=0:9x0:9");
  expect_right_everywhere(
      "conv2d src=f32:nchw:1x3x25x25 weights=f32:oihw:24x3x11x11 strides=4x4 pads=1:8x1:8");
  expect_right_everywhere("conv1d src=f32:nwc:1x4x5 weights=f32:wio:3x5x6 pads=0:200 strides=3");
}

// One answer for any number of channels: the padded tap is skipped.
TEST(NamedFailuresTest, F13InfWeightsAtPaddedTaps) {
  for (const auto& [mcpu, engine] : make_engines())
    for (int channels = 1; channels <= 40; ++channels) {
      const ir::Conv conv = conv_of(
          fmt::format("conv1d src=f32:nwc:1x6x{0} weights=f32:wio:3x{0}x{0} pads=1:1", channels));
      HostTensors tensors = random_tensors(conv, 1, Data::kIntegers);
      const auto tap = tensors.weights.size() / 3;
      std::fill(tensors.weights.begin(), tensors.weights.begin() + static_cast<int64_t>(tap),
                std::numeric_limits<float>::infinity());
      for (const CompileOptions& options : {CompileOptions(), generic_engine()}) {
        const std::vector<float> dst = run_kernel(compile_kernel(engine, conv, options), tensors);
        for (int oc = 0; oc < channels; ++oc)
          ASSERT_TRUE(std::isfinite(dst[static_cast<size_t>(oc)])) << channels << " " << mcpu;
        ASSERT_FALSE(std::isfinite(dst[static_cast<size_t>(channels)]));
        ASSERT_TRUE(matches_interpreter(conv, tensors, dst)) << mcpu;
      }
      engine.clear_cache();
    }
}

// run_kernel and verify_kernel fill dst and scratch with NaN: kernels that need scratch.
TEST(NamedFailuresTest, F14ScratchHoldsNaN) {
  struct Case {
    const char* conv;
    const char* schedule;
  };
  for (const auto& [mcpu, engine] : make_engines())
    for (const Case& one : std::vector<Case>{
             {"conv2d src=f32:nhwc:2x7x21x3 weights=f32:hwio:3x3x3x5 pads=1x1 strides=1x2",
              "staged tile=16x2 order=pixel_outer unroll=tile merge_rows=0 prefetch=0"},
             {"conv2d src=f32:nhwc:2x7x9x5 weights=f32:hwio:3x3x5x19 pads=1x1",
              "winograd tile=3x1 order=oc_outer unroll=tile edges=exact output_tile=4 "
              "merge_rows=0 tiles_per_task=0"},
             {"conv2d src=f32:nhwc:2x7x9x5 weights=f32:hwio:3x3x5x19 pads=1x1", ""}}) {
      const ir::Conv conv = conv_of(one.conv);
      const Kernel kernel = compile_kernel(
          engine, conv, one.schedule[0] == '\0' ? generic_engine() : with_schedule(one.schedule));
      ASSERT_GT(kernel.scratch_bytes(), 0u) << one.schedule;
      for (const Flush flush : {Flush::kEnd, Flush::kBegin}) {
        const HostTensors tensors = random_tensors(conv, 1, Data::kIntegers);
        EXPECT_TRUE(matches_interpreter(conv, tensors,
                                        run_kernel(kernel, tensors, {.flush = flush}), false,
                                        kernel.summation()))
            << one.schedule << " on '" << mcpu << "'";
      }
    }
}

// 64 threads, one kernel of each kind: the bits that each tensor has when it is alone.
TEST(NamedFailuresTest, F15OneKernelForManyThreads) {
  constexpr size_t kThreads = 64;
  const Engine engine = make_engine();
  for (const char* text :
       {"conv2d src=f32:nhwc:1x7x9x5 weights=f32:hwio:3x3x5x19 pads=1x1 post=bias,gelu",
        "conv2d src=f32:nhwc:1x7x40x3 weights=f32:hwio:3x3x3x3 pads=1x1 strides=1x2",
        "conv2d src=f32:nhwc:1x24x24x32 weights=f32:hwio:3x3x32x32 pads=1x1"})
    for (const CompileOptions& options : {CompileOptions(), generic_engine()}) {
      const ir::Conv conv = conv_of(text);
      const Kernel kernel = compile_kernel(engine, conv, options);
      std::vector<HostTensors> tensors;
      std::vector<std::vector<float>> expected;
      for (size_t i = 0; i < kThreads; ++i) {
        tensors.push_back(random_tensors(conv, i, Data::kReals));
        tensors[i].weights = tensors[0].weights;
        expected.push_back(run_kernel(kernel, tensors[i]));
      }
      EXPECT_TRUE(matches_interpreter(conv, tensors[7], expected[7], false, kernel.summation()));
      const Result<PackedWeights> packed = kernel.pack(tensors[0].weights.data());
      ASSERT_TRUE(packed.ok());
      std::atomic<int> wrong = 0;
      std::vector<std::thread> threads;
      for (size_t i = 0; i < kThreads; ++i)
        threads.emplace_back([&, i] {
          for (int run = 0; run < 50; ++run) {
            std::vector<float> dst(expected[i].size());
            const Status status = kernel.run({.src = tensors[i].src.data(),
                                              .packed = &*packed,
                                              .bias = tensors[i].bias.data(),
                                              .dst = dst.data()});
            if (!status.ok() || !same_bits(expected[i], dst)) ++wrong;
          }
        });
      for (std::thread& thread : threads) thread.join();
      EXPECT_EQ(wrong, 0) << text;
    }
}

}  // namespace
}  // namespace convgen::testing
