// SPDX-License-Identifier: Apache-2.0
// Times are CPU time of the compiling thread, so that a busy machine does not change them; rates
// are compilations a second that passed.
#include "tools/bench_compile.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "codegen/compile.h"
#include "codegen/cpu_stopwatch.h"
#include "ir/text.h"
#include "runtime/engine.h"
#include "tools/host.h"

namespace convgen::tool {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kMinRepeats = 3;
constexpr int kMaxRepeats = 1000;

// From the convolution's text to a kernel that can be called.
struct Phase {
  const char* name;
  double CompileStats::*ms;
};

constexpr Phase kPhases[] = {
    {"select", &CompileStats::select_ms}, {"emit", &CompileStats::emit_ms},
    {"passes", &CompileStats::passes_ms}, {"codegen", &CompileStats::codegen_ms},
    {"link", &CompileStats::link_ms},     {"total", &CompileStats::total_ms},
};

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// The smallest value that is not below `share` of all.
double percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  const double rank = std::ceil(share * static_cast<double>(values.size()));
  return values[static_cast<size_t>(std::max(1.0, rank)) - 1];
}

// --- Measuring ---

// One compilation, nothing cached, its total counted from the text on.
Result<CompileStats> compile_once(const Engine& engine, const std::string& text) {
  engine.clear_cache();
  const codegen::CpuStopwatch watch;
  const Result<ir::Conv> conv = ir::parse_conv(text);
  if (!conv.ok()) return conv.status();
  const Result<Kernel> kernel = engine.compile(*conv);
  const double ms = watch.ms();
  if (!kernel.ok()) return kernel.status();
  CompileStats stats = kernel->compile_stats();
  stats.total_ms = ms;
  return stats;
}

struct Measured {
  CompileStats least, median;  // of each phase by itself
};

Result<Measured> measure(const Engine& engine, const ir::Conv& conv, double seconds) {
  const std::string text = ir::print_conv(conv);
  std::vector<CompileStats> runs;
  const Clock::time_point start = Clock::now();
  while (runs.size() < kMaxRepeats &&
         (runs.size() < kMinRepeats || seconds_since(start) < seconds)) {
    const Result<CompileStats> stats = compile_once(engine, text);
    if (!stats.ok()) return stats.status();
    runs.push_back(*stats);
  }
  Measured measured{runs.front(), runs.front()};
  for (const Phase& phase : kPhases) {
    std::vector<double> values;
    for (const CompileStats& run : runs) values.push_back(run.*phase.ms);
    measured.least.*phase.ms = percentile(values, 0);
    measured.median.*phase.ms = percentile(values, 0.5);
  }
  return measured;
}

// Compilations a second, of the fastest round.
double compiles_per_second(const Engine& engine, const std::vector<ir::Conv>& convs, int threads) {
  double least = INFINITY;
  for (int round = 0; round < kMinRepeats; ++round) {
    engine.clear_cache();
    const Clock::time_point start = Clock::now();
    const auto kernels = engine.prepare(convs, {.threads = threads});
    least = std::min(least, seconds_since(start));
  }
  return static_cast<double>(convs.size()) / least;
}

// --- Formats ---

nlohmann::ordered_json phases_json(const CompileStats& stats) {
  nlohmann::ordered_json json;
  for (const Phase& phase : kPhases) json[phase.name] = stats.*phase.ms;
  return json;
}

nlohmann::ordered_json to_json(const ir::Conv& conv, const Result<Measured>& measured) {
  nlohmann::ordered_json json{{"conv", ir::print_conv(conv)}, {"name", conv.name}};
  if (!measured.ok()) {
    json["refused"] = measured.status().message();
    return json;
  }
  json["min_ms"] = phases_json(measured->least);
  json["median_ms"] = phases_json(measured->median);
  json["code_bytes"] = measured->least.code_bytes;
  return json;
}

void print_heading() {
  print(fmt::format("cpu {}, llvm {}, milliseconds of cpu time: the least of each phase\n\n",
                    cpu_name(), codegen::llvm_version()));
  std::string line;
  for (const Phase& phase : kPhases) line += fmt::format("{:>9}", phase.name);
  line += fmt::format("{:>9}{:>9}  conv", "median", "bytes");
  print(Style(stdout).heading(line) + "\n");
}

void print_row(const ir::Conv& conv, const Result<Measured>& measured) {
  const std::string name = conv.name.empty() ? ir::print_conv(conv) : conv.name;
  if (!measured.ok()) {
    print(fmt::format("  {} {}: {}\n", Style(stdout).bad("refused:"), name,
                      measured.status().message()));
    return;
  }
  std::string line;
  for (const Phase& phase : kPhases) line += fmt::format("{:>9.3f}", measured->least.*phase.ms);
  print(fmt::format("{}{:>9.3f}{:>9}  {}\n", line, measured->median.total_ms,
                    measured->least.code_bytes, name));
}

struct Rate {
  int threads;
  double per_second;
};

// Of the least totals.
void print_summary(const std::vector<double>& totals, size_t refused,
                   const std::vector<Rate>& rates, bool json) {
  const double median = percentile(totals, 0.5), p95 = percentile(totals, 0.95);
  const double most = percentile(totals, 1);
  if (json) {
    nlohmann::ordered_json summary{{"convs", totals.size()}, {"refused", refused},
                                   {"median_ms", median},    {"p95_ms", p95},
                                   {"max_ms", most},         {"rates", nlohmann::json::array()}};
    for (const Rate& rate : rates)
      summary["rates"].push_back(
          {{"threads", rate.threads}, {"compiles_per_second", rate.per_second}});
    return print(json_line(summary));
  }
  print(
      fmt::format("\n{} convolutions, {} refused: median {:.2f} ms, 95th percentile {:.2f} ms, "
                  "most {:.2f} ms\n",
                  totals.size() + refused, refused, median, p95, most));
  for (const Rate& rate : rates)
    print(fmt::format("{} thread{}: {:.1f} compilations a second, {:.2f}x\n", rate.threads,
                      rate.threads == 1 ? "" : "s", rate.per_second,
                      rate.per_second / rates.front().per_second));
}

}  // namespace

Outcome bench_compile(const std::vector<ir::Conv>& convs, const CompileBenchOptions& options) {
  // What is found on disk would be no compile time.
  const Result<Engine> engine = Engine::create({.cache_dir = ""});
  if (!engine.ok()) return engine.status();
  if (!options.json) print_heading();
  Progress progress("bench");
  std::vector<double> totals;
  for (size_t i = 0; i < convs.size(); ++i) {
    progress.show(i + 1, convs.size());
    const Result<Measured> measured = measure(*engine, convs[i], options.seconds);
    progress.clear();
    if (measured.ok()) totals.push_back(measured->least.total_ms);
    if (options.json)
      print(json_line(to_json(convs[i], measured)));
    else
      print_row(convs[i], measured);
    if (Status status = check_output(); !status.ok()) return status;
  }
  std::vector<Rate> rates;
  for (const int threads : {1, options.threads})
    if (rates.empty() || threads > 1)
      rates.push_back({threads, compiles_per_second(*engine, convs, threads)});
  print_summary(totals, convs.size() - totals.size(), rates, options.json);
  if (Status status = check_output(); !status.ok()) return status;
  return totals.size() == convs.size() ? kDone : kCheckFailed;
}

}  // namespace convgen::tool
