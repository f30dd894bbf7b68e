// SPDX-License-Identifier: Apache-2.0
#include "codegen/code_generator.h"

#include <llvm/IR/LegacyPassManager.h>
#include <llvm/Pass.h>
#include <llvm/Support/raw_ostream.h>

#include <algorithm>
#include <string_view>

namespace convgen::codegen {
namespace {

// Passes that cost time and change nothing here: every object of tests/data/layers.conv and of
// other convolutions, for SSE, AVX2 and AVX-512, was the same byte by byte with and without them. A
// pass costs some 5 us even where it has nothing to do.
constexpr std::string_view kLeftOut[] = {
    // Find nothing to do, since emitters write what these would leave behind. Pointers advance by
    // constants, yet loop strength reduction takes 70 % of the time to see it: 61 of 86 ms for a
    // kernel of 3x3 taps with borders.
    "Canonicalize Freeze Instructions in Loops",
    "Constant Hoisting",
    "Early If-Conversion",
    "Loop Strength Reduction",
    "Merge disjoint stack slots",
    "X86 Avoid Store Forwarding Blocks",
    "X86 Domain Reassignment Pass",
    "X86 Partial Reduction",
    // Look for calls, intrinsics and types that no emitter uses.
    "Expand indirectbr instructions",
    "Expand large div/rem",
    "Expand large fp convert",
    "Expand memcmp() to load/stores",
    "Expand reduction intrinsics",
    "Expand vector predication intrinsics",
    "Local Dynamic TLS Access Clean-up",
    "Local Stack Slot Allocation",
    "Lower constant intrinsics",
    "Merge contiguous icmps into a memcmp",
    "Partially inline calls to library functions",
    "Prepare callbr",
    "Rename Disconnected Subregister Components",
    "Replace intrinsics with calls to vector library",
    "TLS Variable Hoist",
    "X86 Atom pad short functions",
    "X86 DynAlloca Expander",
    "X86 PIC Global Base Reg Initialization",
    // Of matrix tiles (AMX).
    "Lower AMX intrinsics",
    "Lower AMX type for load/store",
    "Tile Register Configure",
    "Tile Register Pre-configure",
    "X86 Lower Tile Copy",
    // Of exceptions, garbage collection and unwinding.
    "Analyze Machine Code For Garbage Collection",
    "Check CFA info and insert CFI instructions if needed",
    "Contiguously Lay Out Funclets",
    "Exception handling preparation",
    "Fixup Statepoint Caller Saved",
    "Lower Garbage Collection Instructions",
    "Shadow Stack GC Lowering",
    "StackMap Liveness Analysis",
    // Of hardening, which a kernel does not ask for.
    "Argument Stack Rebase",
    "Insert KCFI indirect call checks",
    "Safe Stack instrumentation pass",
    "X86 Load Value Injection (LVI) Load Hardening",
    "X86 Load Value Injection (LVI) Ret-Hardening",
    "X86 Speculative Execution Side Effect Suppression",
    "X86 Windows Fixup Buffer Security Check",
    "X86 speculative load hardening",
    // Of debuggers, profilers and reports.
    "Implement the 'patchable-function' attribute",
    "Insert XRay ops",
    "Insert fentry calls",
    "Instrument function entry/exit with calls to e.g. mcount() (post inlining)",
    "Live DEBUG_VALUE analysis",
    "Machine Sanitizer Binary Metadata",
    "Pseudo Probe Inserter",
    "Register Allocation Pass Scoring",
    "Remove Redundant DEBUG_VALUE analysis",
    "Stack Frame Layout Analysis",
    "X86 Discriminate Memory Operands",
    "X86 Insert Cache Prefetches",
};

// Adds what the stopwatch shows when a function comes by.
class PhaseMark : public llvm::FunctionPass {
 public:
  PhaseMark(CpuStopwatch& watch, double& ms) : FunctionPass(kId), watch_(watch), ms_(ms) {}
  llvm::StringRef getPassName() const override { return "Phase Mark"; }
  bool runOnFunction(llvm::Function&) override {
    ms_ += watch_.lap_ms();
    return false;
  }
  void getAnalysisUsage(llvm::AnalysisUsage& usage) const override { usage.setPreservesAll(); }

 private:
  static inline char kId = 0;  // its address is what counts
  CpuStopwatch& watch_;
  double& ms_;
};

// LLVM's pipeline less what is left out. By name, since LLVM offers but a process-wide switch.
class LeanPassManager : public llvm::legacy::PassManager {
 public:
  LeanPassManager(CpuStopwatch& watch, CompileTimes& times) : watch_(watch), times_(times) {}
  void add(llvm::Pass* pass) override {
    const llvm::StringRef name = pass->getPassName();
    if (std::ranges::find(kLeftOut, std::string_view(name)) != std::end(kLeftOut)) {
      delete pass;
      return;
    }
    if (name.ends_with("Instruction Selection"))
      PassManager::add(new PhaseMark(watch_, times_.passes_ms));
    PassManager::add(pass);
  }

 private:
  CpuStopwatch& watch_;
  CompileTimes& times_;
};

}  // namespace

Result<std::string> generate_code(llvm::Module& module, llvm::TargetMachine& machine,
                                  llvm::CodeGenFileType type, CpuStopwatch& watch,
                                  CompileTimes& times) {
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  LeanPassManager passes(watch, times);
  if (machine.addPassesToEmitFile(passes, stream, nullptr, type, /*DisableVerify=*/true))
    return compile_failed("LLVM cannot emit this kind of file for " + module.getTargetTriple());
  passes.run(module);
  times.codegen_ms += watch.lap_ms();
  return std::string(bytes.begin(), bytes.end());
}

}  // namespace convgen::codegen
