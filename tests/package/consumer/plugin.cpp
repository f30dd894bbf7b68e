// A plug-in that computes by convgen, for plugin_host.cpp.
#include <algorithm>
#include <cstdio>

#include "convgen.hpp"

namespace {

constexpr const char* kConv =
    "conv2d src=f32:nhwc:1x3x3x1 weights=f32:hwio:3x3x1x1 pads=same post=relu";

bool runs_right(const convgen::Engine& engine) {
  const auto kernel = engine.compile(kConv);
  if (!kernel.ok() || kernel->engine_name() != "jit") return false;
  const float src[] = {1, 2, 3, 4, 5, 6, 7, 8, 9}, weights[] = {0, -1, 0, -1, 5, -1, 0, -1, 0};
  const float expected[] = {0, 1, 7, 7, 5, 13, 23, 19, 31};
  float dst[9];
  if (!kernel->run({.src = src, .weights = weights, .dst = dst}).ok()) return false;
  return std::equal(dst, dst + 9, expected);
}

}  // namespace

#define PLUGIN_EXPORT extern "C" __attribute__((visibility("default")))

// 0 where a kernel was compiled and is right.
PLUGIN_EXPORT int plugin_run() {
  const auto engine = convgen::Engine::create();
  return engine.ok() && runs_right(*engine) ? 0 : 1;
}

// Leaves an engine that lives until the process ends, with compilations under way.
PLUGIN_EXPORT int plugin_leave_work() {
  static const auto engine = convgen::Engine::create();
  if (!engine.ok()) return 1;
  for (int width = 20; width < 40; ++width) {
    char conv[128];  // std::to_string would keep the plug-in from being unloaded
    std::snprintf(conv, sizeof conv,
                  "conv2d src=f32:nhwc:1x20x%dx16 weights=f32:hwio:3x3x16x32 pads=same", width);
    const auto kernel = engine->compile(conv, {.mode = convgen::CompileMode::kGenericFirst});
    if (!kernel.ok()) return 1;
  }
  return 0;
}
