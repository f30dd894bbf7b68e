// SPDX-License-Identifier: Apache-2.0
// convgen bench: engines side by side on each convolution, as a table, JSON lines or CSV. What is
// timed and how is in bench_runner; this file reads options and prints.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "codegen/compile.h"
#include "ir/nearest_word.h"
#include "ir/text.h"
#include "runtime/engine.h"
#include "runtime/peak.h"
#include "runtime/thread_pool.h"
#include "tools/bench_compile.h"
#include "tools/bench_runner.h"
#include "tools/command.h"
#include "tools/constant_weights_args.h"
#include "tools/conv_args.h"
#include "tools/host.h"
#include "tools/option_values.h"

namespace convgen::tool {
namespace {

// What --engines=all gives the interpreter at most: a few seconds of it.
constexpr double kInterpreterMultiplyAdds = 5e8;

constexpr std::string_view kEngines[] = {"jit", "generic", "interpreter"};
// With --constant-weights, the jit engine's kernel that is not made for them.
constexpr std::string_view kVariable = "variable";

struct BenchCommandOptions {
  std::vector<std::string> convs;
  BenchOptions bench;
  ConstantWeightsArgs constants;
  int threads = 0;
  bool json = false;
  bool csv = false;
  bool compile = false;
};

struct Machine {
  std::string isa;
  PeakRate peak;
  int threads = 1;

  double peak_gflops() const { return peak.gflops * threads; }
};

// One convolution on one engine, everything a row shows.
struct Row {
  const ir::Conv& conv;
  const BenchResult& result;
  const Machine& machine;

  double rate() const { return gflops(conv, result.timing.min_us); }
  double share_of_peak() const {
    return machine.peak.gflops > 0 ? rate() / machine.peak_gflops() : 0;
  }
};

// --- Formats ---

nlohmann::ordered_json to_json(const Row& row) {
  return {{"conv", ir::print_conv(row.conv)},
          {"name", row.conv.name},
          {"engine", row.result.engine},
          {"threads", row.machine.threads},
          {"min_us", row.result.timing.min_us},
          {"median_us", row.result.timing.median_us},
          {"gflops", row.rate()},
          {"compile_ms", row.result.compile_ms},
          {"peak_gflops", row.machine.peak_gflops()},
          {"share_of_peak", row.share_of_peak()},
          {"schedule", row.result.schedule}};
}

// RFC 4180: quoted where it must be.
std::string csv_field(const nlohmann::ordered_json& value) {
  if (!value.is_string()) return value.dump();
  const auto text = value.get<std::string>();
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

// The columns are the keys of the JSON, so that the two cannot drift apart.
void print_csv(const nlohmann::ordered_json& json, bool with_header) {
  std::string header, line;
  for (const auto& [key, value] : json.items()) {
    const char* comma = header.empty() ? "" : ",";
    header += comma + key;
    line += comma + csv_field(value);
  }
  print((with_header ? header + "\n" : "") + line + "\n");
}

void print_heading(const Machine& machine) {
  print(
      fmt::format("cpu {}, isa {}, llvm {}, {} thread{}\n"
                  "peak {:.1f} gflop/s per thread, measured with {}-bit vectors\n",
                  cpu_name(), machine.isa, codegen::llvm_version(), machine.threads,
                  machine.threads == 1 ? "" : "s", machine.peak.gflops, machine.peak.vector_bits));
}

void print_table(const std::vector<Row>& rows) {
  const ir::Conv& conv = rows.front().conv;
  print(fmt::format("\n{}{}{}\n", conv.name, conv.name.empty() ? "" : "  ", ir::print_conv(conv)));
  const Style style(stdout);
  print(style.heading(fmt::format("  {:<12}{:>12}{:>12}{:>10}{:>9}{:>12}{:>12}", "engine", "min us",
                                  "median us", "gflop/s", "of peak", "vs generic", "compile ms")) +
        "\n");
  const auto min_us_of = [](const Row& row) { return row.result.timing.min_us; };
  const auto best = std::ranges::min_element(rows, {}, min_us_of);
  const auto generic =
      std::ranges::find_if(rows, [](const Row& row) { return row.result.engine == "generic"; });
  for (const Row& row : rows) {
    const double min_us = min_us_of(row);
    const std::string speedup =
        generic == rows.end() ? "-"
                              : fmt::format("{:.2f}x", generic->result.timing.min_us / min_us);
    const std::string line =
        fmt::format("  {:<12}{:>12.2f}{:>12.2f}{:>10.1f}{:>8.1f}%{:>12}{:>12.2f}",
                    row.result.engine, min_us, row.result.timing.median_us, row.rate(),
                    100 * row.share_of_peak(), speedup, row.result.compile_ms);
    print((rows.size() > 1 && &row == &*best ? style.good(line) : line) + "\n");
  }
}

// --- Measuring ---

std::vector<std::string> engine_words(bool constant) {
  std::vector<std::string> words(std::begin(kEngines), std::end(kEngines));
  words.emplace_back("all");
  if (constant) words.emplace_back(kVariable);
  return words;
}

Status check_engines(const std::vector<std::string>& engines, bool constant) {
  for (const std::string& engine : engines) {
    if (std::ranges::find(kEngines, engine) != std::end(kEngines)) continue;
    if (engine == "all" && engines.size() == 1) continue;
    if (engine == kVariable && constant) continue;
    const std::vector<std::string> words = engine_words(constant);
    const std::vector<std::string_view> known(words.begin(), words.end());
    return invalid_argument(fmt::format("--engines={}: expected all, or some of {}{}", engine,
                                        fmt::join(kEngines, ", "),
                                        ir::did_you_mean(known, engine)));
  }
  return Status();
}

// `all` leaves out the interpreter where it would take minutes; by name it always runs.
BenchOptions options_for(const ir::Conv& conv, BenchOptions bench) {
  if (bench.engines.front() != "all") return bench;
  bench.engines.assign(std::begin(kEngines), std::end(kEngines));
  if (conv.multiply_adds() > kInterpreterMultiplyAdds) {
    bench.engines.pop_back();
    print_note("interpreter skipped on " + ir::print_conv(conv));
  }
  return bench;
}

// A convolution, and the weights its kernel is made for.
struct Contest {
  ir::Conv conv;
  std::optional<ConstantWeights> constants;
};

Status located(const ir::Conv& conv, const Status& status) {
  return Status(status.code(), ir::print_conv(conv) + ": " + status.message());
}

Result<std::vector<Contest>> read_contests(const BenchCommandOptions& options) {
  const Result<std::vector<ir::Conv>> convs = parse_conv_args(options.convs);
  if (!convs.ok()) return convs.status();
  std::vector<Contest> contests;
  for (const ir::Conv& conv : *convs) {
    Result<std::optional<ConstantWeights>> constants =
        read_constant_weights(options.constants, conv);
    if (!constants.ok()) return located(conv, constants.status());
    contests.push_back({conv, *std::move(constants)});
  }
  return contests;
}

Status bench_one(const Engine& engine, const Contest& contest, const BenchCommandOptions& options,
                 const Machine& machine, ThreadPool& pool, Progress& progress, bool first) {
  const ir::Conv& conv = contest.conv;
  if (Status status = check_memory(conv); !status.ok()) return status;
  BenchOptions bench = options_for(conv, options.bench);
  if (contest.constants) bench.constants = &*contest.constants;
  const Result<std::vector<BenchResult>> results = bench_conv(engine, conv, bench, pool);
  progress.clear();
  if (!results.ok()) return results.status();
  std::vector<Row> rows;
  for (size_t i = 0; i < results->size(); ++i) {
    rows.push_back({conv, (*results)[i], machine});
    if (bench.engines[i] == "jit") note_fallback(EngineKind::kJit, rows.back().result.engine);
  }
  if (!options.json && !options.csv) print_table(rows);
  for (size_t i = 0; i < rows.size(); ++i) {
    if (options.json) print(json_line(to_json(rows[i])));
    if (options.csv) print_csv(to_json(rows[i]), first && i == 0);
  }
  return check_output();
}

// --compile: kernels are made and not run.
Outcome bench_compilation(const BenchCommandOptions& options) {
  const Result<std::vector<ir::Conv>> convs = parse_conv_args(options.convs);
  if (!convs.ok()) return convs.status();
  const Result<int> threads = resolve_threads(options.threads);
  if (!threads.ok()) return threads.status();
  return bench_compile(*convs, {options.bench.seconds, *threads, options.json});
}

Outcome bench(const BenchCommandOptions& options) {
  if (options.compile) return bench_compilation(options);
  if (Status status = check_constant_weights(options.constants); !status.ok()) return status;
  if (Status status = check_engines(options.bench.engines, !options.constants.file.empty());
      !status.ok())
    return status;
  const Result<std::vector<Contest>> contests = read_contests(options);
  if (!contests.ok()) return contests.status();
  const Result<int> threads = resolve_threads(options.threads);
  if (!threads.ok()) return threads.status();
  const Result<codegen::Target> target = engine_target();
  if (!target.ok()) return target.status();
  // What is found on disk would be no compile time.
  const Result<Engine> engine = Engine::create({.cache_dir = ""});
  if (!engine.ok()) return engine.status();
  const Result<PeakRate> peak = measure_peak(*engine);
  if (!peak.ok()) return peak.status();

  const Machine machine{isa_name(*target), *peak, *threads};
  ThreadPool pool(*threads);
  if (!options.json && !options.csv) print_heading(machine);
  Progress progress("bench");
  for (size_t i = 0; i < contests->size(); ++i) {
    progress.show(i + 1, contests->size());
    const Contest& contest = (*contests)[i];
    const Status status = bench_one(*engine, contest, options, machine, pool, progress, i == 0);
    if (!status.ok()) return located(contest.conv, status);
  }
  return kDone;
}

}  // namespace

void add_bench(CLI::App& app, Outcome& outcome) {
  auto options = std::make_shared<BenchCommandOptions>();
  CLI::App* command = app.add_subcommand("bench", "time engines side by side");
  command->group(kMeasureGroup);
  command->add_option("CONV", options->convs, kConvHelp)->required();
  command
      ->add_option("--engines", options->bench.engines,
                   "engines to time, several with commas, variable beside --constant-weights only")
      ->check(known_words(engine_words(/*constant=*/true)))
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("NAMES")
      ->capture_default_str();
  CLI::Option* json = command->add_flag("--json", options->json, "print one json object a line");
  command->add_flag("--csv", options->csv, "print comma-separated values")->excludes(json);
  add_threads(*command, options->threads);
  add_seconds(*command, options->bench.seconds);
  add_schedule(*command, options->bench.schedule);
  add_constant_weights(*command, options->constants);
  CLI::Option* compile = command->add_flag(
      "--compile", options->compile, "time the phases of compiling instead, on as many threads");
  for (const char* other : {"--engines", "--csv", "--schedule", "--constant-weights"})
    compile->excludes(command->get_option(other));
  set_examples(*command, {"convgen bench @layers.conv --engines=jit,generic --json",
                          "convgen bench mb1ic64ih56oc64kh3ph1 --threads 2 --seconds 0.5",
                          "convgen bench --compile @layers.conv"});
  command->callback([options, &outcome] { outcome = bench(*options); });
}

}  // namespace convgen::tool
