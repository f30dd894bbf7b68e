// SPDX-License-Identifier: Apache-2.0
// JitSession: from the bytes of a relocatable object to an address that can be called, by JITLink
// and a CodeMemory (code_memory.h), which is never writable and executable at once. ORC is not
// used: kernels need no symbol but their own, so there is nothing to look up between them.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "codegen/kernel_abi.h"
#include "ir/status.h"
#include "runtime/code_memory.h"
#include "runtime/jit_profile.h"

namespace convgen {

// Code in executable memory, which goes when this goes. Needs no session.
class LoadedCode {
 public:
  LoadedCode(CodePages pages, codegen::KernelFunction address, ProfiledCode profiled)
      : pages_(std::move(pages)), function_(address), profiled_(std::move(profiled)) {}
  codegen::KernelFunction function() const { return function_; }

 private:
  CodePages pages_;
  codegen::KernelFunction function_;
  ProfiledCode profiled_;  // the last member: debuggers forget the code before its memory goes
};

class JitSession {
 public:
  // profile: null for none.
  static std::shared_ptr<JitSession> create(std::shared_ptr<JitProfile> profile = nullptr);

  // False where nobody is told what kernels are called.
  bool is_profiled() const { return profile_ != nullptr; }

  // Links object, which must define function_name and need no symbol from outside. Profilers are
  // told `symbol`. Thread-safe. Errors: resource_exhausted, where the system refuses executable
  // memory above all.
  Result<std::unique_ptr<LoadedCode>> link(const std::string& object,
                                           const std::string& function_name,
                                           const std::string& symbol = "convgen_kernel");

 private:
  explicit JitSession(std::shared_ptr<JitProfile> profile) : profile_(std::move(profile)) {}

  std::shared_ptr<CodeMemory> memory_ = CodeMemory::create();
  std::shared_ptr<JitProfile> profile_;
};

}  // namespace convgen
