// SPDX-License-Identifier: Apache-2.0
// cache_benchmark CONV...: what it takes to get a kernel that another process has compiled, and one
// that this process has. Run it twice on one CONVGEN_CACHE_DIR: the second time all is on disk.
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "ir/text.h"
#include "runtime/engine.h"
#include "tools/conv_args.h"

namespace convgen {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Of this thread: what others on the machine take does not count, but waiting for the disk neither.
double cpu_ms_now() {
  timespec now = {};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) * 1e-6;
}

struct Fetched {
  double ms = 0;
  double cpu_ms = 0;
  std::string conv;
};

// Time of Engine::compile, from the conv to a kernel that can run.
Result<std::vector<Fetched>> fetch(const Engine& engine, const std::vector<ir::Conv>& convs) {
  std::vector<Fetched> all;
  for (const ir::Conv& conv : convs) {
    const Clock::time_point start = Clock::now();
    const double cpu_start = cpu_ms_now();
    const Result<Kernel> kernel = engine.compile(conv);
    const double cpu_ms = cpu_ms_now() - cpu_start, ms = seconds_since(start) * 1e3;
    if (!kernel.ok()) return kernel.status();
    all.push_back({ms, cpu_ms, ir::print_conv(conv)});
  }
  return all;
}

// Nanoseconds of asking for one of convs that is known, by turns; the best of some rounds.
template <typename Conv>
double lookup_ns(const Engine& engine, const std::vector<Conv>& convs) {
  constexpr int kRounds = 200;
  constexpr size_t kLookups = 5000;
  double best = 1e9;
  for (int round = 0; round < kRounds; ++round) {
    const Clock::time_point start = Clock::now();
    for (size_t i = 0; i < kLookups; ++i)
      if (!engine.compile(convs[i % convs.size()]).ok()) return -1;
    best = std::min(best, seconds_since(start) * 1e9 / kLookups);
  }
  return best;
}

// The first one stands apart: LLVM sets some things up once.
void print_times(const char* what, std::vector<Fetched> all, double Fetched::*time) {
  const double first = all.front().*time;
  std::ranges::sort(all, {}, time);
  fmt::print("{}: least {:.3f}, median {:.3f}, most {:.3f} ({}); the first one {:.3f}\n", what,
             all.front().*time, all[all.size() / 2].*time, all.back().*time, all.back().conv,
             first);
}

Status run(const std::vector<std::string>& arguments) {
  const auto convs = tool::parse_conv_args(arguments);
  if (!convs.ok()) return convs.status();
  if (convs->empty()) return invalid_argument("expected CONV..., or @FILE");
  const auto engine = Engine::create({.use_tuning = false});
  if (!engine.ok()) return engine.status();
  const auto fetched = fetch(*engine, *convs);
  if (!fetched.ok()) return fetched.status();
  if (Status status = engine->store_status(); !status.ok()) return status;

  const EngineStats stats = engine->stats();
  fmt::print("{} convolutions: {} compiled, {} found on disk\n", convs->size(), stats.compiles,
             stats.store_hits);
  print_times("ms a kernel", *fetched, &Fetched::ms);
  print_times("ms of cpu a kernel", *fetched, &Fetched::cpu_ms);

  std::vector<std::string> texts;
  for (const Fetched& one : *fetched) texts.push_back(one.conv);
  fmt::print("ns a lookup of what the engine knows: {:.1f} by conv, {:.1f} by text\n",
             lookup_ns(*engine, *convs), lookup_ns(*engine, texts));
  return Status();
}

}  // namespace
}  // namespace convgen

int main(int argc, char** argv) {
  const convgen::Status status = convgen::run({argv + 1, argv + argc});
  if (status.ok()) return 0;
  fmt::print(stderr, "cache_benchmark: error: {}\n", status.message());
  return 2;
}
