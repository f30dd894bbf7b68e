// SPDX-License-Identifier: Apache-2.0
// The same convolution under schedules given by hand (docs/schedules.md): what is not said stays
// as selected. All of them must compute the same; one asks for too much and is refused.
#include <cstdio>
#include <vector>

#include "ir/text.h"
#include "runtime/engine.h"

namespace {

int fail(const convgen::Status& status) {
  std::fprintf(stderr, "03_custom_schedule: %s\n", status.message().c_str());
  return 1;
}

}  // namespace

int main() {
  const auto conv = convgen::ir::parse_conv(
      "conv2d src=f32:nhwc:1x14x14x16 weights=f32:hwio:3x3x16x16 pads=same post=relu");
  if (!conv.ok()) return fail(conv.status());
  const auto engine = convgen::Engine::create();
  if (!engine.ok()) return fail(engine.status());

  // Small integers: every sum is exact, whatever its order.
  std::vector<float> src(static_cast<size_t>(conv->src_elements()));
  std::vector<float> weights(static_cast<size_t>(conv->weights_elements()));
  for (size_t i = 0; i < src.size(); ++i) src[i] = static_cast<float>(i % 5);
  for (size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<float>(i % 3) - 1;

  std::vector<float> expected;
  for (const char* words : {"", "tile=1x1", "lanes=4 tile=6x2", "unroll=taps edges=ranged"}) {
    const auto kernel = engine->compile(*conv, {.schedule = words});
    if (!kernel.ok()) return fail(kernel.status());
    std::vector<float> dst(static_cast<size_t>(conv->dst_elements()));
    const auto status =
        kernel->run({.src = src.data(), .weights = weights.data(), .dst = dst.data()});
    if (!status.ok()) return fail(status);
    if (expected.empty()) expected = dst;
    std::printf("%-24s -> %s\n", *words ? words : "(selected)", kernel->schedule().c_str());
    if (dst != expected) return std::puts("a different result"), 1;
  }

  const auto refused = engine->compile(*conv, {.schedule = "unroll=full"});
  std::printf("%-24s -> %s\n", "unroll=full", refused.status().message().c_str());
  return refused.ok() ? 1 : 0;
}
