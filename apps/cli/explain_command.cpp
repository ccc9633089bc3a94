// SPDX-License-Identifier: Apache-2.0
// The command lines of `velo explain` and `velo why`.

#include "commands.hpp"

#include <CLI/CLI.hpp>

#include <memory>

namespace velo::cli {

namespace explain_command_detail {

static void add_rendezvous(CLI::App& command, Rendezvous& where) {
  command
      .add_option("-d,--discovery", where.directory,
                  "Folder in which the peers announce themselves")
      ->type_name("DIR")
      ->envname("VELO_DISCOVERY")
      ->required();
  command.add_option("--cluster", where.cluster, "Name of the cluster in that folder")
      ->envname("VELO_CLUSTER")
      ->capture_default_str();
}

}  // namespace explain_command_detail

void add_explain_command(CLI::App& app, Globals& globals) {
  auto options = std::make_shared<ExplainOptions>();
  CLI::App* above = app.add_subcommand("explain", "Why a node does what it does");
  above->require_subcommand(1);
  above->fallthrough();
  CLI::App* sub = above->add_subcommand("path", "By which transport one node reaches another");
  sub->fallthrough();
  sub->footer(
      "Examples:\n"
      "  velo explain path me 3f2a   --discovery /run/myapp\n"
      "  velo explain path 91c0 3f2a --discovery /run/myapp -o json");
  sub->add_option("FROM", options->from, "First digits of an instance id, or \"me\"")->required();
  sub->add_option("TO", options->to, "First digits of an instance id")->required();
  explain_command_detail::add_rendezvous(*sub, options->where);
  add_node_options(*sub, globals.node, false);
  sub->callback([&globals, options] {
    globals.action = [&globals, options] { return run_explain_path(globals, *options); };
  });
}

void add_why_command(CLI::App& app, Globals& globals) {
  auto options = std::make_shared<WhyOptions>();
  CLI::App* sub = app.add_subcommand("why", "Why an event has not happened");
  sub->fallthrough();
  sub->footer(
      "Example:\n"
      "  velo why 5b1f6f0c8f7f3a21-00000003-2ad0c1f4 --discovery /run/myapp");
  sub->add_option("EVENT", options->event, "The event's handle")->required();
  explain_command_detail::add_rendezvous(*sub, options->where);
  add_node_options(*sub, globals.node, false);
  sub->callback([&globals, options] {
    globals.action = [&globals, options] { return run_why(globals, *options); };
  });
}

}  // namespace velo::cli
