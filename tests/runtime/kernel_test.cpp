// SPDX-License-Identifier: Apache-2.0
// Kernel: what run() and pack() demand, refuse and promise, by the JIT and by the generic path.
#include "runtime/kernel.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "runtime/thread_pool.h"
#include "tests/support/kernels.h"

namespace convgen {
namespace {

using testing::compile_kernel;
using testing::conv_of;
using testing::HostTensors;

const char* const kConv =
    "conv2d src=f32:nhwc:1x7x9x5 weights=f32:hwio:3x3x5x19 pads=1x1 post=bias,scale,add,relu";

class KernelTest : public ::testing::TestWithParam<EngineKind> {
 protected:
  Kernel compile(const std::string& text, const std::string& schedule = "") const {
    const bool jit = GetParam() == EngineKind::kJit;
    return compile_kernel(engine_, conv_of(text), {GetParam(), jit ? schedule : "", 1});
  }

  const Engine engine_ = testing::make_engine();
};

INSTANTIATE_TEST_SUITE_P(Engines, KernelTest,
                         ::testing::Values(EngineKind::kJit, EngineKind::kGeneric),
                         [](const auto& test) {
                           return test.param == EngineKind::kJit ? "jit" : "generic";
                         });

// All arguments of a good call, and the memory they point to.
struct Call {
  explicit Call(const Kernel& kernel)
      : tensors(testing::random_tensors(kernel.conv(), 1, testing::Data::kReals)),
        dst(static_cast<size_t>(kernel.conv().dst_elements()), 77.0f),
        args{.src = tensors.src.data(),
             .weights = tensors.weights.data(),
             .bias = tensors.bias.data(),
             .add = tensors.add.data(),
             .scale = tensors.scale.data(),
             .dst = dst.data()} {}
  HostTensors tensors;
  std::vector<float> dst;
  RunArgs args;
};

// The call is refused, names the argument, and writes nothing.
void expect_refused(const Kernel& kernel, const std::string& name,
                    const std::function<void(RunArgs&)>& spoil) {
  Call call(kernel);
  spoil(call.args);
  const Status status = kernel.run(call.args);
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << name;
  EXPECT_EQ(status.message().rfind(name, 0), 0u) << status.message();
  EXPECT_EQ(call.dst, std::vector<float>(call.dst.size(), 77.0f)) << name;
}

TEST_P(KernelTest, SaysWhatItIs) {
  const Kernel kernel = compile(kConv);
  const bool jit = GetParam() == EngineKind::kJit;
  EXPECT_EQ(kernel.conv(), conv_of(kConv));
  EXPECT_EQ(kernel.engine_name(), jit ? "jit" : "generic");
  EXPECT_EQ(kernel.schedule().empty(), !jit);
  EXPECT_GT(kernel.tasks(), 0);
  EXPECT_FALSE(kernel.packed_tag().empty());
  EXPECT_EQ(kernel.compile_stats().code_bytes > 0, jit);
  EXPECT_GT(kernel.compile_stats().total_ms, 0);
}

TEST_P(KernelTest, RefusesMissingTensors) {
  const Kernel kernel = compile(kConv);
  expect_refused(kernel, "src", [](RunArgs& args) { args.src = nullptr; });
  expect_refused(kernel, "weights", [](RunArgs& args) { args.weights = nullptr; });
  expect_refused(kernel, "bias", [](RunArgs& args) { args.bias = nullptr; });
  expect_refused(kernel, "add", [](RunArgs& args) { args.add = nullptr; });
  expect_refused(kernel, "scale", [](RunArgs& args) { args.scale = nullptr; });

  Call call(kernel);
  call.args.dst = nullptr;
  EXPECT_EQ(kernel.run(call.args).code(), StatusCode::kInvalidArgument);
}

TEST_P(KernelTest, NeedsNoTensorThatTheChainDoesNotUse) {
  const Kernel kernel = compile("conv1d src=f32:nwc:1x9x3 weights=f32:wio:3x3x4 post=relu");
  Call call(kernel);
  call.args.bias = call.args.add = call.args.scale = nullptr;
  EXPECT_TRUE(kernel.run(call.args).ok());
  EXPECT_TRUE(testing::matches_interpreter(kernel.conv(), call.tensors, call.dst));
}

TEST_P(KernelTest, TakesWeightsOnce) {
  const Kernel kernel = compile(kConv);
  const Call call(kernel);
  const Result<PackedWeights> packed = kernel.pack(call.args.weights);
  ASSERT_TRUE(packed.ok());
  expect_refused(kernel, "weights", [&](RunArgs& args) { args.packed = &*packed; });
}

TEST_P(KernelTest, RefusesForeignPackedWeights) {
  const Kernel kernel = compile(kConv);
  for (const char* other :
       {"conv2d src=f32:nhwc:1x7x9x5 weights=f32:hwio:3x3x5x18 pads=1x1",
        "conv2d src=f32:nhwc:1x7x9x6 weights=f32:hwio:3x3x6x19 pads=1x1",
        "conv2d src=f32:nhwc:1x7x9x5 weights=f32:hwio:1x1x5x19",
        "conv2d src=f32:nhwc:1x7x9x19 weights=f32:hwio:3x3x1x19 groups=19 pads=1x1"}) {
    const Kernel foreign = compile(other);
    const Call call(foreign);
    const Result<PackedWeights> packed = foreign.pack(call.args.weights);
    ASSERT_TRUE(packed.ok());
    expect_refused(kernel, "packed", [&](RunArgs& args) {
      args.weights = nullptr;
      args.packed = &*packed;
    });
  }
  const PackedWeights nothing;
  expect_refused(kernel, "packed", [&](RunArgs& args) {
    args.weights = nullptr;
    args.packed = &nothing;
  });
}

// The two ways to run a kernel of another order do not mix either.
TEST(KernelPackingTest, EnginesDoNotShareWhatTheyPackDifferently) {
  const Engine engine = testing::make_engine();
  const ir::Conv conv = conv_of(kConv);
  const Kernel jit = compile_kernel(engine, conv);
  const Kernel generic = compile_kernel(engine, conv, testing::generic_engine());
  EXPECT_NE(jit.packed_tag(), generic.packed_tag());
}

TEST_P(KernelTest, PackNeedsWeights) {
  const Result<PackedWeights> packed = compile(kConv).pack(nullptr);
  ASSERT_FALSE(packed.ok());
  EXPECT_EQ(packed.status().code(), StatusCode::kInvalidArgument);
}

TEST_P(KernelTest, PackedWeightsAreAlignedAndTagged) {
  const Kernel kernel = compile(kConv);
  const Call call(kernel);
  Result<PackedWeights> packed = kernel.pack(call.args.weights);
  ASSERT_TRUE(packed.ok());
  EXPECT_EQ(packed->tag(), kernel.packed_tag());
  EXPECT_EQ(reinterpret_cast<uintptr_t>(packed->data()) % 64, 0u);
  EXPECT_GE(packed->size_bytes(), call.tensors.weights.size() * sizeof(float));
  const float* data = packed->data();
  const PackedWeights moved = *std::move(packed);
  EXPECT_EQ(moved.data(), data);
}

TEST_P(KernelTest, PlainAndPackedWeightsGiveTheSameBits) {
  for (const char* text :
       {kConv, "conv2d src=f32:nhwc:1x7x9x13 weights=f32:oihw:13x1x3x3 groups=13 pads=1x1",
        "conv1d src=f32:ncw:2x6x30 weights=f32:oiw:20x3x5 groups=2 strides=2"}) {
    const Kernel kernel = compile(text);
    const HostTensors tensors = testing::random_tensors(kernel.conv(), 2, testing::Data::kReals);
    EXPECT_TRUE(testing::same_bits(testing::run_kernel(kernel, tensors),
                                   testing::run_kernel(kernel, tensors, {.plain_weights = true})));
  }
}

// What the header of PackedWeights promises: another image size, the same buffer.
TEST_P(KernelTest, KernelsOfOtherImageSizesSharePackedWeights) {
  const std::string schedule = "tile=4x1 lanes=4";
  const Kernel small =
      compile("conv2d src=f32:nhwc:1x5x6x5 weights=f32:hwio:3x3x5x19 pads=1x1", schedule);
  const Kernel large =
      compile("conv2d src=f32:nhwc:3x12x31x5 weights=f32:hwio:3x3x5x19 pads=1x1", schedule);
  ASSERT_EQ(small.packed_tag(), large.packed_tag());
  Call call(large);
  const Result<PackedWeights> packed = small.pack(call.args.weights);
  ASSERT_TRUE(packed.ok());
  call.args.weights = nullptr;
  call.args.packed = &*packed;
  ASSERT_TRUE(large.run(call.args).ok());
  EXPECT_TRUE(testing::matches_interpreter(large.conv(), call.tensors, call.dst));
}

TEST_P(KernelTest, EmptyConvolutionsTouchNothing) {
  for (const char* text : {"conv1d src=f32:nwc:0x9x3 weights=f32:wio:3x3x4 post=bias,add",
                           "conv1d src=f32:nwc:2x9x3 weights=f32:wio:3x3x0 post=bias,scale"}) {
    const Kernel kernel = compile(text);
    EXPECT_EQ(kernel.tasks(), 0) << text;
    EXPECT_TRUE(kernel.run({}).ok()) << text;
    ThreadPool pool(2);
    const ParallelFor parallel_for = pool.parallel_for();
    EXPECT_TRUE(kernel.run({}, &parallel_for).ok()) << text;
  }
}

// One kernel, one PackedWeights, eight threads, each with tensors of its own.
TEST_P(KernelTest, RunIsReentrant) {
  const Kernel kernel = compile(kConv);
  const HostTensors first = testing::random_tensors(kernel.conv(), 1, testing::Data::kReals);
  const Result<PackedWeights> packed = kernel.pack(first.weights.data());
  ASSERT_TRUE(packed.ok());
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (uint64_t seed = 10; seed < 18; ++seed) {
    threads.emplace_back([&, seed] {
      HostTensors tensors = testing::random_tensors(kernel.conv(), seed, testing::Data::kReals);
      tensors.weights = first.weights;
      const std::vector<float> expected = testing::run_kernel(kernel, tensors);
      if (!testing::matches_interpreter(kernel.conv(), tensors, expected)) ++wrong;
      std::vector<float> dst(expected.size());
      for (int run = 0; run < 200; ++run) {
        std::fill(dst.begin(), dst.end(), 0.0f);
        const Status status = kernel.run({.src = tensors.src.data(),
                                          .packed = &*packed,
                                          .bias = tensors.bias.data(),
                                          .add = tensors.add.data(),
                                          .scale = tensors.scale.data(),
                                          .dst = dst.data()});
        if (!status.ok() || !testing::same_bits(expected, dst)) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_P(KernelTest, CopiesShareTheCode) {
  Kernel copy = compile("conv1d src=f32:nwc:1x3x3 weights=f32:wio:1x3x4");
  {
    const Kernel kernel = compile(kConv);
    copy = kernel;
  }
  const HostTensors tensors = testing::random_tensors(copy.conv(), 3, testing::Data::kReals);
  EXPECT_TRUE(
      testing::matches_interpreter(copy.conv(), tensors, testing::run_kernel(copy, tensors)));
}

// --- Scratch ---

const char* const kFilter =
    "conv2d src=f32:nhwc:2x19x70x3 weights=f32:hwio:3x3x3x3 pads=1x1 post=bias,add";

TEST(KernelScratchTest, SaysHowMuchARunNeeds) {
  const Engine engine = testing::make_engine();
  const ir::Conv conv = conv_of(kFilter);
  const auto bytes = [&](const std::string& words) {
    return compile_kernel(engine, conv, testing::with_schedule(words)).scratch_bytes();
  };
  EXPECT_EQ(bytes("direct lanes=4 tile=4x1"), 0u);
  // 5 and 19 + 2 rows x 3 channels x 72 columns.
  const std::string staged = "staged lanes=4 tile=8x3 unroll=tile rows_per_task=";
  EXPECT_EQ(bytes(staged + "3"), 5u * 3 * 72 * sizeof(float));
  EXPECT_EQ(bytes(staged + "1000"), 21u * 3 * 72 * sizeof(float));
  // A vector of pad_value and 16 of a tile at the border; 16 points of 8 tiles x 4 channels in
  // and, of the 8 that a tile could compute, 4 out: an odd number of lines each.
  EXPECT_EQ(bytes("winograd lanes=4 tile=2x2 unroll=tile merge_rows=0 order=oc_outer output_tile=2 "
                  "tiles_per_task=7"),
            (4u + 16 * 4 + 16 * (8 * 4 + 16) + 16 * (8 * 4 + 16)) * sizeof(float));
  EXPECT_GT(compile_kernel(engine, conv, testing::generic_engine()).scratch_bytes(), 0u);
  EXPECT_GT(compile_kernel(engine, conv).scratch_bytes(), 0u) << "staged is selected";
}

// What the caller gives, between guards; what each thread keeps; and what several share out.
TEST(KernelScratchTest, WhoseScratchItIsDoesNotChangeBits) {
  const Engine engine = testing::make_engine();
  const ir::Conv conv = conv_of(kFilter);
  const HostTensors tensors = testing::random_tensors(conv, 1, testing::Data::kReals);
  for (const CompileOptions& options :
       {CompileOptions(), testing::for_threads(3), testing::generic_engine(),
        testing::with_schedule("staged lanes=4 tile=12x2 unroll=tile rows_per_task=1"),
        testing::with_schedule("winograd lanes=4 tile=3x1 unroll=tile tiles_per_task=6")}) {
    const Kernel kernel = compile_kernel(engine, conv, options);
    ASSERT_GT(kernel.scratch_bytes(), 0u);
    Call call(kernel);
    call.tensors = tensors;
    ASSERT_TRUE(kernel.run(call.args).ok());
    EXPECT_TRUE(testing::matches_interpreter(conv, tensors, call.dst, false, kernel.summation()));
    for (const Flush flush : {Flush::kEnd, Flush::kBegin})
      EXPECT_TRUE(
          testing::same_bits(call.dst, testing::run_kernel(kernel, tensors, {.flush = flush})));
    ThreadPool pool(3);
    const ParallelFor parallel_for = pool.parallel_for();
    EXPECT_TRUE(testing::same_bits(
        call.dst, testing::run_kernel(kernel, tensors, {.parallel_for = &parallel_for})));
  }
}

// Kernels of different engines, small and large, by turns on four threads: a thread's scratch
// serves all of them, and grows when the largest comes.
TEST(KernelScratchTest, ThreadsServeEveryKernelAndEngine) {
  const Engine engines[] = {testing::make_engine(), testing::make_engine()};
  std::vector<Kernel> kernels;
  for (const int width : {20, 333, 70, 150}) {
    const std::string text =
        "conv2d src=f32:nhwc:1x9x" + std::to_string(width) + "x3 weights=f32:hwio:3x3x3x3 pads=1x1";
    for (const Engine& engine : engines) {
      kernels.push_back(compile_kernel(engine, conv_of(text),
                                       testing::with_schedule("staged tile=16x3 unroll=tile")));
      kernels.push_back(compile_kernel(engine, conv_of(text),
                                       testing::with_schedule("winograd tile=2x1 unroll=tile")));
      kernels.push_back(compile_kernel(engine, conv_of(text), testing::generic_engine()));
    }
  }
  std::vector<HostTensors> tensors;
  std::vector<std::vector<float>> expected;
  for (const Kernel& kernel : kernels) {
    tensors.push_back(testing::random_tensors(kernel.conv(), 1, testing::Data::kReals));
    expected.push_back(testing::run_kernel(kernel, tensors.back()));
  }
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (size_t first = 0; first < 4; ++first) {
    threads.emplace_back([&, first] {
      ThreadPool pool(2);
      const ParallelFor parallel_for = pool.parallel_for();
      for (size_t i = first; i < first + 5 * kernels.size(); ++i) {
        const size_t k = i % kernels.size();
        std::vector<float> dst(expected[k].size());
        const RunArgs args{
            .src = tensors[k].src.data(), .weights = tensors[k].weights.data(), .dst = dst.data()};
        const Status status = kernels[k].run(args, i % 3 == 0 ? &parallel_for : nullptr);
        if (!status.ok() || !testing::same_bits(expected[k], dst)) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

// Runs in a process that gets no more memory.
[[noreturn]] void run_without_memory(const Kernel& kernel, Call& call) {
  const rlimit limit{1 << 20, 1 << 20};
  setrlimit(RLIMIT_DATA, &limit);
  const Status status = kernel.run(call.args);
  std::fputs(status.message().c_str(), stderr);
  std::_Exit(status.code() == StatusCode::kResourceExhausted ? 0 : 1);
}

TEST(KernelScratchTest, NoMemoryForItIsAnError) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers map memory of their own";
#endif
  // 12,000 rows x 200 channels x 4 columns of which one is real: more than any allocation before
  // left behind.
  const Kernel kernel =
      compile_kernel(testing::make_engine(),
                     conv_of("conv2d src=f32:nhwc:1x12000x1x200 weights=f32:hwio:3x1x200x3"),
                     testing::with_schedule(
                         "staged lanes=4 tile=4x3 unroll=tile merge_rows=0 rows_per_task=12000"));
  Call call(kernel);
  const Result<PackedWeights> packed = kernel.pack(call.args.weights);
  ASSERT_TRUE(packed.ok());
  call.args.weights = nullptr;
  call.args.packed = &*packed;
  EXPECT_EXIT(run_without_memory(kernel, call), ::testing::ExitedWithCode(0),
              "scratch: cannot allocate 38400000 bytes for a thread");
}

TEST(KernelScratchTest, NoMemoryForTransformedTilesIsAnError) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers map memory of their own";
#endif
  const Kernel kernel = compile_kernel(
      testing::make_engine(), conv_of("conv2d src=f32:nhwc:1x404x404x4 weights=f32:hwio:3x3x4x4"),
      testing::with_schedule("winograd lanes=4 tile=4x1 order=oc_outer unroll=tile merge_rows=0 "
                             "output_tile=2 tiles_per_task=0"));
  ASSERT_GT(kernel.scratch_bytes(), size_t{19} << 20);
  Call call(kernel);
  const Result<PackedWeights> packed = kernel.pack(call.args.weights);
  ASSERT_TRUE(packed.ok());
  call.args.weights = nullptr;
  call.args.packed = &*packed;
  EXPECT_EXIT(
      run_without_memory(kernel, call), ::testing::ExitedWithCode(0),
      fmt::format("scratch: cannot allocate {} bytes for a thread", kernel.scratch_bytes()));
}

}  // namespace
}  // namespace convgen
