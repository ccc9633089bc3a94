// SPDX-License-Identifier: Apache-2.0
// `velo handlers`: what a peer can be asked.

#include "client.hpp"
#include "commands.hpp"

#include <velo/velo.hpp>

#include <fmt/format.h>

namespace velo::cli {

struct HandlerShown {
  std::string name;
  bool system = false;  ///< velo's own
};
VELO_DESCRIBE(HandlerShown, name, system);

int run_handlers(const Globals& globals, const HandlersOptions& options) {
  Client client(options.where, globals.node);
  if (const int code = client.join(); code != exit_ok) return code;
  PeerInfo peer;
  if (const int code = client.choose(options.peer, peer); code != exit_ok) return code;

  auto names = client.node().refresh_handlers(peer.instance_id).get();
  if (!names) return fail("the peer does not tell its handlers", names.error());

  std::vector<HandlerShown> shown;
  for (std::string& name : *names) {
    const bool system = name.starts_with('_');
    shown.push_back({std::move(name), system});
  }
  if (globals.output == OutputFormat::json) {
    print_line(to_json(shown));
    return exit_ok;
  }
  std::vector<std::vector<std::string>> rows;
  rows.reserve(shown.size());
  for (const HandlerShown& handler : shown) {
    rows.push_back({plain(handler.name), handler.system ? "velo's own" : ""});
  }
  print_line(table({"HANDLER", "NOTE"}, rows));
  return exit_ok;
}

}  // namespace velo::cli
