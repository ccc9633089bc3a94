// SPDX-License-Identifier: Apache-2.0
// The command line of `velo completion`: reads every command out of CLI11, so that a new one
// appears by itself.

#include "commands.hpp"
#include "completion.hpp"

#include <CLI/CLI.hpp>

#include <memory>
#include <string>
#include <vector>

namespace velo::cli {

namespace completion_command_detail {

/// CLI11 keeps the checks of an option in the text of its type: "TEXT:{tcp,uds}".
static Follows follows(const CLI::Option& option) {
  if (option.get_items_expected_max() == 0) return {};
  const std::string type = option.get_type_name();
  const std::size_t open = type.find('{');
  const std::size_t close = type.find('}');
  if (open != std::string::npos && close != std::string::npos && open < close) {
    std::string words = type.substr(open + 1, close - open - 1);
    for (char& c : words) c = c == ',' ? ' ' : c;
    return words;
  }
  const std::string what = option.get_positional() ? option.get_name() : type;
  if (what.find("DIR") != std::string::npos) return "dirs";
  if (what.find("PATH") != std::string::npos || what.find("FILE") != std::string::npos) {
    return "files";
  }
  return "any";
}

static void add_options(const CLI::App& app, CompletedCommand& command) {
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group().empty()) continue;
    if (option->get_positional()) {
      if (command.argument.empty()) command.argument = follows(*option);
      continue;
    }
    CompletedOption completed;
    for (const std::string& name : option->get_snames()) completed.names.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) completed.names.push_back("--" + name);
    completed.about = option->get_description();
    completed.follows = follows(*option);
    command.options.push_back(std::move(completed));
  }
  const auto is_group = [](const CLI::App* sub) { return sub->get_name().empty(); };
  for (const CLI::App* group : app.get_subcommands(is_group)) add_options(*group, command);
}

/// --help is of each command, --version of the program alone; the others fall through.
static bool is_inherited(const CompletedOption& option) {
  return option.names.back() != "--help" && option.names.back() != "--version";
}

static void add_commands(const CLI::App& app, const CompletedCommand* above,
                         std::vector<CompletedCommand>& commands) {
  CompletedCommand command;
  if (above != nullptr) {
    command.path = above->path.empty() ? app.get_name() : above->path + " " + app.get_name();
  }
  command.about = app.get_description();
  add_options(app, command);
  if (above != nullptr && app.get_fallthrough()) {
    for (const CompletedOption& option : above->options) {
      if (is_inherited(option)) command.options.push_back(option);
    }
  }
  commands.push_back(command);
  const auto is_shown = [](const CLI::App* sub) {
    return !sub->get_name().empty() && !sub->get_group().empty();
  };
  for (const CLI::App* sub : app.get_subcommands(is_shown)) add_commands(*sub, &command, commands);
}

}  // namespace completion_command_detail

void add_completion_command(CLI::App& app, Globals& globals) {
  auto shell = std::make_shared<std::string>();
  CLI::App* sub = app.add_subcommand("completion", "Prints the completion script of a shell");
  sub->footer(
      "Examples:\n  velo completion bash > ~/.local/share/bash-completion/completions/velo\n"
      "  velo completion zsh > ~/.zfunc/_velo\n"
      "  velo completion fish > ~/.config/fish/completions/velo.fish");
  sub->add_option("SHELL", *shell, "bash, zsh or fish")
      ->check(CLI::IsMember({"bash", "zsh", "fish"}))
      ->required();
  sub->callback([&app, &globals, shell] {
    globals.action = [&app, shell] {
      std::vector<CompletedCommand> commands;
      completion_command_detail::add_commands(app, nullptr, commands);
      std::string script = completion_script(*shell, commands);
      script.pop_back();  // print_line() ends the last line
      print_line(script);
      return static_cast<int>(exit_ok);
    };
  });
}

}  // namespace velo::cli
