// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernel_contest.h"

#include <utility>

#include "runtime/engine_state.h"
#include "runtime/jit_kernel_maker.h"
#include "runtime/verify.h"

namespace convgen {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t kSeed = 1;
// Long against the clock's resolution (some 20 ns), short against a time slice (some ms).
constexpr double kBatchUs = 100;
constexpr int64_t kMaxBatch = int64_t{1} << 20;
// Of each kind of data; the interpreter takes about 0.1 s for it.
constexpr double kCheckedMultiplyAdds = 3e7;

}  // namespace

KernelContest::KernelContest(const Engine& engine, const ir::Conv& conv,
                             std::vector<codegen::Schedule>& schedules, const AddLike& add_like,
                             const TuneOptions& options, const TuneCallback& progress,
                             const TuningJournal& journal, const TuningKey& key)
    : engine_(engine),
      conv_(conv),
      schedules_(schedules),
      add_like_(add_like),
      options_(options),
      progress_(progress),
      journal_(journal),
      key_(key),
      pool_(options.threads),
      parallel_for_(pool_.parallel_for()),
      tensors_(conv, kSeed) {}

Result<Kernel> KernelContest::compile(const codegen::Schedule& schedule) {
  auto kernel = engine_.state().make_kernel(conv_, nullptr, [&](const KernelCheck& check) {
    return JitKernelMaker::of(engine_)->make(conv_, nullptr, schedule, check);
  });
  if (!kernel.ok() || kernel->engine_name() == "jit") return kernel;
  return unsupported("tuning: executable memory was refused, there is nothing to compare");
}

// Candidates that differ in their loops alone read the same order.
Result<std::shared_ptr<PackedWeights>> KernelContest::pack(const Kernel& kernel) {
  std::weak_ptr<PackedWeights>& shared = packed_[kernel.packed_tag()];
  if (auto packed = shared.lock()) return packed;
  auto made = kernel.pack(tensors_.weights.data());
  if (!made.ok()) return made.status();
  auto packed = std::make_shared<PackedWeights>(std::move(*made));
  shared = packed;
  return packed;
}

// One run outside of any measurement pays for page faults and cold caches.
Status KernelContest::prepare(size_t candidate) {
  const auto kernel = compile(schedules_[candidate]);
  if (!kernel.ok()) return kernel.status();
  auto packed = pack(*kernel);
  if (!packed.ok()) return packed.status();
  ready_.emplace(candidate, Ready{*kernel, std::move(*packed),
                                  AlignedFloats(kernel->scratch_bytes() / sizeof(float) + 1)});
  const auto warm = batch_us(candidate);
  if (!warm.ok() || candidate != 0) return warm.status();
  return calibrate();
}

Status KernelContest::calibrate() {
  for (; batch_ < kMaxBatch; batch_ *= 2) {
    const auto us = batch_us(0);
    if (!us.ok()) return us.status();
    if (*us >= kBatchUs) break;
  }
  return Status();
}

Result<double> KernelContest::batch_us(size_t candidate) {
  const Ready& ready = ready_.at(candidate);
  const RunArgs args{.src = tensors_.src.data(),
                     .packed = ready.packed.get(),
                     .bias = tensors_.bias.data(),
                     .add = tensors_.add.data(),
                     .scale = tensors_.scale.data(),
                     .dst = tensors_.dst.data(),
                     .scratch = ready.scratch.data()};
  const auto batch = [&] {
    for (int64_t i = 0; i < batch_; ++i)
      if (Status status = ready.kernel.run(args, parallel_for()); !status.ok()) return status;
    return Status();
  };
  if (options_.stopwatch) return options_.stopwatch(ready.kernel.schedule(), batch);
  const Clock::time_point start = Clock::now();
  if (Status status = batch(); !status.ok()) return status;
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

Result<double> KernelContest::sample(size_t candidate) {
  const auto us = batch_us(candidate);
  if (!us.ok()) return us;
  return *us / static_cast<double>(batch_);
}

void KernelContest::drop(size_t candidate) { ready_.erase(candidate); }

size_t KernelContest::add_like(size_t candidate) {
  const codegen::Schedule like = schedules_[candidate];
  add_like_(like, schedules_);
  return schedules_.size();
}

Status KernelContest::check(size_t candidate) {
  for (const VerifyData data : {VerifyData::kIntegers, VerifyData::kReals}) {
    const auto report =
        verify_kernel(ready_.at(candidate).kernel, {.seed = kSeed,
                                                    .data = data,
                                                    .max_multiply_adds = kCheckedMultiplyAdds,
                                                    .parallel_for = parallel_for()});
    if (!report.ok()) return report.status();
    if (!report->pass) return internal_error("wrong results: " + report->failure);
  }
  return Status();
}

double KernelContest::seconds() {
  return std::chrono::duration<double>(Clock::now() - start_).count();
}

Status KernelContest::note(size_t candidate, double ratio) {
  return journal_.add(key_, codegen::print_schedule(schedules_[candidate]), ratio);
}

bool KernelContest::go_on(const TuneProgress& progress) {
  return !progress_ || progress_(progress);
}

}  // namespace convgen
