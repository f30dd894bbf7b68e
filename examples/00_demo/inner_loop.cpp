// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <vector>

#include "codegen/compile.h"
#include "codegen/schedule.h"
#include "codegen/target.h"
#include "examples/00_demo/demo.h"

namespace convgen::examples {
namespace {

constexpr size_t kShownLines = 8;
constexpr size_t kMaxColumns = 112;

struct Block {
  std::vector<std::string> lines;
  int64_t multiply_adds = 0;
};

bool is_label(const std::string& line) {
  return !line.empty() && line[0] != ' ' && line.find(':') != std::string::npos;
}

bool contains(const std::string& line, std::string_view word) {
  return line.find(word) != std::string::npos;
}

// Without FMA the arithmetic is an fmul and an fadd.
bool is_multiply_add(const std::string& line) {
  return contains(line, "call") ? contains(line, "@llvm.fma") : contains(line, " fmul ");
}

Block busiest_block(const std::string& module) {
  Block busiest, current;
  std::istringstream text(module);
  for (std::string line; std::getline(text, line);) {
    if (is_label(line)) current = Block();
    if (line.empty()) continue;
    current.lines.push_back(line);
    current.multiply_adds += is_multiply_add(line);
    if (current.multiply_adds > busiest.multiply_adds) busiest = current;
  }
  return busiest;
}

// The label, then from the first load of weights on.
std::string show(const Block& block) {
  const auto& lines = block.lines;
  auto from = std::find_if(lines.begin(), lines.end(), [](const std::string& line) {
    return line.starts_with("  %w") && contains(line, " = load <");
  });
  if (from == lines.end()) from = lines.begin() + (lines.size() > 1 ? 1 : 0);
  const auto shown = std::min<ptrdiff_t>(kShownLines - 1, lines.end() - from);
  std::string out = "    " + lines.front().substr(0, lines.front().find(':') + 1) + "\n";
  for (auto line = from; line != from + shown; ++line) {
    out += "    " + (line->size() <= kMaxColumns ? *line : line->substr(0, kMaxColumns) + "...");
    out += "\n";
  }
  return out;
}

// The target an Engine made without options compiles for.
Result<codegen::Target> engine_target() {
  const char* mcpu = std::getenv("CONVGEN_MCPU");
  return mcpu == nullptr || *mcpu == 0 ? codegen::host_target()
                                       : codegen::make_target("", mcpu, "");
}

}  // namespace

Result<std::string> excerpt_inner_loop(const Kernel& kernel) {
  const auto target = engine_target();
  if (!target.ok()) return target.status();
  const auto schedule = codegen::parse_schedule(kernel.schedule(), codegen::Schedule());
  if (!schedule.ok()) return schedule.status();
  const auto module = codegen::compile(codegen::Stage::kLlvm, kernel.conv(), *schedule, *target);
  if (!module.ok()) return module.status();
  const auto all = std::count(module->begin(), module->end(), '\n');
  const Block block = busiest_block(*module);
  return fmt::format("{} multiply-adds in one block, of {} lines of LLVM IR in all\n{}",
                     block.multiply_adds, all, show(block));
}

}  // namespace convgen::examples
