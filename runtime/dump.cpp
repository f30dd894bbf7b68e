// SPDX-License-Identifier: Apache-2.0
#include "runtime/dump.h"

#include <fmt/format.h>
#include <llvm/Support/xxhash.h>

#include <fstream>

#include "codegen/compile.h"
#include "ir/text.h"
#include "runtime/kernel.h"
#include "runtime/sanitizer.h"

namespace convgen {
namespace {

void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

}  // namespace

void dump_kernel(const std::string& directory, const ir::Conv& conv,
                 const codegen::Schedule& schedule, const codegen::Target& target,
                 const std::string& object, const ConstantWeights* constants) {
  const std::string conv_text = ir::print_conv(conv);
  const std::string schedule_text = codegen::print_schedule(schedule);
  const uint64_t hash = llvm::xxh3_64bits(
      fmt::format("{}|{}|{}", print_signature(conv, constants), schedule_text, target.key()));
  const std::string stem = fmt::format("{}/{:016x}", directory, hash);
  write_file(stem + ".conv", conv_text + "\n");
  write_file(stem + ".schedule", schedule_text + "\n");
  write_file(stem + ".o", object);
  const std::pair<const char*, codegen::Stage> stages[] = {{".ll", codegen::Stage::kLlvm},
                                                           {".s", codegen::Stage::kAssembly}};
  for (const auto& [suffix, stage] : stages)
    if (auto text = codegen::compile(stage, conv, schedule, target,
                                     {.constants = constants, .instrument = kKernelInstrument});
        text.ok())
      write_file(stem + suffix, *text);
}

}  // namespace convgen
