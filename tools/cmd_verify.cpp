// SPDX-License-Identifier: Apache-2.0
// convgen verify: kernels against the interpreter, on convolutions given or drawn at random. One
// line each as it is known; a failing line holds all it takes to see the failure again.
#include <fmt/format.h>

#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include "ir/random_conv.h"
#include "ir/text.h"
#include "runtime/engine.h"
#include "runtime/thread_pool.h"
#include "runtime/verify.h"
#include "tools/command.h"
#include "tools/constant_weights_args.h"
#include "tools/conv_args.h"
#include "tools/option_values.h"

namespace convgen::tool {
namespace {

// Kernels in memory at once; thousands of them would be held for nothing.
constexpr uint64_t kKernelsKept = 100;

struct VerifyCommandOptions {
  std::vector<std::string> convs;
  uint64_t random = 0;
  uint64_t seed = 1;
  std::string engine = "jit";
  std::string schedule;
  std::string data = "auto";
  ConstantWeightsArgs constants;
  int threads = 0;
};

// A convolution, and the tensors to check it on.
struct Check {
  ir::Conv conv;
  std::vector<VerifyData> data;
  uint64_t seed = 1;
  const ConstantWeights* constants = nullptr;
};

struct Finding {
  VerifyReport report;
  VerifyData data = VerifyData::kAuto;
};

// splitmix64: neighbouring convolutions get unrelated tensors.
uint64_t mix(uint64_t seed, uint64_t index) {
  uint64_t z = seed + (index + 1) * 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

const char* data_name(VerifyData data) {
  return data == VerifyData::kIntegers ? "integers" : "reals";
}

std::vector<VerifyData> data_of(const std::string& name, std::vector<VerifyData> for_auto) {
  if (name == "integers") return {VerifyData::kIntegers};
  if (name == "reals") return {VerifyData::kReals};
  return for_auto;
}

class Verifier {
 public:
  Verifier(const VerifyCommandOptions& options, Engine engine, int threads, uint64_t convs)
      : options_(options), engine_(std::move(engine)), pool_(threads), convs_(convs) {
    parallel_for_ = pool_.parallel_for();
  }

  // Checks one convolution and prints its line.
  Status check(const Check& check) {
    const Result<Finding> finding = find(check);
    const bool pass = finding.ok() && finding->report.pass;
    ++(pass ? passed_ : failed_);
    progress_.clear();
    print_line(check, finding, pass);
    if (!pass) print_detail(check, finding);
    if (done() % kKernelsKept == 0) engine_.clear_cache();
    const Status status = check_output();
    progress_.show(done(), convs_);
    return status;
  }

  uint64_t done() const { return passed_ + failed_; }

  int finish() {
    progress_.clear();
    print(fmt::format("verified {} convolutions: {} passed, {} failed (seed {})\n", done(), passed_,
                      failed_, options_.seed));
    return failed_ == 0 ? kDone : kCheckFailed;
  }

 private:
  // The worst report over all data of the check.
  Result<Finding> find(const Check& check) const {
    if (Status status = check_memory(check.conv); !status.ok()) return status;
    const EngineKind kind = options_.engine == "jit" ? EngineKind::kJit : EngineKind::kGeneric;
    const CompileOptions how{
        .engine = kind, .schedule = options_.schedule, .threads = pool_.threads()};
    const Result<Kernel> kernel = check.constants == nullptr
                                      ? engine_.compile(check.conv, how)
                                      : engine_.compile(check.conv, *check.constants, how);
    if (!kernel.ok()) return kernel.status();
    note_fallback(kind, kernel->engine_name());

    std::optional<Finding> worst;
    for (const VerifyData data : check.data) {
      VerifyOptions verify{.seed = check.seed, .data = data};
      if (pool_.threads() > 1) verify.parallel_for = &parallel_for_;
      Result<VerifyReport> report = verify_kernel(*kernel, verify);
      if (!report.ok()) return report.status();
      if (!worst || is_worse(*report, worst->report)) worst = Finding{std::move(*report), data};
    }
    return *std::move(worst);
  }

  static bool is_worse(const VerifyReport& a, const VerifyReport& b) {
    if (a.pass != b.pass) return !a.pass;
    return !(a.worst_ratio <= b.worst_ratio);
  }

  static void print_line(const Check& check, const Result<Finding>& finding, bool pass) {
    constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
    const double error = finding.ok() ? finding->report.max_error : kNone;
    const double bound = finding.ok() ? finding->report.bound : kNone;
    const Style style(stdout);
    print(fmt::format("{} {:.3g} {:.3g} {}\n", pass ? style.good("PASS") : style.bad("FAIL"), error,
                      bound, ir::print_conv(check.conv)));
  }

  void print_detail(const Check& check, const Result<Finding>& finding) const {
    const std::string why = finding.ok() ? finding->report.failure : finding.status().message();
    const char* data = finding.ok() ? data_name(finding->data) : options_.data.c_str();
    std::string extra = options_.engine == "jit" ? "" : " --engine=" + options_.engine;
    if (!options_.schedule.empty()) extra += fmt::format(" --schedule='{}'", options_.schedule);
    if (check.constants != nullptr)
      extra += fmt::format(" --constant-weights {}{}", options_.constants.file,
                           check.constants->assume_finite ? " --assume-finite" : "");
    if (pool_.threads() > 1) extra += fmt::format(" --threads {}", pool_.threads());
    fmt::print(stderr, "  {}\n  again: convgen verify --seed {} --data={}{} '{}'\n", why,
               check.seed, data, extra, ir::print_conv(check.conv));
  }

  const VerifyCommandOptions& options_;
  Engine engine_;
  mutable ThreadPool pool_;
  ParallelFor parallel_for_;
  const uint64_t convs_;
  Progress progress_{"verify"};
  uint64_t passed_ = 0;
  uint64_t failed_ = 0;
};

Status check_given(const VerifyCommandOptions& options, const std::vector<ir::Conv>& convs,
                   Verifier& verifier) {
  const std::vector<VerifyData> data =
      data_of(options.data, {VerifyData::kIntegers, VerifyData::kReals});
  for (const ir::Conv& conv : convs) {
    const Result<std::optional<ConstantWeights>> constants =
        read_constant_weights(options.constants, conv);
    if (!constants.ok())
      return Status(constants.status().code(),
                    ir::print_conv(conv) + ": " + constants.status().message());
    const ConstantWeights* weights = constants->has_value() ? &**constants : nullptr;
    if (Status status = verifier.check({conv, data, options.seed, weights}); !status.ok())
      return status;
  }
  return Status();
}

Status check_random(const VerifyCommandOptions& options, Verifier& verifier) {
  for (uint64_t i = 0; i < options.random; ++i) {
    const VerifyData turn = i % 2 == 0 ? VerifyData::kIntegers : VerifyData::kReals;
    const Check check{ir::random_conv(options.seed, i), data_of(options.data, {turn}),
                      mix(options.seed, i), nullptr};
    if (Status status = verifier.check(check); !status.ok()) return status;
  }
  return Status();
}

Outcome verify(const VerifyCommandOptions& options) {
  if (options.convs.empty() && options.random == 0) {
    return invalid_argument("verify: nothing to do, expected CONV... or --random N");
  }
  if (!options.schedule.empty() && options.engine != "jit") {
    return invalid_argument("--schedule: only the jit engine takes one");
  }
  if (Status status = check_constant_weights(options.constants); !status.ok()) return status;
  if (options.random > 0 && !options.constants.file.empty()) {
    return invalid_argument("--constant-weights: fit no random convolution, leave out --random");
  }
  const Result<std::vector<ir::Conv>> convs = parse_conv_args(options.convs);
  if (!convs.ok()) return convs.status();
  const Result<int> threads = resolve_threads(options.threads);
  if (!threads.ok()) return threads.status();
  EngineOptions how;
  if (options.random > 0) how.cache_dir = "";  // nobody will ask for these again
  const Result<Engine> engine = Engine::create(how);
  if (!engine.ok()) return engine.status();

  Verifier verifier(options, *engine, *threads, convs->size() + options.random);
  Status status = check_given(options, *convs, verifier);
  if (status.ok()) status = check_random(options, verifier);
  warn_of_store(*engine);
  if (!status.ok()) return status;
  return verifier.finish();
}

}  // namespace

void add_verify(CLI::App& app, Outcome& outcome) {
  auto options = std::make_shared<VerifyCommandOptions>();
  CLI::App* command = app.add_subcommand("verify", "check kernels against the interpreter");
  command->group(kComputeGroup);
  command->add_option("CONV", options->convs, kConvHelp);
  add_count(*command, "--random", options->random, "random convolutions to check");
  add_count(*command, "--seed", options->seed, "seed of random convolutions and of tensors");
  command->add_option("--data", options->data, "numbers in the tensors; auto is both kinds")
      ->check(one_of({"auto", "integers", "reals"}))
      ->type_name("NAME")
      ->capture_default_str();
  add_engine(*command, options->engine, {"jit", "generic"});
  add_threads(*command, options->threads);
  add_schedule(*command, options->schedule);
  add_constant_weights(*command, options->constants);
  set_examples(*command, {"convgen verify @layers.conv",
                          "convgen verify mb1ic3ih224oc64kh7sh2ph3 --engine=generic --threads 2",
                          "convgen verify --random 20 --seed 7"});
  command->callback([options, &outcome] { outcome = verify(*options); });
}

}  // namespace convgen::tool
