// SPDX-License-Identifier: Apache-2.0
// The command line of `velo explain`.

#include "commands.hpp"

#include <CLI/CLI.hpp>

#include <memory>

namespace velo::cli {

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
  sub->add_option("-d,--discovery", options->where.directory,
                  "Folder in which the peers announce themselves")
      ->type_name("DIR")
      ->envname("VELO_DISCOVERY")
      ->required();
  sub->add_option("--cluster", options->where.cluster, "Name of the cluster in that folder")
      ->envname("VELO_CLUSTER")
      ->capture_default_str();
  add_node_options(*sub, globals.node, false);
  sub->callback([&globals, options] {
    globals.action = [&globals, options] { return run_explain_path(globals, *options); };
  });
}

}  // namespace velo::cli
