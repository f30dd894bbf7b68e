// SPDX-License-Identifier: Apache-2.0
// convgen info: the machine, what convgen uses of it and why, and the rate it reaches.
#include <fmt/format.h>

#include <cstdlib>
#include <thread>

#include "codegen/compile.h"
#include "codegen/target.h"
#include "runtime/cache_directory.h"
#include "runtime/engine.h"
#include "runtime/generic.h"
#include "runtime/object_store.h"
#include "runtime/peak.h"
#include "runtime/tuning_file.h"
#include "tools/command.h"
#include "tools/host.h"

namespace convgen::tool {
namespace {

void print_field(std::string_view name, const std::string& value) {
  print(fmt::format("{:<17}{}\n", fmt::format("{}:", name), value));
}

// "32 kib", "1.5 mib"
std::string describe_bytes(int64_t bytes) {
  const double kib = static_cast<double>(bytes) / 1024;
  return kib < 1024 ? fmt::format("{:g} kib", kib) : fmt::format("{:g} mib", kib / 1024);
}

std::string why_this_isa() {
  const std::string forced = resolve_mcpu("");
  return forced.empty() ? "what cpuid and xcr0 grant" : "forced by CONVGEN_MCPU=" + forced;
}

// The features that are on; those that are off say nothing about what is used.
std::string features_in_use(const codegen::Target& target) {
  std::string features;
  for (const std::string& feature : target.features) {
    if (feature.starts_with('+')) features += (features.empty() ? "" : " ") + feature.substr(1);
  }
  return features;
}

void print_target(const codegen::Target& target) {
  print_field("triple", target.triple);
  print_field("isa", fmt::format("{} ({})", isa_name(target), why_this_isa()));
  print_field("vectors",
              fmt::format("{} registers of {} floats, fma {}, lane masks {}",
                          target.vector_registers, target.max_lanes, target.has_fma ? "yes" : "no",
                          target.has_lane_masks ? "yes" : "no"));
  print_field("features", features_in_use(target));
  print_field("caches",
              fmt::format("l1d {}, l2 {}, l3 {}", describe_bytes(target.l1d_bytes),
                          describe_bytes(target.l2_bytes), describe_bytes(target.l3_bytes)));
}

std::string describe_tuning(const codegen::Target& target) {
  const std::string path = default_tuning_file();
  if (path.empty()) return "none";
  const Result<TuningTable> table = TuningTable::read_default();
  if (!table.ok()) return "not used: " + table.status().message();
  return fmt::format("{} ({} of {} entries for this target)", path, table->count_for(target),
                     table->size());
}

// Kernels found on disk, without a look at whether they are sound.
std::string describe_store() {
  const Result<uint64_t> bytes = default_store_bytes();
  if (!bytes.ok()) return "not used: " + bytes.status().message();
  const ObjectStore store(default_cache_directory(), *bytes, /*verbose=*/false);
  if (store.directory().empty()) return "none (in-memory cache only)";
  const Result<std::vector<ObjectStore::Entry>> entries = store.list();
  if (!entries.ok()) return "not used: " + entries.status().message();
  uint64_t all = 0;
  for (const ObjectStore::Entry& entry : *entries) all += entry.bytes;
  return fmt::format("{} ({} kernels, {} bytes of at most {})", store.directory(), entries->size(),
                     all, store.max_bytes());
}

Outcome info() {
  const Result<codegen::Target> target = engine_target();
  if (!target.ok()) return target.status();
  const Result<Engine> engine = Engine::create({.cache_dir = ""});
  if (!engine.ok()) return engine.status();
  const Result<PeakRate> peak = measure_peak(*engine);
  if (!peak.ok()) return peak.status();

  print_field("convgen", fmt::format("{} (code generator version {})", CONVGEN_VERSION,
                                     codegen::kCodeGeneratorVersion));
  print_field("llvm", codegen::llvm_version());
  print_field("cpu", cpu_name());
  print_target(*target);
  print_field("generic path", generic::isa_name());
  print_field("peak", fmt::format("{:.1f} gflop/s per thread, measured with {}-bit vectors",
                                  peak->gflops, peak->vector_bits));
  print_field("threads", fmt::format("{} available", std::thread::hardware_concurrency()));
  print_field("cache directory", describe_store());
  print_field("tuning file", describe_tuning(*target));
  return kDone;
}

}  // namespace

void add_info(CLI::App& app, Outcome& outcome) {
  CLI::App* command = app.add_subcommand("info", "show the machine and what is used of it");
  command->group(kMachineGroup);
  set_examples(*command, {"convgen info", "CONVGEN_MCPU=x86-64-v2 convgen info"});
  command->callback([&outcome] { outcome = info(); });
}

}  // namespace convgen::tool
