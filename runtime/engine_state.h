// SPDX-License-Identifier: Apache-2.0
// EngineState: what the handles of one engine share.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "codegen/schedule.h"
#include "codegen/target.h"
#include "runtime/engine.h"
#include "runtime/jit_session.h"
#include "runtime/kernel_cache.h"
#include "runtime/kernel_state.h"
#include "runtime/tuning_file.h"

namespace convgen {

class EngineState {
 public:
  // A kernel from the cache of kernels, or compiled now.
  Result<Kernel> compile_request(const ir::Conv& conv, const SharedConstants& constants,
                                 const CompileOptions& options);
  // A kernel that no cache keeps.
  Result<Kernel> make_kernel(const ir::Conv& conv, const SharedConstants& constants,
                             const CompileOptions& options, const codegen::Schedule& schedule);

  codegen::Target target;
  TuningTable tuning;
  std::shared_ptr<JitSession> session;
  KernelCache requests;  // by what was asked for: conv, engine, threads, schedule words
  KernelCache kernels;   // by what decides the bytes: conv, schedule, target, versions
  VerifyMode verify = VerifyMode::kNever;
  bool verbose = false;
  std::string dump_dir;
  std::atomic<int64_t> compiles{0};
  std::atomic<int64_t> compile_ns{0};

 private:
  Result<Kernel> make_jit_kernel(const ir::Conv& conv, const SharedConstants& constants,
                                 const codegen::Schedule& schedule);
  Result<Kernel> make_generic_kernel(const ir::Conv& conv, const SharedConstants& constants);
};

}  // namespace convgen
