// SPDX-License-Identifier: Apache-2.0
// JitKernelMaker: the machine code of an Engine that compiles. Chooses schedules, takes objects
// from the store or codegen, and links them.
#pragma once

#include <memory>
#include <string>

#include "codegen/schedule.h"
#include "codegen/target.h"
#include "codegen/target_machines.h"
#include "runtime/jit_session.h"
#include "runtime/kernel_maker.h"
#include "runtime/object_store.h"
#include "runtime/tuning_file.h"

namespace convgen {

class JitKernelMaker : public KernelMaker {
 public:
  // Errors: those of Engine::create.
  static Result<std::unique_ptr<JitKernelMaker>> create(const EngineOptions& options);
  // That of engine; null where it was made without a compiler.
  static JitKernelMaker* of(const Engine& engine);

  Result<KernelRecipe> plan(const ir::Conv& conv, const SharedConstants& constants,
                            const CompileOptions& options) override;
  Status store_status() const override { return store->status(); }
  std::string target_description() const override { return target.key(); }

  // The kernel by this very schedule, from the store or compiled now; what passes check is stored.
  // Where the system refuses executable memory, the generic path. select_ms: what choosing the
  // schedule took.
  Result<Kernel> make(const ir::Conv& conv, const SharedConstants& constants,
                      const codegen::Schedule& schedule, const KernelCheck& check,
                      double select_ms = 0);

  codegen::Target target;
  codegen::TargetMachines machines;
  TuningTable tuning;
  std::shared_ptr<JitSession> session;
  std::unique_ptr<ObjectStore> store;

 private:
  JitKernelMaker() = default;
  Result<codegen::Schedule> choose_schedule(const ir::Conv& conv, const ConstantWeights* constants,
                                            const CompileOptions& options) const;
  Result<std::string> compile_object(const codegen::Schedule& schedule, KernelState& state);
  Status link_object(const std::string& object, KernelState& state);
  bool link_stored(const StoreKey& key, const std::shared_ptr<KernelState>& state,
                   const KernelCheck& check);

  bool verbose_ = false;
  std::string dump_dir_;
};

}  // namespace convgen
