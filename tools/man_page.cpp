// SPDX-License-Identifier: Apache-2.0
// Commands, options and examples come from the model; what no option says stands here.
#include "tools/man_page.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tools/help.h"

namespace convgen::tool {
namespace {

struct Entry {
  const char* name;
  const char* text;
};

constexpr Entry kConvForms[] = {
    {"'conv2d src=f32:nhwc:1x56x56x64 weights=f32:hwio:3x3x64x64 pads=same post=bias,relu'",
     "conv text: the operation, then words key=value in any order"},
    {"mb1ic3ih224oc64oh112kh7sh2ph3", "the problem text of oneDNN's benchdnn"},
    {"@FILE", "a file with one convolution a line; # begins a comment"},
    {"-", "standard input, as @- is; in the place of other files too"},
};

constexpr Entry kEnvironment[] = {
    {"CONVGEN_MCPU", "the CPU to compile for, where --mcpu is not given"},
    {"CONVGEN_NUM_THREADS", "threads, where --threads is not given; else 1"},
    {"CONVGEN_VERBOSE", "a CSV line per compile, per load from disk and per run on standard error"},
    {"CONVGEN_CACHE_DIR",
     "where kernels and the tuning file are kept; empty: nowhere; else $XDG_CACHE_HOME/convgen or "
     "~/.cache/convgen"},
    {"CONVGEN_CACHE_MAX_BYTES", "bounds the kernels kept on disk; else 256 MiB"},
    {"CONVGEN_DUMP_DIR",
     "where every compile leaves its stages; kernels on disk are not used then"},
    {"CONVGEN_JIT_PROFILE",
     "which of perf-map, jitdump, gdb are told of kernels; with commas, or all"},
    {"NO_COLOR", "not empty: no colours"},
    {"CLICOLOR_FORCE", "not empty and not 0: colours in a pipe too, unless NO_COLOR says no"},
};

constexpr Entry kExitCodes[] = {
    {"0", "done"},
    {"1", "a check failed, or Ctrl-C ended tune"},
    {"2",
     "the request was wrong: one line on standard error says what was found, what was "
     "expected and where; no output file is written or changed"},
};

// Text as roff prints it again: no hyphenation of options, no line that begins with a macro.
std::string escape(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\\') {
      escaped += "\\e";
    } else if (c == '-') {
      escaped += "\\-";
    } else if (c == '\'') {
      escaped += "\\(aq";
    } else if (c == '`') {
      escaped += "\\(ga";
    } else if (c == '^' || c == '~') {
      escaped += c == '^' ? "\\(ha" : "\\(ti";
    } else {
      escaped += c;
    }
  }
  return escaped.starts_with('.') ? "\\&" + escaped : escaped;
}

std::string print_entry(const std::string& name, const std::string& text) {
  return fmt::format(".TP\n\\fB{}\\fR\n{}\n", escape(name), escape(text));
}

template <size_t N>
std::string print_section(const char* title, const Entry (&entries)[N]) {
  std::string text = fmt::format(".SH {}\n", title);
  for (const Entry& entry : entries) text += print_entry(entry.name, entry.text);
  return text;
}

// ".TP", bold names, the value in italics, what it does.
std::string print_option(const OptionModel& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.names)
    names.push_back(fmt::format("\\fB{}\\fR", escape(name)));
  const bool is_argument = !option.names.front().starts_with('-');
  const std::string value =
      is_argument || option.value.empty() ? "" : fmt::format(" \\fI{}\\fR", escape(option.value));
  return fmt::format(".TP\n{}{}\n{}\n", fmt::join(names, ", "), value, escape(describe(option)));
}

std::string print_examples(const CommandModel& command) {
  std::string text = ".RS\n.nf\n";
  for (const std::string& line : command.examples) text += escape(line) + "\n";
  return text + ".fi\n.RE\n";
}

std::string print_command(const CommandModel& command) {
  std::string text =
      fmt::format(".SS {}\n{}.\n.PP\n\\fB{}\\fR\n", escape(command.name), escape(command.help),
                  escape(print_usage(command, "convgen " + command.name)));
  for (const OptionModel& argument : command.arguments) text += print_option(argument);
  for (const OptionModel& option : command.options) text += print_option(option);
  return text + ".PP\n" + print_examples(command);
}

}  // namespace

std::string print_man_page(const ToolModel& tool, const std::string& version) {
  std::string text = fmt::format(
      ".\\\" Printed by `convgen man`.\n.TH CONVGEN 1 \"\" \"convgen {}\" \"User Commands\"\n"
      ".SH NAME\nconvgen \\- {}\n"
      ".SH SYNOPSIS\n\\fBconvgen\\fR \\fICOMMAND\\fR [\\fIoptions\\fR] [\\fICONV\\fR...]\n"
      ".SH DESCRIPTION\n{}.\n"
      "Every size, stride, pad and post\\-op is a constant of that code.\n"
      "A command takes convolutions in these forms, each as one argument:\n",
      escape(version), escape("machine code made for exactly one convolution"),
      escape(tool.self.help));
  for (const Entry& form : kConvForms) text += print_entry(form.name, form.text);
  text += ".SH OPTIONS\n";
  for (const OptionModel& option : tool.self.options) text += print_option(option);
  text += ".SH COMMANDS\n";
  for (const std::vector<CommandModel>& group : by_group(tool.commands))
    for (const CommandModel& command : group) text += print_command(command);
  text += print_section("EXIT STATUS", kExitCodes);
  text += print_section("ENVIRONMENT", kEnvironment);
  text += ".SH EXAMPLES\n" + print_examples(tool.self);
  return text +
         ".SH SEE ALSO\nThe sources have docs/conv\\-ir.md on the text of convolutions, "
         "docs/tool.md "
         "on this command, docs/schedules.md, docs/tuning.md, docs/cache.md and "
         "docs/profiling.md.\n";
}

}  // namespace convgen::tool
