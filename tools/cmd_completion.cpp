// SPDX-License-Identifier: Apache-2.0
// convgen completion: a script for a shell, made from the commands and options as they are.
#include <memory>

#include "tools/command.h"
#include "tools/completion.h"
#include "tools/option_values.h"

namespace convgen::tool {

void add_completion(CLI::App& app, Outcome& outcome) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("completion", "print a script that completes words");
  command->group(kHelpGroup);
  command->add_option("SHELL", *shell, "whose script")
      ->required()
      ->check(one_of({"bash", "zsh", "fish"}));
  set_examples(*command,
               {"convgen completion bash > convgen.bash", "source <(convgen completion bash)",
                "convgen completion zsh > _convgen", "convgen completion fish > convgen.fish"});
  command->callback([&app, &outcome, shell] {
    const ToolModel tool = model_of_tool(app);
    print(*shell == "bash"  ? print_bash_completion(tool)
          : *shell == "zsh" ? print_zsh_completion(tool)
                            : print_fish_completion(tool));
    outcome = kDone;
  });
}

}  // namespace convgen::tool
