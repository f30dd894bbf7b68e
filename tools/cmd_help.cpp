// SPDX-License-Identifier: Apache-2.0
// convgen help: what `convgen --help` and `convgen COMMAND --help` print. Added last, since it
// knows the commands that are there by then.
#include <memory>

#include "tools/command.h"
#include "tools/option_values.h"

namespace convgen::tool {

void add_help(CLI::App& app, Outcome& outcome) {
  auto name = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("help", "tell about convgen, or about one command");
  command->group(kHelpGroup);
  std::vector<std::string> names;
  for (const CLI::App* other : app.get_subcommands({})) names.push_back(other->get_name());
  command->add_option("COMMAND", *name, "the command to tell about")->check(one_of(names));
  set_examples(*command, {"convgen help", "convgen help verify"});
  command->callback([&app, &outcome, name] {
    const CLI::App* asked = name->empty() ? &app : app.get_subcommand(*name);
    print(print_help(*asked, name->empty() ? "convgen" : "convgen " + *name, Style(stdout)));
    outcome = kDone;
  });
}

}  // namespace convgen::tool
