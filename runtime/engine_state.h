// SPDX-License-Identifier: Apache-2.0
// EngineState: what the handles of one engine share.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "codegen/schedule.h"
#include "codegen/target.h"
#include "codegen/target_machines.h"
#include "runtime/compile_queue.h"
#include "runtime/conv_texts.h"
#include "runtime/engine.h"
#include "runtime/jit_session.h"
#include "runtime/kernel_cache.h"
#include "runtime/kernel_state.h"
#include "runtime/object_store.h"
#include "runtime/tuning_file.h"

namespace convgen {

class EngineState {
 public:
  explicit EngineState(size_t memory_max_bytes) : requests(memory_max_bytes) {}

  // What Engine::compile does. constants: null for none.
  Result<Kernel> compile(const ir::Conv& conv, const ConstantWeights* constants,
                         const CompileOptions& options);
  // A kernel that no cache keeps.
  // select_ms: what choosing the schedule took.
  Result<Kernel> make_kernel(const ir::Conv& conv, const SharedConstants& constants,
                             const CompileOptions& options, const codegen::Schedule& schedule,
                             double select_ms = 0);

  codegen::Target target;
  codegen::TargetMachines machines;
  TuningTable tuning;
  std::shared_ptr<JitSession> session;
  std::unique_ptr<ObjectStore> store;
  ConvTexts texts;
  // By what was asked for: conv, engine, threads, schedule words. Keeps the kernels.
  KernelCache requests;
  // By what decides the bytes: conv, schedule, target, versions. Knows the kernels that live.
  KernelCache kernels{KernelCache::kOnlyLiving};
  VerifyMode verify = VerifyMode::kNever;
  bool verbose = false;
  std::string dump_dir;
  std::atomic<int64_t> compiles{0};
  std::atomic<int64_t> compile_ns{0};
  std::atomic<int64_t> store_hits{0};

  CompileQueue queue;  // the last member, so the first to go: its jobs use the others

 private:
  Result<Kernel> compile_blocking(const ir::Conv& conv, const SharedConstants& constants,
                                  const CompileOptions& options);
  Result<Kernel> compile_in_background(const ir::Conv& conv, const SharedConstants& constants,
                                       const CompileOptions& options);
  Status link_object(const std::string& object, KernelState& state);
  bool link_stored(const StoreKey& key, const std::shared_ptr<KernelState>& state);
  Result<std::string> compile_object(const codegen::Schedule& schedule, KernelState& state);
  Result<Kernel> make_jit_kernel(const ir::Conv& conv, const SharedConstants& constants,
                                 const codegen::Schedule& schedule, double select_ms);
  Result<Kernel> make_generic_kernel(const ir::Conv& conv, const SharedConstants& constants,
                                     const Status& why);
  Result<std::shared_ptr<KernelState>> make_generic(const ir::Conv& conv,
                                                    const SharedConstants& constants);
  Status check_first_use(const Kernel& kernel) const;
};

}  // namespace convgen
