// SPDX-License-Identifier: Apache-2.0
// A residual block, y = relu(conv(relu(conv(x) + b)) + b + x), twice: with bias, add and relu fused
// into the convolutions, where they are done while the sums are in registers, and with plain
// convolutions and loops over memory behind them. Both must give the same but for rounding.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "ir/text.h"
#include "runtime/engine.h"

namespace {

using convgen::Engine;
using convgen::Kernel;
using convgen::Result;
using convgen::Status;

using Floats = std::vector<float>;

constexpr size_t kChannels = 32;
constexpr const char* kConv = "conv2d src=f32:nhwc:1x28x28x32 weights=f32:hwio:3x3x32x32 pads=same";

// Values in [-0.5, 0.5), some other ones for each seed.
Floats some_floats(int64_t count, unsigned seed) {
  Floats values(static_cast<size_t>(count));
  for (float& value : values) {
    seed = seed * 1664525 + 1013904223;
    value = static_cast<float>(seed >> 8) / (1 << 24) - 0.5f;
  }
  return values;
}

// The tensors of the block; both convolutions have the same weights and bias.
struct Block {
  Floats x, bias, between, y;
};

Result<double> measure_us(const auto& run) {
  double best = 1e9;
  for (int i = 0; i < 50; ++i) {
    const auto start = std::chrono::steady_clock::now();
    if (Status status = run(); !status.ok()) return status;
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
    best = std::min(best, took.count());
  }
  return best;
}

Result<double> run_fused(const Engine& engine, const Floats& weights, Block& block) {
  const auto first = engine.compile(std::string(kConv) + " post=bias,relu");
  if (!first.ok()) return first.status();
  const auto second = engine.compile(std::string(kConv) + " post=bias,add,relu");
  if (!second.ok()) return second.status();
  const auto first_weights = first->pack(weights.data()),
             second_weights = second->pack(weights.data());
  if (!first_weights.ok()) return first_weights.status();
  if (!second_weights.ok()) return second_weights.status();
  return measure_us([&] {
    Status status = first->run({.src = block.x.data(),
                                .packed = &*first_weights,
                                .bias = block.bias.data(),
                                .dst = block.between.data()});
    if (!status.ok()) return status;
    return second->run({.src = block.between.data(),
                        .packed = &*second_weights,
                        .bias = block.bias.data(),
                        .add = block.x.data(),
                        .dst = block.y.data()});
  });
}

// What an application does without fusion: one pass over memory for each.
void add_bias(Floats& y, const Floats& bias) {
  for (size_t i = 0; i < y.size(); ++i) y[i] += bias[i % kChannels];
}
void add(Floats& y, const Floats& x) {
  for (size_t i = 0; i < y.size(); ++i) y[i] += x[i];
}
void relu(Floats& y) {
  for (float& value : y) value = std::max(value, 0.0f);
}

Result<double> run_unfused(const Engine& engine, const Floats& weights, Block& block) {
  const auto kernel = engine.compile(kConv);
  if (!kernel.ok()) return kernel.status();
  const auto packed = kernel->pack(weights.data());
  if (!packed.ok()) return packed.status();
  return measure_us([&] {
    Status status =
        kernel->run({.src = block.x.data(), .packed = &*packed, .dst = block.between.data()});
    if (!status.ok()) return status;
    add_bias(block.between, block.bias);
    relu(block.between);
    status = kernel->run({.src = block.between.data(), .packed = &*packed, .dst = block.y.data()});
    add_bias(block.y, block.bias);
    add(block.y, block.x);
    relu(block.y);
    return status;
  });
}

int fail(const Status& status) {
  std::fprintf(stderr, "05_fused_residual: %s\n", status.message().c_str());
  return 1;
}

}  // namespace

int main() {
  const auto conv = convgen::ir::parse_conv(kConv);
  const auto engine = Engine::create();
  if (!conv.ok()) return fail(conv.status());
  if (!engine.ok()) return fail(engine.status());
  const Floats weights = some_floats(conv->weights_elements(), 1);
  Block fused{some_floats(conv->src_elements(), 2), some_floats(kChannels, 3), {}, {}};
  fused.between.resize(fused.x.size());
  fused.y.resize(fused.x.size());
  Block unfused = fused;

  const auto fused_us = run_fused(*engine, weights, fused);
  if (!fused_us.ok()) return fail(fused_us.status());
  const auto unfused_us = run_unfused(*engine, weights, unfused);
  if (!unfused_us.ok()) return fail(unfused_us.status());

  float largest = 0, difference = 0;
  for (size_t i = 0; i < fused.y.size(); ++i) {
    largest = std::max(largest, std::abs(unfused.y[i]));
    difference = std::max(difference, std::abs(fused.y[i] - unfused.y[i]));
  }
  std::printf("fused %.1f us, unfused %.1f us; largest value %g, largest difference %g\n",
              *fused_us, *unfused_us, static_cast<double>(largest),
              static_cast<double>(difference));
  return largest > 1 && difference <= 1e-4f * largest ? 0 : 1;
}
