// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "examples/00_demo/demo.h"
#include "examples/image.h"
#include "ir/text.h"
#include "runtime/engine.h"
#include "runtime/verify.h"
#include "tools/bench_runner.h"

namespace convgen::examples {
namespace {

using Clock = std::chrono::steady_clock;
using Filter = std::array<float, 9>;  // [kh, kw]

constexpr Filter kEdgeDetect = {-1, -1, -1, -1, 8, -1, -1, -1, -1};
constexpr Filter kSharpen = {0, -1, 0, -1, 5, -1, 0, -1, 0};

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

void row(const char* label, const std::string& text) {
  fmt::print("{:<12}{}\n", label, text);
  std::fflush(stdout);
}

std::string conv_text(const Image& image) {
  return fmt::format(
      "conv2d src=f32:nhwc:1x{}x{}x{} weights=f32:hwio:3x3x{}x{} pads=same post=relu,min:255",
      image.h, image.w, image.c, image.c, image.c);
}

// The filter on each channel alone: hwio weights that are zero but for i = o.
std::vector<float> diagonal_weights(const Filter& filter, int64_t channels) {
  std::vector<float> weights(filter.size() * static_cast<size_t>(channels * channels), 0);
  for (size_t tap = 0; tap < filter.size(); ++tap) {
    for (int64_t c = 0; c < channels; ++c) {
      weights[tap * static_cast<size_t>(channels * channels) +
              static_cast<size_t>(c * channels + c)] = filter[tap];
    }
  }
  return weights;
}

Result<Image> apply(const Kernel& kernel, const Image& image, const Filter& filter) {
  const std::vector<float> weights = diagonal_weights(filter, image.c);
  Image out{image.h, image.w, image.c, std::vector<float>(image.pixels.size())};
  const Status status =
      kernel.run({.src = image.pixels.data(), .weights = weights.data(), .dst = out.pixels.data()});
  if (!status.ok()) return status;
  return out;
}

struct TimedKernel {
  Kernel kernel;
  double first_ms = 0;
  double second_ms = 0;  // from the cache
};

Result<TimedKernel> compile_twice(const Engine& engine, const ir::Conv& conv) {
  Clock::time_point start = Clock::now();
  const auto kernel = engine.compile(conv);
  const double first_ms = ms_since(start);
  if (!kernel.ok()) return kernel.status();
  start = Clock::now();
  const auto again = engine.compile(conv);
  const double second_ms = ms_since(start);
  if (!again.ok()) return again.status();
  return TimedKernel{*kernel, first_ms, second_ms};
}

Result<bool> verify_and_report(const Kernel& kernel) {
  bool pass = true;
  for (const VerifyData data : {VerifyData::kIntegers, VerifyData::kReals}) {
    const auto report = verify_kernel(kernel, {.seed = 1, .data = data});
    if (!report.ok()) return report.status();
    pass = pass && report->pass;
    const char* kind = data == VerifyData::kIntegers ? "integers" : "reals";
    const std::string rule =
        report->bit_exact ? "bit for bit" : fmt::format("at most {:.2g} allowed", report->bound);
    row("verify", fmt::format("{} against the interpreter, {} outputs of random {}: max error "
                              "{:.2g}, {}",
                              report->pass ? "PASS" : "FAIL", report->checked_outputs, kind,
                              report->max_error, rule));
    if (!report->pass) row("", report->failure);
  }
  return pass;
}

// A kernel, its packed weights and its work space: what an application sets up once.
struct Prepared {
  Kernel kernel;
  PackedWeights packed;
  tool::AlignedFloats scratch;
  Image out;
};

Result<Prepared> prepare(const Kernel& kernel, const Image& image, const Filter& filter) {
  auto packed = kernel.pack(diagonal_weights(filter, image.c).data());
  if (!packed.ok()) return packed.status();
  return Prepared{kernel, std::move(*packed),
                  tool::AlignedFloats(kernel.scratch_bytes() / sizeof(float) + 1), image};
}

tool::TimedCall call_of(Prepared& prepared, const Image& image) {
  return [&] {
    return prepared.kernel.run({.src = image.pixels.data(),
                                .packed = &prepared.packed,
                                .dst = prepared.out.pixels.data(),
                                .scratch = prepared.scratch.data()});
  };
}

Status time_and_report(const Engine& engine, const Kernel& kernel, const Image& image,
                       double seconds) {
  CompileOptions options;
  options.engine = EngineKind::kGeneric;
  const auto generic = engine.compile(kernel.conv(), options);
  if (!generic.ok()) return generic.status();
  auto jit_run = prepare(kernel, image, kEdgeDetect);
  if (!jit_run.ok()) return jit_run.status();
  auto generic_run = prepare(*generic, image, kEdgeDetect);
  if (!generic_run.ok()) return generic_run.status();
  const auto timings =
      tool::time_interleaved({call_of(*jit_run, image), call_of(*generic_run, image)}, seconds);
  if (!timings.ok()) return timings.status();
  const double jit_us = timings->at(0).min_us;
  const double generic_us = timings->at(1).min_us;
  row("speed", fmt::format("{} {:.0f} us, generic C++ {:.0f} us: {:.1f} times as fast",
                           kernel.engine_name(), jit_us, generic_us, generic_us / jit_us));
  row("", "(a picture on one thread, least of interleaved repeats)");
  return Status();
}

Status write_pictures(const Kernel& kernel, const Image& image, const std::string& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return io_error(directory + ": " + error.message());
  for (const auto& [name, filter] : {std::pair("edge", kEdgeDetect), {"sharpen", kSharpen}}) {
    const auto out = apply(kernel, image, filter);
    if (!out.ok()) return out.status();
    const std::string path = directory + "/" + name + ".png";
    if (Status status = save_png(path, *out); !status.ok()) return status;
    row("written", path);
  }
  return Status();
}

}  // namespace

Result<bool> run_filter_demo(const DemoOptions& options) {
  const auto image = load_png(options.picture);
  if (!image.ok()) return image.status();
  const auto conv = ir::parse_conv(conv_text(*image));
  if (!conv.ok()) return conv.status();
  const auto engine = Engine::create();
  if (!engine.ok()) return engine.status();

  row("picture",
      fmt::format("{}, {} x {}, {} channels", options.picture, image->w, image->h, image->c));
  row("conv", ir::print_conv(*conv));
  // The weights are an argument of the kernel, so both filters share it.
  const auto compiled = compile_twice(*engine, *conv);
  if (!compiled.ok()) return compiled.status();
  const Kernel& kernel = compiled->kernel;
  if (!kernel.schedule().empty()) {
    row("schedule", kernel.schedule());
    const auto excerpt = excerpt_inner_loop(kernel);
    if (!excerpt.ok()) return excerpt.status();
    fmt::print("{:<12}{}", "inner loop", *excerpt);
  }
  const auto pass = verify_and_report(kernel);
  if (!pass.ok()) return pass;
  row("compile", fmt::format("{:.1f} ms, {} bytes of object; the second time {:.1f} us, cached",
                             compiled->first_ms, kernel.compile_stats().code_bytes,
                             compiled->second_ms * 1e3));
  if (Status s = time_and_report(*engine, kernel, *image, options.seconds); !s.ok()) return s;
  if (Status s = write_pictures(kernel, *image, options.directory); !s.ok()) return s;
  return pass;
}

}  // namespace convgen::examples
