// SPDX-License-Identifier: Apache-2.0
#include "codegen/target.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <llvm/ADT/StringMap.h>
#include <llvm/MC/MCSubtargetInfo.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/TargetParser/Host.h>
#include <llvm/TargetParser/Triple.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <sstream>

#include "codegen/llvm_targets.h"
#include "ir/message.h"
#include "ir/nearest_word.h"

namespace convgen::codegen {
namespace {

bool has(const Target& target, std::string_view feature) {
  const std::string on = "+" + std::string(feature);
  return std::binary_search(target.features.begin(), target.features.end(), on);
}

// Vectors, registers and FMA by the features alone.
void derive_x86(Target& target) {
  // AVX-512 without VL lacks the masked forms on narrower vectors that tails use.
  const bool avx512 = has(target, "avx512f") && has(target, "avx512vl");
  target.max_lanes = avx512 ? 16 : has(target, "avx") ? 8 : 4;
  target.vector_registers = avx512 ? 32 : 16;
  target.has_fma = has(target, "fma") || avx512;
  target.has_lane_masks = avx512;
  target.has_streaming_stores = true;  // since SSE, with a fence for their order
}

// NEON's 128 bits; of RISC-V's V, whose registers are as long as the CPU likes, what every one has.
void derive(Target& target) {
  const llvm::Triple triple(target.triple);
  if (triple.isX86()) return derive_x86(target);
  const bool known = triple.isAArch64() || triple.isRISCV();
  target.max_lanes = 4;
  target.vector_registers = known ? 32 : 16;
  target.has_fma = known;
  target.has_lane_masks = false;
}

// Ok where kernels can be made of the target's instructions.
Status check_instructions(const Target& target, const std::string& triple) {
  if (!llvm::Triple(target.triple).isRISCV() || (has(target, "m") && has(target, "v")))
    return Status();
  return unsupported(
      fmt::format("mtriple={}: kernels need the M and the V extension, expected mattr=+m,+v or a "
                  "cpu that has both",
                  ir::printable(triple)));
}

int64_t cache_bytes(int name, int64_t otherwise) {
  const long bytes = sysconf(name);
  return bytes > 0 ? bytes : otherwise;
}

// Bytes of the L3 that this core shares with its neighbours, as the kernel tells ("32768K"): the C
// library adds up all of a package. 0 where it tells nothing.
int64_t shared_l3_bytes() {
  for (int index = 0; index < 8; ++index) {
    const std::string folder = fmt::format("/sys/devices/system/cpu/cpu0/cache/index{}/", index);
    std::ifstream level_file(folder + "level"), size_file(folder + "size");
    int level = 0;
    int64_t kib = 0;
    char unit = 0;
    if (level_file >> level && level == 3 && size_file >> kib >> unit && unit == 'K')
      return kib << 10;
  }
  return 0;
}

// What schedules depend on besides instructions, of the machine this runs on.
void read_machine(Target& target) {
  target.core = core_model(llvm::sys::getHostCPUName());
  target.l1d_bytes = cache_bytes(_SC_LEVEL1_DCACHE_SIZE, target.l1d_bytes);
  target.l2_bytes = cache_bytes(_SC_LEVEL2_CACHE_SIZE, target.l2_bytes);
  const int64_t l3_bytes = shared_l3_bytes();
  target.l3_bytes = l3_bytes > 0 ? l3_bytes : cache_bytes(_SC_LEVEL3_CACHE_SIZE, target.l3_bytes);
}

Result<std::unique_ptr<llvm::MCSubtargetInfo>> subtarget(const std::string& triple,
                                                         const std::string& cpu,
                                                         const std::string& features) {
  initialize_llvm_targets();
  std::string message;
  const llvm::Target* found = llvm::TargetRegistry::lookupTarget(triple, message);
  if (found == nullptr)
    return invalid_argument(
        fmt::format("mtriple={}: not a triple this LLVM compiles for", ir::printable(triple)));
  return std::unique_ptr<llvm::MCSubtargetInfo>(
      found->createMCSubtargetInfo(triple, cpu, features));
}

// The keys of one of LLVM's tables.
template <typename Entries>
std::vector<std::string_view> keys_of(const Entries& entries) {
  std::vector<std::string_view> keys;
  for (const auto& entry : entries) keys.emplace_back(entry.Key);
  return keys;
}

Status check_cpu(const llvm::MCSubtargetInfo& info, const std::string& cpu) {
  const std::vector<std::string_view> known = keys_of(info.getAllProcessorDescriptions());
  if (std::ranges::find(known, cpu) != known.end()) return Status();
  return invalid_argument(fmt::format("mcpu={}: not a CPU this LLVM knows; it knows {}{}",
                                      ir::printable(cpu), fmt::join(known, ", "),
                                      ir::did_you_mean(known, cpu)));
}

Status check_attributes(const llvm::MCSubtargetInfo& info, const std::string& attrs) {
  const std::vector<std::string_view> known = keys_of(info.getAllProcessorFeatures());
  std::stringstream words(attrs);
  for (std::string word; std::getline(words, word, ',');) {
    const bool is_signed = word.size() > 1 && (word[0] == '+' || word[0] == '-');
    const std::string feature = is_signed ? word.substr(1) : word;
    if (is_signed && std::ranges::find(known, feature) != known.end()) continue;
    const std::string_view near = ir::nearest_word(known, feature);
    return invalid_argument(fmt::format(
        "mattr={}: '{}' must be + or - followed by a feature this LLVM knows{}",
        ir::printable(attrs), ir::printable(word),
        near.empty() ? ""
                     : fmt::format("; did you mean '{}{}'?", word[0] == '-' ? '-' : '+', near)));
  }
  return Status();
}

// AArch64's SVE and SME are left off: kernels have vectors of a known length, and LLVM would mix
// the others in where it likes.
bool is_left_off(const llvm::Triple& triple, llvm::StringRef feature) {
  return triple.isAArch64() && (feature.starts_with("sve") || feature.starts_with("sme"));
}

// Every feature the subtarget has, so that the list alone decides.
std::vector<std::string> enabled_features(const llvm::MCSubtargetInfo& info) {
  std::vector<std::string> features;
  for (const llvm::SubtargetFeatureKV& feature : info.getEnabledProcessorFeatures()) {
    if (!is_left_off(info.getTargetTriple(), feature.Key))
      features.push_back("+" + std::string(feature.Key));
  }
  std::sort(features.begin(), features.end());
  return features;
}

std::string baseline_cpu(const llvm::Triple& triple) {
  if (triple.getArch() == llvm::Triple::x86_64) return "x86-64";
  return "generic";
}

std::string host_triple() { return llvm::Triple::normalize(llvm::sys::getProcessTriple()); }

}  // namespace

std::string Target::feature_string() const { return fmt::format("{}", fmt::join(features, ",")); }

std::string Target::key() const {
  return fmt::format("{};{};{};{}", triple, cpu, tune_cpu, feature_string());
}

// LLVM's getHostCPUFeatures reads CPUID and checks XCR0 for the registers the system saves.
Result<Target> host_target() {
  Target target;
  target.triple = host_triple();
  target.cpu = baseline_cpu(llvm::Triple(target.triple));
  target.tune_cpu = llvm::sys::getHostCPUName().str();
  for (const auto& feature : llvm::sys::getHostCPUFeatures())
    if (!is_left_off(llvm::Triple(target.triple), feature.first()))
      target.features.push_back((feature.second ? "+" : "-") + feature.first().str());
  std::sort(target.features.begin(), target.features.end());
  derive(target);
  read_machine(target);
  return target;
}

Result<Target> make_target(const std::string& triple, const std::string& cpu,
                           const std::string& attrs) {
  const std::string wanted = triple.empty() ? host_triple() : llvm::Triple::normalize(triple);
  const bool is_host = wanted == host_triple();
  if (is_host && cpu.empty() && attrs.empty()) return host_target();

  auto plain = subtarget(wanted, "", "");
  if (!plain) return plain.status();
  if (!llvm::Triple(wanted).isArch64Bit())
    return unsupported(
        fmt::format("mtriple={}: kernels need a 64-bit target", ir::printable(triple)));
  if (Status status = cpu.empty() ? Status() : check_cpu(**plain, cpu); !status.ok()) return status;
  if (Status status = check_attributes(**plain, attrs); !status.ok()) return status;

  Target target;
  std::string features = attrs;
  if (cpu.empty() && is_host) {
    auto host = host_target();
    if (!host) return host;
    target = *host;
    features = target.feature_string() + "," + attrs;
  } else {
    target.triple = wanted;
    target.cpu = baseline_cpu(llvm::Triple(wanted));
    target.tune_cpu = cpu.empty() ? target.cpu : cpu;
    if (is_host)
      read_machine(target);
    else
      target.core = core_model(target.tune_cpu);
  }
  auto info = subtarget(wanted, cpu.empty() ? target.cpu : cpu, features);
  if (!info) return info.status();
  target.features = enabled_features(**info);
  if (Status status = check_instructions(target, triple); !status.ok()) return status;
  derive(target);
  return target;
}

std::vector<std::string> known_cpus() {
  const auto info = subtarget(host_triple(), "", "");
  if (!info.ok()) return {};
  const std::vector<std::string_view> keys = keys_of((*info)->getAllProcessorDescriptions());
  return {keys.begin(), keys.end()};
}

Status check_runs_on(const Target& target, const Target& host) {
  const llvm::Triple wanted(target.triple), here(host.triple);
  if (wanted.getArch() != here.getArch())
    return unsupported(fmt::format("target {}: this machine is {}", target.triple, host.triple));
  // The host's list has every feature CPUID can show, on or off. What it does not mention is a
  // preference of LLVM's scheduler, not an instruction.
  for (const std::string& feature : target.features) {
    if (feature[0] != '+') continue;
    const std::string off = "-" + feature.substr(1);
    if (std::binary_search(host.features.begin(), host.features.end(), off))
      return unsupported(
          fmt::format("target {}: this machine lacks {}", target.tune_cpu, feature.substr(1)));
  }
  return Status();
}

std::vector<std::string> isa_levels() { return {"x86-64-v2", "x86-64-v3", "x86-64-v4"}; }

}  // namespace convgen::codegen
