// SPDX-License-Identifier: Apache-2.0
// The options of commands that make a node.

#include "commands.hpp"
#include "node_setup.hpp"

#include <CLI/CLI.hpp>

namespace velo::cli {

void add_node_options(CLI::App& command, NodeSetup& setup, bool serves) {
  command
      .add_option("--transport", setup.transports,
                  "Which, in order of preference [all that can be had, the fastest first]")
      ->delimiter(',')
      ->check(CLI::IsMember(transport_names()))
      ->envname("VELO_TRANSPORT");
  command
      .add_option(
          "--identity", setup.identity,
          "Folder of `velo identity new`: for encrypted transports, and to prove who this is")
      ->type_name("DIR")
      ->envname("VELO_IDENTITY");
  command
      .add_option("--passphrase-file", setup.passphrase_file,
                  "Opens the identity's key [the environment's VELO_PASSPHRASE]")
      ->type_name("PATH");
  command.add_flag("--plaintext", setup.plaintext, "Allow tcp beyond this host, unencrypted")
      ->envname("VELO_PLAINTEXT");
  if (!serves) return;
  command
      .add_option("--bind", setup.bind, "Where tcp, tls and quic listen: 0.0.0.0 for everywhere")
      ->type_name("ADDRESS")
      ->capture_default_str();
  command.add_option("--access", setup.access, "Who may call what: a policy in JSON")
      ->type_name("PATH")
      ->envname("VELO_ACCESS");
  command
      .add_option("--metrics", setup.metrics,
                  "Serve metrics to Prometheus there: http://ADDRESS:PORT/metrics")
      ->type_name("ADDRESS:PORT")
      ->envname("VELO_METRICS");
}

}  // namespace velo::cli
