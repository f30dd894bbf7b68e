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
#include "tools/command_line_errors.h"

namespace convgen::tool {
namespace {

int fail(std::string message) {
  std::replace(message.begin(), message.end(), '\n', ' ');
  fmt::print(stderr, "convgen: {} {}\n", Style(stderr).bad("error:"), message);
  return kBadRequest;
}

// Beside the error, since a person who names no command wants to know them.
int fail_without_command(const CLI::App& app) {
  fail("no command is given, expected a subcommand");
  fmt::print(stderr, "\n{}", print_short_help(app, Style(stderr)));
  return kBadRequest;
}

void add_commands(CLI::App& app, Outcome& outcome) {
  app.formatter_fn([](const CLI::App* command, const std::string& name, CLI::AppFormatMode) {
    return print_help(*command, name, Style(stdout));
  });
  app.set_help_flag("-h,--help", "show this help");
  app.set_version_flag(
      "--version", fmt::format("convgen {} (llvm {})", CONVGEN_VERSION, codegen::llvm_version()),
      "show the versions of convgen and LLVM");
  app.require_subcommand(1);
  add_emit(app, outcome);
  add_bundle(app, outcome);
  add_run(app, outcome);
  add_verify(app, outcome);
  add_bench(app, outcome);
  add_tune(app, outcome);
  add_explain(app, outcome);
  add_cache(app, outcome);
  add_import(app, outcome);
  add_info(app, outcome);
  add_completion(app, outcome);
  add_man(app, outcome);
  add_help(app, outcome);
  // Last: a command begins with what the app has.
  set_examples(app, {"convgen verify 'conv2d src=f32:nhwc:1x56x56x64 weights=f32:hwio:3x3x64x64 "
                     "pads=same'"});
}

int run_tool(int argc, char** argv) {
  Outcome outcome = kDone;
  CLI::App app("convgen turns one convolution into machine code made for exactly that convolution",
               "convgen");
  add_commands(app, outcome);
  if (argc < 2) return fail_without_command(app);
  if (Status status = check_command(app, argc, argv); !status.ok()) return fail(status.message());
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0) return fail(explain(app, error));
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
