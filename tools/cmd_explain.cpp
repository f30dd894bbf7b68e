// SPDX-License-Identifier: Apache-2.0
// convgen explain: what was decided for a convolution and why, what the cost model expects of it,
// and what this machine makes of it.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "codegen/compile.h"
#include "codegen/schedule.h"
#include "codegen/select_schedule.h"
#include "codegen/target.h"
#include "ir/text.h"
#include "runtime/engine.h"
#include "runtime/peak.h"
#include "runtime/thread_pool.h"
#include "runtime/tuning_file.h"
#include "tools/bench_runner.h"
#include "tools/command.h"
#include "tools/constant_weights_args.h"
#include "tools/conv_args.h"
#include "tools/host.h"

namespace convgen::tool {
namespace {

// The cost model counts cycles of a core that starts two vector FMAs in each, as every x86-64 core
// with wide vectors does.
constexpr double kFmasPerCycle = 2;

struct ExplainOptions {
  std::vector<std::string> convs;
  std::string mcpu;
  std::string schedule;
  ConstantWeightsArgs constants;
  int threads = 0;
  double seconds = 0.2;
};

// What follows from the convolution, the target and the words of --schedule, without running.
struct Plan {
  codegen::Schedule schedule;
  codegen::Selection selection;
  bool tuned = false;    // the tuning file has a schedule, whether it is the selected one or not
  bool by_hand = false;  // the schedule is neither the selected nor the tuned one
  std::optional<ConstantWeights> constants;
  int64_t tasks = 0;
  size_t code_bytes = 0;

  const ConstantWeights* weights() const { return constants ? &*constants : nullptr; }
};

void print_field(std::string_view name, const std::string& value) {
  print(fmt::format("{:<11}{}\n", name, value));
}

// --- What was decided ---

Result<Plan> make_plan(const ir::Conv& conv, const codegen::Target& target,
                       const TuningTable& tuning, const ExplainOptions& options, int threads) {
  Plan plan;
  Result<std::optional<ConstantWeights>> constants = read_constant_weights(options.constants, conv);
  if (!constants.ok()) return constants.status();
  plan.constants = *std::move(constants);
  plan.selection = codegen::select_schedule(conv, target, threads, plan.weights());
  std::optional<codegen::Schedule> tuned;
  if (!plan.constants) tuned = tuning.find_schedule(conv, threads, target);
  plan.tuned = tuned.has_value();
  const codegen::Schedule base = tuned.value_or(plan.selection.schedule);
  const Result<codegen::Schedule> schedule =
      codegen::refine_schedule(base, options.schedule, conv, target, plan.weights());
  if (!schedule.ok()) return schedule.status();
  const Result<std::string> object = codegen::compile(codegen::Stage::kObject, conv, *schedule,
                                                      target, {.constants = plan.weights()});
  if (!object.ok()) return object.status();
  plan.schedule = *schedule;
  plan.by_hand = !(*schedule == base);
  plan.tasks = codegen::count_tasks(conv, *schedule);
  plan.code_bytes = object->size();
  return plan;
}

void print_conv_facts(const ir::Conv& conv) {
  const double flops = 2 * conv.multiply_adds();
  const double src = 4.0 * static_cast<double>(conv.src_elements());
  const double weights = 4.0 * static_cast<double>(conv.weights_elements());
  const double dst = 4.0 * static_cast<double>(conv.dst_elements());
  const double bytes = src + weights + dst;
  print_field("conv", ir::print_conv(conv));
  print_field("src", print_dims(conv.src_dims()));
  print_field("weights", print_dims(conv.weights_dims()));
  print_field("dst", print_dims(conv.dst_dims()));
  print_field("flops", fmt::format("{:.0f} (padding taps counted)", flops));
  print_field("bytes", fmt::format("{:.0f} (src {:.0f}, weights {:.0f}, dst {:.0f})", bytes, src,
                                   weights, dst));
  print_field("intensity", fmt::format("{:.2f} flop/byte", bytes > 0 ? flops / bytes : 0));
}

bool is_selected(const Plan& plan) { return plan.schedule == plan.selection.schedule; }

std::string describe_origin(const Plan& plan) {
  const std::string selected =
      is_selected(plan) ? "" : "; selected was " + codegen::print_schedule(plan.selection.schedule);
  if (plan.by_hand) return "by hand" + selected;
  if (!plan.tuned) return plan.selection.reason;
  return is_selected(plan) ? plan.selection.reason + "; the tuning file agrees"
                           : "from the tuning file" + selected;
}

void print_plan(const Plan& plan, const codegen::Target& target) {
  print_field("target", fmt::format("{}, {}", target.tune_cpu, isa_name(target)));
  print_field("schedule", codegen::print_schedule(plan.schedule));
  print_field("why", describe_origin(plan));
  print_field("tasks", fmt::format("{}", plan.tasks));
  print_field("code size", fmt::format("{} bytes of object", plan.code_bytes));
}

// --- Predicted and measured ---

std::string describe_time(const ir::Conv& conv, double us, double peak_gflops) {
  return fmt::format("{:.2f} us, {:.1f} gflop/s, {:.1f}% of peak", us, gflops(conv, us),
                     peak_gflops > 0 ? 100 * gflops(conv, us) / peak_gflops : 0);
}

// The model's cycles in time. The clock is not asked for: it is what the measured peak implies.
double predicted_us(const Plan& plan, const codegen::Target& target, const PeakRate& peak,
                    int threads) {
  const double lanes = peak.vector_bits / 32.0;
  const double flops_per_cycle = kFmasPerCycle * lanes * (target.has_fma ? 2 : 1);
  const double cycles_per_us = 1e3 * peak.gflops / flops_per_cycle;
  const auto workers = std::clamp<int64_t>(plan.tasks, 1, threads);
  return plan.selection.predicted_cycles / cycles_per_us / static_cast<double>(workers);
}

Status print_times(const ir::Conv& conv, const Plan& plan, const codegen::Target& target,
                   const ExplainOptions& options, int threads) {
  const Result<Engine> engine = Engine::create({.mcpu = options.mcpu, .cache_dir = ""});
  if (!engine.ok()) return engine.status();
  const Result<PeakRate> peak = measure_peak(*engine);
  if (!peak.ok()) return peak.status();
  if (Status status = check_memory(conv); !status.ok()) return status;
  ThreadPool pool(threads);
  const BenchOptions bench{.engines = {"jit"},
                           .seconds = options.seconds,
                           .schedule = options.schedule,
                           .constants = plan.weights()};
  const Result<std::vector<BenchResult>> results = bench_conv(*engine, conv, bench, pool);
  if (!results.ok()) return results.status();

  const double peak_gflops = peak->gflops * threads;
  const BenchResult& result = results->front();
  note_fallback(EngineKind::kJit, result.engine);
  print_field("peak", fmt::format("{:.1f} gflop/s on {} thread{}, {}-bit vectors", peak_gflops,
                                  threads, threads == 1 ? "" : "s", peak->vector_bits));
  print_field("predicted",
              !is_selected(plan)
                  ? "nothing: the cost model rates the selected schedule only"
                  : describe_time(conv, predicted_us(plan, target, *peak, threads), peak_gflops));
  print_field("measured", describe_time(conv, result.timing.min_us, peak_gflops));
  return Status();
}

// --- The command ---

Status explain_one(const ir::Conv& conv, const codegen::Target& target, const codegen::Target& host,
                   const TuningTable& tuning, const ExplainOptions& options, int threads) {
  const Result<Plan> plan = make_plan(conv, target, tuning, options, threads);
  if (!plan.ok()) return plan.status();
  print_conv_facts(conv);
  print_plan(*plan, target);
  if (Status runs = codegen::check_runs_on(target, host); !runs.ok()) {
    print_field("measured", "not on this machine: " + runs.message());
    return check_output();
  }
  if (Status s = print_times(conv, *plan, target, options, threads); !s.ok()) return s;
  return check_output();
}

Outcome explain(const ExplainOptions& options) {
  if (Status status = check_constant_weights(options.constants); !status.ok()) return status;
  const Result<std::vector<ir::Conv>> convs = parse_conv_args(options.convs);
  if (!convs.ok()) return convs.status();
  const Result<int> threads = resolve_threads(options.threads);
  if (!threads.ok()) return threads.status();
  const Result<codegen::Target> target = engine_target(options.mcpu);
  if (!target.ok()) return target.status();
  const Result<codegen::Target> host = codegen::host_target();
  if (!host.ok()) return host.status();
  // As an Engine takes it: what is damaged counts as missing.
  const Result<TuningTable> read = TuningTable::read_default();
  const TuningTable tuning = read.ok() ? *read : TuningTable();
  for (const ir::Conv& conv : *convs) {
    if (&conv != &convs->front()) print("\n");
    if (Status status = explain_one(conv, *target, *host, tuning, options, *threads);
        !status.ok()) {
      return Status(status.code(), ir::print_conv(conv) + ": " + status.message());
    }
  }
  return kDone;
}

}  // namespace

void add_explain(CLI::App& app, Outcome& outcome) {
  auto options = std::make_shared<ExplainOptions>();
  CLI::App* command = app.add_subcommand("explain", "show the schedule, why, and what it reaches");
  command->group(kCodeGroup);
  command->add_option("CONV", options->convs, kConvHelp)->required();
  add_mcpu(*command, options->mcpu);
  add_schedule(*command, options->schedule);
  add_constant_weights(*command, options->constants);
  add_threads(*command, options->threads);
  add_seconds(*command, options->seconds);
  set_examples(
      *command,
      {"convgen explain 'conv2d src=f32:nhwc:1x56x56x64 weights=f32:hwio:3x3x64x64 pads=same'",
       "convgen explain @layers.conv --mcpu=x86-64-v3 --threads 2"});
  command->callback([options, &outcome] { outcome = explain(*options); });
}

}  // namespace convgen::tool
