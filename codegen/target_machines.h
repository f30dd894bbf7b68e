// SPDX-License-Identifier: Apache-2.0
// TargetMachines: LLVM's descriptions of a target, kept for the next compilation. One takes 0.1 ms
// to make, and the tables that its first compilation fills 0.35 ms more.
#pragma once

#include <memory>

#include "codegen/target.h"
#include "ir/status.h"

namespace llvm {
class TargetMachine;
}

namespace convgen::codegen {

// Thread-safe. Holds as many as were in use at a time.
class TargetMachines {
 public:
  TargetMachines();
  ~TargetMachines();

  // One that nobody else has until it is given back. Errors: compile_failed.
  Result<std::unique_ptr<llvm::TargetMachine>> take(const Target& target);
  void give_back(const Target& target, std::unique_ptr<llvm::TargetMachine> machine);

 private:
  struct Idle;
  std::unique_ptr<Idle> idle_;
};

}  // namespace convgen::codegen
