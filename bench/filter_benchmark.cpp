// SPDX-License-Identifier: Apache-2.0
// Image filters whose weights are known, beside the kernel for any weights and copies of the same
// bytes, interleaved: as a plain loop copies, and where the filter streams past the caches too.
// `filter_benchmark [SECONDS]`: a table of microseconds.
#include <fmt/format.h>

#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ir/text.h"
#include "runtime/engine.h"
#include "runtime/peak.h"
#include "tools/bench_runner.h"

namespace convgen {
namespace {

using Filter = std::function<float(int64_t kh, int64_t kw, int64_t oc)>;

float edge(int64_t kh, int64_t kw, int64_t) { return kh == 1 && kw == 1 ? 8.0f : -1.0f; }
float sharpen(int64_t kh, int64_t kw, int64_t) {
  return kh == 1 && kw == 1 ? 5.0f : kh == 1 || kw == 1 ? -1.0f : 0.0f;
}
float gauss(int64_t kh, int64_t kw, int64_t) {
  constexpr float kBinomial[] = {1, 4, 6, 4, 1};
  return kBinomial[kh] * kBinomial[kw] / 256;
}
float sobel(int64_t kh, int64_t kw, int64_t oc) {
  const int64_t along = oc == 0 ? kw : kh, across = oc == 0 ? kh : kw;
  return static_cast<float>((along - 1) * (across == 1 ? 2 : 1));
}

struct Case {
  const char* name;
  Filter filter;
  const char* weights;  // of `channels` in one group, or one output channel each
  int channels;
};

const Case kCases[] = {
    {"edge, 3 channels in one group", edge, "hwio:3x3x3x3", 3},
    {"edge, 3 channels", edge, "hwio:3x3x1x3 groups=3", 3},
    {"edge, 1 channel", edge, "hwio:3x3x1x1", 1},
    {"sharpen, 3 channels in one group", sharpen, "hwio:3x3x3x3", 3},
    {"sharpen, 4 channels", sharpen, "hwio:3x3x1x4 groups=4", 4},
    {"gauss 5x5, 3 channels", gauss, "hwio:5x5x1x3 groups=3", 3},
    {"sobel pair, 1 channel", sobel, "hwio:3x3x1x2", 1},
};

ConstantWeights weights_of(const ir::Conv& conv, const Filter& filter) {
  ConstantWeights constants;
  const int64_t in = conv.ic_per_group();
  for (int64_t tap = 0; tap < conv.kernel.product(); ++tap)
    for (int64_t ic = 0; ic < in; ++ic)
      for (int64_t oc = 0; oc < conv.oc; ++oc)
        constants.values.push_back(
            in == 1 || ic == oc ? filter(tap / conv.kernel.w, tap % conv.kernel.w, oc) : 0);
  return constants;
}

// A filter of one weight, 1: a loop that loads and stores vectors, on the machine's widest ones.
Result<tool::TimedCall> make_copy(const Engine& engine, int64_t floats, const char* stores,
                                  const tool::BenchTensors& tensors) {
  const auto conv =
      ir::parse_conv(fmt::format("conv1d src=f32:nwc:1x{}x1 weights=f32:wio:1x1x1", floats));
  if (!conv) return conv.status();
  const auto kernel = engine.compile(*conv, ConstantWeights{{1.0f}, true},
                                     {.schedule = fmt::format("filter stores={}", stores)});
  if (!kernel) return kernel.status();
  return tool::TimedCall([kernel = *kernel, src = tensors.src.data(), dst = tensors.dst.data()] {
    return kernel.run({.src = src, .dst = dst});
  });
}

Status measure(const Engine& engine, const Case& c, int height, int width, double seconds) {
  const auto conv =
      ir::parse_conv(fmt::format("conv2d src=f32:nhwc:1x{}x{}x{} weights=f32:{} pads=same", height,
                                 width, c.channels, c.weights));
  if (!conv) return conv.status();
  const tool::BenchTensors tensors(*conv, 1);
  const ConstantWeights constants = weights_of(*conv, c.filter);
  const auto constant = engine.compile(*conv, constants);
  if (!constant) return constant.status();
  const auto variable = engine.compile(*conv);
  if (!variable) return variable.status();
  auto packed = variable->pack(constants.values.data());
  if (!packed) return packed.status();
  const auto copy = make_copy(engine, conv->src_elements(), "cached", tensors);
  if (!copy) return copy.status();
  const float* src = tensors.src.data();
  float* dst = tensors.dst.data();
  std::vector<tool::TimedCall> calls = {
      *copy, [&] { return constant->run({.src = src, .dst = dst}); },
      [&] { return variable->run({.src = src, .packed = &*packed, .dst = dst}); }};
  // After it dst is in no cache, so it has no place beside what finds it there.
  const bool streams = constant->schedule().find("stores=streaming") != std::string::npos;
  if (streams) {
    const auto streamed = make_copy(engine, conv->src_elements(), "streaming", tensors);
    if (!streamed) return streamed.status();
    calls.push_back(*streamed);
  }
  const auto timings = tool::time_interleaved(calls, seconds);
  if (!timings) return timings.status();
  const double copied = (*timings)[0].min_us, known = (*timings)[1].min_us,
               any = (*timings)[2].min_us;
  const std::string streamed = streams ? fmt::format("{:.1f}", (*timings)[3].min_us) : "-";
  fmt::print("{:<34}{:>5}x{:<6}{:>10.1f}{:>10}{:>10.1f}{:>10.1f}{:>9.2f}{:>9.2f}\n", c.name, height,
             width, copied, streamed, known, any, known / copied, any / known);
  return Status();
}

int run(double seconds) {
  const auto engine = Engine::create({.use_tuning = false, .cache_dir = ""});
  if (!engine) return fmt::print(stderr, "{}\n", engine.status().message()), 2;
  if (const auto peak = measure_peak(*engine))
    fmt::print("fma rate {:.1f} gflop/s; least microseconds of a call, one thread\n", peak->gflops);
  fmt::print("{:<46}{:>10}{:>10}{:>10}{:>10}{:>9}{:>9}\n", "", "copy", "streamed", "constant",
             "any", "/ copy", "any /");
  for (const auto& [height, width] : {std::pair{1080, 1920}, std::pair{256, 256}})
    for (const Case& c : kCases)
      if (Status status = measure(*engine, c, height, width, seconds); !status.ok())
        return fmt::print(stderr, "{}\n", status.message()), 2;
  return 0;
}

}  // namespace
}  // namespace convgen

int main(int argc, char** argv) { return convgen::run(argc > 1 ? std::atof(argv[1]) : 2); }
