// SPDX-License-Identifier: Apache-2.0
// What every command is made of: how it joins the app, what it returns, and the options and
// helpers that several share. Each cmd_NAME.cpp defines its add_NAME and nothing else public.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "ir/conv.h"
#include "ir/status.h"
#include "runtime/engine.h"
#include "tools/command_model.h"
#include "tools/help.h"
#include "tools/style.h"

namespace convgen::tool {

// Exit codes. A command that cannot do what was asked returns a Status instead, for kBadRequest.
inline constexpr int kDone = 0;
inline constexpr int kCheckFailed = 1;
inline constexpr int kBadRequest = 2;
using Outcome = Result<int>;

// Adds a subcommand to app; when it is the one asked for, it runs as app parses and leaves its
// outcome behind. outcome must outlive app.
void add_emit(CLI::App& app, Outcome& outcome);
void add_bundle(CLI::App& app, Outcome& outcome);
void add_run(CLI::App& app, Outcome& outcome);
void add_verify(CLI::App& app, Outcome& outcome);
void add_bench(CLI::App& app, Outcome& outcome);
void add_tune(CLI::App& app, Outcome& outcome);
void add_explain(CLI::App& app, Outcome& outcome);
void add_cache(CLI::App& app, Outcome& outcome);
void add_import(CLI::App& app, Outcome& outcome);
void add_info(CLI::App& app, Outcome& outcome);
void add_completion(CLI::App& app, Outcome& outcome);
void add_man(CLI::App& app, Outcome& outcome);
void add_help(CLI::App& app, Outcome& outcome);

// The sections of `convgen --help`, for CLI::App::group.
inline constexpr const char* kCodeGroup = "make code and look at it";
inline constexpr const char* kComputeGroup = "compute and check";
inline constexpr const char* kMeasureGroup = "measure";
inline constexpr const char* kMachineGroup = "the machine, and what is kept on it";
inline constexpr const char* kHelpGroup = "help";

// --- Shared options ---

inline constexpr const char* kConvHelp = "conv text, benchdnn text, @FILE (one a line), or -";

// --threads N; resolve_threads turns it into a number: the option, else CONVGEN_NUM_THREADS, else
// 1. Errors: invalid_argument for a bad variable.
void add_threads(CLI::App& command, int& threads);
Result<int> resolve_threads(int threads);

// --seconds T, or by another name, with T in [0, 3600].
void add_seconds(CLI::App& command, double& seconds, const std::string& name = "--seconds");

// An option that takes a whole number >= 0.
CLI::Option* add_count(CLI::App& command, const std::string& name, uint64_t& count,
                       const std::string& help);

// --mcpu CPU; see resolve_mcpu.
void add_mcpu(CLI::App& command, std::string& mcpu);

// --schedule WORDS.
CLI::Option* add_schedule(CLI::App& command, std::string& schedule);

// --engine NAME of `names`.
void add_engine(CLI::App& command, std::string& engine, const std::vector<std::string>& names);

// The CPU to generate code for: mcpu, else CONVGEN_MCPU, else empty: the host.
std::string resolve_mcpu(const std::string& mcpu);

// --- Printing ---

// Writes to standard output. A failure is kept by the stream: see check_output.
void print(std::string_view text);
// Flushes. Errors: io_error where the reader is gone or the disk is full.
Status check_output();
// A remark on standard error: "convgen: note: TEXT".
void print_note(std::string_view text);

// One line. Names come from the user and may hold bytes that are no UTF-8.
std::string json_line(const nlohmann::ordered_json& json);

// "3x3x64x128"; "scalar" for no dims.
std::string print_dims(const std::vector<int64_t>& dims);

// Progress on a terminal's standard error, silent elsewhere. Erased at the end, and to be cleared
// before anything else is printed.
class Progress {
 public:
  explicit Progress(std::string_view what) : what_(what), shown_(is_capable_terminal(stderr)) {}
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void show(uint64_t done, uint64_t total);
  // "HEAD [####....] TAIL", as much of it as a line of the terminal holds.
  void show_bar(std::string_view head, int done, int total, std::string_view tail);
  void clear();

 private:
  std::string what_;
  bool shown_;
  bool dirty_ = false;
};

// --- Convolutions ---

// Ok where the tensors fit the machine's memory. A Conv may describe any size, and Linux grants
// memory it does not have, then kills who touches it. Errors: resource_exhausted.
Status check_memory(const ir::Conv& conv);

// Notes on standard error that a jit kernel had to fall back to the generic path.
void note_fallback(EngineKind asked, const std::string& engine_name);

// Warns on standard error where engine could not keep its kernels on disk, or was not to.
void warn_of_store(const Engine& engine);

}  // namespace convgen::tool
