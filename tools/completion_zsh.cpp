// SPDX-License-Identifier: Apache-2.0
// For zsh: a function for compinit, built on _arguments.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tools/completion.h"
#include "tools/help.h"

namespace convgen::tool {
namespace {

constexpr const char* kConvFunction = R"(
# @FILE; a convolution's text cannot be guessed.
_convgen_conv() {
  if compset -P '@'; then
    _files
  else
    compadd -S '' -- @
  fi
}
)";

// Text inside single quotes and brackets of an _arguments spec.
std::string escape(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\'') {
      escaped += "'\\''";
      continue;
    }
    if (c == '[' || c == ']' || c == ':' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

// ":NAME:ACTION" of _arguments.
std::string print_value(const OptionModel& option) {
  const std::string message = escape(option.value);
  const std::string words = fmt::format("{}", fmt::join(completions_of(option), " "));
  switch (value_kind(option)) {
    case ValueKind::kNone:
      return "";
    case ValueKind::kWords:
      return option.is_list ? fmt::format(":{0}:_values -s , {0} {1}", message, words)
                            : fmt::format(":{}:({})", message, words);
    case ValueKind::kFile: {
      const std::string suffix = file_suffix(option);
      return fmt::format(":{}:_files{}", message, suffix.empty() ? "" : " -g \"*" + suffix + "\"");
    }
    case ValueKind::kDirectory:
      return fmt::format(":{}:_files -/", message);
    case ValueKind::kConv:
      return fmt::format(":{}:_convgen_conv", message);
    case ValueKind::kOther:
      return fmt::format(":{}: ", message);
  }
  return "";
}

// One spec a name: '--threads=[help]:N: '.
std::string print_specs(const CommandModel& command, const std::string& indent) {
  std::string text;
  for (const OptionModel& option : command.options) {
    for (const std::string& name : option.names) {
      const bool is_long = name.starts_with("--");
      const char* join = option.value.empty() ? "" : is_long ? "=" : "+";
      text += fmt::format("{}'{}{}[{}]{}' \\\n", indent, name, join, escape(describe(option)),
                          print_value(option));
    }
  }
  for (const OptionModel& argument : command.arguments)
    text += fmt::format("{}'{}{}' \\\n", indent, argument.is_repeatable ? "*" : "",
                        print_value(argument));
  text.resize(text.size() - 3);  // the last backslash
  return text + "\n";
}

}  // namespace

std::string print_zsh_completion(const ToolModel& tool) {
  std::string names, cases;
  for (const CommandModel& command : tool.commands) {
    names += fmt::format("        '{}:{}'\n", command.name, escape(command.help));
    cases += fmt::format("        {})\n          _arguments \\\n{}          ;;\n", command.name,
                         print_specs(command, "            "));
  }
  std::string own = print_specs(tool.self, "    ");
  own.resize(own.size() - 1);
  return fmt::format(
      "#compdef convgen\n# zsh completion for convgen, printed by `convgen completion zsh`\n{}\n"
      "_convgen() {{\n  local context state state_descr line\n  typeset -A opt_args\n"
      "  _arguments -C \\\n{} \\\n    '1: :->command' \\\n    '*:: :->arguments'\n"
      "  case $state in\n    command)\n      local -a commands=(\n{}      )\n"
      "      _describe -t commands 'convgen command' commands\n      ;;\n"
      "    arguments)\n      case $words[1] in\n{}      esac\n      ;;\n  esac\n}}\n\n"
      "# Sourced, it registers itself; from a folder of $fpath, compinit has done so and it runs.\n"
      "if [[ $funcstack[1] == _convgen ]]; then\n  _convgen \"$@\"\nelse\n"
      "  compdef _convgen convgen\nfi\n",
      kConvFunction, own, names, cases);
}

}  // namespace convgen::tool
