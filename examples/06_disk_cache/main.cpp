// SPDX-License-Identifier: Apache-2.0
// Kernels that outlive the process: the first engine compiles and leaves objects in a directory,
// the second, as another process would, links them. docs/cache.md says what is kept and for how
// long.
#include <stdlib.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>

#include "runtime/engine.h"

namespace {

using convgen::Engine;
using convgen::EngineStats;
using convgen::Result;
using convgen::Status;

constexpr const char* kConvs[] = {
    "conv2d src=f32:nhwc:1x56x56x64 weights=f32:hwio:1x1x64x64 post=bias,relu",
    "conv2d src=f32:nhwc:1x28x28x32 weights=f32:hwio:3x3x1x32 groups=32 pads=same post=bias",
    "conv2d src=f32:nchw:1x3x32x32 weights=f32:oihw:16x3x3x3 strides=2x2 pads=same",
};

// Compiles all of them in an engine of its own.
Result<EngineStats> visit(const std::string& directory, const char* who) {
  const auto start = std::chrono::steady_clock::now();
  const auto engine = Engine::create({.cache_dir = directory});
  if (!engine.ok()) return engine.status();
  for (const char* conv : kConvs)
    if (const auto kernel = engine->compile(conv); !kernel.ok()) return kernel.status();
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  // Trouble with the directory costs compilations and is no error; who wants to know asks.
  if (Status status = engine->store_status(); !status.ok()) return status;
  const EngineStats stats = engine->stats();
  std::printf("%-6s %6.1f ms: %lld compiled, %lld found on disk\n", who, took.count(),
              static_cast<long long>(stats.compiles), static_cast<long long>(stats.store_hits));
  return stats;
}

int run(const std::string& directory) {
  const auto first = visit(directory, "first"), second = visit(directory, "second");
  if (!first.ok() || !second.ok()) {
    const Status status = first.ok() ? second.status() : first.status();
    return std::fprintf(stderr, "06_disk_cache: %s\n", status.message().c_str()), 1;
  }
  return first->compiles == 3 && second->compiles == 0 && second->store_hits == 3 ? 0 : 1;
}

}  // namespace

// In a directory that nobody else may write to; Engine trusts no other.
int main() {
  std::string directory =
      (std::filesystem::temp_directory_path() / "06_disk_cache.XXXXXX").string();
  if (mkdtemp(directory.data()) == nullptr) return std::perror(directory.c_str()), 1;
  const int result = run(directory);
  std::filesystem::remove_all(directory);
  return result;
}
