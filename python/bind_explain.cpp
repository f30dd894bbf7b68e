// SPDX-License-Identifier: Apache-2.0
// convgen.explain and measure_peak: what was decided for a convolution, and what it reaches here.
#include <fmt/format.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <chrono>

#include "codegen/schedule.h"
#include "codegen/select_schedule.h"
#include "codegen/target.h"
#include "ir/text.h"
#include "python/arguments.h"
#include "python/bindings.h"
#include "python/errors.h"
#include "python/threads.h"
#include "runtime/bench_tensors.h"
#include "runtime/peak.h"

namespace convgen::python {
namespace {

// The engine that an argument names, None: the default one.
const PythonEngine& read_engine(nb::handle engine) {
  if (engine.is_none()) return default_engine();
  if (const auto* made = find_instance<PythonEngine>(engine)) return *made;
  raise_type_error(fmt::format("engine: {} found, expected an Engine", python_type(engine)));
}

struct Explanation {
  std::string conv, target, schedule, why, engine_name;
  double flops = 0, bytes = 0;
  int64_t tasks = 0;
  size_t code_bytes = 0;
  int threads = 1;
  PeakRate peak;
  double measured_us = 0;  // 0: not measured

  double gflops() const { return measured_us > 0 ? flops / measured_us * 1e-3 : 0; }
  double share_of_peak() const { return peak.gflops > 0 ? gflops() / (peak.gflops * threads) : 0; }
};

std::string describe_origin(const codegen::Selection& selection, const std::string& schedule) {
  const std::string selected = codegen::print_schedule(selection.schedule);
  if (schedule.empty()) return "the generic path follows none";
  return selected == schedule ? selection.reason
                              : "tuned or given by hand; selected was " + selected;
}

// The least of several calls that follow each other, as long as `seconds` last.
Result<double> measure_us(const Kernel& kernel, const ParallelFor* pool, double seconds) {
  using Clock = std::chrono::steady_clock;
  const BenchTensors tensors(kernel.conv(), /*seed=*/1);
  const ir::TensorInputs inputs = tensors.inputs();
  auto packed = kernel.pack(inputs.weights);
  if (!packed.ok()) return packed.status();
  const RunArgs args{.src = inputs.src,
                     .packed = &*packed,
                     .bias = inputs.bias,
                     .add = inputs.add,
                     .scale = inputs.scale,
                     .dst = tensors.dst.data()};
  const auto us_of = [&](int64_t calls) -> Result<double> {
    const auto start = Clock::now();
    for (int64_t i = 0; i < calls; ++i) {
      if (Status status = kernel.run(args, pool); !status.ok()) return status;
    }
    return std::chrono::duration<double, std::micro>(Clock::now() - start).count() /
           static_cast<double>(calls);
  };
  auto least = us_of(3);
  // Some 100 us a sample: long against the clock's resolution, short against a time slice.
  const int64_t calls =
      least.ok() ? std::clamp<int64_t>(static_cast<int64_t>(100 / *least), 1, 10'000) : 1;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  while (least.ok() && Clock::now() < end) {
    const auto us = us_of(calls);
    if (!us.ok()) return us;
    least = std::min(*least, *us);
  }
  return least;
}

Status measure(const Engine& engine, const Kernel& kernel, double seconds, const ParallelFor* pool,
               Explanation& explanation) {
  const auto peak = measure_peak(engine);
  if (!peak.ok()) return peak.status();
  explanation.peak = *peak;
  const auto us = measure_us(kernel, pool, seconds);
  if (!us.ok()) return us.status();
  explanation.measured_us = *us;
  return Status();
}

Result<Explanation> explain_conv(const PythonEngine& engine, const ir::Conv& conv,
                                 const CompileOptions& options, double seconds,
                                 const ParallelFor* pool) {
  const auto target = codegen::make_target("", resolve_mcpu(engine.mcpu), "");
  if (!target.ok()) return target.status();
  const auto kernel = engine.engine.compile(conv, options);
  if (!kernel.ok()) return kernel.status();
  Explanation explanation;
  explanation.conv = ir::print_conv(conv);
  explanation.target = engine.engine.target_description();
  explanation.schedule = kernel->schedule();
  explanation.why =
      describe_origin(codegen::select_schedule(conv, *target, options.threads), kernel->schedule());
  explanation.engine_name = kernel->engine_name();
  explanation.flops = 2 * conv.multiply_adds();
  explanation.bytes = 4.0 * static_cast<double>(conv.src_elements() + conv.weights_elements() +
                                                conv.dst_elements());
  explanation.tasks = kernel->tasks();
  explanation.code_bytes = kernel->compile_stats().code_bytes;
  explanation.threads = options.threads;
  if (seconds > 0) {
    if (Status status = measure(engine.engine, *kernel, seconds, pool, explanation); !status.ok())
      return status;
  }
  return explanation;
}

Explanation explain(nb::handle conv_or_text, nb::handle engine, const std::string& schedule,
                    nb::handle threads, double seconds) {
  const ir::Conv conv = read_conv(conv_or_text);
  const PythonEngine& asked = read_engine(engine);
  CompileOptions options;
  options.schedule = schedule;
  options.threads = read_threads(threads);
  if (!(seconds >= 0 && seconds <= 60))
    raise(invalid_argument(fmt::format("seconds: {} found, expected 0 to 60", seconds)));
  const PoolLease pool(options.threads);
  return unwrap(without_gil(
      [&] { return explain_conv(asked, conv, options, seconds, pool.parallel_for()); }));
}

std::string print_explanation(const Explanation& e) {
  std::string text = fmt::format(
      "conv       {}\nflops      {:.0f} (padding taps counted)\nbytes      {:.0f}\ntarget     {}\n"
      "schedule   {}\nwhy        {}\ntasks      {}\ncode size  {} bytes of object",
      e.conv, e.flops, e.bytes, e.target, e.schedule, e.why, e.tasks, e.code_bytes);
  if (e.measured_us > 0)
    text += fmt::format(
        "\npeak       {:.1f} gflop/s on {} thread{}, {}-bit vectors\n"
        "measured   {:.2f} us, {:.1f} gflop/s, {:.1f}% of peak",
        e.peak.gflops * e.threads, e.threads, e.threads == 1 ? "" : "s", e.peak.vector_bits,
        e.measured_us, e.gflops(), 100 * e.share_of_peak());
  return text;
}

PeakRate peak(nb::handle engine) {
  const Engine& asked = read_engine(engine).engine;
  return unwrap(without_gil([&] { return measure_peak(asked); }));
}

}  // namespace

void bind_explain(nb::module_& m) {
  nb::class_<Explanation>(m, "Explanation",
                          "What was decided for a convolution, and what it reaches.")
      .def_ro("conv", &Explanation::conv)
      .def_ro("target", &Explanation::target)
      .def_ro("engine_name", &Explanation::engine_name)
      .def_ro("schedule", &Explanation::schedule)
      .def_ro("why", &Explanation::why)
      .def_ro("flops", &Explanation::flops)
      .def_ro("bytes", &Explanation::bytes)
      .def_ro("tasks", &Explanation::tasks)
      .def_ro("code_bytes", &Explanation::code_bytes)
      .def_ro("threads", &Explanation::threads)
      .def_prop_ro(
          "peak_gflops", [](const Explanation& e) { return e.peak.gflops; }, "Of one thread.")
      .def_ro("measured_us", &Explanation::measured_us, "0 where nothing was measured.")
      .def_prop_ro("gflops", &Explanation::gflops)
      .def_prop_ro("share_of_peak", &Explanation::share_of_peak,
                   "1 is the FMA rate of all threads.")
      .def("__str__", print_explanation)
      .def("__repr__", print_explanation);
  m.def(
      "explain", explain, nb::arg("conv"), nb::kw_only(), nb::arg("engine") = nb::none(),
      nb::arg("schedule") = "", nb::arg("threads") = 1, nb::arg("seconds") = 0.2,
      nb::sig("def explain(conv: Conv | str, *, engine: Engine | None = None, schedule: str = '', "
              "threads: int = 1, seconds: float = 0.2) -> Explanation"),
      "The schedule, why, and what it reaches on this machine; seconds=0 measures nothing.");
  nb::class_<PeakRate>(m, "PeakRate", "The FMA rate of one thread, measured.")
      .def_ro("gflops", &PeakRate::gflops)
      .def_ro("vector_bits", &PeakRate::vector_bits);
  m.def("measure_peak", peak, nb::arg("engine") = nb::none(),
        nb::sig("def measure_peak(engine: Engine | None = None) -> PeakRate"));
}

}  // namespace convgen::python
