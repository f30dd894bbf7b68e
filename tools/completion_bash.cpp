// SPDX-License-Identifier: Apache-2.0
// For bash, without the package bash-completion: two tables, and a function that looks words up.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tools/completion.h"

namespace convgen::tool {
namespace {

// bash has made words of their own of "=" and "@" (COMP_WORDBREAKS). It replaces what is behind the
// "=", but the "@" too.
constexpr const char* kFunctions = R"bash(
_convgen() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
  local command='' option='' values='' at
  for ((at = 1; at < COMP_CWORD; at++)); do
    if [[ -n $(_convgen_options "${COMP_WORDS[at]:--}") ]]; then
      command=${COMP_WORDS[at]}
      break
    fi
  done
  if [[ $current == '=' ]]; then
    option=$previous current=''
  elif [[ $previous == '=' ]]; then
    option=${COMP_WORDS[COMP_CWORD-2]}
  elif [[ $previous == -* ]]; then
    option=$previous
  fi
  [[ -n $option ]] && values=$(_convgen_values "$command:$option")
  if [[ -z $values && $current == -?* || -z $values && $current == - ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$(_convgen_options "$command")" -- "$current")
    return
  fi
  [[ -z $values ]] && values=$(_convgen_values "$command:")
  _convgen_reply "${values%% *}" "${values#* }"
}

# Fills COMPREPLY with what _convgen_values said: a kind, and words or a file's suffix.
_convgen_reply() {
  local before=''
  COMPREPLY=()
  case $1 in
    words) mapfile -t COMPREPLY < <(compgen -W "$2" -- "$current") ;;
    list)
      before=${current%"${current##*,}"}
      mapfile -t COMPREPLY < <(compgen -P "$before" -W "$2" -- "${current##*,}")
      compopt -o nospace 2>/dev/null
      ;;
    files)
      if [[ $2 == .* ]]; then
        mapfile -t COMPREPLY < <(compgen -f -X "!*$2" -- "$current"; compgen -d -- "$current")
      else
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
      fi
      compopt -o filenames 2>/dev/null
      ;;
    directories)
      mapfile -t COMPREPLY < <(compgen -d -- "$current")
      compopt -o filenames 2>/dev/null
      ;;
    conv)
      mapfile -t COMPREPLY < <(compgen -P @ -f -- "${current#@}")
      ;;
  esac
}

complete -F _convgen convgen
)bash";

std::string print_value(const OptionModel& option) {
  switch (value_kind(option)) {
    case ValueKind::kNone:
      return "";
    case ValueKind::kWords:
      return fmt::format("{} {}", option.is_list ? "list" : "words",
                         fmt::join(completions_of(option), " "));
    case ValueKind::kFile:
      return fmt::format("files {}", file_suffix(option));
    case ValueKind::kDirectory:
      return "directories ";
    case ValueKind::kConv:
      return "conv ";
    case ValueKind::kOther:
      return "none ";
  }
  return "";
}

std::string print_options(const CommandModel& command, const std::string& name) {
  std::vector<std::string> names;
  for (const OptionModel& option : command.options)
    names.insert(names.end(), option.names.begin(), option.names.end());
  return fmt::format("    '{}') echo '{}' ;;\n", name, fmt::join(names, " "));
}

std::string print_values(const CommandModel& command, const std::string& name) {
  std::string text;
  for (const OptionModel& option : command.options) {
    const std::string values = print_value(option);
    for (const std::string& option_name : option.names)
      if (!values.empty())
        text += fmt::format("    '{}:{}') echo '{}' ;;\n", name, option_name, values);
  }
  // One line for all arguments: no command takes two kinds.
  if (!command.arguments.empty())
    text += fmt::format("    '{}:') echo '{}' ;;\n", name, print_value(command.arguments.front()));
  return text;
}

}  // namespace

std::string print_bash_completion(const ToolModel& tool) {
  std::vector<std::string> names;
  std::string options = print_options(tool.self, ""), values = print_values(tool.self, "");
  for (const CommandModel& command : tool.commands) {
    names.push_back(command.name);
    options += print_options(command, command.name);
    values += print_values(command, command.name);
  }
  values += fmt::format("    ':') echo 'words {}' ;;\n", fmt::join(names, " "));
  return fmt::format(
      "# bash completion for convgen, printed by `convgen completion bash`\n\n"
      "# The options of a command; nothing for what is none.\n"
      "_convgen_options() {{\n  case $1 in\n{}  esac\n}}\n\n"
      "# What COMMAND:OPTION, or COMMAND: for its arguments, has as values.\n"
      "_convgen_values() {{\n  case $1 in\n{}  esac\n}}\n{}",
      options, values, kFunctions);
}

}  // namespace convgen::tool
