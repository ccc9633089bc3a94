// SPDX-License-Identifier: Apache-2.0
// `velo drain`: asks an instance to end, and says how it went.

#include "client.hpp"
#include "commands.hpp"

#include <velo/velo.hpp>

#include <fmt/format.h>

namespace velo::cli {

struct DrainShown {
  std::string instance;
  bool in_time = false;
  std::uint64_t running = 0;
  std::uint64_t replies_waiting = 0;
  std::uint64_t own_calls = 0;
  std::uint64_t subsystems = 0;
  std::string why;
};
VELO_DESCRIBE(DrainShown, instance, in_time, running, replies_waiting, own_calls, subsystems, why);

int run_drain(const Globals& globals, const DrainOptions& options) {
  Client client(options.where, globals.node);
  if (const int code = client.join(); code != exit_ok) return code;
  PeerInfo peer;
  if (const int code = client.choose(options.peer, peer); code != exit_ok) return code;
  ShutdownPolicy policy;
  policy.patience = options.patience;
  policy.wait_for_own_calls = options.own_calls;
  auto report = client.node().messenger().drain_peer(peer.instance_id, policy).get();
  if (!report) return fail("the instance was not drained", report.error());
  if (globals.output == OutputFormat::json) {
    print_line(to_json(DrainShown{peer.instance_id.to_string(), report->in_time, report->running,
                                  report->replies_waiting, report->own_calls, report->subsystems,
                                  report->why}));
  } else if (report->in_time) {
    print_line(peer.instance_id.to_string() + " drained");
  }
  if (report->in_time) return exit_ok;
  return fail(exit_failed, fmt::format("cut off: {}", report->why),
              "give what runs more time with --patience");
}

}  // namespace velo::cli
