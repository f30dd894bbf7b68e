// SPDX-License-Identifier: Apache-2.0
// KernelMaker: makes machine code of convolutions. The door between the Engine, which links without
// LLVM, and the compiler behind it (jit_kernel_maker.h), which an Engine may lack.
#pragma once

#include <functional>
#include <string>

#include "ir/constant_weights.h"
#include "ir/conv.h"
#include "ir/status.h"
#include "runtime/engine.h"
#include "runtime/kernel.h"
#include "runtime/kernel_state.h"

namespace convgen {

// Ok for a kernel that may be used and kept.
using KernelCheck = std::function<Status(const Kernel&)>;

// One kernel: decided, and not made.
struct KernelRecipe {
  std::string key;  // all that decides the bytes, by value: equal keys, equal code
  std::function<Result<Kernel>(const KernelCheck& check)> make;
};

// Thread-safe.
class KernelMaker {
 public:
  virtual ~KernelMaker() = default;

  // Chooses how the kernel will be made, by options.schedule and options.threads, and emits
  // nothing. The recipe may be used for as long as the maker lives. constants: null for none.
  // Errors: invalid_argument or unsupported, for a schedule above all.
  virtual Result<KernelRecipe> plan(const ir::Conv& conv, const SharedConstants& constants,
                                    const CompileOptions& options) = 0;

  // What Engine::store_status and Engine::target_description say.
  virtual Status store_status() const = 0;
  virtual std::string target_description() const = 0;
};

}  // namespace convgen
