// SPDX-License-Identifier: Apache-2.0
// convgen tune: times candidate schedules of each convolution and keeps the fastest in the tuning
// file. What is timed, how, and when a candidate wins is runtime/tune's; this file reads options,
// shows progress, minds Ctrl-C and prints.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>

#include "ir/text.h"
#include "runtime/engine.h"
#include "runtime/tune.h"
#include "runtime/tuning_file.h"
#include "tools/command.h"
#include "tools/conv_args.h"
#include "tools/option_values.h"

namespace convgen::tool {
namespace {

// A default within this of the best counts as a good choice.
constexpr double kGoodChoice = 1.05;

struct TuneCommandOptions {
  std::vector<std::string> convs;
  TuneOptions tune;
  std::string mcpu;
  int threads = 0;
  bool json = false;
};

// --- Ctrl-C ---

volatile std::sig_atomic_t interrupted = 0;

// While it lives, the first SIGINT is a wish to end after the measurement under way. The second one
// is the system's.
class InterruptGuard {
 public:
  InterruptGuard() {
    interrupted = 0;
    struct sigaction action = {};
    action.sa_handler = [](int) { interrupted = 1; };
    action.sa_flags = SA_RESETHAND;
    sigaction(SIGINT, &action, &before_);
  }
  ~InterruptGuard() { sigaction(SIGINT, &before_, nullptr); }
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

 private:
  struct sigaction before_ = {};
};

// --- Output ---

std::string label_of(const ir::Conv& conv) {
  return conv.name.empty() ? ir::print_conv(conv) : conv.name;
}

const char* end_name(const TuneResult& result) {
  if (result.end == TuneEnd::kBefore) return "before";
  if (result.end == TuneEnd::kEmpty) return "empty";
  return result.schedule == result.default_schedule ? "default" : "tuned";
}

double ratio_of(const TuneResult& result) {
  return result.us > 0 ? result.default_us / result.us : 1;
}

nlohmann::ordered_json to_json(const ir::Conv& conv, const TuneResult& result, int threads) {
  return {{"conv", ir::print_conv(conv)},
          {"name", conv.name},
          {"threads", threads},
          {"outcome", end_name(result)},
          {"default_us", result.default_us},
          {"tuned_us", result.us},
          {"ratio", ratio_of(result)},
          {"default_schedule", result.default_schedule},
          {"schedule", result.schedule},
          {"runner_up_us", result.runner_up_us},
          {"runner_up", result.runner_up},
          {"timed", result.timed},
          {"known_slower", result.known_slower}};
}

std::string to_line(const ir::Conv& conv, const TuneResult& result) {
  const std::string label = label_of(conv);
  if (result.end == TuneEnd::kEmpty) return fmt::format("{:<24} nothing to compute\n", label);
  const bool same = result.schedule == result.default_schedule;
  const char* before = result.end == TuneEnd::kBefore ? " (tuned before; --again measures)" : "";
  return fmt::format("{:<24} {:>10.2f} us -> {:>10.2f} us {:>6.3f}x  {}{}\n", label,
                     result.default_us, result.us, ratio_of(result),
                     same ? "default" : result.schedule, before);
}

const char* phase_name(TunePhase phase) {
  if (phase == TunePhase::kScreening) return "candidate";
  return phase == TunePhase::kRacing ? "round" : "final round";
}

// --- The run ---

class Tuner {
 public:
  Tuner(const TuneCommandOptions& options, const Engine& engine, size_t convs)
      : options_(options), engine_(engine), convs_(convs), progress_("tune") {}

  // Tunes one convolution and prints its line. False where Ctrl-C ended it.
  Result<bool> tune(const ir::Conv& conv) {
    if (Status status = check_memory(conv); !status.ok()) return status;
    ++begun_;
    const Result<TuneResult> result =
        tune_conv(engine_, conv, options_.tune,
                  [&](const TuneProgress& progress) { return show(label_of(conv), progress); });
    progress_.clear();
    if (!result.ok()) return result.status();
    if (result->end == TuneEnd::kInterrupted) return false;
    for (const std::string& failure : result->failures) print_note("dropped: " + failure);
    count(*result);
    print(options_.json ? json_line(to_json(conv, *result, options_.tune.threads))
                        : to_line(conv, *result));
    if (Status status = check_output(); !status.ok()) return status;
    // The last one is done, whatever came in since.
    return interrupted == 0 || begun_ == convs_;
  }

  size_t begun() const { return begun_; }

  void print_summary() const {
    if (options_.json || tuned_ == 0) return;
    print(
        fmt::format("tuned {} convolution{}: geometric mean {:.3f}x, at least {:.3f}x, the "
                    "default within {:.0f} % of the best on {:.0f} % of them\n",
                    tuned_, tuned_ == 1 ? "" : "s", std::exp(log_sum_ / tuned_), least_,
                    100 * (kGoodChoice - 1), 100.0 * good_ / tuned_));
    print(fmt::format("kept in {}\n", options_.tune.file));
  }

 private:
  bool show(const std::string& label, const TuneProgress& progress) {
    progress_.show_bar(fmt::format("tune {}/{}", begun_, convs_), progress.done, progress.total,
                       fmt::format("{} {}/{}, best {:.3f}x  {}", phase_name(progress.phase),
                                   progress.done, progress.total, 1 / progress.best_ratio, label));
    return interrupted == 0;
  }

  void count(const TuneResult& result) {
    if (result.end == TuneEnd::kEmpty) return;
    const double ratio = ratio_of(result);
    ++tuned_;
    log_sum_ += std::log(ratio);
    least_ = std::min(least_, ratio);
    good_ += ratio <= kGoodChoice;
  }

  const TuneCommandOptions& options_;
  const Engine& engine_;
  const size_t convs_;
  Progress progress_;
  size_t begun_ = 0;
  int tuned_ = 0;
  int good_ = 0;
  double log_sum_ = 0;
  double least_ = std::numeric_limits<double>::infinity();
};

int report_interrupt(const TuneCommandOptions& options, size_t begun, size_t convs) {
  print_note(
      fmt::format("interrupted in convolution {} of {}; what was measured is kept beside {}, "
                  "the same command goes on from there",
                  begun, convs, options.tune.file));
  return kCheckFailed;
}

Outcome run_all(const TuneCommandOptions& options, const Engine& engine,
                const std::vector<ir::Conv>& convs) {
  const InterruptGuard guard;
  Tuner tuner(options, engine, convs.size());
  for (const ir::Conv& conv : convs) {
    const Result<bool> go_on = tuner.tune(conv);
    if (!go_on.ok()) {
      return Status(go_on.status().code(), ir::print_conv(conv) + ": " + go_on.status().message());
    }
    if (*go_on) continue;
    tuner.print_summary();
    return report_interrupt(options, tuner.begun(), convs.size());
  }
  tuner.print_summary();
  return kDone;
}

Outcome tune(TuneCommandOptions options) {
  const Result<std::vector<ir::Conv>> convs = parse_conv_args(options.convs);
  if (!convs.ok()) return convs.status();
  const Result<int> threads = resolve_threads(options.threads);
  if (!threads.ok()) return threads.status();
  options.tune.threads = *threads;
  if (options.tune.file.empty()) options.tune.file = default_tuning_file();
  if (options.tune.file.empty()) {
    return invalid_argument(
        "--tuning-file: none given, and CONVGEN_CACHE_DIR is empty or there is no home");
  }
  const Result<Engine> engine =
      Engine::create({.mcpu = options.mcpu, .use_tuning = false, .cache_dir = ""});
  if (!engine.ok()) return engine.status();
  return run_all(options, *engine, *convs);
}

}  // namespace

void add_tune(CLI::App& app, Outcome& outcome) {
  auto options = std::make_shared<TuneCommandOptions>();
  CLI::App* command = app.add_subcommand("tune", "measure schedules, keep the fastest");
  command->group(kMeasureGroup);
  command->add_option("CONV", options->convs, kConvHelp)->required();
  add_seconds(*command, options->tune.seconds, "--budget");
  add_threads(*command, options->threads);
  command
      ->add_option("--tuning-file", options->tune.file,
                   "file where winners are kept, else `tuning` in the cache directory")
      ->type_name("FILE");
  command->add_option("--candidates", options->tune.candidates, "schedules to begin with")
      ->check(whole_number(1, 10'000))
      ->type_name("N")
      ->capture_default_str();
  command->add_flag("--again", options->tune.again, "measure also what the file has already");
  add_mcpu(*command, options->mcpu);
  command->add_flag("--json", options->json, "print one json object a line");
  set_examples(*command,
               {"convgen tune @layers.conv --budget 2 --threads 2",
                "convgen tune mb1ic64ih14oc64kh3ph1 --budget 1 --tuning-file winners --again"});
  command->callback([options, &outcome] { outcome = tune(*options); });
}

}  // namespace convgen::tool
