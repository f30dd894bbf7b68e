// SPDX-License-Identifier: Apache-2.0
// Two ways to use several threads: convgen's pool, and an application's own behind ParallelFor.
// The bits of the result are the same on any number of threads; this program checks it.
#include <cstdint>
#include <cstdio>
#include <thread>
#include <vector>

#include "ir/text.h"
#include "runtime/engine.h"
#include "runtime/thread_pool.h"

namespace {

// An application's way to run something in parallel: here, a std::thread for each share.
struct Threads {
  int count;
};

void run_on_threads(void* pool, int64_t tasks, convgen::TaskFunction body, void* context) {
  const int64_t count = static_cast<Threads*>(pool)->count;
  std::vector<std::thread> threads;
  for (int64_t i = 0; i < count; ++i) {
    threads.emplace_back(body, context, tasks * i / count, tasks * (i + 1) / count);
  }
  for (std::thread& thread : threads) thread.join();
}

int fail(const convgen::Status& status) {
  std::fprintf(stderr, "02_thread_pool: %s\n", status.message().c_str());
  return 1;
}

}  // namespace

int main() {
  const auto conv = convgen::ir::parse_conv(
      "conv2d src=f32:nhwc:1x28x28x32 weights=f32:hwio:3x3x32x48 pads=same post=bias,relu");
  if (!conv.ok()) return fail(conv.status());
  const auto engine = convgen::Engine::create();
  if (!engine.ok()) return fail(engine.status());
  convgen::CompileOptions options;
  options.threads = 2;  // a hint: work is cut into enough tasks to share
  const auto kernel = engine->compile(*conv, options);
  if (!kernel.ok()) return fail(kernel.status());

  std::vector<float> src(static_cast<size_t>(conv->src_elements()));
  std::vector<float> weights(static_cast<size_t>(conv->weights_elements()));
  for (size_t i = 0; i < src.size(); ++i) src[i] = static_cast<float>(i % 13) / 13;
  for (size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<float>(i % 7) / 7 - 0.4f;
  const std::vector<float> bias(48, 0.1f);

  // Weights are brought into the kernel's order once, not in every run.
  const auto packed = kernel->pack(weights.data());
  if (!packed.ok()) return fail(packed.status());
  const auto run = [&](std::vector<float>& dst, const convgen::ParallelFor* parallel_for) {
    dst.resize(static_cast<size_t>(conv->dst_elements()));
    return kernel->run(
        {.src = src.data(), .packed = &*packed, .bias = bias.data(), .dst = dst.data()},
        parallel_for);
  };

  std::vector<float> one, pooled, own;
  if (auto status = run(one, nullptr); !status.ok()) return fail(status);

  convgen::ThreadPool pool(2);
  const convgen::ParallelFor on_pool = pool.parallel_for();
  if (auto status = run(pooled, &on_pool); !status.ok()) return fail(status);

  Threads threads{3};
  const convgen::ParallelFor on_threads{&threads, run_on_threads};
  if (auto status = run(own, &on_threads); !status.ok()) return fail(status);

  const bool same = one == pooled && one == own;
  std::printf("%lld tasks on 1, %d and %d threads: %s\n", static_cast<long long>(kernel->tasks()),
              pool.threads(), threads.count, same ? "the same bits" : "DIFFERENT");
  return same ? 0 : 1;
}
