// SPDX-License-Identifier: Apache-2.0
#include "runtime/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "codegen/cpu_stopwatch.h"
#include "ir/message.h"
#include "ir/text.h"
#include "runtime/engine_state.h"
#include "runtime/environment.h"
#include "runtime/generic.h"
#include "runtime/generic_kernel.h"
#include "runtime/request_key.h"
#include "runtime/verify.h"

namespace convgen {
namespace {

constexpr const char* kNoCompiler = "this engine has no compiler";

// What an engine without a compiler cannot do, said in code. The environment speaks to all engines
// of a process, so what it says is for those that can.
Status check_needs_no_compiler(const EngineOptions& options) {
  const std::pair<const char*, std::string> fields[] = {
      {"mcpu", options.mcpu},
      {"tuning_file", options.tuning_file},
      {"cache_dir", options.cache_dir.value_or("")},
      {"jit_profile", options.jit_profile}};
  for (const auto& [field, value] : fields)
    if (!value.empty())
      return unsupported(fmt::format("{}={}: {}", field, ir::printable(value), kNoCompiler));
  return Status();
}

// kernel, which may be waiting for its machine code, to one who waits for as long as options say.
Result<Kernel> when_decided(Kernel kernel, const CompileOptions& options) {
  if (kernel.state()->promotion == nullptr || options.mode == CompileMode::kNever) return kernel;
  const bool blocking = options.mode == CompileMode::kBlocking;
  kernel.wait_for(blocking ? std::chrono::nanoseconds::max() : options.deadline);
  const Status status = kernel.state()->promotion->status();
  if (blocking && !status.ok()) return status;
  return kernel;
}

}  // namespace

Result<std::shared_ptr<EngineState>> EngineState::create(const EngineOptions& options,
                                                         std::unique_ptr<KernelMaker> maker) {
  auto bundles = KernelBundles::create(options.bundles);
  if (!bundles) return bundles.status();
  return std::make_shared<EngineState>(options, std::move(maker), *std::move(bundles));
}

EngineState::EngineState(const EngineOptions& options, std::unique_ptr<KernelMaker> kernel_maker,
                         KernelBundles kernel_bundles)
    : maker(std::move(kernel_maker)),
      bundles(std::move(kernel_bundles)),
      requests(options.memory_max_bytes),
      verify(options.verify),
      verbose(!environment("CONVGEN_VERBOSE").empty()) {}

EngineState::~EngineState() = default;

Status EngineState::check_first_use(const Kernel& kernel) const {
  if (verify != VerifyMode::kFirstUse) return Status();
  auto report = verify_kernel(kernel);
  if (!report) return report.status();
  if (report->pass) return Status();
  return internal_error(fmt::format("verify: {}: {}", report->failure, kernel.signature()));
}

Result<Kernel> EngineState::make_kernel(const ir::Conv& conv, const SharedConstants& constants,
                                        const Make& make) {
  const codegen::CpuStopwatch total;
  const auto kernel = make([this](const Kernel& made) { return check_first_use(made); });
  const double ms = kernel.ok() ? kernel->compile_stats().total_ms : total.ms();
  const bool from_store = kernel.ok() && kernel->compile_stats().from_store;
  if (from_store) {
    store_hits += 1;
  } else {
    compiles += 1;
    compile_ns += static_cast<int64_t>(ms * 1e6);
  }
  if (verbose)
    fmt::print(stderr, "convgen,{},{},{:.3f},{}\n", from_store ? "load" : "compile",
               kernel.ok() ? kernel->engine_name() : "failed", ms,
               print_signature(conv, constants.get()));
  return kernel;
}

// why: Ok where the generic path was asked for, else why it runs in place of machine code.
KernelRecipe EngineState::generic_recipe(const ir::Conv& conv, const SharedConstants& constants,
                                         const Status& why) {
  std::string key = fmt::format("{}|generic {}", ir::print_conv(conv), why.message());
  const auto make = [this, conv, constants, why](const KernelCheck& check) {
    return make_generic_kernel(conv, constants, verbose, why, check);
  };
  return {key.append(key_of(constants.get())), make};
}

// Who makes the kernel: the compiler, where there is one and nobody asked for the generic path.
Result<KernelRecipe> EngineState::choose_recipe(const ir::Conv& conv,
                                                const SharedConstants& constants,
                                                const CompileOptions& options) {
  if (options.engine == EngineKind::kGeneric) return generic_recipe(conv, constants, Status());
  if (maker != nullptr) return maker->plan(conv, constants, options);
  if (!options.schedule.empty())
    return unsupported(
        fmt::format("schedule={}: {}", ir::printable(options.schedule), kNoCompiler));
  return generic_recipe(conv, constants, unsupported(kNoCompiler));
}

// Found, not made: no compilation is counted.
Result<Kernel> EngineState::link_bundled(const convgen_bundle_entry& entry, const ir::Conv& conv,
                                         const SharedConstants& constants) {
  const KernelRecipe recipe = bundle_recipe(entry, conv, constants, verbose);
  return kernels.get_or_make(recipe.key, [&] {
    if (verbose)
      fmt::print(stderr, "convgen,load,bundle,0.000,{}\n", print_signature(conv, constants.get()));
    return recipe.make([this](const Kernel& made) { return check_first_use(made); });
  });
}

Result<Kernel> EngineState::compile_blocking(const ir::Conv& conv, const SharedConstants& constants,
                                             const CompileOptions& options) {
  const auto recipe = choose_recipe(conv, constants, options);
  if (!recipe.ok()) return recipe.status();
  return kernels.get_or_make(recipe->key,
                             [&] { return make_kernel(conv, constants, recipe->make); });
}

// The generic path, which the queue's thread turns into machine code.
Result<Kernel> EngineState::compile_in_background(const ir::Conv& conv,
                                                  const SharedConstants& constants,
                                                  const CompileOptions& options) {
  if (!options.schedule.empty()) {  // a wrong word is the caller's to hear of, now
    if (auto chosen = choose_recipe(conv, constants, options); !chosen) return chosen.status();
  }
  auto made = make_generic_state(conv, constants, verbose);
  if (!made) return made.status();
  const std::shared_ptr<KernelState> state = *std::move(made);
  state->promotion = std::make_unique<Promotion>();
  const auto compile = [this, state, constants, options] {
    const Result<Kernel> kernel =
        without_exceptions([&] { return compile_blocking(state->conv, constants, options); });
    if (!kernel.ok()) return state->promotion->fail(kernel.status());
    state->promotion->succeed(kernel->state());
    requests.recount(RequestKey(state->conv, options, constants.get()).view());
  };
  const auto cancel = [state] {
    state->promotion->fail(resource_exhausted("compile: the engine went before its turn came"));
  };
  queue.add({compile, cancel});
  return Kernel(state);
}

// Choosing a schedule takes longer than all else that a hit needs, so what was asked for is
// remembered, beside what decides the bytes. A hit copies no weights but into the key.
Result<Kernel> EngineState::compile(const ir::Conv& conv, const ConstantWeights* constants,
                                    const CompileOptions& options) {
  const RequestKey key(conv, options, constants);
  if (auto found = requests.find(key.view()))
    return when_decided(Kernel(std::move(found)), options);
  const bool jit = options.engine == EngineKind::kJit;
  const convgen_bundle_entry* bundled =
      jit && options.schedule.empty() ? bundles.find(conv, constants) : nullptr;
  if (jit && bundled == nullptr && options.mode == CompileMode::kNever) {
    CompileOptions generic = options;
    generic.engine = EngineKind::kGeneric;
    return compile(conv, constants, generic);
  }
  auto kernel = requests.get_or_make(key.view(), [&] {
    SharedConstants shared;
    if (constants != nullptr) shared = std::make_shared<const ConstantWeights>(*constants);
    if (bundled != nullptr) return link_bundled(*bundled, conv, shared);
    return jit && maker != nullptr && options.mode == CompileMode::kGenericFirst
               ? compile_in_background(conv, shared, options)
               : compile_blocking(conv, shared, options);
  });
  if (!kernel.ok()) return kernel;
  return when_decided(*std::move(kernel), options);
}

Result<Engine> Engine::create_without_compiler(const EngineOptions& options) {
  if (Status status = check_needs_no_compiler(options); !status.ok()) return status;
  auto state = EngineState::create(options, nullptr);
  if (!state) return state.status();
  return Engine(*std::move(state));
}

Result<Kernel> Engine::compile(const ir::Conv& conv, const CompileOptions& options) const {
  return state_->compile(conv, nullptr, options);
}

Result<Kernel> Engine::compile(std::string_view conv_text, const CompileOptions& options) const {
  auto conv = state_->texts.find_or_parse(conv_text);
  if (!conv) return conv.status();
  return state_->compile(**conv, nullptr, options);
}

Result<Kernel> Engine::compile(const ir::Conv& conv, const ConstantWeights& constants,
                               const CompileOptions& options) const {
  const auto found = static_cast<int64_t>(constants.values.size());
  if (found != conv.weights_elements())
    return invalid_argument(fmt::format("constant weights: {} values found, the conv has {}", found,
                                        conv.weights_elements()));
  return state_->compile(conv, &constants, options);
}

std::vector<Result<Kernel>> Engine::prepare(std::span<const ir::Conv> convs,
                                            const PrepareOptions& options) const {
  std::vector<Result<Kernel>> kernels(convs.size(), internal_error("prepare: not reached"));
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  size_t done = 0;
  const auto work = [&] {
    for (size_t i = next++; i < convs.size(); i = next++) {
      kernels[i] = without_exceptions([&] { return compile(convs[i], options.compile); });
      const std::lock_guard lock(mutex);
      ++done;
      if (options.progress) options.progress(done, convs.size());
    }
  };
  const size_t wanted = options.threads > 0 ? static_cast<size_t>(options.threads)
                                            : std::max(1U, std::thread::hardware_concurrency());
  std::vector<std::thread> threads;
  try {
    while (threads.size() + 1 < std::min(wanted, convs.size())) threads.emplace_back(work);
  } catch (const std::exception&) {  // fewer threads do it too
  }
  work();
  for (std::thread& thread : threads) thread.join();
  return kernels;
}

void Engine::clear_cache() const {
  state_->requests.clear();
  state_->kernels.clear();
}

EngineStats Engine::stats() const {
  const KernelCache::Stats requests = state_->requests.stats();
  const KernelCache::Stats kernels = state_->kernels.stats();
  return {requests.hits + kernels.hits,
          kernels.misses,
          requests.evictions,
          requests.entries,
          requests.bytes,
          state_->store_hits,
          state_->compiles,
          static_cast<double>(state_->compile_ns) * 1e-9};
}

Status Engine::store_status() const {
  return state_->maker == nullptr ? Status() : state_->maker->store_status();
}

std::string Engine::target_description() const {
  return state_->maker == nullptr ? "generic " + generic::isa_name()
                                  : state_->maker->target_description();
}

}  // namespace convgen
