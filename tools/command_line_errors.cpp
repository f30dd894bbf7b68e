// SPDX-License-Identifier: Apache-2.0
#include "tools/command_line_errors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "ir/nearest_word.h"
#include "tools/command_model.h"

namespace convgen::tool {
namespace {

// Who has words left that it does not know: the app itself, or the command that was asked for.
const CLI::App& at_a_loss(const CLI::App& app) {
  const std::vector<CLI::App*> commands = app.get_subcommands();
  return commands.empty() || !app.remaining().empty() ? app : *commands.front();
}

bool is_option(const std::string& word) { return word.size() > 1 && word[0] == '-'; }

std::string unknown_option(const CLI::App& command, const std::string& word) {
  const CommandModel model = model_of(command);
  std::vector<std::string_view> known;
  for (const OptionModel& option : model.options)
    known.insert(known.end(), option.names.begin(), option.names.end());
  const std::string name = word.substr(0, word.find('='));
  return fmt::format("{}: no option of {}, expected one of {}{}", name, model.name,
                     fmt::join(known, ", "), ir::did_you_mean(known, name));
}

// The likely slip is unquoted text.
std::string unexpected_argument(const std::string& word) {
  return fmt::format(
      "{}: an argument too many (quote each convolution: convgen verify 'conv2d src=... "
      "weights=...')",
      word);
}

}  // namespace

Status check_command(const CLI::App& app, int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') return Status();
  const ToolModel model = model_of_tool(app);
  std::vector<std::string_view> names;
  for (const CommandModel& command : model.commands) names.push_back(command.name);
  if (std::ranges::find(names, argv[1]) != names.end()) return Status();
  return invalid_argument(fmt::format("unknown command '{}', expected one of {}{}", argv[1],
                                      fmt::join(names, ", "), ir::did_you_mean(names, argv[1])));
}

std::string explain(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App& command = at_a_loss(app);
  const std::vector<std::string> extras = command.remaining();
  // What is missing, as CLI11 may complain, is often what a misspelled option should have given.
  const auto option = std::ranges::find_if(extras, is_option);
  if (option != extras.end()) return unknown_option(command, *option);
  return extras.empty() ? error.what() : unexpected_argument(extras.front());
}

}  // namespace convgen::tool
