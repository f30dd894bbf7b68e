// SPDX-License-Identifier: Apache-2.0
// The command `convgen`: hands the arguments to the subcommands and turns whatever happens into
// one of three exit codes. What the commands do is in their cmd_*.cpp.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <exception>
#include <new>

#include "codegen/compile.h"
#include "tools/command.h"

namespace convgen::tool {
namespace {

int fail(std::string message) {
  std::replace(message.begin(), message.end(), '\n', ' ');
  fmt::print(stderr, "convgen: error: {}\n", message);
  return kBadRequest;
}

// CLI11 says "the following arguments were not expected" where the likely slip is unquoted text.
std::string explain_extras(const CLI::ExtrasError& error) {
  return fmt::format("{} (quote each convolution: convgen verify 'conv2d src=... weights=...')",
                     error.what());
}

// Ok where the first argument is an option or a command; CLI11 would not say what it expected.
Status check_command(const CLI::App& app, int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') return Status();
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
  if (std::ranges::find(names, argv[1]) != names.end()) return Status();
  return invalid_argument(
      fmt::format("unknown command '{}', expected one of {}", argv[1], fmt::join(names, ", ")));
}

void add_commands(CLI::App& app, Outcome& outcome) {
  app.set_version_flag(
      "--version", fmt::format("convgen {} (llvm {})", CONVGEN_VERSION, codegen::llvm_version()));
  app.require_subcommand(1);
  app.footer(
      "exit codes: 0 done, 1 a check failed, 2 the request was wrong\nexample:\n"
      "  convgen verify 'conv2d src=f32:nhwc:1x56x56x64 weights=f32:hwio:3x3x64x64 "
      "pads=same'");
  add_emit(app, outcome);
  add_bundle(app, outcome);
  add_run(app, outcome);
  add_verify(app, outcome);
  add_bench(app, outcome);
  add_tune(app, outcome);
  add_explain(app, outcome);
  add_cache(app, outcome);
  add_info(app, outcome);
}

int run_tool(int argc, char** argv) {
  Outcome outcome = kDone;
  CLI::App app("convgen turns one convolution into machine code made for exactly that convolution",
               "convgen");
  add_commands(app, outcome);
  if (Status status = check_command(app, argc, argv); !status.ok()) return fail(status.message());
  try {
    app.parse(argc, argv);
  } catch (const CLI::ExtrasError& error) {
    return fail(explain_extras(error));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0) return fail(error.what());
    app.exit(error);  // prints the help or the version
  }
  if (outcome.ok()) {
    if (Status status = check_output(); !status.ok()) outcome = status;
  }
  return outcome.ok() ? *outcome : fail(outcome.status().message());
}

}  // namespace
}  // namespace convgen::tool

int main(int argc, char** argv) {
  using convgen::tool::fail;
  // A reader that goes away shows as a failed write, with a message instead of a signal.
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return convgen::tool::run_tool(argc, argv);
  } catch (const std::bad_alloc&) {
    return fail("out of memory");
  } catch (const std::exception& error) {
    return fail(error.what());
  } catch (...) {
    return fail("an unknown exception, a bug in convgen");
  }
}
