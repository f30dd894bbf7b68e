// SPDX-License-Identifier: Apache-2.0
// JitSession: from the bytes of a relocatable object to an address that can be called, by ORC and
// JITLink. Memory is writable, then executable, never both.
#pragma once

#include <memory>
#include <string>

#include "codegen/kernel_abi.h"
#include "ir/status.h"

namespace convgen {

// Code in executable memory, which goes when this goes. Keeps its session alive.
class LoadedCode {
 public:
  virtual ~LoadedCode() = default;
  virtual codegen::KernelFunction function() const = 0;
};

class JitSession {
 public:
  // Errors: resource_exhausted where the process cannot set up JIT linking.
  static Result<std::shared_ptr<JitSession>> create();
  virtual ~JitSession() = default;

  // Links object, which must define function_name and need no symbol from outside. Thread-safe.
  // Errors: resource_exhausted, where the system refuses executable memory above all.
  virtual Result<std::unique_ptr<LoadedCode>> link(const std::string& object,
                                                   const std::string& function_name) = 0;
};

}  // namespace convgen
