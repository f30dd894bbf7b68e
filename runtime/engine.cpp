// SPDX-License-Identifier: Apache-2.0
#include "runtime/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>

#include "codegen/compile.h"
#include "codegen/cpu_stopwatch.h"
#include "codegen/packed_layout.h"
#include "codegen/select_schedule.h"
#include "ir/text.h"
#include "runtime/cache_directory.h"
#include "runtime/dump.h"
#include "runtime/engine_state.h"
#include "runtime/jit_profile.h"
#include "runtime/kernel_state.h"
#include "runtime/kernel_symbol.h"
#include "runtime/request_key.h"
#include "runtime/verify.h"

namespace convgen {
namespace {

using codegen::Schedule;
using codegen::Stage;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

class Timer {
 public:
  double ms() const {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start_)
        .count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// The tuned schedule, else the selected one, and the words given by hand over it. Tuning knows no
// constant weights.
Result<Schedule> choose_schedule(const ir::Conv& conv, const ConstantWeights* constants,
                                 const EngineState& state, const CompileOptions& options) {
  const codegen::Target& target = state.target;
  std::optional<Schedule> base;
  if (constants == nullptr) base = state.tuning.find_schedule(conv, options.threads, target);
  if (!base) base = codegen::select_schedule(conv, target, options.threads, constants).schedule;
  auto schedule = codegen::parse_schedule(options.schedule, *base);
  if (!schedule) return schedule;
  if (Status status = codegen::check_schedule(*schedule, conv, target, constants); !status.ok())
    return status;
  return schedule;
}

// Weights by value, as bytes: a key that held only a hash of them could be met by others.
std::string key_of(const ConstantWeights* constants) {
  if (constants == nullptr) return "";
  return fmt::format("|constants finite={} ", static_cast<int>(constants->assume_finite))
      .append(bytes_of(*constants));
}

// The cache's key: everything that can change the bytes.
std::string cache_key(const ir::Conv& conv, const SharedConstants& constants,
                      const std::string& how, const codegen::Target& target) {
  return fmt::format("{}|{}|{}|llvm {}|generator {}", ir::print_conv(conv), how, target.key(),
                     codegen::llvm_version(), codegen::kCodeGeneratorVersion) +
         key_of(constants.get());
}

StoreKey store_key(const ir::Conv& conv, const ConstantWeights* constants,
                   const std::string& schedule, const codegen::Target& target) {
  StoreKey key{ir::print_conv(conv), schedule, target.key()};
  if (constants != nullptr) {
    key.constants = bytes_of(*constants);
    key.assume_finite = constants->assume_finite;
  }
  return key;
}

// The table of options.tuning_file, which must be sound, or of the default file, which need not be.
Result<TuningTable> read_tuning(const EngineOptions& options, bool verbose) {
  if (!options.use_tuning) return TuningTable();
  if (!options.tuning_file.empty()) return TuningTable::read(options.tuning_file, true);
  auto table = TuningTable::read_default();
  if (table.ok()) return table;
  if (verbose)
    fmt::print(stderr, "convgen: warning: no tuned schedules: {}\n", table.status().message());
  return TuningTable();
}

// What the option says, else the variable.
Result<std::shared_ptr<JitProfile>> open_profile(const EngineOptions& options) {
  const bool given = !options.jit_profile.empty();
  auto kinds = given
                   ? parse_profile_kinds(options.jit_profile, "jit_profile")
                   : parse_profile_kinds(environment("CONVGEN_JIT_PROFILE"), "CONVGEN_JIT_PROFILE");
  if (!kinds) return kinds.status();
  return JitProfile::create(*kinds);
}

Result<std::unique_ptr<ObjectStore>> open_store(const EngineOptions& options, bool verbose) {
  std::string directory = options.cache_dir ? *options.cache_dir : default_cache_directory();
  if (!environment("CONVGEN_DUMP_DIR").empty()) directory = "";  // only a compilation has stages
  const Result<uint64_t> bytes =
      options.cache_max_bytes ? Result<uint64_t>(*options.cache_max_bytes) : default_store_bytes();
  if (!bytes) return bytes.status();
  return std::make_unique<ObjectStore>(directory, *bytes, verbose);
}

std::shared_ptr<KernelState> make_jit_state(const ir::Conv& conv, const Schedule& schedule) {
  auto state = std::make_shared<KernelState>();
  state->conv = conv;
  state->engine_name = "jit";
  state->schedule = codegen::print_schedule(schedule);
  state->tasks = conv.dst_elements() == 0 ? 0 : codegen::count_tasks(conv, schedule);
  const codegen::PackedLayout layout = codegen::packed_layout(conv, schedule);
  if (schedule.algorithm == codegen::Algorithm::kWinograd)
    state->summation.winograd_tile = schedule.output_tile;
  state->scratch_bytes = codegen::scratch_bytes(conv, schedule);
  state->packed_tag = codegen::packed_tag(conv, schedule);
  state->packed_elements = static_cast<size_t>(layout.elements());
  state->pack = [conv, layout](const float* weights, float* packed) {
    codegen::pack_weights(conv, layout, weights, packed);
  };
  return state;
}

}  // namespace

Status EngineState::link_object(const std::string& object, KernelState& state) {
  const codegen::CpuStopwatch link;
  auto code = session->link(object, codegen::kDefaultFunctionName,
                            print_symbol(print_signature(state.conv, state.constants.get())));
  if (!code) return code.status();
  state.code = std::move(*code);
  state.function = state.code->function();
  state.stats.link_ms = link.ms();
  state.stats.code_bytes = object.size();
  return Status();
}

// True where state's code is now the object that the store has for key.
bool EngineState::link_stored(const StoreKey& key, const std::shared_ptr<KernelState>& state) {
  const codegen::CpuStopwatch total;
  const auto object = store->find(key);
  if (!object || !link_object(*object, *state).ok()) return false;
  state->stats.total_ms = state->stats.select_ms + total.ms();
  state->stats.from_store = check_first_use(Kernel(state)).ok();
  return state->stats.from_store;
}

Result<std::string> EngineState::compile_object(const Schedule& schedule, KernelState& state) {
  codegen::CompileTimes times;
  auto object =
      codegen::compile(Stage::kObject, state.conv, schedule, target, codegen::kDefaultFunctionName,
                       &times, state.constants.get(), &machines);
  state.stats.emit_ms = times.emit_ms;
  state.stats.passes_ms = times.passes_ms;
  state.stats.codegen_ms = times.codegen_ms;
  if (object.ok() && !dump_dir.empty())
    dump_kernel(dump_dir, state.conv, schedule, target, *object, state.constants.get());
  return object;
}

// From the store, or compiled now. resource_exhausted from the linker means that the process may
// not have executable memory; the generic path takes over.
Result<Kernel> EngineState::make_jit_kernel(const ir::Conv& conv, const SharedConstants& constants,
                                            const Schedule& schedule, double select_ms) {
  const codegen::CpuStopwatch total;
  auto state = make_jit_state(conv, schedule);
  state->verbose = verbose;
  if (constants != nullptr) hold_constants(*state, constants);
  if (state->tasks == 0) return Kernel(state);
  state->stats.select_ms = select_ms;
  const StoreKey key = store_key(conv, constants.get(), state->schedule, target);
  if (link_stored(key, state)) return Kernel(state);
  auto object = compile_object(schedule, *state);
  if (!object) return object.status();
  if (Status status = link_object(*object, *state); !status.ok())
    return make_generic_kernel(conv, constants, status);
  state->stats.total_ms = select_ms + total.ms();
  if (Status status = check_first_use(Kernel(state)); !status.ok()) return status;
  store->put(key, *object);
  return Kernel(state);
}

Status EngineState::check_first_use(const Kernel& kernel) const {
  if (verify != VerifyMode::kFirstUse) return Status();
  auto report = verify_kernel(kernel);
  if (!report) return report.status();
  if (report->pass) return Status();
  return internal_error(fmt::format("verify: {}: {}", report->failure, kernel.signature()));
}

Result<std::shared_ptr<KernelState>> EngineState::make_generic(const ir::Conv& conv,
                                                               const SharedConstants& constants) {
  const codegen::CpuStopwatch timer;
  auto state = make_generic_state(conv);
  if (constants != nullptr) {
    auto packed = Kernel(state).pack(constants->values.data());
    if (!packed) return packed.status();
    state->packed_constants = std::move(*packed);
    hold_constants(*state, constants);
  }
  state->verbose = verbose;
  state->stats.total_ms = timer.ms();
  return state;
}

// The generic path; `why` where machine code was asked for.
Result<Kernel> EngineState::make_generic_kernel(const ir::Conv& conv,
                                                const SharedConstants& constants,
                                                const Status& why) {
  auto state = make_generic(conv, constants);
  if (!state) return state.status();
  (*state)->compile_status = why;
  if (Status status = check_first_use(Kernel(*state)); !status.ok()) return status;
  return Kernel(*std::move(state));
}

Result<Kernel> EngineState::make_kernel(const ir::Conv& conv, const SharedConstants& constants,
                                        const CompileOptions& options, const Schedule& schedule,
                                        double select_ms) {
  const Timer timer;
  const Result<Kernel> kernel = options.engine == EngineKind::kJit
                                    ? make_jit_kernel(conv, constants, schedule, select_ms)
                                    : make_generic_kernel(conv, constants, Status());
  const double ms = kernel.ok() ? kernel->compile_stats().total_ms : timer.ms();
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

Result<Engine> Engine::create(const EngineOptions& options) {
  auto state = std::make_shared<EngineState>(options.memory_max_bytes);
  const std::string mcpu = options.mcpu.empty() ? environment("CONVGEN_MCPU") : options.mcpu;
  auto host = codegen::host_target();
  if (!host) return host.status();
  auto target = codegen::make_target("", mcpu, "");
  if (!target) return target.status();
  if (Status status = codegen::check_runs_on(*target, *host); !status.ok()) return status;
  codegen::warm_up(*target);  // an engine may compile in the background until it is destroyed
  auto profile = open_profile(options);
  if (!profile) return profile.status();
  state->target = std::move(*target);
  state->session = JitSession::create(*std::move(profile));
  state->verify = options.verify;
  state->verbose = !environment("CONVGEN_VERBOSE").empty();
  auto tuning = read_tuning(options, state->verbose);
  if (!tuning) return tuning.status();
  state->tuning = std::move(*tuning);
  state->dump_dir = environment("CONVGEN_DUMP_DIR");
  auto store = open_store(options, state->verbose);
  if (!store) return store.status();
  state->store = std::move(*store);
  return Engine(state);
}

Result<Kernel> EngineState::compile_blocking(const ir::Conv& conv, const SharedConstants& constants,
                                             const CompileOptions& options) {
  const codegen::CpuStopwatch select;
  Schedule schedule;
  std::string how = "generic";
  if (options.engine == EngineKind::kJit) {
    auto chosen = choose_schedule(conv, constants.get(), *this, options);
    if (!chosen) return chosen.status();
    schedule = *chosen;
    how = codegen::print_schedule(schedule);
  }
  const double select_ms = select.ms();
  return kernels.get_or_make(cache_key(conv, constants, how, target), [&] {
    return make_kernel(conv, constants, options, schedule, select_ms);
  });
}

namespace {

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

// The generic path, which the queue's thread turns into machine code.
Result<Kernel> EngineState::compile_in_background(const ir::Conv& conv,
                                                  const SharedConstants& constants,
                                                  const CompileOptions& options) {
  if (!options.schedule.empty()) {  // a wrong word is the caller's to hear of, now
    if (auto chosen = choose_schedule(conv, constants.get(), *this, options); !chosen)
      return chosen.status();
  }
  auto made = make_generic(conv, constants);
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
  if (jit && options.mode == CompileMode::kNever) {
    CompileOptions generic = options;
    generic.engine = EngineKind::kGeneric;
    return compile(conv, constants, generic);
  }
  auto kernel = requests.get_or_make(key.view(), [&] {
    SharedConstants shared;
    if (constants != nullptr) shared = std::make_shared<const ConstantWeights>(*constants);
    return jit && options.mode == CompileMode::kGenericFirst
               ? compile_in_background(conv, shared, options)
               : compile_blocking(conv, shared, options);
  });
  if (!kernel.ok()) return kernel;
  return when_decided(*std::move(kernel), options);
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

Status Engine::store_status() const { return state_->store->status(); }

std::string Engine::target_description() const { return state_->target.key(); }

}  // namespace convgen
