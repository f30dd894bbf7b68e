// SPDX-License-Identifier: Apache-2.0
// What must not change a single bit: batch size, threads, tiles (strict), addresses, where the
// residual lies; and what must change the result in a known way: scaling, permuting, splitting.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "ir/text.h"
#include "runtime/thread_pool.h"
#include "tests/support/isa_levels.h"
#include "tests/support/kernels.h"

namespace convgen::testing {
namespace {

// Written for a batch of {}.
const char* const kShapes[] = {
    "conv2d src=f32:nhwc:{}x9x11x19 weights=f32:hwio:3x3x19x35 pads=1x1",
    "conv2d src=f32:nhwc:{}x8x8x32 weights=f32:hwio:1x1x32x20",
    "conv2d src=f32:nchw:{}x7x10x9 weights=f32:oihw:18x7x3x2 dst=f32:nhwc pads=1:0x1:2",
    "conv2d src=f32:nhwc:{}x9x9x17 weights=f32:hwio:3x3x1x17 groups=17 strides=2x2 pads=1x1",
    "conv2d src=f32:nhwc:{}x6x7x6 weights=f32:hwio:3x3x1x18 groups=6 pads=1x1",
    "conv2d src=f32:nhwc:{}x9x9x8 weights=f32:hwio:3x3x4x10 groups=2 dilations=2x2 pads=2x2",
    "conv2d src=f32:nhwc:{}x6x7x12 weights=f32:hwio:3x3x2x24 groups=6 pads=1x1",
    "conv2d src=f32:nhwc:{}x7x9x28 weights=f32:hwio:3x3x4x28 groups=7 pads=1x1",
    "conv1d src=f32:nwc:{}x40x3 weights=f32:wio:7x3x24 strides=2 pads=3:3",
    "conv3d src=f32:ncdhw:{}x3x3x4x5 weights=f32:oidhw:9x3x2x2x2 pads=1x0x1",
    "conv2d src=f32:nhwc:{}x9x41x3 weights=f32:hwio:3x3x3x3 pads=1x1",
    "conv2d src=f32:nchw:{}x5x9x41 weights=f32:oihw:4x5x3x3 strides=2x2 pads=1x1",
};

const char* const kTiles[] = {"tile=1x1",
                              "tile=2x2 lanes=4",
                              "tile=7x1 ic_unroll=3",
                              "tile=3x2 ic_unroll=5 order=pixel_outer",
                              "unroll=taps",
                              "edges=ranged epilogue=loop",
                              "lanes=4 rows_per_task=3",
                              "tile=2x1 tiles_per_task=1",
                              "direct",
                              "direct prefetch=3",
                              "direct order=pixel_outer prefetch=1",
                              "direct order=oc_inner prefetch=1 unroll=taps",
                              "tile=2x2 lanes=4 order=oc_inner",
                              "direct lanes=8 tile=4x1 edges=ranged",
                              "staged lanes=4 tile=8x3 rows_per_task=2",
                              "staged unroll=taps epilogue=loop tile=5x2"};

// Every algorithm, tails of pixels and of channels, borders; to be given lanes and an order.
const char* const kReordered[] = {
    "direct tile=4x2 ic_unroll=2",
    "direct tile=3x1 unroll=taps edges=ranged prefetch=2",
    "depthwise tile=3x2 unroll=taps",
    "grouped tile=2x1 unroll=row rows_per_task=2",
    "rotated tile=2x3 unroll=taps tiles_per_task=1",
    "rotated tile=3x1 unroll=tile edges=ranged epilogue=loop",
    "planar tile=8x2",
    "staged tile=9x2 rows_per_task=2",
};

ir::Conv shape_of(const char* shape, int64_t batch, const std::string& words = "") {
  return conv_of(fmt::format(fmt::runtime(shape), batch) + words);
}

template <typename T>
std::vector<T> part(const std::vector<T>& values, size_t index, size_t parts) {
  const size_t size = values.size() / parts;
  const auto begin = values.begin() + static_cast<std::ptrdiff_t>(index * size);
  return {begin, begin + static_cast<std::ptrdiff_t>(size)};
}

// Image number `index` of `batch`.
HostTensors image_of(const HostTensors& all, size_t index, size_t batch) {
  HostTensors one = all;
  one.src = part(all.src, index, batch);
  one.add = part(all.add, index, batch);
  return one;
}

TEST(StrictTest, TilesDoNotChangeBits) {
  const Engine engine = make_engine();
  int compared = 0;
  for (const char* shape : kShapes) {
    const ir::Conv conv = shape_of(shape, 2, " post=bias,relu accuracy=strict");
    const HostTensors tensors = random_tensors(conv, 1, Data::kReals);
    const std::vector<float> expected = run_kernel(compile_kernel(engine, conv), tensors);
    for (const char* tile : kTiles) {
      const Result<Kernel> kernel = engine.compile(conv, with_schedule(tile));
      if (!kernel.ok()) continue;
      ++compared;
      EXPECT_TRUE(same_bits(expected, run_kernel(*kernel, tensors)))
          << tile << ": " << ir::print_conv(conv);
    }
  }
  EXPECT_GE(compared, 170) << "of 192";
}

// Channels innermost walk the same tiles in another order, whatever computes them.
class LoopOrderTest : public ::testing::TestWithParam<IsaLevel> {};

TEST_P(LoopOrderTest, DoesNotChangeBits) {
  const Result<Engine> engine = Engine::create({.mcpu = GetParam().mcpu});
  if (!engine.ok() && engine.status().code() == StatusCode::kUnsupported)
    GTEST_SKIP() << engine.status().message();
  ASSERT_TRUE(engine.ok()) << engine.status().message();
  std::map<std::string, int> compared;  // by words
  for (const char* shape : kShapes) {
    const ir::Conv conv = shape_of(shape, 2, " post=bias,relu");
    const HostTensors tensors = random_tensors(conv, 10, Data::kReals);
    for (const char* words : kReordered)
      for (const int lanes : {4, 8, 16}) {
        const std::string tile = fmt::format("{} lanes={} order=", words, lanes);
        const Result<Kernel> kernel = engine->compile(conv, with_schedule(tile + "pixel_outer"));
        if (!kernel.ok()) continue;
        ++compared[words];
        const std::vector<float> expected = run_kernel(*kernel, tensors);
        EXPECT_TRUE(matches_interpreter(conv, tensors, expected)) << tile;
        for (const char* order : {"oc_inner", "oc_outer"}) {
          const Kernel other = compile_kernel(*engine, conv, with_schedule(tile + order));
          EXPECT_TRUE(same_bits(expected, run_kernel(other, tensors)))
              << tile << order << ": " << ir::print_conv(conv);
        }
      }
  }
  // direct takes every shape, the others those that are made for them.
  for (const char* words : kReordered) EXPECT_GE(compared[words], 1) << words;
  EXPECT_GE(compared[kReordered[0]], static_cast<int>(std::size(kShapes)));
}

INSTANTIATE_TEST_SUITE_P(Levels, LoopOrderTest, ::testing::ValuesIn(kIsaLevels),
                         [](const auto& test) { return test.param.name; });

// The sums of rotated are in one order too, if not the one of strict: taps, then rotations.
TEST(InvarianceTest, RotatedTilesDoNotChangeBits) {
  for (const char* shape :
       {"conv2d src=f32:nhwc:{}x7x9x28 weights=f32:hwio:3x3x4x28 groups=7 pads=1x1",
        "conv2d src=f32:nhwc:{}x8x8x18 weights=f32:hwio:3x2x2x18 groups=9 strides=2x2 pads=1x1"}) {
    const ir::Conv conv = shape_of(shape, 2, " post=bias");
    const HostTensors tensors = random_tensors(conv, 11, Data::kReals);
    // FMA rounds once, so SSE has bits of its own.
    for (const auto& [mcpu, engine] : make_engines()) {
      const std::vector<float> expected = run_kernel(
          compile_kernel(engine, conv, with_schedule("rotated lanes=4 tile=1x1")), tensors);
      for (const char* words :
           {"lanes=4 tile=5x1 unroll=taps", "lanes=8 tile=3x2 unroll=row order=oc_inner",
            "lanes=16 tile=2x1 unroll=taps edges=ranged", "lanes=4 tile=4x3 epilogue=loop"}) {
        const Result<Kernel> kernel =
            engine.compile(conv, with_schedule(std::string("rotated ") + words));
        if (!kernel.ok()) continue;
        EXPECT_TRUE(same_bits(expected, run_kernel(*kernel, tensors)))
            << words << " on '" << mcpu << "': " << ir::print_conv(conv);
      }
    }
  }
}

// Strict or not, a batch is its images one by one.
TEST(StrictTest, BatchSizeDoesNotChangeBits) {
  const Engine engine = make_engine();
  for (const char* shape : kShapes) {
    for (const char* words : {" accuracy=strict", " accuracy=strict post=bias,add,gelu"}) {
      const ir::Conv three = shape_of(shape, 3, words);
      const HostTensors tensors = random_tensors(three, 2, Data::kReals);
      const std::vector<float> dst = run_kernel(compile_kernel(engine, three), tensors);
      const Kernel one = compile_kernel(engine, shape_of(shape, 1, words));
      for (size_t image = 0; image < 3; ++image)
        EXPECT_TRUE(same_bits(part(dst, image, 3), run_kernel(one, image_of(tensors, image, 3))))
            << "image " << image << ": " << ir::print_conv(three);
    }
  }
}

TEST(StrictTest, ThreadsDoNotChangeBits) {
  const Engine engine = make_engine();
  for (const char* shape : kShapes) {
    const ir::Conv conv = shape_of(shape, 2, " accuracy=strict post=bias,tanh");
    const HostTensors tensors = random_tensors(conv, 3, Data::kReals);
    const std::vector<float> expected = run_kernel(compile_kernel(engine, conv), tensors);
    for (const int threads : {2, 3, 8}) {
      ThreadPool pool(threads);
      const ParallelFor parallel_for = pool.parallel_for();
      const Kernel kernel = compile_kernel(engine, conv, for_threads(threads));
      EXPECT_TRUE(same_bits(expected, run_kernel(kernel, tensors, {.parallel_for = &parallel_for})))
          << threads << " threads: " << ir::print_conv(conv);
    }
  }
}

// One kernel, its tasks in any grouping and order.
TEST(InvarianceTest, TaskRangesDoNotChangeBits) {
  // Backwards, by ones and twos.
  const ParallelFor odd_order{nullptr, [](void*, int64_t tasks, TaskFunction body, void* context) {
                                for (int64_t end = tasks; end > 0;) {
                                  const int64_t begin = std::max<int64_t>(0, end - 1 - end % 2);
                                  body(context, begin, end);
                                  end = begin;
                                }
                              }};
  const Engine engine = make_engine();
  for (const char* shape : kShapes) {
    const ir::Conv conv = shape_of(shape, 2);
    const HostTensors tensors = random_tensors(conv, 4, Data::kReals);
    const CompileOptions small_tasks = with_schedule("tile=2x1 rows_per_task=1 tiles_per_task=1");
    for (const CompileOptions& options : {small_tasks, for_threads(4), generic_engine()}) {
      const Kernel kernel = compile_kernel(engine, conv, options);
      EXPECT_TRUE(same_bits(run_kernel(kernel, tensors),
                            run_kernel(kernel, tensors, {.parallel_for = &odd_order})))
          << kernel.schedule() << ": " << ir::print_conv(conv);
    }
    EXPECT_GT(compile_kernel(engine, conv, small_tasks).tasks(), 1) << ir::print_conv(conv);
  }
}

TEST(InvarianceTest, ResidualMayBeDst) {
  const Engine engine = make_engine();
  for (const char* shape : kShapes) {
    for (const char* words : {" post=add", " post=bias,relu,add", " post=add,gelu,add"}) {
      const ir::Conv conv = shape_of(shape, 2, words);
      const HostTensors tensors = random_tensors(conv, 5, Data::kReals);
      for (const CompileOptions& options :
           {CompileOptions(), with_schedule("tile=3x1 edges=ranged epilogue=loop"),
            generic_engine()}) {
        const Kernel kernel = compile_kernel(engine, conv, options);
        const std::vector<float> expected = run_kernel(kernel, tensors);
        EXPECT_TRUE(same_bits(expected, run_kernel(kernel, tensors, {.add_is_dst = true})))
            << kernel.schedule() << ": " << ir::print_conv(conv);
        EXPECT_TRUE(matches_interpreter(conv, tensors, expected));
      }
    }
  }
}

// A copy that starts `offset` floats into a 64-byte block.
struct Shifted {
  Shifted(const std::vector<float>& values, size_t offset) : storage(values.size() + 32) {
    const auto address = reinterpret_cast<uintptr_t>(storage.data()) / sizeof(float);
    begin = storage.data() + (16 - address % 16) % 16 + offset;
    std::copy(values.begin(), values.end(), begin);
  }
  std::vector<float> storage;
  float* begin;
};

// Tensors are aligned as float is and no better: all 16 places in 64 bytes, each tensor elsewhere.
TEST(InvarianceTest, AlignmentDoesNotChangeBits) {
  const Engine engine = make_engine();
  for (const char* shape : kShapes) {
    const ir::Conv conv = shape_of(shape, 1, " post=bias,scale,add");
    const HostTensors tensors = random_tensors(conv, 6, Data::kReals);
    for (const CompileOptions& options : {CompileOptions(), generic_engine()}) {
      const Kernel kernel = compile_kernel(engine, conv, options);
      const std::vector<float> expected = run_kernel(kernel, tensors);
      for (size_t offset = 0; offset < 16; ++offset) {
        Shifted src(tensors.src, offset), weights(tensors.weights, (offset + 3) % 16);
        Shifted bias(tensors.bias, (offset + 5) % 16), add(tensors.add, (offset + 7) % 16);
        Shifted scale(tensors.scale, (offset + 11) % 16), dst(expected, (offset + 13) % 16);
        std::fill_n(dst.begin, expected.size(), std::bit_cast<float>(kUnwritten));
        const Status status = kernel.run({.src = src.begin,
                                          .weights = weights.begin,
                                          .bias = bias.begin,
                                          .add = add.begin,
                                          .scale = scale.begin,
                                          .dst = dst.begin});
        ASSERT_TRUE(status.ok()) << status.message();
        EXPECT_TRUE(same_bits(expected, {dst.begin, dst.begin + expected.size()}))
            << "offset " << offset << ": " << ir::print_conv(conv);
      }
    }
  }
}

// A power of two scales every rounding alike.
TEST(MetamorphicTest, ScalingByAPowerOfTwo) {
  const Engine engine = make_engine();
  for (const char* shape : kShapes) {
    const ir::Conv conv = shape_of(shape, 1, " post=bias,relu,add");
    const HostTensors tensors = random_tensors(conv, 7, Data::kReals);
    HostTensors scaled = tensors;
    for (float& w : scaled.weights) w *= 0x1p9f;
    for (float& x : scaled.src) x *= 0x1p-4f;
    for (float& b : scaled.bias) b *= 0x1p5f;
    for (float& a : scaled.add) a *= 0x1p5f;
    const Kernel kernel = compile_kernel(engine, conv);
    std::vector<float> expected = run_kernel(kernel, tensors);
    for (float& y : expected) y *= 0x1p5f;
    EXPECT_TRUE(same_bits(expected, run_kernel(kernel, scaled))) << ir::print_conv(conv);
  }
}

// Output channels within a group are computed alike, wherever they stand in a vector or its tail.
TEST(MetamorphicTest, PermutedOutputChannels) {
  const Engine engine = make_engine();
  const size_t oc = 37;
  const ir::Conv conv = conv_of(
      "conv2d src=f32:nhwc:1x6x7x5 weights=f32:hwio:3x3x5x37 pads=1x1 post=bias accuracy=strict");
  const HostTensors tensors = random_tensors(conv, 8, Data::kReals);
  HostTensors permuted = tensors;
  const auto to = [&](size_t c) { return (c * 11 + 5) % oc; };
  for (size_t i = 0; i < tensors.weights.size(); ++i)
    permuted.weights[i - i % oc + to(i % oc)] = tensors.weights[i];
  for (size_t c = 0; c < oc; ++c) permuted.bias[to(c)] = tensors.bias[c];
  const Kernel kernel = compile_kernel(engine, conv);
  const std::vector<float> dst = run_kernel(kernel, tensors);
  std::vector<float> expected = dst;
  for (size_t i = 0; i < dst.size(); ++i) expected[i - i % oc + to(i % oc)] = dst[i];
  EXPECT_TRUE(same_bits(expected, run_kernel(kernel, permuted)));
  EXPECT_FALSE(same_bits(dst, expected)) << "nothing was permuted";
}

// The same convolution in other layouts has the same bits.
TEST(MetamorphicTest, LayoutsDoNotChangeBits) {
  const Engine engine = make_engine();
  const ir::Conv last = conv_of(
      "conv1d src=f32:nwc:1x23x6 weights=f32:wio:3x6x21 strides=2 pads=1:1 accuracy=strict");
  const ir::Conv first = conv_of(
      "conv1d src=f32:ncw:1x6x23 weights=f32:wio:3x6x21 strides=2 pads=1:1 accuracy=strict");
  const HostTensors tensors = random_tensors(last, 9, Data::kReals);
  HostTensors transposed = tensors;
  for (size_t w = 0; w < 23; ++w)
    for (size_t c = 0; c < 6; ++c) transposed.src[c * 23 + w] = tensors.src[w * 6 + c];
  const std::vector<float> dst = run_kernel(compile_kernel(engine, last), tensors);
  const std::vector<float> found = run_kernel(compile_kernel(engine, first), transposed);
  std::vector<float> expected(dst.size());
  for (size_t w = 0; w < 12; ++w)
    for (size_t c = 0; c < 21; ++c) expected[c * 12 + w] = dst[w * 21 + c];
  EXPECT_TRUE(same_bits(expected, found));
}

}  // namespace
}  // namespace convgen::testing
