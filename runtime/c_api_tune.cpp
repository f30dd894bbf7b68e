// SPDX-License-Identifier: Apache-2.0
// Tuning by the C interface.
#include <memory>
#include <string>
#include <utility>

#include "runtime/c_api_support.h"

namespace convgen::c_api {
namespace {

// Phases and ends have the numbers that C programs know.
static_assert(static_cast<int>(TunePhase::kScreening) == CONVGEN_TUNE_SCREENING);
static_assert(static_cast<int>(TunePhase::kRacing) == CONVGEN_TUNE_RACING);
static_assert(static_cast<int>(TunePhase::kFinal) == CONVGEN_TUNE_FINAL);
static_assert(static_cast<int>(TuneEnd::kKept) == CONVGEN_TUNE_KEPT);
static_assert(static_cast<int>(TuneEnd::kBefore) == CONVGEN_TUNE_BEFORE);
static_assert(static_cast<int>(TuneEnd::kInterrupted) == CONVGEN_TUNE_INTERRUPTED);
static_assert(static_cast<int>(TuneEnd::kEmpty) == CONVGEN_TUNE_EMPTY);

TuneCallback to_callback(const convgen_tune_options& said) {
  if (said.progress == nullptr) return {};
  return [progress = said.progress, context = said.context](const TuneProgress& now) {
    return progress(context, static_cast<int32_t>(now.phase), now.done, now.total,
                    now.best_ratio) != 0;
  };
}

Result<TuneResult> tune(const Engine& engine, const ir::Conv& conv,
                        const convgen_tune_options* given) {
  convgen_tune_options said = CONVGEN_TUNE_OPTIONS_INIT;
  Status status = read_struct(given, "options", said);
  if (status.ok()) status = check_at_least("options.threads", said.threads, 1);
  if (status.ok()) status = check_at_least("options.candidates", said.candidates, 1);
  if (!status.ok()) return status;
  const TuneOptions options{.seconds = said.seconds,
                            .threads = said.threads,
                            .candidates = said.candidates,
                            .seed = said.seed,
                            .file = text_or_empty(said.file),
                            .again = said.again != 0};
  return tune_conv(engine, conv, options, to_callback(said));
}

convgen_tune_info info_of(const convgen_tune_result& handle) {
  const TuneResult& result = handle.result;
  convgen_tune_info info = CONVGEN_TUNE_INFO_INIT;
  info.schedule = result.schedule.c_str();
  info.default_schedule = result.default_schedule.c_str();
  info.runner_up = result.runner_up.c_str();
  info.failures = handle.failures.data();
  info.us = result.us;
  info.default_us = result.default_us;
  info.runner_up_us = result.runner_up_us;
  info.failure_count = static_cast<int32_t>(handle.failures.size());
  info.end = static_cast<int32_t>(result.end);
  info.candidates = result.candidates;
  info.timed = result.timed;
  info.known_slower = result.known_slower;
  return info;
}

}  // namespace
}  // namespace convgen::c_api

using namespace convgen;
using namespace convgen::c_api;

convgen_status convgen_engine_tune(const convgen_engine* engine, const convgen_conv* conv,
                                   const convgen_tune_options* options,
                                   convgen_tune_result** result) noexcept {
  clear(result);
  return guarded({{engine, "engine"}, {conv, "conv"}, {result, "result"}}, [&] {
    auto tuned = tune(engine->engine, conv->conv, options);
    if (!tuned.ok()) return tuned.status();
    std::unique_ptr<convgen_tune_result> handle(new convgen_tune_result{*std::move(tuned), {}});
    for (const std::string& failure : handle->result.failures)
      handle->failures.push_back(failure.c_str());
    *result = handle.release();
    return Status();
  });
}

convgen_status convgen_tune_result_get_info(const convgen_tune_result* result,
                                            convgen_tune_info* info) noexcept {
  return guarded({{result, "result"}, {info, "info"}},
                 [&] { return write_struct(info_of(*result), "info", info); });
}

void convgen_tune_result_free(convgen_tune_result* result) noexcept { delete result; }
