// SPDX-License-Identifier: Apache-2.0
// The C interface where memory runs out: each allocation of a call fails once, alone and with all
// after it. Every call must return, say so, and hand nothing out. Compilations through LLVM are
// left out: LLVM ends the process.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <functional>
#include <new>
#include <string>

#include "tests/support/c_api.h"

namespace {

constexpr int64_t kNever = INT64_MAX;

// Of this thread: how many allocations succeed before the one that fails, and whether all fail
// from there on.
thread_local int64_t allocations_left = kNever;
thread_local bool fail_on = false;
thread_local bool failed = false;

void* allocate(size_t bytes) {
  if (allocations_left != kNever && --allocations_left < 0) {
    if (!fail_on) allocations_left = kNever;
    failed = true;
    throw std::bad_alloc();
  }
  if (void* memory = std::malloc(bytes)) return memory;
  throw std::bad_alloc();
}

}  // namespace

// All that end in malloc: asan compares what allocates with what frees.
void* operator new(size_t bytes) { return allocate(bytes); }
void* operator new[](size_t bytes) { return allocate(bytes); }
void* operator new(size_t bytes, const std::nothrow_t&) noexcept { return std::malloc(bytes); }
void* operator new[](size_t bytes, const std::nothrow_t&) noexcept { return std::malloc(bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }

namespace convgen {
namespace {

using namespace convgen::testing;  // NOLINT: every helper of the file

const char* const kConv =
    "conv2d src=f32:nhwc:1x6x7x5 weights=f32:hwio:3x3x5x9 pads=1x1 post=bias,add,scale";

// call() with each of its allocations failing. `wanted` is what it returns with enough memory.
// after(): what must hold where it failed.
void expect_survives(
    const std::string& name, const std::function<convgen_status()>& call,
    convgen_status wanted = CONVGEN_OK, const std::function<void(bool ok)>& after = [](bool) {}) {
  for (const bool on : {false, true}) {
    int64_t k = 0;
    for (;; ++k) {
      ASSERT_LT(k, 5000) << name;
      failed = false;
      fail_on = on;
      allocations_left = k;
      const convgen_status status = call();
      allocations_left = kNever;
      if (!failed) {
        EXPECT_EQ(status, wanted) << name;
        after(status == CONVGEN_OK);
        break;
      }
      EXPECT_TRUE(status == CONVGEN_RESOURCE_EXHAUSTED || status == wanted)
          << name << ", allocation " << k << ": " << convgen_last_error();
      EXPECT_STRNE(convgen_last_error(), "") << name;
      after(status == CONVGEN_OK);
    }
    EXPECT_GT(k, 0) << name << ": allocates nothing, so this proves nothing";
  }
}

// The same for a call that hands a handle out, which is freed where there is one.
template <typename Handle>
void expect_hands_out(const std::string& name, const std::function<convgen_status(Handle**)>& call,
                      void (*free)(Handle*), convgen_status wanted = CONVGEN_OK) {
  Handle* out = nullptr;
  expect_survives(
      name, [&] { return call(&out); }, wanted,
      [&](bool ok) {
        EXPECT_EQ(out != nullptr, ok) << name;
        free(out);
      });
}

class CApiMemoryTest : public ::testing::Test {
 protected:
  CKernel generic_kernel() const {
    const convgen_compile_options options = generic();
    return c_kernel(engine_, kConv, &options);
  }
  static convgen_compile_options generic() {
    convgen_compile_options options = CONVGEN_COMPILE_OPTIONS_INIT;
    options.engine = CONVGEN_ENGINE_GENERIC;
    return options;
  }

  const CEngine engine_ = c_engine();
  const CConv conv_ = c_conv(kConv);
  const HostTensors tensors_ = random_tensors(conv_of(kConv), 1, Data::kIntegers);
};

TEST_F(CApiMemoryTest, Convs) {
  convgen_conv_spec spec = CONVGEN_CONV_SPEC_INIT;
  spec.src_layout = "nhwc";
  spec.weights_layout = "hwio";
  spec.post = "bias,clamp:0:6,scale,add,relu,tanh";
  for (int64_t& dim : spec.src_dims) dim = 4;
  for (int64_t& dim : spec.weights_dims) dim = 4;
  expect_hands_out<convgen_conv>(
      "parse", [&](auto out) { return convgen_conv_parse(kConv, out); }, convgen_conv_free);
  expect_hands_out<convgen_conv>(
      "benchdnn", [&](auto out) { return convgen_conv_parse("mb1ic3ih8oc4oh6kh3", out); },
      convgen_conv_free);
  expect_hands_out<convgen_conv>(
      "create", [&](auto out) { return convgen_conv_create(&spec, out); }, convgen_conv_free);
  expect_hands_out<convgen_conv>(
      "wrong text", [&](auto out) { return convgen_conv_parse("conv2d src=f32:nwhc:1x2", out); },
      convgen_conv_free, CONVGEN_INVALID_ARGUMENT);
}

TEST_F(CApiMemoryTest, FailuresThemselves) {
  convgen_conv_spec spec = CONVGEN_CONV_SPEC_INIT;
  convgen_conv* conv = nullptr;
  expect_survives(
      "null", [&] { return convgen_conv_create(&spec, &conv); }, CONVGEN_INVALID_ARGUMENT);
  convgen_thread_pool* pool = nullptr;
  expect_survives(
      "threads", [&] { return convgen_thread_pool_create(-1, &pool); }, CONVGEN_INVALID_ARGUMENT);
}

TEST_F(CApiMemoryTest, KernelsOfTheGenericPath) {
  const convgen_compile_options options = generic();
  const auto forget = [&] { EXPECT_C_OK(convgen_engine_clear_cache(engine_.get())); };
  const auto free = [](convgen_kernel* kernel) { convgen_kernel_free(kernel); };
  expect_hands_out<convgen_kernel>(
      "compile",
      [&](auto out) {
        const convgen_status status =
            convgen_engine_compile(engine_.get(), conv_.get(), &options, out);
        allocations_left = kNever;
        forget();
        return status;
      },
      free);
  expect_hands_out<convgen_kernel>(
      "compile_constant",
      [&](auto out) {
        const convgen_status status =
            convgen_engine_compile_constant(engine_.get(), conv_.get(), tensors_.weights.data(),
                                            tensors_.weights.size(), 0, &options, out);
        allocations_left = kNever;
        forget();
        return status;
      },
      free);
}

TEST_F(CApiMemoryTest, KernelsThatAreKnown) {
  const CKernel known = c_kernel(engine_, kConv);
  expect_hands_out<convgen_kernel>(
      "compile",
      [&](auto out) { return convgen_engine_compile(engine_.get(), conv_.get(), nullptr, out); },
      convgen_kernel_free);
  expect_hands_out<convgen_kernel>(
      "compile_text",
      [&](auto out) { return convgen_engine_compile_text(engine_.get(), kConv, nullptr, out); },
      convgen_kernel_free);
  expect_hands_out<convgen_kernel>(
      "kernel_copy", [&](auto out) { return convgen_kernel_copy(known.get(), out); },
      convgen_kernel_free);
  expect_hands_out<convgen_conv>(
      "kernel_conv", [&](auto out) { return convgen_kernel_conv(known.get(), out); },
      convgen_conv_free);
  expect_hands_out<convgen_engine>(
      "engine_copy", [&](auto out) { return convgen_engine_copy(engine_.get(), out); },
      convgen_engine_free);
}

TEST_F(CApiMemoryTest, Preparing) {
  const CConv other = c_conv("conv1d src=f32:nwc:1x9x3 weights=f32:wio:3x3x4");
  const convgen_conv* convs[] = {conv_.get(), other.get()};
  convgen_compile_options compile = generic();
  convgen_prepare_options options = CONVGEN_PREPARE_OPTIONS_INIT;
  options.compile = &compile;
  options.threads = 1;
  convgen_kernel* kernels[2];
  convgen_status statuses[2];
  expect_survives(
      "prepare",
      [&] { return convgen_engine_prepare(engine_.get(), convs, 2, &options, kernels, statuses); },
      CONVGEN_OK,
      [&](bool) {
        for (int i = 0; i < 2; ++i) {
          EXPECT_EQ(kernels[i] != nullptr, statuses[i] == CONVGEN_OK);
          convgen_kernel_free(kernels[i]);
        }
        EXPECT_C_OK(convgen_engine_clear_cache(engine_.get()));
      });
}

TEST_F(CApiMemoryTest, PackingRunningAndChecking) {
  const CKernel kernel = generic_kernel();
  expect_hands_out<convgen_packed_weights>(
      "pack",
      [&](auto out) { return convgen_kernel_pack(kernel.get(), tensors_.weights.data(), out); },
      convgen_packed_weights_free);
  std::vector<float> dst(static_cast<size_t>(conv_of(kConv).dst_elements()));
  const convgen_run_args args = c_args(tensors_, dst);
  expect_survives("run", [&] { return convgen_kernel_run(kernel.get(), &args); });
  EXPECT_TRUE(matches_interpreter(conv_of(kConv), tensors_, dst, true));
  convgen_verify_report report = CONVGEN_VERIFY_REPORT_INIT;
  expect_survives("verify", [&] { return convgen_kernel_verify(kernel.get(), nullptr, &report); });
  EXPECT_TRUE(report.pass) << report.failure;
  convgen_kernel_info info = CONVGEN_KERNEL_INFO_INIT;
  CKernel fresh = c_kernel(engine_, kConv);  // each handle prints its signature once
  expect_survives(
      "info", [&] { return convgen_kernel_get_info(fresh.get(), &info); }, CONVGEN_OK,
      [&](bool) { fresh = c_kernel(engine_, kConv); });
}

TEST_F(CApiMemoryTest, ThreadPools) {
  expect_hands_out<convgen_thread_pool>(
      "pool", [&](auto out) { return convgen_thread_pool_create(2, out); },
      convgen_thread_pool_free);
}

}  // namespace
}  // namespace convgen
