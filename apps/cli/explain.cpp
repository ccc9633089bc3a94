// SPDX-License-Identifier: Apache-2.0
// `velo explain path`: by which transport one node reaches another, and why not by the others.

#include "client.hpp"
#include "commands.hpp"
#include "explain_text.hpp"

#include <velo/velo.hpp>

namespace velo::cli {

int run_explain_path(const Globals& globals, const ExplainOptions& options) {
  Client client(options.where, globals.node);
  if (const int code = client.join(); code != exit_ok) return code;
  PeerInfo to;
  if (const int code = client.choose(options.to, to); code != exit_ok) return code;
  Messenger& messenger = client.node().messenger();
  PathReport report;
  if (options.from == "me") {
    // Nothing is chosen before something was sent.
    auto greeted = client.node().refresh_handlers(to.instance_id).get();
    if (!greeted) return fail("the peer cannot be reached", greeted.error());
    report = messenger.explain_path(to.instance_id);
  } else {
    PeerInfo from;
    if (const int code = client.choose(options.from, from); code != exit_ok) return code;
    auto told = messenger.explain_path_of(from.instance_id, to.instance_id, options.timeout).get();
    if (!told) return fail("the node does not tell its paths", told.error());
    report = std::move(*told);
  }
  if (globals.output == OutputFormat::json) {
    print_line(to_json(report));
  } else {
    print_line(explain_text(report));
  }
  return exit_ok;
}

}  // namespace velo::cli
