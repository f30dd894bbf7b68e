// SPDX-License-Identifier: Apache-2.0
// convgen_fuzz FIRST [LAST]: checks the configurations FIRST ... LAST, and ends with the first that
// fails: exit 1, and the command that shows it again. What faults or hangs says that too.
// convgen_fuzz --texts FIRST LAST: only what the rules say of their texts; exit 77 without python3.
#include <fmt/format.h>
#include <stdlib.h>
#include <sys/time.h>

#include <charconv>
#include <cstdio>
#include <map>
#include <memory>
#include <string_view>

#include "codegen/code_size.h"
#include "codegen/select_schedule.h"
#include "ir/text.h"
#include "runtime/jit_kernel_maker.h"
#include "runtime/verify.h"
#include "tests/fuzz/conv_rules.h"
#include "tests/fuzz/invariants.h"
#include "tests/support/environment.h"
#include "tests/support/isa_levels.h"

namespace convgen::testing {
namespace {

constexpr double kAllOutputs = 1e11;
// Vector operations. Of longer kernels only so many over their own are looked at: each size takes
// about the same time altogether then, and short ones show as much.
constexpr double kShortCode = 200;
constexpr uint64_t kKernelsKept = 50;
constexpr int kSecondsEach = 60;  // of CPU time; a configuration takes some milliseconds
constexpr int kNoPython = 77;

// A hang ends as a fault does.
void restart_watchdog() {
  const itimerval limit{{0, 0}, {kSecondsEach, 0}};
  setitimer(ITIMER_PROF, &limit, nullptr);
}

class Fuzzer {
 public:
  // Empty, or what is wrong.
  std::string check(const Configuration& c);
  std::string check_text(const Configuration& c);
  void print_counts() const;
  bool has_rules() const { return rules_.is_running(); }

 private:
  struct Engines {
    Engine plain, stored;
  };
  const Engines& engines_of(size_t isa);
  Result<Kernel> compile(Configuration& c, const ir::Conv& conv, const Engine& engine,
                         const ConstantWeights* constants, CompileOptions& options);
  bool leaves_out(const Configuration& c, const ir::Conv& conv, const Engine& engine,
                  const ConstantWeights* constants) const;
  std::string check_invariants(const Subject& subject);
  std::string check_invariants(const Subject& subject, std::span<const Invariant> all, size_t count,
                               Random& random);
  void count(const Kernel& kernel, const VerifyReport& report, uint64_t number);

  ConvRules rules_{CONVGEN_FUZZ_RULES};
  ScopedDirectory store_;
  std::map<size_t, Engines> engines_;
  std::map<std::string, int64_t> counts_;
  struct Worst {
    double ratio = 0;  // of an error to its bound
    uint64_t number = 0;
  };
  std::map<std::string, Worst> worst_;  // of each algorithm, where sums are rounded
};

// The host's where it lacks the level.
const Fuzzer::Engines& Fuzzer::engines_of(size_t isa) {
  const auto found = engines_.find(isa);
  if (found != engines_.end()) return found->second;
  const Result<Engine> plain = Engine::create({.mcpu = kIsaLevels[isa].mcpu, .cache_dir = ""});
  if (!plain.ok()) return engines_.emplace(isa, engines_of(0)).first->second;
  const Result<Engine> stored =
      Engine::create({.mcpu = kIsaLevels[isa].mcpu, .cache_dir = store_.path().string()});
  if (!stored.ok()) throw std::runtime_error(stored.status().message());
  return engines_.emplace(isa, Engines{*plain, *stored}).first->second;
}

std::string Fuzzer::check_text(const Configuration& c) {
  const std::optional<std::string> predicted = rules_.predict(c.text);
  const std::string found = ConvRules::verdict(c.text);
  if (!predicted || *predicted == found) return "";
  return fmt::format("text: got {}, the rules say {}", found, *predicted);
}

bool Fuzzer::leaves_out(const Configuration& c, const ir::Conv& conv, const Engine& engine,
                        const ConstantWeights* constants) const {
  const codegen::Schedule selected =
      codegen::select_schedule(conv, JitKernelMaker::of(engine)->target, 1, constants).schedule;
  const Result<codegen::Schedule> asked = codegen::parse_schedule(c.schedule, selected);
  const codegen::Schedule& schedule = asked.ok() ? *asked : selected;
  const double share = static_cast<double>(mix(c.seed, 3) >> 11) * 0x1p-53;  // in [0, 1)
  return share * codegen::estimate_code_size(conv, schedule).total > kShortCode;
}

// By the configuration's words of a schedule, or without them where they are refused.
Result<Kernel> Fuzzer::compile(Configuration& c, const ir::Conv& conv, const Engine& engine,
                               const ConstantWeights* constants, CompileOptions& options) {
  options.schedule = c.schedule;
  const auto make = [&] {
    return constants == nullptr ? engine.compile(conv, options)
                                : engine.compile(conv, *constants, options);
  };
  Result<Kernel> kernel = make();
  if (kernel.ok() || !kernel.status().message().starts_with("schedule ")) return kernel;
  ++counts_["schedules refused"];
  options.schedule.clear();
  return make();
}

void Fuzzer::count(const Kernel& kernel, const VerifyReport& report, uint64_t number) {
  const std::string algorithm = kernel.schedule().substr(0, kernel.schedule().find(' '));
  ++counts_["kernels"];
  ++counts_["by " + algorithm];
  counts_["bit exact"] += report.bit_exact ? 1 : 0;
  Worst& worst = worst_[algorithm];
  if (!report.bit_exact && report.worst_ratio > worst.ratio) worst = {report.worst_ratio, number};
}

// `count` of them, drawn, that say something about the kernel.
std::string Fuzzer::check_invariants(const Subject& subject, std::span<const Invariant> all,
                                     size_t count, Random& random) {
  const uint64_t first = random.next();
  for (size_t i = 0, done = 0; i < all.size() && done < count; ++i) {
    const Invariant& invariant = all[(first + i) % all.size()];
    const Verdict verdict = invariant.check(subject, random);
    if (!verdict) continue;
    if (!verdict->empty()) return fmt::format("{}: {}", invariant.name, *verdict);
    ++done;
    ++counts_[std::string("invariant ") + invariant.name];
  }
  return "";
}

std::string Fuzzer::check_invariants(const Subject& subject) {
  Random random(mix(subject.configuration.seed, 2));
  std::string wrong = check_invariants(subject, invariants_of_one_kernel(), 2, random);
  if (wrong.empty() && random.one_in(2))
    wrong = check_invariants(subject, invariants_of_several_kernels(), 1, random);
  return wrong;
}

std::string Fuzzer::check(const Configuration& configuration) {
  Configuration c = configuration;
  if (std::string wrong = check_text(c); !wrong.empty()) return wrong;
  const Result<ir::Conv> conv = ir::parse_conv(c.text);
  ++counts_[conv.ok() ? "valid texts" : "invalid texts"];
  if (c.breaks_a_rule) return "";
  if (!conv.ok()) return "refused: " + conv.status().message();

  const Engines& engines = engines_of(c.isa);
  if (c.number % kKernelsKept == 0) engines.plain.clear_cache();
  const std::optional<ConstantWeights> constants = draw_constants(c, *conv);
  const ConstantWeights* weights = constants ? &*constants : nullptr;
  if (leaves_out(c, *conv, engines.plain, weights)) {
    ++counts_["left out"];
    return "";
  }
  CompileOptions options;
  const Result<Kernel> kernel = compile(c, *conv, engines.plain, weights, options);
  if (!kernel.ok()) return "compile: " + kernel.status().message();
  const Result<VerifyReport> report = verify_kernel(
      *kernel, {.seed = c.seed,
                .data = c.data == Data::kIntegers ? VerifyData::kIntegers : VerifyData::kReals,
                .max_multiply_adds = kAllOutputs});
  if (!report.ok()) return "verify: " + report.status().message();
  if (!report->pass) return "verify: " + report->failure;
  count(*kernel, *report, c.number);

  HostTensors tensors = random_tensors(*conv, c.seed, c.data);
  if (weights != nullptr) tensors.weights = weights->values;
  const std::vector<float> dst = run_kernel(*kernel, tensors);
  return check_invariants({c, *conv, engines.plain, engines.stored,
                           engines_of((c.isa + 1) % kIsaLevels.size()).stored, options, weights,
                           *kernel, tensors, dst, report->bit_exact});
}

void Fuzzer::print_counts() const {
  for (const auto& [what, count] : counts_) fmt::print("  {}: {}\n", what, count);
  for (const auto& [algorithm, worst] : worst_)
    fmt::print("  error/bound of {}: {:.3g} in {}\n", algorithm, worst.ratio, worst.number);
  if (!has_rules()) fmt::print("  python3: not found, so no text was held against the rules\n");
}

std::string again(uint64_t number) { return fmt::format("convgen_fuzz {}", number); }

int fuzz(uint64_t first, uint64_t last, bool texts_only) {
  Fuzzer fuzzer;
  if (texts_only && !fuzzer.has_rules()) {
    fmt::print("python3: not found\n");
    return kNoPython;
  }
  for (uint64_t number = first; number <= last; ++number) {
    announce_in_case_of_fault(again(number));
    restart_watchdog();
    const Configuration c = draw_configuration(number);
    const std::string wrong = texts_only ? fuzzer.check_text(c) : fuzzer.check(c);
    if (wrong.empty()) continue;
    fmt::print(stderr, "FAIL {}\n  text: {}\n  schedule: {}\n  mcpu: {}\n  again: {}\n", wrong,
               c.text, c.schedule, kIsaLevels[c.isa].name, again(number));
    return 1;
  }
  fmt::print("configurations {} to {}: all passed\n", first, last);
  fuzzer.print_counts();
  return 0;
}

bool read_number(std::string_view text, uint64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace
}  // namespace convgen::testing

int main(int argc, char** argv) {
  setenv("CONVGEN_CACHE_DIR", "", 1);
  const bool texts_only = argc > 1 && std::string_view(argv[1]) == "--texts";
  const int numbers = argc - 1 - (texts_only ? 1 : 0);
  char** given = argv + 1 + (texts_only ? 1 : 0);
  uint64_t first = 0, last = 0;
  const bool read = numbers >= 1 && numbers <= 2 &&
                    convgen::testing::read_number(given[0], first) &&
                    convgen::testing::read_number(given[numbers - 1], last);
  if (!read) {
    fmt::print(stderr, "usage: convgen_fuzz [--texts] FIRST [LAST]\n");
    return 2;
  }
  return convgen::testing::fuzz(first, last, texts_only);
}
