// SPDX-License-Identifier: Apache-2.0
// The machine's name from /proc, the instruction set from the Target.
#include "tools/host.h"

#include <algorithm>
#include <fstream>
#include <string_view>

#include "tools/command.h"

namespace convgen::tool {

std::string cpu_name() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != line.npos) return line.substr(colon + 2);
  }
  return "unknown";
}

std::string isa_name(const codegen::Target& target) {
  const auto has = [&](std::string_view feature) {
    return std::ranges::find(target.features, feature) != target.features.end();
  };
  const std::string fma = target.has_fma ? "+fma" : "";
  if (has("+avx512f") && target.max_lanes >= 16) return "avx512f";
  if (has("+avx2")) return "avx2" + fma;
  if (has("+avx")) return "avx" + fma;
  if (has("+sse4.2")) return "sse4.2";
  return "baseline";
}

Result<codegen::Target> engine_target(const std::string& mcpu) {
  return codegen::make_target("", resolve_mcpu(mcpu), "");
}

}  // namespace convgen::tool
