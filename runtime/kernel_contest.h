// SPDX-License-Identifier: Apache-2.0
// KernelContest: the candidates of a race as compiled kernels, timed on tensors they share.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "codegen/schedule.h"
#include "runtime/bench_tensors.h"
#include "runtime/engine.h"
#include "runtime/thread_pool.h"
#include "runtime/tune.h"
#include "runtime/tuning_journal.h"

namespace convgen {

class KernelContest : public Contest {
 public:
  // More candidates like one.
  using AddLike = std::function<void(const codegen::Schedule&, std::vector<codegen::Schedule>&)>;

  // All arguments must outlive it; engine has a compiler; more schedules come at the end. Throws
  // std::bad_alloc.
  KernelContest(const Engine& engine, const ir::Conv& conv,
                std::vector<codegen::Schedule>& schedules, const AddLike& add_like,
                const TuneOptions& options, const TuneCallback& progress,
                const TuningJournal& journal, const TuningKey& key);

  Status prepare(size_t candidate) override;
  Result<double> sample(size_t candidate) override;
  void drop(size_t candidate) override;
  size_t add_like(size_t candidate) override;
  Status check(size_t candidate) override;
  double seconds() override;
  Status note(size_t candidate, double ratio) override;
  bool go_on(const TuneProgress& progress) override;

 private:
  struct Ready {
    Kernel kernel;
    std::shared_ptr<PackedWeights> packed;
    AlignedFloats scratch;
  };
  Result<Kernel> compile(const codegen::Schedule& schedule);
  Result<std::shared_ptr<PackedWeights>> pack(const Kernel& kernel);
  Status calibrate();
  Result<double> batch_us(size_t candidate);
  const ParallelFor* parallel_for() const { return pool_.threads() > 1 ? &parallel_for_ : nullptr; }

  const Engine& engine_;
  const ir::Conv& conv_;
  std::vector<codegen::Schedule>& schedules_;
  const AddLike& add_like_;
  const TuneOptions& options_;
  const TuneCallback& progress_;
  const TuningJournal& journal_;
  const TuningKey& key_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  ThreadPool pool_;
  ParallelFor parallel_for_;
  BenchTensors tensors_;
  int64_t batch_ = 1;  // runs in one measurement, the same for all
  std::map<size_t, Ready> ready_;
  std::map<std::string, std::weak_ptr<PackedWeights>> packed_;  // by the tag of their order
};

}  // namespace convgen
