// SPDX-License-Identifier: Apache-2.0
// One convolution, compiled and run: sharpens a 3x3 picture. README.md quotes it.
#include <cstdio>

#include "ir/text.h"
#include "runtime/engine.h"

int main() {
  auto conv = convgen::ir::parse_conv(
      "conv2d src=f32:nhwc:1x3x3x1 weights=f32:hwio:3x3x1x1 pads=same post=relu");
  auto engine = convgen::Engine::create();
  if (!conv.ok() || !engine.ok()) return 1;
  auto kernel = engine->compile(*conv);
  float src[] = {1, 2, 3, 4, 5, 6, 7, 8, 9}, weights[] = {0, -1, 0, -1, 5, -1, 0, -1, 0}, dst[9];
  if (!kernel.ok() || !kernel->run({.src = src, .weights = weights, .dst = dst}).ok()) return 1;
  for (float y : dst) std::printf("%g ", y);
}
