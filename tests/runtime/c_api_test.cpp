// SPDX-License-Identifier: Apache-2.0
// The C interface does what the C++ one does, bit by bit and word by word; handles live as long as
// they say; structs grow.
#include "tests/support/c_api.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <latch>
#include <string>
#include <thread>
#include <vector>

#include "ir/text.h"
#include "runtime/c_api_support.h"
#include "runtime/engine_state.h"
#include "runtime/kernel_state.h"
#include "runtime/thread_pool.h"
#include "tests/support/environment.h"

namespace convgen {
namespace {

using namespace convgen::testing;  // NOLINT: every helper of the file

const char* const kConv =
    "conv2d src=f32:nhwc:1x7x9x5 weights=f32:hwio:3x3x5x19 pads=1x1 post=bias,scale,add,relu";

const char* const kTexts[] = {
    kConv,
    "conv1d src=f32:ncw:2x6x30 weights=f32:oiw:20x3x5 strides=2 groups=2 post=gelu",
    "conv2d src=f32:nchw:1x8x11x13 weights=f32:oihw:8x1x3x3 dst=f32:nhwc groups=8 pads=0:1x2:0",
    "conv2d src=f32:nhwc:2x12x12x16 weights=f32:hwio:3x3x16x24 pads=1x1 post=add accuracy=strict",
    "conv2d src=f32:nhwc:1x28x28x64 weights=f32:hwio:3x3x64x64 pads=1x1 post=bias,clamp:0:6",
    "conv3d src=f32:ndhwc:1x4x5x6x3 weights=f32:dhwio:2x3x3x3x7 pads=0x1x1 pad_value=0.5",
};

// --- Convolutions ---

std::vector<int64_t> first(const int64_t* numbers, size_t count) {
  return {numbers, numbers + count};
}

TEST(CApiConvTest, SaysWhatTheConvIs) {
  for (const char* text : kTexts) {
    const ir::Conv conv = conv_of(text);
    const CConv handle = c_conv(text);
    const convgen_conv_info info = c_info(handle.get());
    const size_t dims = static_cast<size_t>(conv.spatial_rank) + 2;
    EXPECT_EQ(info.text, ir::print_conv(conv));
    EXPECT_EQ(first(info.src_dims, dims), conv.src_dims()) << text;
    EXPECT_EQ(first(info.weights_dims, dims), conv.weights_dims()) << text;
    EXPECT_EQ(first(info.dst_dims, dims), conv.dst_dims()) << text;
    EXPECT_EQ(info.src_elements, conv.src_elements()) << text;
    EXPECT_EQ(info.weights_elements, conv.weights_elements()) << text;
    EXPECT_EQ(info.dst_elements, conv.dst_elements()) << text;
    EXPECT_EQ(info.input_channels, conv.ic) << text;
    EXPECT_EQ(info.output_channels, conv.oc) << text;
    EXPECT_EQ(info.multiply_adds, conv.multiply_adds()) << text;
    EXPECT_EQ(info.strict != 0, conv.accuracy == ir::Accuracy::kStrict) << text;
    EXPECT_EQ(info.uses_bias != 0, conv.uses(ir::PostOpKind::kBias)) << text;
    EXPECT_EQ(info.uses_add != 0, conv.uses(ir::PostOpKind::kAdd)) << text;
    EXPECT_EQ(info.uses_scale != 0, conv.uses(ir::PostOpKind::kScale)) << text;
  }
}

// The fields of an info, put back into a spec, are the same convolution.
TEST(CApiConvTest, FieldsAndTextSayTheSame) {
  for (const std::string text : kTexts) {
    const CConv parsed = c_conv(text + " name=label");
    const convgen_conv_info info = c_info(parsed.get());
    const size_t post = text.find("post=");
    const std::string chain =
        post == std::string::npos ? "" : text.substr(post + 5, text.find(' ', post) - post - 5);
    convgen_conv_spec spec = CONVGEN_CONV_SPEC_INIT;
    spec.spatial_rank = info.spatial_rank;
    spec.src_layout = info.src_layout;
    spec.weights_layout = info.weights_layout;
    spec.dst_layout = info.dst_layout;
    spec.post = chain.c_str();
    spec.name = info.name;
    std::copy(std::begin(info.src_dims), std::end(info.src_dims), spec.src_dims);
    std::copy(std::begin(info.weights_dims), std::end(info.weights_dims), spec.weights_dims);
    std::copy(std::begin(info.strides), std::end(info.strides), spec.strides);
    std::copy(std::begin(info.dilations), std::end(info.dilations), spec.dilations);
    std::copy(std::begin(info.pads_begin), std::end(info.pads_begin), spec.pads_begin);
    std::copy(std::begin(info.pads_end), std::end(info.pads_end), spec.pads_end);
    spec.groups = info.groups;
    spec.pad_value = info.pad_value;
    spec.strict = info.strict;
    convgen_conv* made = nullptr;
    ASSERT_C_OK(convgen_conv_create(&spec, &made));
    EXPECT_STREQ(c_info(made).text, info.text);
    EXPECT_STREQ(c_info(made).name, "label");
    convgen_conv_free(made);
  }
}

struct Pads {
  int32_t kind;
  int64_t begin, end;
};

TEST(CApiConvTest, PadsMayFollowFromTheSizes) {
  convgen_conv_spec spec = CONVGEN_CONV_SPEC_INIT;
  spec.spatial_rank = 1;
  spec.src_layout = "nwc";
  spec.weights_layout = "wio";
  spec.src_dims[0] = 1, spec.src_dims[1] = 8, spec.src_dims[2] = 3;
  spec.weights_dims[0] = 4, spec.weights_dims[1] = 3, spec.weights_dims[2] = 2;
  for (const auto& [pads, begin, end] :
       {Pads{CONVGEN_PADS_EXPLICIT, 0, 0}, Pads{CONVGEN_PADS_SAME, 1, 2},
        Pads{CONVGEN_PADS_SAME_LOWER, 2, 1}}) {
    spec.pads = pads;
    convgen_conv* conv = nullptr;
    ASSERT_C_OK(convgen_conv_create(&spec, &conv));
    EXPECT_EQ(c_info(conv).pads_begin[0], begin);
    EXPECT_EQ(c_info(conv).pads_end[0], end);
    convgen_conv_free(conv);
  }
}

TEST(CApiConvTest, ReadsBenchdnn) {
  EXPECT_STREQ(
      c_info(c_conv("mb1ic3ih224oc64oh112kh7sh2ph3").get()).text,
      "conv2d src=f32:nhwc:1x224x224x3 weights=f32:hwio:7x7x3x64 strides=2x2 pads=3:2x3:2");
}

// --- Kernels ---

struct Way {
  const char* name;
  int32_t engine;
  const char* schedule;
  int32_t threads;
};
const Way kWays[] = {{"jit", CONVGEN_ENGINE_JIT, nullptr, 1},
                     {"jit, 3 threads", CONVGEN_ENGINE_JIT, nullptr, 3},
                     {"schedule", CONVGEN_ENGINE_JIT, "direct lanes=4 tile=2x1", 1},
                     {"generic", CONVGEN_ENGINE_GENERIC, nullptr, 1}};

bool fits(const Way& way, const std::string& text) {
  return way.schedule == nullptr || text.find("nhwc:1x") != std::string::npos;
}

convgen_compile_options to_c(const Way& way) {
  convgen_compile_options options = CONVGEN_COMPILE_OPTIONS_INIT;
  options.engine = way.engine;
  options.schedule = way.schedule;
  options.threads = way.threads;
  return options;
}

CompileOptions to_cpp(const Way& way) {
  return {.engine = way.engine == CONVGEN_ENGINE_JIT ? EngineKind::kJit : EngineKind::kGeneric,
          .schedule = way.schedule == nullptr ? "" : way.schedule,
          .threads = way.threads};
}

void run_serially(void* pool, int64_t tasks, convgen_task_function body, void* context) {
  ++*static_cast<int*>(pool);
  for (int64_t task = tasks; task-- > 0;) body(context, task, task + 1);
}

// dst by every way the arguments can be given.
std::vector<std::vector<float>> run_all_ways(const CKernel& kernel, const HostTensors& tensors) {
  const CPacked packed = c_pack(kernel, tensors.weights);
  const CPool pool = c_pool(3);
  int calls = 0;
  const convgen_parallel_for own{&calls, run_serially};
  std::vector<float> scratch(c_info(kernel.get()).scratch_bytes / sizeof(float) + 16);
  const auto address = (reinterpret_cast<uintptr_t>(scratch.data()) + 63) / 64 * 64;
  const auto run = [&](auto&& change) {
    std::vector<float> dst(static_cast<size_t>(kernel->kernel.conv().dst_elements()), -7);
    convgen_run_args args = c_args(tensors, dst);
    change(args);
    EXPECT_C_OK(convgen_kernel_run(kernel.get(), &args));
    return dst;
  };
  const auto with_packed = [&](convgen_run_args& args) {
    args.weights = nullptr;
    args.packed = packed.get();
  };
  return {
      run([](auto&) {}), run(with_packed),
      run([&](auto& args) { with_packed(args), args.pool = pool.get(); }),
      run([&](auto& args) { with_packed(args), args.parallel_for = &own; }),
      run([&](auto& args) { with_packed(args), args.scratch = reinterpret_cast<void*>(address); })};
}

TEST(CApiKernelTest, ComputesTheBitsOfTheCppInterface) {
  const CEngine engine = c_engine();
  const Engine cpp = make_engine();
  for (const std::string text : kTexts)
    for (const Way& way : kWays) {
      if (!fits(way, text)) continue;
      SCOPED_TRACE(text + ", " + way.name);
      const convgen_compile_options options = to_c(way);
      const CKernel kernel = c_kernel(engine, text, &options);
      const Kernel expected = compile_kernel(cpp, conv_of(text), to_cpp(way));
      const HostTensors tensors = random_tensors(expected.conv(), 5, Data::kReals);
      const std::vector<float> bits = run_kernel(expected, tensors);
      for (const std::vector<float>& dst : run_all_ways(kernel, tensors))
        EXPECT_TRUE(same_bits(bits, dst));
    }
}

TEST(CApiKernelTest, SaysWhatTheCppInterfaceSays) {
  const CEngine engine = c_engine();
  const Engine cpp = make_engine();
  const char* target = nullptr;
  EXPECT_C_OK(convgen_engine_target(engine.get(), &target));
  EXPECT_EQ(target, cpp.target_description());
  for (const std::string text : kTexts)
    for (const Way& way : kWays) {
      if (!fits(way, text)) continue;
      SCOPED_TRACE(text + ", " + way.name);
      const convgen_compile_options options = to_c(way);
      const CKernel kernel = c_kernel(engine, text, &options);
      const Kernel expected = compile_kernel(cpp, conv_of(text), to_cpp(way));
      const convgen_kernel_info info = c_info(kernel.get());
      EXPECT_EQ(info.engine_name, expected.engine_name());
      EXPECT_EQ(info.schedule, expected.schedule());
      EXPECT_EQ(info.signature, expected.signature());
      EXPECT_EQ(info.packed_tag, expected.packed_tag());
      EXPECT_EQ(info.tasks, expected.tasks());
      EXPECT_EQ(info.scratch_bytes, expected.scratch_bytes());
      EXPECT_EQ(info.memory_bytes, expected.memory_bytes());
      EXPECT_EQ(info.code_bytes, expected.compile_stats().code_bytes);
      EXPECT_EQ(info.winograd_tile, expected.summation().winograd_tile);
      EXPECT_GT(info.total_ms, 0);
      EXPECT_FALSE(info.pending);
      EXPECT_FALSE(info.constant);
    }
}

TEST(CApiKernelTest, ConstantWeightsComputeTheSameBits) {
  const CEngine engine = c_engine();
  const Engine cpp = make_engine();
  for (const char* text : kTexts) {
    SCOPED_TRACE(text);
    const CConv conv = c_conv(text);
    const HostTensors tensors = random_tensors(conv_of(text), 6, Data::kReals);
    const std::vector<float>& weights = tensors.weights;
    convgen_kernel* made = nullptr;
    ASSERT_C_OK(convgen_engine_compile_constant(engine.get(), conv.get(), weights.data(),
                                                weights.size(), 1, nullptr, &made));
    const CKernel kernel(made);
    const Kernel expected = *cpp.compile(conv_of(text), ConstantWeights{weights, true});
    std::vector<float> dst(static_cast<size_t>(c_info(conv.get()).dst_elements));
    std::vector<float> bits(dst.size());
    convgen_run_args args = c_args(tensors, dst);
    args.weights = nullptr;
    EXPECT_C_OK(convgen_kernel_run(kernel.get(), &args));
    ASSERT_TRUE(expected
                    .run({.src = tensors.src.data(),
                          .bias = tensors.bias.data(),
                          .add = tensors.add.data(),
                          .scale = tensors.scale.data(),
                          .dst = bits.data()})
                    .ok());
    EXPECT_TRUE(same_bits(bits, dst));
    EXPECT_EQ(c_info(kernel.get()).signature, expected.signature());
    EXPECT_TRUE(c_info(kernel.get()).constant);
  }
}

TEST(CApiKernelTest, OutlivesEverything) {
  CEngine engine = c_engine();
  CKernel kernel = c_kernel(engine, kConv);
  const HostTensors tensors = random_tensors(conv_of(kConv), 2, Data::kReals);
  const CPacked packed = c_pack(kernel, tensors.weights);
  convgen_kernel* copied = nullptr;
  convgen_conv* conv = nullptr;
  ASSERT_C_OK(convgen_kernel_copy(kernel.get(), &copied));
  const CKernel copy(copied);
  ASSERT_C_OK(convgen_kernel_conv(kernel.get(), &conv));
  const CConv own_conv(conv);
  EXPECT_C_OK(convgen_engine_clear_cache(engine.get()));
  engine.reset();
  kernel.reset();
  std::vector<float> dst(static_cast<size_t>(c_info(own_conv.get()).dst_elements));
  convgen_run_args args = c_args(tensors, dst);
  args.weights = nullptr;
  args.packed = packed.get();
  EXPECT_C_OK(convgen_kernel_run(copy.get(), &args));
  EXPECT_TRUE(matches_interpreter(conv_of(kConv), tensors, dst));
}

TEST(CApiKernelTest, EightThreadsUseOneKernel) {
  const CEngine engine = c_engine();
  const CKernel kernel = c_kernel(engine, kConv);
  const ir::Conv conv = conv_of(kConv);
  const HostTensors first = random_tensors(conv, 1, Data::kReals);
  const CPacked packed = c_pack(kernel, first.weights);
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (uint64_t seed = 10; seed < 18; ++seed) {
    threads.emplace_back([&, seed] {
      HostTensors tensors = random_tensors(conv, seed, Data::kReals);
      tensors.weights = first.weights;
      const std::vector<float> expected = run_kernel(kernel->kernel, tensors);
      std::vector<float> dst(expected.size());
      convgen_run_args args = c_args(tensors, dst);
      args.weights = nullptr;
      args.packed = packed.get();
      for (int run = 0; run < 200; ++run) {
        std::fill(dst.begin(), dst.end(), 0.0f);
        convgen_kernel_info info = CONVGEN_KERNEL_INFO_INIT;
        if (convgen_kernel_run(kernel.get(), &args) != CONVGEN_OK ||
            convgen_kernel_get_info(kernel.get(), &info) != CONVGEN_OK ||
            std::string(info.signature) != kConv || !same_bits(expected, dst))
          ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

// The engine's compile thread is held up until the generic path was seen at work.
TEST(CApiKernelTest, GenericFirstTurnsIntoMachineCode) {
  const CEngine engine = c_engine();
  std::latch go(1);
  engine->engine.state().queue.add({[&] { go.wait(); }, [] {}});
  convgen_compile_options options = CONVGEN_COMPILE_OPTIONS_INIT;
  options.mode = CONVGEN_MODE_GENERIC_FIRST;
  options.deadline_ms = 1;
  const CKernel kernel = c_kernel(engine, kConv, &options);
  const HostTensors tensors = random_tensors(conv_of(kConv), 3, Data::kReals);
  const CPacked packed = c_pack(kernel, tensors.weights);
  const auto expect_right = [&] {
    std::vector<float> dst(static_cast<size_t>(conv_of(kConv).dst_elements()));
    convgen_run_args args = c_args(tensors, dst);
    args.weights = nullptr;
    args.packed = packed.get();
    EXPECT_C_OK(convgen_kernel_run(kernel.get(), &args));
    EXPECT_TRUE(matches_interpreter(conv_of(kConv), tensors, dst));
  };
  const convgen_kernel_info before = c_info(kernel.get());
  EXPECT_TRUE(before.pending);
  EXPECT_STREQ(before.engine_name, "generic");
  EXPECT_C_OK(convgen_kernel_compile_status(kernel.get()));
  int32_t decided = 7;
  EXPECT_C_OK(convgen_kernel_wait(kernel.get(), 1000, &decided));
  EXPECT_EQ(decided, 0);
  expect_right();
  go.count_down();
  EXPECT_C_OK(convgen_kernel_wait(kernel.get(), int64_t{3600} * 1'000'000'000, &decided));
  EXPECT_EQ(decided, 1);
  const convgen_kernel_info after = c_info(kernel.get());
  EXPECT_FALSE(after.pending);
  EXPECT_STREQ(after.engine_name, "jit");
  EXPECT_STREQ(before.schedule, "");  // strings of before live on
  expect_right();
}

TEST(CApiKernelTest, NeverStaysGeneric) {
  const CEngine engine = c_engine();
  convgen_compile_options options = CONVGEN_COMPILE_OPTIONS_INIT;
  options.mode = CONVGEN_MODE_NEVER;
  const CKernel kernel = c_kernel(engine, kConv, &options);
  EXPECT_STREQ(c_info(kernel.get()).engine_name, "generic");
  EXPECT_FALSE(c_info(kernel.get()).pending);
}

TEST(CApiKernelTest, VerifyPassesWhatIsRight) {
  const CEngine engine = c_engine();
  const CKernel kernel = c_kernel(engine, kConv);
  const CPool pool = c_pool(2);
  convgen_verify_options options = CONVGEN_VERIFY_OPTIONS_INIT;
  options.pool = pool.get();
  for (const int32_t data : {CONVGEN_DATA_INTEGERS, CONVGEN_DATA_REALS}) {
    options.data = data;
    convgen_verify_report report = CONVGEN_VERIFY_REPORT_INIT;
    ASSERT_C_OK(convgen_kernel_verify(kernel.get(), &options, &report));
    EXPECT_TRUE(report.pass) << report.failure;
    EXPECT_EQ(report.bit_exact, data == CONVGEN_DATA_INTEGERS);
    EXPECT_EQ(report.checked_outputs, conv_of(kConv).dst_elements());
    EXPECT_LE(report.max_error, report.bound);
    EXPECT_GE(report.nonzero_share, 0.7);
    EXPECT_STREQ(report.failure, "");
  }
}

TEST(CApiKernelTest, VerifyFailsWhatIsWrong) {
  const std::shared_ptr<KernelState> state = make_generic_state(conv_of(kConv));
  state->function = [](const codegen::KernelArgs*, int64_t, int64_t) {};
  const CKernel kernel(new convgen_kernel{Kernel(state)});
  convgen_verify_report report = CONVGEN_VERIFY_REPORT_INIT;
  std::fill(std::begin(report.failure), std::end(report.failure), '#');
  ASSERT_C_OK(convgen_kernel_verify(kernel.get(), nullptr, &report));
  EXPECT_FALSE(report.pass);
  EXPECT_GT(std::string(report.failure).size(), 10u);
}

// --- Engines ---

TEST(CApiEngineTest, CopiesShareTheCache) {
  CEngine engine = c_engine();
  convgen_engine* copied = nullptr;
  ASSERT_C_OK(convgen_engine_copy(engine.get(), &copied));
  const CEngine copy(copied);
  c_kernel(engine, kConv);
  engine.reset();
  c_kernel(copy, kConv);
  convgen_engine_stats stats = CONVGEN_ENGINE_STATS_INIT;
  EXPECT_C_OK(convgen_engine_get_stats(copy.get(), &stats));
  EXPECT_EQ(stats.compiles, 1);
  EXPECT_EQ(stats.hits, 1);
  EXPECT_EQ(stats.kernels, 1);
  EXPECT_GT(stats.bytes, 0);
  EXPECT_GT(stats.compile_seconds, 0);
}

TEST(CApiEngineTest, OptionsArrive) {
  const ScopedDirectory directory;
  const std::string cache = (directory.path() / "cache").string();
  convgen_engine_options options = CONVGEN_ENGINE_OPTIONS_INIT;
  options.mcpu = "x86-64-v2";
  options.cache_dir = cache.c_str();
  options.memory_max_bytes = 1;
  options.verify = CONVGEN_VERIFY_FIRST_USE;
  const auto compile_once = [&] {
    convgen_engine* made = nullptr;
    EXPECT_C_OK(convgen_engine_create(CONVGEN_ABI_VERSION, &options, &made));
    const CEngine engine(made);
    c_kernel(engine, kConv);
    c_kernel(engine, "mb1ic3ih8oc4oh6kh3");
    EXPECT_C_OK(convgen_engine_store_status(engine.get()));
    convgen_engine_stats stats = CONVGEN_ENGINE_STATS_INIT;
    EXPECT_C_OK(convgen_engine_get_stats(engine.get(), &stats));
    const char* target = nullptr;
    EXPECT_C_OK(convgen_engine_target(engine.get(), &target));
    EXPECT_EQ(target, make_engine("x86-64-v2").target_description());
    return stats;
  };
  const convgen_engine_stats cold = compile_once();
  const convgen_engine_stats warm = compile_once();
  EXPECT_EQ(cold.compiles, 2);
  EXPECT_EQ(warm.compiles, 0);
  EXPECT_EQ(warm.store_hits, 2);
  EXPECT_EQ(warm.kernels, 0);  // memory_max_bytes
}

TEST(CApiEngineTest, PrepareGivesEachItsOwn) {
  const CEngine engine = c_engine();
  const CConv good = c_conv("conv1d src=f32:nwc:1x9x3 weights=f32:wio:3x3x4");
  const CConv small = c_conv("mb1ic3ih8oc4oh6kh3");
  const CConv huge = c_conv("conv2d src=f32:nhwc:1x8x8x512 weights=f32:hwio:3x3x512x512");
  const convgen_conv* convs[] = {good.get(), huge.get(), small.get()};
  convgen_kernel* kernels[3];
  convgen_status statuses[3];
  convgen_compile_options compile = CONVGEN_COMPILE_OPTIONS_INIT;
  compile.schedule = "direct lanes=4 tile=2x1 unroll=full";  // too much for `huge`
  convgen_prepare_options options = CONVGEN_PREPARE_OPTIONS_INIT;
  options.compile = &compile;
  options.threads = 2;
  const convgen_status status =
      convgen_engine_prepare(engine.get(), convs, 3, &options, kernels, statuses);
  const CKernel owned[] = {CKernel(kernels[0]), CKernel(kernels[1]), CKernel(kernels[2])};
  EXPECT_NE(status, CONVGEN_OK);
  EXPECT_EQ(std::string(convgen_last_error()).rfind("convs[1]: ", 0), 0u) << convgen_last_error();
  EXPECT_EQ(statuses[0], CONVGEN_OK);
  EXPECT_EQ(statuses[1], status);
  EXPECT_EQ(statuses[2], CONVGEN_OK);
  EXPECT_EQ(owned[1], nullptr);
  ASSERT_NE(owned[0], nullptr);
  ASSERT_NE(owned[2], nullptr);
  EXPECT_EQ(std::string(c_info(owned[0].get()).signature), c_info(good.get()).text);
  EXPECT_EQ(std::string(c_info(owned[2].get()).signature), c_info(small.get()).text);
  EXPECT_C_OK(convgen_engine_prepare(engine.get(), nullptr, 0, nullptr, nullptr, nullptr));
}

TEST(CApiEngineTest, TunesAndKeepsWhatItFound) {
  const ScopedDirectory directory;
  const std::string file = (directory.path() / "tuning").string();
  const CEngine engine = c_engine();
  const CConv conv = c_conv(kConv);
  convgen_tune_options options = CONVGEN_TUNE_OPTIONS_INIT;
  options.file = file.c_str();
  options.seconds = 0.05;
  options.candidates = 3;
  for (const int32_t end : {CONVGEN_TUNE_KEPT, CONVGEN_TUNE_BEFORE}) {
    convgen_tune_result* made = nullptr;
    ASSERT_C_OK(convgen_engine_tune(engine.get(), conv.get(), &options, &made));
    const CTuneResult result(made);
    convgen_tune_info info = CONVGEN_TUNE_INFO_INIT;
    EXPECT_C_OK(convgen_tune_result_get_info(result.get(), &info));
    EXPECT_EQ(info.end, end);
    EXPECT_STRNE(info.schedule, "");
    EXPECT_STRNE(info.default_schedule, "");
    EXPECT_GT(info.us, 0);
  }
}

// --- Errors ---

TEST(CApiErrorTest, EachThreadHasItsOwn) {
  convgen_conv* conv = nullptr;
  EXPECT_EQ(convgen_conv_parse("conv7d", &conv), CONVGEN_INVALID_ARGUMENT);
  const std::string here = convgen_last_error();
  std::string before, there;
  std::thread([&] {
    before = convgen_last_error();
    EXPECT_EQ(convgen_conv_parse("conv2d groups=0", &conv), CONVGEN_INVALID_ARGUMENT);
    there = convgen_last_error();
  }).join();
  EXPECT_EQ(before, "");
  EXPECT_NE(there, here);
  EXPECT_EQ(convgen_last_error(), here);
}

TEST(CApiErrorTest, SuccessLeavesItAlone) {
  convgen_conv* conv = nullptr;
  EXPECT_EQ(convgen_conv_parse(nullptr, &conv), CONVGEN_INVALID_ARGUMENT);
  c_conv(kConv);
  EXPECT_STREQ(convgen_last_error(), "text: null");
}

// --- Structs that grow ---

struct Growing {
  size_t size;
  int32_t a, b;
  int64_t added_later;
};

}  // namespace

template <>
inline constexpr size_t c_api::kFirstSize<Growing> = 16;

namespace {

TEST(CApiStructTest, ShorterOnesOfOlderProgramsLeaveDefaults) {
  Growing value{sizeof(Growing), 1, 2, 3};
  const Growing given{16, 10, 20, 30};
  ASSERT_TRUE(c_api::read_struct(&given, "given", value).ok());
  EXPECT_EQ(value.a, 10);
  EXPECT_EQ(value.b, 20);
  EXPECT_EQ(value.added_later, 3);
}

TEST(CApiStructTest, ShorterOnesOfOlderProgramsGetWhatTheyKnow) {
  Growing out{16, 0, 0, 77};
  ASSERT_TRUE(c_api::write_struct(Growing{0, 1, 2, 3}, "out", &out).ok());
  EXPECT_EQ(out.size, 16u);
  EXPECT_EQ(out.b, 2);
  EXPECT_EQ(out.added_later, 77);
}

TEST(CApiStructTest, NullSaysNothing) {
  Growing value{sizeof(Growing), 1, 2, 3};
  ASSERT_TRUE(c_api::read_struct<Growing>(nullptr, "given", value).ok());
  EXPECT_EQ(value.a, 1);
}

// A struct's last field and its size in ABI version 1: no padding behind it, where a later field
// would not change the size. Adding a field adds a row; no row changes.
TEST(CApiStructTest, VersionOneIsWhatItWas) {
#define EXPECT_ENDS(type, field, bytes)                           \
  EXPECT_EQ(offsetof(type, field) + sizeof(type{}.field), bytes); \
  EXPECT_EQ(c_api::kFirstSize<type>, static_cast<size_t>(bytes))
  EXPECT_ENDS(convgen_conv_spec, strict, 248);
  EXPECT_ENDS(convgen_conv_info, uses_scale, 344);
  EXPECT_ENDS(convgen_engine_options, use_tuning, 64);
  EXPECT_ENDS(convgen_compile_options, deadline_ms, 32);
  EXPECT_ENDS(convgen_prepare_options, reserved, 40);
  EXPECT_ENDS(convgen_engine_stats, compile_seconds, 72);
  EXPECT_ENDS(convgen_packed_weights_info, size_bytes, 32);
  EXPECT_ENDS(convgen_kernel_info, winograd_tile, 136);
  EXPECT_ENDS(convgen_run_args, pool, 88);
  EXPECT_ENDS(convgen_verify_options, reserved, 48);
  EXPECT_ENDS(convgen_verify_report, failure, 312);
  EXPECT_ENDS(convgen_tune_options, reserved, 64);
  EXPECT_ENDS(convgen_tune_info, reserved, 88);
#undef EXPECT_ENDS
}

}  // namespace
}  // namespace convgen
