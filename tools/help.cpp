// SPDX-License-Identifier: Apache-2.0
#include "tools/help.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <sstream>

#include "tools/option_values.h"

namespace convgen::tool {
namespace {

constexpr size_t kColumns = 100;
constexpr size_t kHelpColumn = 30;  // where the right column of a list begins

constexpr const char* kMore =
    "CONV is a convolution in one argument, so quote it: conv text, or benchdnn text, or @FILE "
    "with one a line, or - for standard input. docs/conv-ir.md describes the text, docs/tool.md "
    "every command.\n"
    "Exit codes: 0 done, 1 a check failed, 2 the request was wrong.\n"
    "More: `convgen help COMMAND`, `man convgen` or `convgen man`, `convgen completion SHELL`.";

// The text in lines of at most kColumns, all but the first indented.
std::string wrap(const std::string& text, size_t used, size_t indent) {
  std::string wrapped;
  size_t column = used;
  std::istringstream words(text);
  bool line_begins = true;
  for (std::string word; words >> word;) {
    if (!line_begins && column + 1 + word.size() > kColumns) {
      wrapped += "\n" + std::string(indent, ' ');
      column = indent;
      line_begins = true;
    }
    wrapped += (line_begins ? "" : " ") + word;
    column += word.size() + (line_begins ? 0 : 1);
    line_begins = false;
  }
  return wrapped;
}

std::string wrap_paragraphs(const std::string& text) {
  std::string wrapped;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) wrapped += wrap(line, 0, 0) + "\n";
  return wrapped;
}

// "  LEFT      right", the right column wrapped. A long LEFT has a line of its own.
std::string print_entry(const std::string& left, const std::string& right) {
  const size_t end = left.size() + 2;
  const std::string gap = end + 2 > kHelpColumn ? "\n" + std::string(kHelpColumn, ' ')
                                                : std::string(kHelpColumn - end, ' ');
  return fmt::format("  {}{}{}\n", left, gap, wrap(right, kHelpColumn, kHelpColumn));
}

// A command line cut at blanks outside quotes, for a shell to put together again.
std::string print_example(const std::string& line) {
  constexpr size_t kRoom = kColumns - 4;  // for the indent and the backslash
  std::string printed, rest = line;
  while (rest.size() > kRoom) {
    size_t cut = rest.npos;
    bool quoted = false;
    for (size_t i = rest.find_first_not_of(' '); i < kRoom; ++i) {
      quoted ^= rest[i] == '\'';
      if (rest[i] == ' ' && !quoted) cut = i;
    }
    if (cut == rest.npos) break;
    printed += fmt::format("  {} \\\n", rest.substr(0, cut));
    rest = "    " + rest.substr(cut + 1);
  }
  return printed + fmt::format("  {}\n", rest);
}

std::string print_section(const std::string& title, const std::string& body, const Style& style) {
  return body.empty() ? "" : fmt::format("\n{}\n{}", style.heading(title + ":"), body);
}

std::string print_options(const std::vector<OptionModel>& options) {
  std::string text;
  for (const OptionModel& option : options) {
    const bool is_argument = !option.names.front().starts_with('-');
    const std::string value = is_argument || option.value.empty() ? "" : " " + option.value;
    text +=
        print_entry(fmt::format("{}{}", fmt::join(option.names, ", "), value), describe(option));
  }
  return text;
}

std::string print_examples(const CommandModel& command) {
  std::string text;
  for (const std::string& line : command.examples) text += print_example(line);
  return text;
}

std::string print_groups(const std::vector<CommandModel>& commands, const Style& style) {
  std::string text;
  for (const std::vector<CommandModel>& group : by_group(commands)) {
    std::string list;
    for (const CommandModel& command : group) list += print_entry(command.name, command.help);
    text += print_section(group.front().group, list, style);
  }
  return text;
}

bool mentions_all(const std::string& help, const std::vector<std::string>& words) {
  return std::ranges::all_of(
      words, [&](const std::string& word) { return help.find(word) != std::string::npos; });
}

}  // namespace

std::string describe(const OptionModel& option) {
  std::string text = option.help;
  if (!mentions_all(option.help, option.words))
    text += ": " + expected_one_of(option.words, /*found=*/"");
  if (!option.range.empty()) text += fmt::format(", in {}", option.range);
  if (option.is_required && option.names.front().starts_with('-')) text += "; required";
  if (!option.default_value.empty()) text += fmt::format("; default {}", option.default_value);
  return text;
}

std::string print_usage(const CommandModel& command, const std::string& name) {
  std::string usage = name + " [options]";
  for (const OptionModel& argument : command.arguments) {
    const std::string text = argument.names.front() + (argument.is_repeatable ? "..." : "");
    usage += argument.is_required ? " " + text : fmt::format(" [{}]", text);
  }
  return usage;
}

std::vector<std::vector<CommandModel>> by_group(const std::vector<CommandModel>& commands) {
  std::vector<std::vector<CommandModel>> groups;
  for (const CommandModel& command : commands) {
    const auto group = std::ranges::find_if(
        groups, [&](const auto& other) { return other.front().group == command.group; });
    if (group == groups.end())
      groups.push_back({command});
    else
      group->push_back(command);
  }
  return groups;
}

std::string print_help(const CLI::App& command, const std::string& name, const Style& style) {
  const ToolModel model = model_of_tool(command);
  const bool is_tool = !model.commands.empty();
  const std::string usage =
      is_tool ? name + " COMMAND [options] [CONV...]" : print_usage(model.self, name);
  return fmt::format("{}\n\n{} {}\n", model.self.help, style.heading("usage:"), usage) +
         print_groups(model.commands, style) +
         print_section("arguments", print_options(model.self.arguments), style) +
         print_section("options", print_options(model.self.options), style) +
         print_section("examples", print_examples(model.self), style) +
         (is_tool ? "\n" + wrap_paragraphs(kMore) : "");
}

std::string print_short_help(const CLI::App& app, const Style& style) {
  return fmt::format("{} convgen COMMAND [options] [CONV...]\n{}\n{}\n", style.heading("usage:"),
                     print_groups(model_of_tool(app).commands, style),
                     "`convgen help COMMAND` and `convgen --help` tell more.");
}

}  // namespace convgen::tool
