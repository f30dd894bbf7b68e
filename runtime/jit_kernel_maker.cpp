// SPDX-License-Identifier: Apache-2.0
#include "runtime/jit_kernel_maker.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "codegen/compile.h"
#include "codegen/cpu_stopwatch.h"
#include "codegen/packed_layout.h"
#include "codegen/select_schedule.h"
#include "ir/text.h"
#include "runtime/cache_directory.h"
#include "runtime/dump.h"
#include "runtime/engine_state.h"
#include "runtime/environment.h"
#include "runtime/generic_kernel.h"
#include "runtime/jit_profile.h"
#include "runtime/kernel_symbol.h"
#include "runtime/request_key.h"
#include "runtime/sanitizer.h"

namespace convgen {
namespace {

using codegen::Schedule;
using codegen::Stage;

// The cache's key: everything that can change the bytes.
std::string cache_key(const ir::Conv& conv, const ConstantWeights* constants,
                      const Schedule& schedule, const codegen::Target& target) {
  return fmt::format("{}|{}|{}|llvm {}|generator {}", ir::print_conv(conv),
                     codegen::print_schedule(schedule), target.key(), codegen::llvm_version(),
                     codegen::kCodeGeneratorVersion) +
         key_of(constants);
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

// The CPU that the option names, else the variable; the host must be able to run its code.
Result<codegen::Target> choose_target(const EngineOptions& options) {
  auto host = codegen::host_target();
  if (!host) return host.status();
  auto target = codegen::make_target(
      "", options.mcpu.empty() ? environment("CONVGEN_MCPU") : options.mcpu, "");
  if (!target) return target.status();
  if (Status status = codegen::check_runs_on(*target, *host); !status.ok()) return status;
  return target;
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

Result<Engine> Engine::create(const EngineOptions& options) {
  auto maker = JitKernelMaker::create(options);
  if (!maker) return maker.status();
  auto state = EngineState::create(options, *std::move(maker));
  if (!state) return state.status();
  return Engine(*std::move(state));
}

Result<std::unique_ptr<JitKernelMaker>> JitKernelMaker::create(const EngineOptions& options) {
  std::unique_ptr<JitKernelMaker> maker(new JitKernelMaker);
  auto target = choose_target(options);
  if (!target) return target.status();
  codegen::warm_up(*target);  // an engine may compile in the background until it is destroyed
  maker->target = std::move(*target);
  auto profile = open_profile(options);
  if (!profile) return profile.status();
  maker->session = JitSession::create(*std::move(profile));
  maker->verbose_ = !environment("CONVGEN_VERBOSE").empty();
  auto tuning = read_tuning(options, maker->verbose_);
  if (!tuning) return tuning.status();
  maker->tuning = std::move(*tuning);
  maker->dump_dir_ = environment("CONVGEN_DUMP_DIR");
  auto store = open_store(options, maker->verbose_);
  if (!store) return store.status();
  maker->store = std::move(*store);
  return maker;
}

JitKernelMaker* JitKernelMaker::of(const Engine& engine) {
  return dynamic_cast<JitKernelMaker*>(engine.state().maker.get());
}

// The tuned schedule, else the selected one, and the words given by hand over it. Tuning knows no
// constant weights.
Result<Schedule> JitKernelMaker::choose_schedule(const ir::Conv& conv,
                                                 const ConstantWeights* constants,
                                                 const CompileOptions& options) const {
  std::optional<Schedule> base;
  if (constants == nullptr) base = tuning.find_schedule(conv, options.threads, target);
  if (!base) base = codegen::select_schedule(conv, target, options.threads, constants).schedule;
  return codegen::refine_schedule(*base, options.schedule, conv, target, constants);
}

Result<KernelRecipe> JitKernelMaker::plan(const ir::Conv& conv, const SharedConstants& constants,
                                          const CompileOptions& options) {
  const codegen::CpuStopwatch select;
  const auto schedule = choose_schedule(conv, constants.get(), options);
  if (!schedule) return schedule.status();
  KernelRecipe recipe;
  recipe.key = cache_key(conv, constants.get(), *schedule, target);
  recipe.make = [this, conv, constants, schedule = *schedule,
                 select_ms = select.ms()](const KernelCheck& check) {
    return make(conv, constants, schedule, check, select_ms);
  };
  return recipe;
}

// resource_exhausted from the linker means that the process may not have executable memory; the
// generic path takes over.
Result<Kernel> JitKernelMaker::make(const ir::Conv& conv, const SharedConstants& constants,
                                    const Schedule& schedule, const KernelCheck& check,
                                    double select_ms) {
  const codegen::CpuStopwatch total;
  auto state = make_jit_state(conv, schedule);
  state->verbose = verbose_;
  if (constants != nullptr) hold_constants(*state, constants);
  if (state->tasks == 0) return Kernel(state);
  state->stats.select_ms = select_ms;
  const StoreKey key = store_key(conv, constants.get(), state->schedule, target);
  if (link_stored(key, state, check)) return Kernel(state);
  auto object = compile_object(schedule, *state);
  if (!object) return object.status();
  if (Status status = link_object(*object, *state); !status.ok())
    return make_generic_kernel(conv, constants, verbose_, status, check);
  state->stats.total_ms = select_ms + total.ms();
  if (Status status = check(Kernel(state)); !status.ok()) return status;
  store->put(key, *object);
  return Kernel(state);
}

// True where state's code is now the object that the store has for key.
bool JitKernelMaker::link_stored(const StoreKey& key, const std::shared_ptr<KernelState>& state,
                                 const KernelCheck& check) {
  const codegen::CpuStopwatch total;
  const auto object = store->find(key);
  if (!object || !link_object(*object, *state).ok()) return false;
  state->stats.total_ms = state->stats.select_ms + total.ms();
  state->stats.from_store = check(Kernel(state)).ok();
  return state->stats.from_store;
}

Result<std::string> JitKernelMaker::compile_object(const Schedule& schedule, KernelState& state) {
  codegen::CompileTimes times;
  auto object = codegen::compile(
      Stage::kObject, state.conv, schedule, target,
      {.constants = state.constants.get(), .machines = &machines, .instrument = kKernelInstrument},
      &times);
  state.stats.emit_ms = times.emit_ms;
  state.stats.passes_ms = times.passes_ms;
  state.stats.codegen_ms = times.codegen_ms;
  if (object.ok() && !dump_dir_.empty())
    dump_kernel(dump_dir_, state.conv, schedule, target, *object, state.constants.get());
  return object;
}

Status JitKernelMaker::link_object(const std::string& object, KernelState& state) {
  const codegen::CpuStopwatch link;
  const std::string symbol = session->is_profiled()
                                 ? print_symbol(print_signature(state.conv, state.constants.get()))
                                 : "";
  auto code = session->link(object, codegen::kDefaultFunctionName, symbol);
  if (!code) return code.status();
  state.function = (*code)->function();
  state.code = std::shared_ptr<const LoadedCode>(*std::move(code));
  state.stats.link_ms = link.ms();
  state.stats.code_bytes = object.size();
  return Status();
}

}  // namespace convgen
