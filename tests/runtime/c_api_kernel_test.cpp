// SPDX-License-Identifier: Apache-2.0
// Kernels of the C interface compute the bits and have the words of the C++ one, live as long as
// they say, and are any thread's.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "runtime/c_api_support.h"
#include "runtime/engine_state.h"
#include "runtime/generic_kernel.h"
#include "runtime/kernel_state.h"
#include "tests/support/c_api.h"

namespace convgen {
namespace {

using namespace convgen::testing;  // NOLINT: every helper of the file

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
  for (const std::string text : kCTexts)
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
  for (const std::string text : kCTexts)
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
  for (const char* text : kCTexts) {
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
  CKernel kernel = c_kernel(engine, kCConv);
  const HostTensors tensors = random_tensors(conv_of(kCConv), 2, Data::kReals);
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
  EXPECT_TRUE(matches_interpreter(conv_of(kCConv), tensors, dst));
}

TEST(CApiKernelTest, EightThreadsUseOneKernel) {
  const CEngine engine = c_engine();
  const CKernel kernel = c_kernel(engine, kCConv);
  const ir::Conv conv = conv_of(kCConv);
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
            std::string(info.signature) != kCConv || !same_bits(expected, dst))
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
  const CKernel kernel = c_kernel(engine, kCConv, &options);
  const HostTensors tensors = random_tensors(conv_of(kCConv), 3, Data::kReals);
  const CPacked packed = c_pack(kernel, tensors.weights);
  const auto expect_right = [&] {
    std::vector<float> dst(static_cast<size_t>(conv_of(kCConv).dst_elements()));
    convgen_run_args args = c_args(tensors, dst);
    args.weights = nullptr;
    args.packed = packed.get();
    EXPECT_C_OK(convgen_kernel_run(kernel.get(), &args));
    EXPECT_TRUE(matches_interpreter(conv_of(kCConv), tensors, dst));
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
  const CKernel kernel = c_kernel(engine, kCConv, &options);
  EXPECT_STREQ(c_info(kernel.get()).engine_name, "generic");
  EXPECT_FALSE(c_info(kernel.get()).pending);
}

TEST(CApiKernelTest, VerifyPassesWhatIsRight) {
  const CEngine engine = c_engine();
  const CKernel kernel = c_kernel(engine, kCConv);
  const CPool pool = c_pool(2);
  convgen_verify_options options = CONVGEN_VERIFY_OPTIONS_INIT;
  options.pool = pool.get();
  for (const int32_t data : {CONVGEN_DATA_INTEGERS, CONVGEN_DATA_REALS}) {
    options.data = data;
    convgen_verify_report report = CONVGEN_VERIFY_REPORT_INIT;
    ASSERT_C_OK(convgen_kernel_verify(kernel.get(), &options, &report));
    EXPECT_TRUE(report.pass) << report.failure;
    EXPECT_EQ(report.bit_exact, data == CONVGEN_DATA_INTEGERS);
    EXPECT_EQ(report.checked_outputs, conv_of(kCConv).dst_elements());
    EXPECT_LE(report.max_error, report.bound);
    EXPECT_GE(report.nonzero_share, 0.7);
    EXPECT_STREQ(report.failure, "");
  }
}

TEST(CApiKernelTest, VerifyFailsWhatIsWrong) {
  const std::shared_ptr<KernelState> state = make_generic_state(conv_of(kCConv));
  state->function = [](const codegen::KernelArgs*, int64_t, int64_t) {};
  const CKernel kernel(new convgen_kernel{Kernel(state)});
  convgen_verify_report report = CONVGEN_VERIFY_REPORT_INIT;
  std::fill(std::begin(report.failure), std::end(report.failure), '#');
  ASSERT_C_OK(convgen_kernel_verify(kernel.get(), nullptr, &report));
  EXPECT_FALSE(report.pass);
  EXPECT_GT(std::string(report.failure).size(), 10u);
}

}  // namespace
}  // namespace convgen
