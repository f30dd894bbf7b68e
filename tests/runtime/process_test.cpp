// SPDX-License-Identifier: Apache-2.0
// Engines in processes that end or fork at bad moments.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "runtime/engine.h"
#include "runtime/verify.h"
#include "tests/support/child.h"
#include "tests/support/kernels.h"
#include "tests/support/soak.h"

namespace convgen {
namespace {

using testing::conv_of;
using testing::run_in_child;
using testing::soak_or;

ir::Conv conv_number(int index) {
  return conv_of("conv2d src=f32:nhwc:1x9x" + std::to_string(9 + index) +
                 "x3 weights=f32:hwio:3x3x3x8 pads=1x1");
}

bool is_right(const Kernel& kernel) {
  const Result<VerifyReport> report = verify_kernel(kernel);
  return report.ok() && report->pass;
}

// exit() destroys static objects, an engine whose thread still compiles among them.
TEST(ProcessTest, ExitsWithAStaticEngineThatCompiles) {
  for (int i = 0; i < soak_or(100, 20); ++i) {
    ASSERT_EQ(run_in_child([i]() -> int {
                static const Engine engine = testing::make_engine();
                for (int n = 0; n < 8; ++n)
                  if (!engine.compile(conv_number(n), {.mode = CompileMode::kGenericFirst}).ok())
                    return 1;
                usleep(static_cast<useconds_t>(i) * 500);
                exit(0);
              }),
              0)
        << "round " << i;
  }
}

// The same for kernels that live until then.
TEST(ProcessTest, ExitsWithStaticKernels) {
  ASSERT_EQ(run_in_child([]() -> int {
              static std::vector<Kernel> kernels;
              static const Engine engine = testing::make_engine();
              for (int n = 0; n < 8; ++n) kernels.push_back(*engine.compile(conv_number(n)));
              exit(is_right(kernels[3]) ? 0 : 1);
            }),
            0);
}

// A child has kernels of before the fork; the parent goes on.
TEST(ProcessTest, ForksWhileOthersCompile) {
  const Engine engine = testing::make_engine();
  const Kernel kernel = *engine.compile(conv_number(0));
  std::atomic<bool> stop = false;
  std::atomic<int> wrong = 0, made = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      for (int n = 0; !stop; ++n) {
        const Result<Kernel> other = engine.compile(conv_number(1 + (2 * n + t) % 60));
        wrong += !other.ok() || other->engine_name() != "jit";
        ++made;
        if (n % 60 == 0) engine.clear_cache();
      }
    });
  }
  const auto tensors = testing::random_tensors(kernel.conv(), 1, testing::Data::kReals);
  const std::vector<float> expected = testing::run_kernel(kernel, tensors);
  for (int i = 0; i < soak_or(200, 40); ++i)
    ASSERT_EQ(
        run_in_child([&] { return testing::run_kernel(kernel, tensors) == expected ? 0 : 1; }, 10),
        0)
        << "fork " << i;
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(made, 1);
  EXPECT_TRUE(is_right(*engine.compile(conv_number(70))));
}

// Where no other thread was inside the engine, a child may use it to the full, and so may the
// parent after.
TEST(ProcessTest, ChildrenCompileToo) {
  const Engine engine = testing::make_engine();
  const Kernel kernel = *engine.compile(conv_number(0));
  for (int i = 0; i < 20; ++i)
    ASSERT_EQ(run_in_child(
                  [&] {
                    const Result<Kernel> mine = engine.compile(conv_number(1 + i));
                    return mine.ok() && is_right(*mine) && is_right(kernel) ? 0 : 1;
                  },
                  10),
              0);
  EXPECT_TRUE(is_right(kernel));
  EXPECT_TRUE(is_right(*engine.compile(conv_number(1))));
}

}  // namespace
}  // namespace convgen
