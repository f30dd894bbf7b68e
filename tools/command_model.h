// SPDX-License-Identifier: Apache-2.0
// What a person may say to convgen, as plain data read from the CLI11 app. Help, the man page and
// the shells' completions are printed from it, so that none of them can say what is not so.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace convgen::tool {

struct OptionModel {
  std::vector<std::string> names;  // "-o", "--threads"; of an argument its name alone
  std::string value;               // what stands for its value: "N", "FILE"; empty for a flag
  std::vector<std::string> words;  // the values, where they can be listed
  std::string range;               // "1..1024", where that is known
  std::string default_value;
  std::string help;
  bool is_list = false;  // several values with commas between
  bool is_required = false;
  bool is_repeatable = false;
};

struct CommandModel {
  std::string name;
  std::string help;
  std::string group;
  std::vector<OptionModel> arguments;  // by position
  std::vector<OptionModel> options;
  std::vector<std::string> examples;  // lines for a shell
};

struct ToolModel {
  CommandModel self;  // of `convgen` without a command
  std::vector<CommandModel> commands;
};

// The footer of a command is its examples, one a line after "examples:". This writes one.
void set_examples(CLI::App& command, const std::vector<std::string>& lines);

CommandModel model_of(const CLI::App& command);
ToolModel model_of_tool(const CLI::App& app);

// What may stand where `option` has its value: its words, or those that only LLVM knows.
std::vector<std::string> completions_of(const OptionModel& option);

// What the value of `option` names: files ("FILE", "F.npy"), convolutions ("CONV"), ...
enum class ValueKind { kNone, kWords, kFile, kDirectory, kConv, kOther };
ValueKind value_kind(const OptionModel& option);
// ".npy" where only such files fit, else empty.
std::string file_suffix(const OptionModel& option);

}  // namespace convgen::tool
