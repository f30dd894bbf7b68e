// SPDX-License-Identifier: Apache-2.0
// What tests of the C interface share.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "runtime/convgen.h"
#include "tests/support/c_handles.h"
#include "tests/support/kernels.h"

namespace convgen::testing {

// A small convolution with post-ops of all tensors, and that among others.
inline const char* const kCConv =
    "conv2d src=f32:nhwc:1x7x9x5 weights=f32:hwio:3x3x5x19 pads=1x1 post=bias,scale,add,relu";
inline const char* const kCTexts[] = {
    kCConv,
    "conv1d src=f32:ncw:2x6x30 weights=f32:oiw:20x3x5 strides=2 groups=2 post=gelu",
    "conv2d src=f32:nchw:1x8x11x13 weights=f32:oihw:8x1x3x3 dst=f32:nhwc groups=8 pads=0:1x2:0",
    "conv2d src=f32:nhwc:2x12x12x16 weights=f32:hwio:3x3x16x24 pads=1x1 post=add accuracy=strict",
    "conv2d src=f32:nhwc:1x28x28x64 weights=f32:hwio:3x3x64x64 pads=1x1 post=bias,clamp:0:6",
    "conv3d src=f32:ndhwc:1x4x5x6x3 weights=f32:dhwio:2x3x3x3x7 pads=0x1x1 pad_value=0.5",
};

inline ::testing::AssertionResult c_ok(convgen_status status) {
  if (status == CONVGEN_OK) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure()
         << convgen_status_name(status) << ": " << convgen_last_error();
}
#define EXPECT_C_OK(call) EXPECT_TRUE(::convgen::testing::c_ok(call))
#define ASSERT_C_OK(call) ASSERT_TRUE(::convgen::testing::c_ok(call))

inline CConv c_conv(const std::string& text) {
  convgen_conv* conv = nullptr;
  EXPECT_C_OK(convgen_conv_parse(text.c_str(), &conv));
  return CConv(conv);
}

inline CEngine c_engine() {
  convgen_engine* engine = nullptr;
  EXPECT_C_OK(convgen_engine_create(CONVGEN_ABI_VERSION, nullptr, &engine));
  return CEngine(engine);
}

inline CKernel c_kernel(const CEngine& engine, const std::string& text,
                        const convgen_compile_options* options = nullptr) {
  convgen_kernel* kernel = nullptr;
  EXPECT_C_OK(convgen_engine_compile_text(engine.get(), text.c_str(), options, &kernel));
  return CKernel(kernel);
}

inline CPacked c_pack(const CKernel& kernel, const std::vector<float>& weights) {
  convgen_packed_weights* packed = nullptr;
  EXPECT_C_OK(convgen_kernel_pack(kernel.get(), weights.data(), &packed));
  return CPacked(packed);
}

inline CPool c_pool(int threads) {
  convgen_thread_pool* pool = nullptr;
  EXPECT_C_OK(convgen_thread_pool_create(threads, &pool));
  return CPool(pool);
}

inline convgen_conv_info c_info(const convgen_conv* conv) {
  convgen_conv_info info = CONVGEN_CONV_INFO_INIT;
  EXPECT_C_OK(convgen_conv_get_info(conv, &info));
  return info;
}

inline convgen_kernel_info c_info(const convgen_kernel* kernel) {
  convgen_kernel_info info = CONVGEN_KERNEL_INFO_INIT;
  EXPECT_C_OK(convgen_kernel_get_info(kernel, &info));
  return info;
}

// Arguments with plain weights; what the conv does not use is empty, and null where it is.
inline convgen_run_args c_args(const HostTensors& tensors, std::vector<float>& dst) {
  convgen_run_args args = CONVGEN_RUN_ARGS_INIT;
  args.src = tensors.src.data();
  args.weights = tensors.weights.data();
  args.bias = tensors.bias.data();
  args.add = tensors.add.data();
  args.scale = tensors.scale.data();
  args.dst = dst.data();
  return args;
}

}  // namespace convgen::testing
