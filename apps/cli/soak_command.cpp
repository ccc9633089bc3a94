// SPDX-License-Identifier: Apache-2.0
// The command lines of `velo bench soak` and `velo soak-node`.

#include "soak.hpp"

#include <CLI/CLI.hpp>

#include <memory>

namespace velo::cli {

void add_soak_command(CLI::App& bench, Globals& globals) {
  constexpr double minutes_max = 7 * 24 * 60;
  constexpr double minutes_min = 0.05;
  constexpr std::size_t workers_max = 64;
  auto options = std::make_shared<SoakOptions>();
  CLI::App* command = bench.add_subcommand(
      "soak", "Everything at once in processes that are killed, cut off and frozen; is it right?");
  command->fallthrough();
  command->footer(
      "Example:\n  velo bench soak --minutes 10 --faults\n"
      "Each process writes down what it began, did and got; at the end this is compared. 4 when\n"
      "something is not as it must be, or the memory of a process that was not killed grows.");
  command->add_option("--minutes", options->minutes, "How long")
      ->check(CLI::Range(minutes_min, minutes_max))
      ->capture_default_str();
  command->add_flag("--faults", options->faults, "Kill, cut off and freeze processes");
  command->add_option("--workers", options->workers, "Processes besides the hub")
      ->check(CLI::Range(std::size_t{2}, workers_max))
      ->capture_default_str();
  command->add_option("--seed", options->seed, "Of the faults")->capture_default_str();
  command->add_option("--keep", options->keep, "Folder for what the processes wrote")
      ->type_name("PATH");
  command->callback([options, &globals] {
    globals.action = [options, &globals] { return run_soak(globals, *options); };
  });
}

/// Not for people: run_soak() starts it.
void add_soak_node_command(CLI::App& app, Globals& globals) {
  auto options = std::make_shared<SoakNodeOptions>();
  CLI::App* command = app.add_subcommand("soak-node");
  command->group("");
  command->add_option("--discovery", options->where.directory)->required();
  command->add_option("--hub", options->hub);
  command->add_option("--number", options->number)->required();
  command->add_option("--log", options->log)->required();
  command->add_option("--parent", options->parent);
  command->callback(
      [options, &globals] { globals.action = [options] { return run_soak_node(*options); }; });
}

}  // namespace velo::cli
