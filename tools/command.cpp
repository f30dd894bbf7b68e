// SPDX-License-Identifier: Apache-2.0
// The helpers that several commands share.
#include "tools/command.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

#include "tools/option_values.h"

namespace convgen::tool {
namespace {

constexpr int kMaxThreads = 1024;

}  // namespace

// --- Shared options ---

void add_threads(CLI::App& command, int& threads) {
  command.add_option("--threads", threads, "threads to run on, else CONVGEN_NUM_THREADS, else 1")
      ->check(whole_number(1, kMaxThreads))
      ->type_name("N");
}

Result<int> resolve_threads(int threads) {
  const char* variable = std::getenv("CONVGEN_NUM_THREADS");
  if (threads > 0) return threads;
  if (variable == nullptr || *variable == '\0') return 1;
  const char* end = variable + std::strlen(variable);
  const auto [stop, failure] = std::from_chars(variable, end, threads);
  if (failure == std::errc() && stop == end && threads >= 1 && threads <= kMaxThreads) {
    return threads;
  }
  return invalid_argument(
      fmt::format("CONVGEN_NUM_THREADS={}: expected a number in 1..{}", variable, kMaxThreads));
}

void add_seconds(CLI::App& command, double& seconds, const std::string& name) {
  // CLI::Range lets NaN pass.
  const auto in_range = [](const std::string& text) -> std::string {
    double value = -1;
    const bool read = CLI::detail::lexical_cast(text, value);
    return read && value >= 0 && value <= 3600 ? "" : text + ": expected seconds in 0..3600";
  };
  command.add_option(name, seconds, "seconds to measure each convolution")
      ->check(in_range, "0..3600")
      ->type_name("T")
      ->capture_default_str();
}

CLI::Option* add_count(CLI::App& command, const std::string& name, uint64_t& count,
                       const std::string& help) {
  return command.add_option(name, count, help)
      ->check(whole_number(0, UINT64_MAX))
      ->type_name("N")
      ->capture_default_str();
}

void add_engine(CLI::App& command, std::string& engine, const std::vector<std::string>& names) {
  command.add_option("--engine", engine, "what computes")
      ->check(one_of(names))
      ->type_name("NAME")
      ->capture_default_str();
}

void add_mcpu(CLI::App& command, std::string& mcpu) {
  command.add_option("--mcpu", mcpu, "CPU to compile for, else CONVGEN_MCPU, else the host")
      ->type_name("CPU");
}

CLI::Option* add_schedule(CLI::App& command, std::string& schedule) {
  return command
      .add_option("--schedule", schedule,
                  "schedule words that outrank the selected ones, in quotes: docs/schedules.md")
      ->type_name("WORDS");
}

std::string resolve_mcpu(const std::string& mcpu) {
  const char* variable = std::getenv("CONVGEN_MCPU");
  return mcpu.empty() && variable != nullptr ? variable : mcpu;
}

// --- Printing ---

void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

Status check_output() {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return Status();
  return io_error(fmt::format("cannot write standard output: {}", std::strerror(errno)));
}

void print_note(std::string_view text) {
  const char* over_progress = is_capable_terminal(stderr) ? "\r\033[K" : "";
  fmt::print(stderr, "{}convgen: {} {}\n", over_progress, Style(stderr).heading("note:"), text);
}

std::string json_line(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::string print_dims(const std::vector<int64_t>& dims) {
  return dims.empty() ? "scalar" : fmt::format("{}", fmt::join(dims, "x"));
}

void Progress::show(uint64_t done, uint64_t total) {
  if (!shown_) return;
  fmt::print(stderr, "\r{} {}/{}", what_, done, total);
  std::fflush(stderr);
  dirty_ = true;
}

void Progress::show_bar(std::string_view head, int done, int total, std::string_view tail) {
  if (!shown_) return;
  constexpr size_t kCells = 20;
  const auto full = static_cast<size_t>(std::clamp(done, 0, total)) * kCells /
                    static_cast<size_t>(std::max(total, 1));
  const std::string line = fmt::format("{} [{}{}] {}", head, std::string(full, '#'),
                                       std::string(kCells - full, '.'), tail);
  winsize size = {};
  const bool known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
  const size_t columns = known ? size.ws_col - 1u : 79u;  // the last one would wrap
  fmt::print(stderr, "\r\033[K{}", line.substr(0, columns));
  std::fflush(stderr);
  dirty_ = true;
}

void Progress::clear() {
  if (dirty_) fmt::print(stderr, "\r\033[K");
  dirty_ = false;
}

// --- Convolutions ---

Status check_memory(const ir::Conv& conv) {
  const double needed = 4.0 * (static_cast<double>(conv.src_elements()) +
                               static_cast<double>(conv.weights_elements()) +
                               static_cast<double>(conv.dst_elements()));
  const double present =
      static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGESIZE));
  if (needed <= present) return Status();
  return resource_exhausted(fmt::format(
      "src, weights and dst take {:.3g} bytes, this machine has {:.3g}", needed, present));
}

void note_fallback(EngineKind asked, const std::string& engine_name) {
  if (asked != EngineKind::kJit || engine_name == "jit") return;
  print_note(fmt::format("executable memory was refused, the {} path computes", engine_name));
}

void warn_of_store(const Engine& engine) {
  const char* verbose = std::getenv("CONVGEN_VERBOSE");
  if (engine.store_status().ok() || (verbose != nullptr && *verbose != '\0')) return;  // told by it
  fmt::print(stderr, "convgen: {} {}\n", Style(stderr).warning("warning:"),
             engine.store_status().message());
}

}  // namespace convgen::tool
