// SPDX-License-Identifier: Apache-2.0
// SAME and SAME_LOWER, exhaustively over small axes: sizes and pads against TensorFlow's rule as
// its documentation words it, and kernels against a plain integer loop. Shares nothing with ir/'s
// rule nor with the interpreter, on purpose.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "ir/text.h"
#include "tests/support/kernels.h"

namespace convgen::testing {
namespace {

constexpr int64_t kIn = 2;   // channels
constexpr int64_t kOut = 3;  // channels
constexpr int64_t kKernelsKept = 100;

struct Axis {
  int64_t in, k, s, d;
};

struct Padding {
  int64_t out, begin, end;
};

// TensorFlow, "Notes on padding": out = ceil(in / s); the pads sum to max(k - s, 0) where s divides
// in, else to max(k - in mod s, 0); the odd one goes to the end, or to the begin for SAME_LOWER.
Padding tensorflow_rule(const Axis& a, bool lower) {
  const int64_t k = (a.k - 1) * a.d + 1;
  const int64_t rest = a.in % a.s;
  const int64_t total = std::max<int64_t>(k - (rest == 0 ? a.s : rest), 0);
  const int64_t smaller = total / 2;
  const int64_t larger = total - smaller;
  return {a.in / a.s + (rest != 0 ? 1 : 0), lower ? larger : smaller, lower ? smaller : larger};
}

// src [in, 2], weights [k, 2, 3] -> dst [out, 3], by the sum's definition.
std::vector<float> plain_loop(const Axis& a, const Padding& p, const HostTensors& tensors) {
  std::vector<float> dst;
  for (int64_t o = 0; o < p.out; ++o) {
    for (int64_t oc = 0; oc < kOut; ++oc) {
      int64_t sum = 0;
      for (int64_t k = 0; k < a.k; ++k) {
        const int64_t i = o * a.s + k * a.d - p.begin;
        if (i < 0 || i >= a.in) continue;
        for (int64_t ic = 0; ic < kIn; ++ic) {
          const float x = tensors.src[static_cast<size_t>(i * kIn + ic)];
          const float w = tensors.weights[static_cast<size_t>((k * kIn + ic) * kOut + oc)];
          sum += static_cast<int64_t>(x) * static_cast<int64_t>(w);
        }
      }
      dst.push_back(static_cast<float>(sum));
    }
  }
  return dst;
}

// The convolution along `axis` of its op; the other axis of a conv2d has size 1.
std::string text_of(const Axis& a, bool lower, const std::string& axis) {
  const std::string pads = lower ? "same_lower" : "same";
  if (axis == "w of conv1d")
    return fmt::format(
        "conv1d src=f32:nwc:1x{}x{} weights=f32:wio:{}x{}x{} strides={} dilations={} "
        "pads={}",
        a.in, kIn, a.k, kIn, kOut, a.s, a.d, pads);
  return fmt::format(
      "conv2d src=f32:nhwc:1x{}x1x{} weights=f32:hwio:{}x1x{}x{} strides={}x1 "
      "dilations={}x1 pads={}",
      a.in, kIn, a.k, kIn, kOut, a.s, a.d, pads);
}

void check_axis(const Engine& engine, const Axis& a, bool lower, const std::string& axis) {
  const std::string text = text_of(a, lower, axis);
  const ir::Conv conv = conv_of(text);
  const Padding expected = tensorflow_rule(a, lower);
  const int along = axis == "w of conv1d" ? 2 : 1;
  ASSERT_EQ(conv.out[along], expected.out) << text;
  ASSERT_EQ(conv.pads_begin[along], expected.begin) << text;
  ASSERT_EQ(conv.pads_end[along], expected.end) << text;

  const HostTensors tensors = random_tensors(conv, test_seed(), Data::kIntegers);
  const Kernel kernel = compile_kernel(engine, conv);
  const std::vector<float> dst = run_kernel(kernel, tensors);
  // == and not the bits: the sign of a zero is nobody's promise.
  ASSERT_EQ(dst, plain_loop(a, expected, tensors)) << text;
}

// Calls check(Axis) on the whole grid and returns its size.
template <typename Check>
int64_t for_all_axes(Check check) {
  int64_t count = 0;
  for (int64_t in = 1; in <= 12; ++in)
    for (int64_t k = 1; k <= 6; ++k)
      for (int64_t s = 1; s <= 5; ++s)
        for (int64_t d = 1; d <= 3; ++d, ++count) check(Axis{in, k, s, d}, count);
  return count;
}

class SamePaddingTest : public ::testing::TestWithParam<bool> {};

TEST_P(SamePaddingTest, Width) {
  const Engine engine = make_engine();
  const int64_t count = for_all_axes([&](const Axis& axis, int64_t number) {
    if (HasFatalFailure()) return;
    check_axis(engine, axis, GetParam(), "w of conv1d");
    if (number % kKernelsKept == 0) engine.clear_cache();
  });
  EXPECT_EQ(count, 1080);
}

// The rule is the same on every axis, the emitted code is not: rows are skipped, columns peeled.
TEST_P(SamePaddingTest, Height) {
  const Engine engine = make_engine();
  for_all_axes([&](const Axis& axis, int64_t number) {
    if (HasFatalFailure() || number % 7 != 0) return;
    check_axis(engine, axis, GetParam(), "h of conv2d");
  });
}

INSTANTIATE_TEST_SUITE_P(Rules, SamePaddingTest, ::testing::Bool(),
                         [](const auto& test) { return test.param ? "SameLower" : "Same"; });

// The generic path reads the same Conv by its own loops.
TEST(SamePaddingGenericTest, Width) {
  const Engine engine = make_engine();
  for_all_axes([&](const Axis& a, int64_t number) {
    const bool lower = number % 2 == 1;
    const ir::Conv conv = conv_of(text_of(a, lower, "w of conv1d"));
    const HostTensors tensors = random_tensors(conv, test_seed(), Data::kIntegers);
    const Kernel kernel = compile_kernel(engine, conv, generic_engine());
    EXPECT_EQ(run_kernel(kernel, tensors), plain_loop(a, tensorflow_rule(a, lower), tensors))
        << ir::print_conv(conv);
  });
}

}  // namespace
}  // namespace convgen::testing
