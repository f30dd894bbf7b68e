// SPDX-License-Identifier: Apache-2.0
// Engines of the C interface: compiling, caches. How one is made: c_api_create.cpp.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "runtime/c_api_support.h"

namespace convgen::c_api {
namespace {

Result<PrepareOptions> to_prepare_options(const convgen_prepare_options* given) {
  convgen_prepare_options said = CONVGEN_PREPARE_OPTIONS_INIT;
  Status status = read_struct(given, "options", said);
  if (status.ok()) status = check_at_least("options.threads", said.threads, 0);
  if (!status.ok()) return status;
  auto compile = to_compile_options(said.compile, "options.compile");
  if (!compile) return compile.status();
  PrepareOptions options;
  options.compile = *std::move(compile);
  options.threads = said.threads;
  if (said.progress != nullptr)
    options.progress = [progress = said.progress, context = said.context](size_t done, size_t all) {
      progress(context, done, all);
    };
  return options;
}

Result<std::vector<ir::Conv>> to_convs(const convgen_conv* const* convs, size_t count) {
  std::vector<ir::Conv> result;
  result.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    if (convs[i] == nullptr) return missing(fmt::format("convs[{}]", i).c_str());
    result.push_back(convs[i]->conv);
  }
  return result;
}

// What came of each conv, ready to be handed out without another allocation.
struct Prepared {
  std::vector<std::unique_ptr<convgen_kernel>> kernels;
  std::vector<convgen_status> statuses;
  Status first_failure;
};

Prepared to_prepared(std::vector<Result<Kernel>> results) {
  Prepared prepared;
  for (Result<Kernel>& result : results) {
    const Status status = result.status();
    if (!status.ok() && prepared.first_failure.ok())
      prepared.first_failure = Status(
          status.code(), fmt::format("convs[{}]: {}", prepared.kernels.size(), status.message()));
    prepared.statuses.push_back(static_cast<convgen_status>(status.code()));
    prepared.kernels.push_back(std::unique_ptr<convgen_kernel>(
        status.ok() ? new convgen_kernel{*std::move(result)} : nullptr));
  }
  return prepared;
}

convgen_engine_stats to_c(const EngineStats& stats) {
  convgen_engine_stats c = CONVGEN_ENGINE_STATS_INIT;
  c.hits = stats.hits;
  c.misses = stats.misses;
  c.evictions = stats.evictions;
  c.kernels = stats.kernels;
  c.bytes = stats.bytes;
  c.store_hits = stats.store_hits;
  c.compiles = stats.compiles;
  c.compile_seconds = stats.compile_seconds;
  return c;
}

}  // namespace

Result<CompileOptions> to_compile_options(const convgen_compile_options* given, const char* name) {
  convgen_compile_options said = CONVGEN_COMPILE_OPTIONS_INIT;
  Status status = read_struct(given, name, said);
  if (status.ok()) status = check_choice("options.engine", said.engine, 2);
  if (status.ok()) status = check_choice("options.mode", said.mode, 3);
  if (status.ok()) status = check_at_least("options.threads", said.threads, 1);
  if (status.ok()) status = check_at_least("options.deadline_ms", said.deadline_ms, 0);
  if (!status.ok()) return status;
  constexpr CompileMode kModes[] = {CompileMode::kBlocking, CompileMode::kGenericFirst,
                                    CompileMode::kNever};
  return CompileOptions{
      .engine = said.engine == CONVGEN_ENGINE_JIT ? EngineKind::kJit : EngineKind::kGeneric,
      .schedule = text_or_empty(said.schedule),
      .threads = said.threads,
      .mode = kModes[said.mode],
      .deadline = std::chrono::milliseconds(said.deadline_ms)};
}

}  // namespace convgen::c_api

using namespace convgen;
using namespace convgen::c_api;

convgen_status convgen_engine_copy(const convgen_engine* engine, convgen_engine** copy) noexcept {
  clear(copy);
  return guarded({{engine, "engine"}, {copy, "copy"}}, [&] {
    *copy = new convgen_engine(*engine);
    return Status();
  });
}

void convgen_engine_free(convgen_engine* engine) noexcept { delete engine; }

convgen_status convgen_engine_compile(const convgen_engine* engine, const convgen_conv* conv,
                                      const convgen_compile_options* options,
                                      convgen_kernel** kernel) noexcept {
  clear(kernel);
  return guarded({{engine, "engine"}, {conv, "conv"}, {kernel, "kernel"}}, [&] {
    const auto said = to_compile_options(options, "options");
    if (!said.ok()) return said.status();
    return hand_out(engine->engine.compile(conv->conv, *said), kernel);
  });
}

convgen_status convgen_engine_compile_text(const convgen_engine* engine, const char* text,
                                           const convgen_compile_options* options,
                                           convgen_kernel** kernel) noexcept {
  clear(kernel);
  return guarded({{engine, "engine"}, {text, "text"}, {kernel, "kernel"}}, [&] {
    const auto said = to_compile_options(options, "options");
    if (!said.ok()) return said.status();
    return hand_out(engine->engine.compile(text, *said), kernel);
  });
}

convgen_status convgen_engine_compile_constant(const convgen_engine* engine,
                                               const convgen_conv* conv, const float* weights,
                                               size_t count, int32_t assume_finite,
                                               const convgen_compile_options* options,
                                               convgen_kernel** kernel) noexcept {
  clear(kernel);
  return guarded(
      {{engine, "engine"}, {conv, "conv"}, {weights, "weights"}, {kernel, "kernel"}}, [&] {
        const auto said = to_compile_options(options, "options");
        if (!said.ok()) return said.status();
        const auto known = static_cast<size_t>(conv->conv.weights_elements());
        if (count != known)  // before so many are read
          return invalid_argument(
              fmt::format("count: {} constant weights found, the conv has {}", count, known));
        const ConstantWeights constants{{weights, weights + count}, assume_finite != 0};
        return hand_out(engine->engine.compile(conv->conv, constants, *said), kernel);
      });
}

convgen_status convgen_engine_prepare(const convgen_engine* engine,
                                      const convgen_conv* const* convs, size_t count,
                                      const convgen_prepare_options* options,
                                      convgen_kernel** kernels, convgen_status* statuses) noexcept {
  if (kernels != nullptr) std::fill_n(kernels, count, nullptr);
  bool known = false;
  const convgen_status result = guarded({{engine, "engine"}}, [&] {
    if (convs == nullptr && count > 0) return missing("convs");
    if (kernels == nullptr && count > 0) return missing("kernels");
    const auto said = to_prepare_options(options);
    if (!said.ok()) return said.status();
    const auto wanted = to_convs(convs, count);
    if (!wanted.ok()) return wanted.status();
    Prepared prepared = to_prepared(engine->engine.prepare(*wanted, *said));
    for (size_t i = 0; i < count; ++i) kernels[i] = prepared.kernels[i].release();
    if (statuses != nullptr) std::ranges::copy(prepared.statuses, statuses);
    known = true;
    return prepared.first_failure;
  });
  if (!known && statuses != nullptr) std::fill_n(statuses, count, result);
  return result;
}

convgen_status convgen_engine_clear_cache(const convgen_engine* engine) noexcept {
  return guarded({{engine, "engine"}}, [&] {
    engine->engine.clear_cache();
    return Status();
  });
}

convgen_status convgen_engine_get_stats(const convgen_engine* engine,
                                        convgen_engine_stats* stats) noexcept {
  return guarded({{engine, "engine"}, {stats, "stats"}},
                 [&] { return write_struct(to_c(engine->engine.stats()), "stats", stats); });
}

convgen_status convgen_engine_store_status(const convgen_engine* engine) noexcept {
  return guarded({{engine, "engine"}}, [&] { return engine->engine.store_status(); });
}

convgen_status convgen_engine_target(const convgen_engine* engine, const char** target) noexcept {
  clear(target);
  return guarded({{engine, "engine"}, {target, "target"}}, [&] {
    *target = engine->target.c_str();
    return Status();
  });
}
