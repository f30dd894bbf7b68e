// SPDX-License-Identifier: Apache-2.0
#include "tests/cross/foreign_program.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <llvm/AsmParser/Parser.h>
#include <llvm/IR/Constants.h>
#include <llvm/IR/LLVMContext.h>
#include <llvm/IR/Module.h>
#include <llvm/Support/SourceMgr.h>
#include <llvm/TargetParser/Triple.h>

#include <cstring>
#include <fstream>
#include <stdexcept>

#include "codegen/compile_module.h"
#include "tests/support/child_process.h"
#include "tests/support/environment.h"

namespace convgen::testing {
namespace {

struct SystemCalls {
  std::string code, constraints;
  int write, exit;
};

SystemCalls system_calls(const llvm::Triple& triple) {
  if (triple.isAArch64()) return {"svc #0", "={x0},{x8},{x0},{x1},{x2},~{memory}", 64, 93};
  if (triple.isRISCV()) return {"ecall", "={x10},{x17},{x10},{x11},{x12},~{memory}", 64, 93};
  return {"syscall", "={rax},{rax},{rdi},{rsi},{rdx},~{rcx},~{r11},~{memory}", 1, 60};
}

// x86-64 enters a program with the stack as no function expects it, hence stackrealign.
constexpr const char* kProgram = R"(
declare i32 @{name}({types})
declare i32 @{name}_pack_weights(ptr, ptr)

define internal i64 @system(i64 %number, i64 %a, ptr %b, i64 %c) "target-features"="{features}" {{
  %r = call i64 asm sideeffect "{code}", "{constraints}"(i64 %number, i64 %a, ptr %b, i64 %c)
  ret i64 %r
}}

define void @_start() nounwind "stackrealign" "frame-pointer"="all" "target-features"="{features}" {{
entry:
  {pack}
  %ran = call i32 @{name}({arguments})
  %failed = or i32 %packed_status, %ran
  %ok = icmp eq i32 %failed, 0
  br i1 %ok, label %loop, label %end
loop:
  %done = phi i64 [ 0, %entry ], [ %next, %loop ]
  %left = sub i64 {dst_bytes}, %done
  %at = getelementptr i8, ptr @dst, i64 %done
  %n = call i64 @system(i64 {write}, i64 1, ptr %at, i64 %left)
  %next = add i64 %done, %n
  %more = icmp slt i64 %next, {dst_bytes}
  br i1 %more, label %loop, label %end
end:
  %code = zext i32 %failed to i64
  %never = call i64 @system(i64 {exit}, i64 %code, ptr null, i64 0)
  unreachable
}}
)";

std::string program_text(const llvm::Triple& triple, const codegen::Target& target,
                         const codegen::CFunction& function, size_t dst_bytes) {
  std::vector<std::string> types, arguments;
  for (const codegen::CParameter& parameter : codegen::c_parameters(function)) {
    types.push_back("ptr");
    arguments.push_back(fmt::format("ptr @{}", parameter.name));
  }
  const std::string pack = function.constants
                               ? "%packed_status = or i32 0, 0"
                               : fmt::format(
                                     "%packed_status = call i32 @{}_pack_weights(ptr @weights, "
                                     "ptr @weights_packed)",
                                     function.name);
  const SystemCalls calls = system_calls(triple);
  using fmt::arg;
  return fmt::format(fmt::runtime(kProgram), arg("name", function.name), arg("pack", pack),
                     arg("types", fmt::join(types, ", ")),
                     arg("arguments", fmt::join(arguments, ", ")), arg("code", calls.code),
                     arg("constraints", calls.constraints), arg("write", calls.write),
                     arg("exit", calls.exit), arg("dst_bytes", dst_bytes),
                     arg("features", target.feature_string()));
}

// A global @NAME of at least one float: `values`, or zeros.
std::string global_text(std::string_view name, size_t elements) {
  return fmt::format("@{} = internal global [{} x float] zeroinitializer, align 64\n", name,
                     std::max<size_t>(elements, 1));
}

std::string compile_program(const Machine& machine, const codegen::CFunction& function,
                            const codegen::KernelSizes& sizes, const HostTensors& tensors) {
  const auto target = codegen::make_target(machine.triple, machine.mcpu, machine.mattr);
  if (!target.ok()) throw std::runtime_error(target.status().message());
  const std::pair<const char*, const std::vector<float>*> inputs[] = {{"weights", &tensors.weights},
                                                                      {"src", &tensors.src},
                                                                      {"bias", &tensors.bias},
                                                                      {"add", &tensors.add},
                                                                      {"scale", &tensors.scale}};
  const auto dst_elements = static_cast<size_t>(function.conv.dst_elements());
  std::string text = global_text("weights_packed", static_cast<size_t>(sizes.packed_elements)) +
                     global_text("dst", dst_elements) +
                     global_text("scratch", static_cast<size_t>(sizes.scratch_bytes) / 4 + 1);
  for (const auto& [name, values] : inputs) text += global_text(name, values->size());
  text += program_text(llvm::Triple(target->triple), *target, function, dst_elements * 4);

  llvm::LLVMContext context;
  llvm::SMDiagnostic diagnostic;
  const auto module = llvm::parseAssemblyString(text, diagnostic, context);
  if (!module) throw std::runtime_error(diagnostic.getMessage().str() + "\n" + text);
  module->setTargetTriple(target->triple);
  for (const auto& [name, values] : inputs)
    if (!values->empty())
      module->getNamedGlobal(name)->setInitializer(
          llvm::ConstantDataArray::get(context, llvm::ArrayRef<float>(*values)));
  codegen::CpuStopwatch watch;
  codegen::CompileTimes times;
  const auto object = codegen::compile_module(codegen::Stage::kObject, *module, *target,
                                              /*machines=*/nullptr, watch, times);
  if (!object.ok()) throw std::runtime_error(object.status().message());
  return *object;
}

void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

}  // namespace

std::string linker_path() { return CONVGEN_TEST_LINKER; }

std::string what_is_missing(const Machine& machine) {
  if (linker_path().empty()) return "ld.lld is not installed (lld-19)";
  if (!machine.emulator.empty() && machine.emulator[0].empty())
    return "QEMU for " + machine.name + " is not installed (qemu-user)";
  return "";
}

ForeignRun run_foreign(const Machine& machine, const codegen::CFunction& function,
                       const codegen::KernelSizes& sizes, const std::string& library,
                       const HostTensors& tensors) {
  const ScopedDirectory directory;
  const std::string prefix = directory.path().string() + "/";
  write_file(prefix + "program.o", compile_program(machine, function, sizes, tensors));
  write_file(prefix + "library", library);
  const auto linked =
      run_child({linker_path(), "-static", "--fatal-warnings", "-z", "noexecstack", "-o",
                 prefix + "program", prefix + "program.o", prefix + "library"},
                {});
  if (linked.exit != 0) return {-1, 0, "lld: " + linked.out, {}};
  std::vector<std::string> words = machine.emulator;
  words.push_back(prefix + "program");
  const auto ran = run_child(words, {});
  ForeignRun result{ran.exit, ran.signal, "", {}};
  const auto elements = static_cast<size_t>(function.conv.dst_elements());
  if (ran.exit != 0 || ran.out.size() != elements * sizeof(float)) {
    result.messages = ran.out;
    return result;
  }
  result.dst.resize(elements);
  std::memcpy(result.dst.data(), ran.out.data(), ran.out.size());
  return result;
}

}  // namespace convgen::testing
