#include <cstdio>

#include "convgen.hpp"

int main() {
  auto engine = convgen::Engine::create();
  if (!engine.ok()) return 1;
  auto kernel =
      engine->compile("conv2d src=f32:nhwc:1x3x3x1 weights=f32:hwio:3x3x1x1 pads=same post=relu");
  float src[] = {1, 2, 3, 4, 5, 6, 7, 8, 9}, weights[] = {0, -1, 0, -1, 5, -1, 0, -1, 0}, dst[9];
  if (!kernel.ok() || !kernel->run({.src = src, .weights = weights, .dst = dst}).ok()) return 1;
  std::printf("%s:", kernel->engine_name().c_str());
  for (float y : dst) std::printf(" %g", y);
}
