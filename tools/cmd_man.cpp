// SPDX-License-Identifier: Apache-2.0
// convgen man: the manual page, made from the commands and options as they are.
#include "tools/command.h"
#include "tools/man_page.h"

namespace convgen::tool {

void add_man(CLI::App& app, Outcome& outcome) {
  CLI::App* command = app.add_subcommand("man", "print the manual page, as roff");
  command->group(kHelpGroup);
  set_examples(*command, {"convgen man > convgen.1"});
  command->callback([&app, &outcome] {
    print(print_man_page(model_of_tool(app), CONVGEN_VERSION));
    outcome = kDone;
  });
}

}  // namespace convgen::tool
