// SPDX-License-Identifier: Apache-2.0
// For fish: one `complete` a command, option and argument.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tools/completion.h"
#include "tools/help.h"

namespace convgen::tool {
namespace {

constexpr const char* kFunctions = R"(
# @FILE; a convolution's text cannot be guessed.
function __convgen_conv
    printf '@%s\n' (__fish_complete_path (string replace -r '^@' '' -- (commandline -ct)))
end

# Arguments stand where the word under the cursor is neither an option nor its value.
complete -c convgen -f
)";

std::string quote(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "'";
}

// The flags of `complete` that say what a value, or an argument, may be.
std::string print_value(const OptionModel& option) {
  const bool is_argument = !option.names.front().starts_with('-');
  const std::string only = is_argument ? " -f" : " -x";
  const std::string words = fmt::format("{}", fmt::join(completions_of(option), " "));
  switch (value_kind(option)) {
    case ValueKind::kNone:
      return "";
    case ValueKind::kWords:
      return only + " -a " +
             quote(option.is_list ? fmt::format("(__fish_append , {})", words) : words);
    case ValueKind::kFile: {
      const std::string suffix = file_suffix(option);
      if (suffix.empty()) return is_argument ? " -F" : " -r -F";
      return fmt::format("{} -a '(__fish_complete_suffix {})'", only, suffix);
    }
    case ValueKind::kDirectory:
      return only + " -a '(__fish_complete_directories)'";
    case ValueKind::kConv:
      return only + " -a '(__convgen_conv)'";
    case ValueKind::kOther:
      return only;
  }
  return "";
}

std::string print_option(const OptionModel& option, const std::string& condition) {
  std::string names;
  for (const std::string& name : option.names)
    names += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
  return fmt::format("complete -c convgen -n '{}'{}{} -d {}\n", condition, names,
                     print_value(option), quote(describe(option)));
}

std::string print_command(const CommandModel& command) {
  const std::string condition = "__fish_seen_subcommand_from " + command.name;
  std::string text = fmt::format("\ncomplete -c convgen -n __fish_use_subcommand -a {} -d {}\n",
                                 command.name, quote(command.help));
  for (const OptionModel& option : command.options) text += print_option(option, condition);
  for (const OptionModel& argument : command.arguments)
    text += fmt::format("complete -c convgen -n '{}'{}\n", condition, print_value(argument));
  return text;
}

}  // namespace

std::string print_fish_completion(const ToolModel& tool) {
  std::string text = "# fish completion for convgen, printed by `convgen completion fish`\n";
  text += kFunctions;
  for (const OptionModel& option : tool.self.options)
    text += print_option(option, "__fish_use_subcommand");
  for (const CommandModel& command : tool.commands) text += print_command(command);
  return text;
}

}  // namespace convgen::tool
