// SPDX-License-Identifier: Apache-2.0
// Offsets beyond 2^31 and 2^32, in src and dst in floats, in weights in bytes, by every algorithm.
// Tensors are sparse, and shapes are such that little of them is touched: taps and outputs 120,000
// rows apart, or only some of the tasks of a kernel run. Memory used stays below 1 GiB.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <fstream>
#include <ostream>
#include <string>
#include <thread>
#include <vector>

#include "ir/text.h"
#include "runtime/thread_pool.h"
#include "tests/support/filters.h"
#include "tests/support/kernels.h"
#include "tests/support/soak.h"
#include "tests/support/sparse_tensor.h"

namespace convgen::testing {
namespace {

constexpr int64_t kBeyond32Bits = int64_t{1} << 32;
constexpr const char* kNoRoom = "the system refuses so many addresses";

// -4 ... 4 without 0, by place alone.
float value_at(int64_t index, uint64_t seed) {
  return Random(mix(seed, static_cast<uint64_t>(index))).nonzero_integer(4);
}

// Less than 1 GiB is resident; sanitizers have shadows of their own.
void expect_little_memory() {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  int64_t pages = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  EXPECT_LT(resident * sysconf(_SC_PAGESIZE), int64_t{1} << 30);
#endif
}

struct Case {
  friend void PrintTo(const Case& one, std::ostream* out) { *out << one.conv; }
  const char* name;
  const char* conv;
  const char* schedule;  // empty: the generic path
  const char* filter = "";
};

Kernel compile(const Engine& engine, const Case& one, const ir::Conv& conv) {
  if (one.schedule[0] == '\0') return compile_kernel(engine, conv, generic_engine());
  if (one.filter[0] == '\0') return compile_kernel(engine, conv, with_schedule(one.schedule));
  Result<Kernel> kernel =
      engine.compile(conv, filter_named(one.filter, conv), with_schedule(one.schedule));
  if (!kernel.ok()) throw std::runtime_error(kernel.status().message());
  return *std::move(kernel);
}

// weights and bias; halves in bias, so that no output is 0.
HostTensors small_tensors(const Kernel& kernel) {
  const ir::Conv& conv = kernel.conv();
  HostTensors small;
  for (int64_t i = 0; i < conv.weights_elements(); ++i) small.weights.push_back(value_at(i, 1));
  if (kernel.constant_weights() != nullptr) small.weights = kernel.constant_weights()->values;
  for (int64_t oc = 0; oc < conv.oc; ++oc) small.bias.push_back(value_at(oc, 2) + 0.5f);
  return small;
}

RunArgs args_of(const Kernel& kernel, const float* src, const HostTensors& small, float* dst) {
  return {.src = src,
          .weights = kernel.constant_weights() == nullptr ? small.weights.data() : nullptr,
          .bias = small.bias.data(),
          .dst = dst};
}

// Where an element of dst lies in the image.
ir::OutputIndex output_at(const ir::Conv& conv, int64_t place) {
  ir::OutputIndex at;
  const auto take = [&](int64_t size) {
    const int64_t index = place % size;
    place /= size;
    return index;
  };
  const bool last = conv.dst_layout == ir::ActivationLayout::kChannelsLast;
  if (last) at.oc = take(conv.oc);
  at.ow = take(conv.out.w);
  at.oh = take(conv.out.h);
  at.od = take(conv.out.d);
  if (!last) at.oc = take(conv.oc);
  at.n = place;
  return at;
}

// Integers and halves: to the bit.
void expect_output(const ir::Conv& conv, const ir::TensorInputs& inputs, const float* dst,
                   int64_t place) {
  const ir::ReferenceOutput due = ir::interpret_output(conv, inputs, output_at(conv, place));
  ASSERT_EQ(dst[place], due.y) << "dst[" << place << "]: " << ir::print_conv(conv);
}

// --- src ---

// Row h of each channel, or of all channels where they come last.
void fill_row(const ir::Conv& conv, SparseTensor& src, int64_t h) {
  const bool last = conv.src_layout == ir::ActivationLayout::kChannelsLast;
  const int64_t planes = conv.n * (last ? 1 : conv.ic);
  const int64_t row = conv.in.w * (last ? conv.ic : 1);
  for (int64_t plane = 0; plane < planes; ++plane) {
    const int64_t begin = (plane * conv.in.h + h) * row;
    for (int64_t i = begin; i < begin + row; ++i) src.data()[i] = value_at(i, 3);
  }
}

void fill_rows_that_are_read(const ir::Conv& conv, SparseTensor& src) {
  for (int64_t oh = 0; oh < conv.out.h; ++oh)
    for (int64_t kh = 0; kh < conv.kernel.h; ++kh)
      fill_row(conv, src, oh * conv.strides.h + kh * conv.dilations.h);
}

class HugeSourceTest : public ::testing::TestWithParam<Case> {};

TEST_P(HugeSourceTest, IsReadToItsEnd) {
  const ir::Conv conv = conv_of(GetParam().conv);
  ASSERT_GT(conv.src_elements(), kBeyond32Bits);
  SparseTensor src(conv.src_elements());
  if (!src.exists()) GTEST_SKIP() << kNoRoom;
  fill_rows_that_are_read(conv, src);
  src.make_read_only();
  ThreadPool pool(3);
  for (const auto& [mcpu, engine] : make_engines()) {
    const Kernel kernel = compile(engine, GetParam(), conv);
    const HostTensors small = small_tensors(kernel);
    const ir::TensorInputs inputs{src.data(), small.weights.data(), small.bias.data()};
    std::vector<float> dst(static_cast<size_t>(conv.dst_elements()));
    const ParallelFor on_pool = pool.parallel_for();
    for (const ParallelFor* threads : {static_cast<const ParallelFor*>(nullptr), &on_pool}) {
      std::fill(dst.begin(), dst.end(), 0.0f);
      const Status status = kernel.run(args_of(kernel, src.data(), small, dst.data()), threads);
      ASSERT_TRUE(status.ok()) << status.message();
      const bool winograd = kernel.summation().winograd_tile != 0;
      for (int64_t place = 0; place < conv.dst_elements(); place += 3) {
        const auto due =
            ir::interpret_output(conv, inputs, output_at(conv, place), kernel.summation());
        const float found = dst[static_cast<size_t>(place)];
        ASSERT_TRUE(winograd ? ir::within_tolerance(found, due) : found == due.y)
            << found << " at " << place << ", due is " << due.y << ": " << kernel.schedule()
            << " on '" << mcpu << "'";
      }
    }
  }
  expect_little_memory();
}

// Taps 120,000 rows apart, or images; 17,920 floats a row: the second one begins behind 2^31
// floats, the third behind 2^32.
constexpr std::array kHugeSources{
    Case{"direct",
         "conv2d src=f32:nhwc:1x240003x1120x16 weights=f32:hwio:3x3x16x8 dilations=120000x1 "
         "post=bias",
         "direct tile=3x1 order=pixel_outer unroll=tile merge_rows=0"},
    Case{"direct_taps",
         "conv2d src=f32:nhwc:1x240003x1120x16 weights=f32:hwio:3x1x16x5 dilations=120000x1 "
         "strides=1x40 post=bias",
         "direct tile=2x1 order=pixel_outer unroll=taps edges=ranged merge_rows=0"},
    Case{
        "planar",
        "conv2d src=f32:nchw:1x2x240003x9000 weights=f32:oihw:3x2x3x3 dilations=120000x1 post=bias",
        "planar tile=16x1 unroll=tile"},
    Case{"staged",
         "conv2d src=f32:nhwc:3x120001x5974x3 weights=f32:hwio:1x3x3x4 strides=120000x1 post=bias",
         "staged tile=16x2 order=pixel_outer unroll=tile merge_rows=0 prefetch=0 rows_per_task=1"},
    Case{"grouped",
         "conv2d src=f32:nhwc:1x240003x1120x16 weights=f32:hwio:3x3x4x16 dilations=120000x1 "
         "groups=4 "
         "post=bias",
         "grouped tile=2x1 unroll=row"},
    Case{"rotated",
         "conv2d src=f32:nhwc:1x240003x1120x16 weights=f32:hwio:3x3x4x16 dilations=120000x1 "
         "groups=4 "
         "post=bias",
         "rotated tile=2x1 unroll=taps"},
    Case{"depthwise",
         "conv2d src=f32:nhwc:1x240003x1120x16 weights=f32:hwio:3x3x1x16 dilations=120000x1 "
         "groups=16 post=bias",
         "depthwise unroll=taps"},
    Case{"winograd",
         "conv2d src=f32:nhwc:1x240003x1120x16 weights=f32:hwio:3x3x16x8 dilations=120000x1 "
         "post=bias",
         "winograd tile=3x1 order=oc_outer unroll=tile edges=exact output_tile=4 merge_rows=0 "
         "tiles_per_task=0"},
    Case{"filter",
         "conv2d src=f32:nhwc:1x240003x5974x3 weights=f32:hwio:3x3x1x3 dilations=120000x1 groups=3 "
         "post=bias",
         "filter lanes=4 tile=24x2 unroll=tile passes=1", "random"},
    Case{"filter_in_two_passes",
         "conv2d src=f32:nhwc:1x240003x17920x1 weights=f32:hwio:3x3x1x1 dilations=120000x1 "
         "post=bias",
         "filter lanes=4 tile=8x2 unroll=tile passes=2", "box"},
    Case{"generic",
         "conv2d src=f32:nhwc:1x240003x1120x16 weights=f32:hwio:3x3x16x8 dilations=120000x1 "
         "post=bias",
         ""},
    Case{
        "generic_nchw",
        "conv2d src=f32:nchw:1x2x240003x9000 weights=f32:oihw:3x2x3x3 dilations=120000x1 post=bias",
        ""},
    Case{"generic_depthwise",
         "conv2d src=f32:nhwc:1x240003x1120x16 weights=f32:hwio:3x3x1x16 dilations=120000x1 "
         "groups=16 post=bias",
         ""},
};

INSTANTIATE_TEST_SUITE_P(Algorithms, HugeSourceTest, ::testing::ValuesIn(kHugeSources),
                         [](const auto& test) { return test.param.name; });

// --- dst ---

// Runs two tasks at the beginning, at the end, and where dst passes 2^31 and 2^32 floats, each on a
// thread of its own.
struct SomeTasks {
  int64_t dst_elements;

  static void run(void* self, int64_t tasks, TaskFunction body, void* context) {
    const double share = static_cast<double>(tasks) /
                         static_cast<double>(static_cast<SomeTasks*>(self)->dst_elements);
    std::vector<int64_t> begins = {0, static_cast<int64_t>(share * 0x1p31),
                                   static_cast<int64_t>(share * 0x1p32), tasks - 2};
    begins.erase(std::unique(begins.begin(), begins.end()), begins.end());
    std::vector<std::thread> threads;
    for (const int64_t begin : begins)
      threads.emplace_back([=] { body(context, begin, begin + 2); });
    for (std::thread& thread : threads) thread.join();
  }
};

class HugeDestinationTest : public ::testing::TestWithParam<Case> {};

TEST_P(HugeDestinationTest, IsWrittenToItsEnd) {
  const ir::Conv conv = conv_of(GetParam().conv);
  ASSERT_GT(conv.dst_elements(), kBeyond32Bits);
  SparseTensor src(conv.src_elements());
  if (!src.exists()) GTEST_SKIP() << kNoRoom;
  for (const int64_t place : {int64_t{0}, kBeyond32Bits / 2, kBeyond32Bits, conv.dst_elements()}) {
    const int64_t row = place / (conv.dst_elements() / conv.in.h);
    for (int64_t h = std::max<int64_t>(row - 6, 0); h < std::min(row + 6, conv.in.h); ++h)
      fill_row(conv, src, h);
  }
  src.make_read_only();
  const Engine engine = make_engine();
  const Kernel kernel = compile(engine, GetParam(), conv);
  const HostTensors small = small_tensors(kernel);
  const ir::TensorInputs inputs{src.data(), small.weights.data(), small.bias.data()};
  SparseTensor dst(conv.dst_elements());
  if (!dst.exists()) GTEST_SKIP() << kNoRoom;
  SomeTasks some{conv.dst_elements()};
  const ParallelFor parallel_for{&some, SomeTasks::run};
  ASSERT_GT(kernel.tasks(), 8) << kernel.schedule();
  const Status status = kernel.run(args_of(kernel, src.data(), small, dst.data()), &parallel_for);
  ASSERT_TRUE(status.ok()) << status.message();

  const std::vector<int64_t> written = dst.nonzero_places();
  ASSERT_FALSE(written.empty());
  EXPECT_EQ(written.front(), 0);
  EXPECT_EQ(written.back(), conv.dst_elements() - 1);
  const auto beyond = std::lower_bound(written.begin(), written.end(), kBeyond32Bits / 2);
  EXPECT_LT(*beyond, kBeyond32Bits) << "nothing between 2^31 and 2^32 floats";
  for (size_t i = 0; i < written.size(); i += 1 + written.size() / 100'000) {
    const auto due =
        ir::interpret_output(conv, inputs, output_at(conv, written[i]), kernel.summation());
    ASSERT_TRUE(ir::within_tolerance(dst.data()[written[i]], due))
        << dst.data()[written[i]] << " at " << written[i] << ", due is " << due.y << ": "
        << kernel.schedule();
  }
  expect_little_memory();
}

constexpr std::array kHugeDestinations{
    Case{"direct",
         "conv2d src=f32:nhwc:1x32800x2060x1 weights=f32:hwio:3x3x1x64 pads=1x1 post=bias",
         "direct tile=3x2 order=pixel_outer unroll=tile merge_rows=0 rows_per_task=2"},
    Case{"direct_channels_outside",
         "conv2d src=f32:nhwc:1x32800x2060x1 weights=f32:hwio:3x3x1x64 dst=f32:nchw pads=1x1 "
         "post=bias",
         "direct tile=4x1 order=oc_outer unroll=tile merge_rows=0"},
    Case{"planar",
         "conv2d src=f32:nchw:1x1x32800x2060 weights=f32:oihw:64x1x3x3 pads=1x1 post=bias",
         "planar tile=16x2 unroll=tile"},
    Case{"staged",
         "conv2d src=f32:nhwc:1x32800x8240x2 weights=f32:hwio:3x3x2x16 pads=1x1 post=bias",
         "staged tile=16x2 order=pixel_outer unroll=tile merge_rows=0 prefetch=0 rows_per_task=2"},
    Case{"grouped",
         "conv2d src=f32:nhwc:1x32800x2060x64 weights=f32:hwio:3x3x4x64 groups=16 pads=1x1 "
         "post=bias",
         "grouped tile=2x1 unroll=row rows_per_task=2"},
    Case{"rotated",
         "conv2d src=f32:nhwc:1x32800x2060x64 weights=f32:hwio:3x3x4x64 groups=16 pads=1x1 "
         "post=bias",
         "rotated tile=2x1 unroll=taps rows_per_task=2"},
    Case{"depthwise",
         "conv2d src=f32:nhwc:1x32800x2060x64 weights=f32:hwio:3x3x1x64 groups=64 pads=1x1 "
         "post=bias",
         "depthwise unroll=taps rows_per_task=2"},
    Case{"winograd",
         "conv2d src=f32:nhwc:1x32800x2060x3 weights=f32:hwio:3x3x3x64 pads=1x1 post=bias",
         "winograd tile=3x1 order=oc_outer unroll=tile edges=exact output_tile=4 merge_rows=0 "
         "tiles_per_task=24"},
    Case{"filter",
         "conv2d src=f32:nhwc:1x32800x43700x3 weights=f32:hwio:3x3x1x3 groups=3 pads=1x1 post=bias",
         "filter lanes=4 tile=24x2 unroll=tile passes=1 rows_per_task=2", "random"},
    Case{"filter_in_two_passes",
         "conv2d src=f32:nhwc:1x32800x131100x1 weights=f32:hwio:3x3x1x1 pads=1x1 post=bias",
         "filter lanes=4 tile=8x2 unroll=tile passes=2 rows_per_task=2", "box"},
    Case{"generic",
         "conv2d src=f32:nhwc:1x32800x2060x1 weights=f32:hwio:3x3x1x64 pads=1x1 post=bias", ""},
    Case{"generic_nchw",
         "conv2d src=f32:nchw:1x1x32800x2060 weights=f32:oihw:64x1x3x3 pads=1x1 post=bias", ""},
};

INSTANTIATE_TEST_SUITE_P(Algorithms, HugeDestinationTest, ::testing::ValuesIn(kHugeDestinations),
                         [](const auto& test) { return test.param.name; });

// --- weights ---

constexpr int64_t kFloatsOf4GiB = int64_t{1} << 30;

// 1,040 channels to 2^20: 4.06 GiB. Packed by hand, since packing would touch them all: blocks of 8
// output channels, input channels by rows of 8.
TEST(HugeWeightsTest, AreReadToTheirEnd) {
  constexpr int64_t ic = 1040, oc = int64_t{1} << 20, pixels = 2, block = 8;
  const ir::Conv conv = conv_of(
      fmt::format("conv2d src=f32:nhwc:1x1x{}x{} weights=f32:hwio:1x1x{}x{}", pixels, ic, ic, oc));
  ASSERT_GT(conv.weights_elements(), kFloatsOf4GiB);
  const Kernel kernel = compile_kernel(
      make_engine(), conv,
      with_schedule("direct lanes=4 tile=2x2 order=oc_outer unroll=tile merge_rows=0 prefetch=0"));
  PackedWeights packed(kernel.packed_tag(), static_cast<size_t>(conv.weights_elements()));
  if (packed.data() == nullptr) GTEST_SKIP() << kNoRoom;
  std::vector<int64_t> blocks;  // that are not 0: the ends, and around 2^31 and 2^32 bytes
  for (const int64_t place : {int64_t{0}, kFloatsOf4GiB / 2, kFloatsOf4GiB, ic * oc - 1}) {
    blocks.push_back(place / (ic * block));
    for (int64_t i = 0; i < ic * block; ++i)
      packed.data()[blocks.back() * ic * block + i] = value_at(i, static_cast<uint64_t>(place));
  }
  std::vector<float> src, dst(static_cast<size_t>(pixels * oc)), expected(dst.size());
  for (int64_t i = 0; i < pixels * ic; ++i) src.push_back(value_at(i, 5));
  for (const int64_t b : blocks)
    for (int64_t p = 0; p < pixels; ++p)
      for (int64_t lane = 0; lane < block; ++lane)
        for (int64_t c = 0; c < ic; ++c)
          expected[static_cast<size_t>(p * oc + b * block + lane)] +=
              src[static_cast<size_t>(p * ic + c)] * packed.data()[(b * ic + c) * block + lane];
  ThreadPool pool(3);
  const ParallelFor on_pool = pool.parallel_for();
  const Status status =
      kernel.run({.src = src.data(), .packed = &packed, .dst = dst.data()}, &on_pool);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(dst, expected);
  expect_little_memory();
}

// Packing writes as much as it reads, 4 GiB of memory and more: for script/soak.
TEST(HugeWeightsTest, ArePackedToTheirEnd) {
  if (soak_minutes() == 0) GTEST_SKIP() << "takes 4 GiB of memory: CONVGEN_SOAK=1";
  const ir::Conv conv = conv_of("conv2d src=f32:nhwc:1x1x2x1040 weights=f32:hwio:1x1x1040x1048576");
  SparseTensor weights(conv.weights_elements());
  if (!weights.exists()) GTEST_SKIP() << kNoRoom;
  for (int64_t i = 0; i < conv.weights_elements(); i += 1'000'003)
    weights.data()[i] = value_at(i, 1);
  weights.data()[conv.weights_elements() - 1] = 3;
  weights.make_read_only();
  std::vector<float> src;
  for (int64_t i = 0; i < conv.src_elements(); ++i) src.push_back(value_at(i, 2));
  for (const CompileOptions& options : {CompileOptions(), generic_engine()}) {
    std::vector<float> dst(static_cast<size_t>(conv.dst_elements()));
    const Kernel kernel = compile_kernel(make_engine(), conv, options);
    const Status status =
        kernel.run({.src = src.data(), .weights = weights.data(), .dst = dst.data()});
    ASSERT_TRUE(status.ok()) << status.message();
    const ir::TensorInputs inputs{src.data(), weights.data()};
    for (int64_t i = 0; i < conv.weights_elements(); i += 1'000'003)
      expect_output(conv, inputs, dst.data(), i % conv.oc);
    expect_output(conv, inputs, dst.data(), conv.dst_elements() - 1);
  }
}

}  // namespace
}  // namespace convgen::testing
