// SPDX-License-Identifier: Apache-2.0
// EngineState: what the handles of one engine share.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>

#include "ir/export.h"
#include "runtime/compile_queue.h"
#include "runtime/conv_texts.h"
#include "runtime/engine.h"
#include "runtime/kernel_bundles.h"
#include "runtime/kernel_cache.h"
#include "runtime/kernel_maker.h"
#include "runtime/kernel_state.h"

namespace convgen {

class CONVGEN_SHARED EngineState {
 public:
  ~EngineState();
  // maker: null for an engine that makes no machine code. Errors: those of KernelBundles::create.
  static Result<std::shared_ptr<EngineState>> create(const EngineOptions& options,
                                                     std::unique_ptr<KernelMaker> maker);
  EngineState(const EngineOptions& options, std::unique_ptr<KernelMaker> maker,
              KernelBundles bundles);

  // What Engine::compile does. constants: null for none.
  Result<Kernel> compile(const ir::Conv& conv, const ConstantWeights* constants,
                         const CompileOptions& options);
  // A kernel that no cache keeps: calls make, which must check what it makes, counts it, and tells
  // of it where CONVGEN_VERBOSE asks.
  using Make = std::function<Result<Kernel>(const KernelCheck& check)>;
  Result<Kernel> make_kernel(const ir::Conv& conv, const SharedConstants& constants,
                             const Make& make);

  const std::unique_ptr<KernelMaker> maker;
  const KernelBundles bundles;
  ConvTexts texts;
  // By what was asked for: conv, engine, threads, schedule words. Keeps the kernels.
  KernelCache requests;
  // By what decides the bytes: conv, schedule, target, versions. Knows the kernels that live.
  KernelCache kernels{KernelCache::kOnlyLiving};
  VerifyMode verify;
  const bool verbose;
  std::atomic<int64_t> compiles{0};
  std::atomic<int64_t> compile_ns{0};
  std::atomic<int64_t> store_hits{0};

  CompileQueue queue;  // the last member, so the first to go: its jobs use the others

 private:
  Result<KernelRecipe> choose_recipe(const ir::Conv& conv, const SharedConstants& constants,
                                     const CompileOptions& options);
  KernelRecipe generic_recipe(const ir::Conv& conv, const SharedConstants& constants,
                              const Status& why);
  Result<Kernel> link_bundled(const convgen_bundle_entry& entry, const ir::Conv& conv,
                              const SharedConstants& constants);
  Result<Kernel> compile_blocking(const ir::Conv& conv, const SharedConstants& constants,
                                  const CompileOptions& options);
  Result<Kernel> compile_in_background(const ir::Conv& conv, const SharedConstants& constants,
                                       const CompileOptions& options);
  Status check_first_use(const Kernel& kernel) const;
};

}  // namespace convgen
