// SPDX-License-Identifier: Apache-2.0
#include "tools/command_model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <sstream>

#include "codegen/target.h"
#include "tools/option_values.h"

namespace convgen::tool {
namespace {

// The value that --mcpu takes, one or several; LLVM knows which.
bool names_cpus(const OptionModel& option) {
  return option.value == "CPU" || option.value == "CPUS";
}

// Of a command that says nothing about its group; CLI11 calls that group "Subcommands".
constexpr const char* kOtherGroup = "other commands";

// CLI11 prints a vector as "[jit,generic]".
std::string without_brackets(const std::string& text) {
  const bool bracketed = text.size() >= 2 && text.front() == '[' && text.back() == ']';
  return bracketed ? text.substr(1, text.size() - 2) : text;
}

std::vector<std::string> names_of(const CLI::Option& option) {
  if (option.get_positional()) return {option.get_name(true)};
  std::vector<std::string> names;
  for (const std::string& name : option.get_snames()) names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) names.push_back("--" + name);
  return names;
}

OptionModel model_of_option(const CLI::Option& option) {
  OptionModel model;
  model.names = names_of(option);
  model.value = value_name_of(option);
  model.words = words_of(option);
  model.range = range_of(option);
  model.default_value = without_brackets(option.get_default_str());
  model.help = option.get_description();
  model.is_list = option.get_delimiter() != '\0';
  model.is_required = option.get_required();
  model.is_repeatable = option.get_positional() && option.get_items_expected_max() > 1;
  return model;
}

std::string trim(const std::string& text) { return CLI::detail::trim_copy(text); }

// The lines after "example:" or "examples:", those joined that end with a backslash.
std::vector<std::string> examples_of(const std::string& footer) {
  std::vector<std::string> examples;
  bool begun = false, goes_on = false;
  std::istringstream lines(footer);
  for (std::string line; std::getline(lines, line);) {
    line = trim(line);
    if (!begun || line.empty()) {
      begun |= line.starts_with("example");
      continue;
    }
    const bool ends_open = line.ends_with('\\');
    if (ends_open) line = trim(line.substr(0, line.size() - 1));
    if (goes_on)
      examples.back() += " " + line;
    else
      examples.push_back(line);
    goes_on = ends_open;
  }
  return examples;
}

}  // namespace

void set_examples(CLI::App& command, const std::vector<std::string>& lines) {
  command.footer(fmt::format("examples:\n  {}", fmt::join(lines, "\n  ")));
}

CommandModel model_of(const CLI::App& command) {
  const bool grouped = command.get_group() != "Subcommands";
  CommandModel model{command.get_name(),
                     command.get_description(),
                     grouped ? command.get_group() : kOtherGroup,
                     {},
                     {},
                     {}};
  for (const CLI::Option* option : command.get_options()) {
    if (option->get_group().empty()) continue;  // hidden
    auto& where = option->get_positional() ? model.arguments : model.options;
    where.push_back(model_of_option(*option));
  }
  // CLI11 puts the help first, where it is read last.
  const auto is_help = [](const OptionModel& option) { return option.names.back() == "--help"; };
  std::ranges::stable_partition(model.options, std::not_fn(is_help));
  model.examples = examples_of(command.get_footer());
  return model;
}

ToolModel model_of_tool(const CLI::App& app) {
  ToolModel model{model_of(app), {}};
  for (const CLI::App* command : app.get_subcommands({}))
    if (!command->get_group().empty()) model.commands.push_back(model_of(*command));
  return model;
}

std::vector<std::string> completions_of(const OptionModel& option) {
  return names_cpus(option) ? codegen::known_cpus() : option.words;
}

ValueKind value_kind(const OptionModel& option) {
  if (option.value.empty()) return ValueKind::kNone;
  if (!option.words.empty() || names_cpus(option)) return ValueKind::kWords;
  if (option.value == "CONV") return ValueKind::kConv;
  if (option.value == "DIR") return ValueKind::kDirectory;
  const bool is_file = option.value == "FILE" || option.value.find('.') != std::string::npos;
  const bool is_argument = !option.names.front().starts_with('-');
  return is_file || is_argument ? ValueKind::kFile : ValueKind::kOther;
}

std::string file_suffix(const OptionModel& option) {
  const size_t dot = option.value.find('.');
  return dot == std::string::npos ? "" : option.value.substr(dot);
}

}  // namespace convgen::tool
