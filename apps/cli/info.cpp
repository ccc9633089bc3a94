// SPDX-License-Identifier: Apache-2.0
// `velo info`: this build and this host; with --discovery, who is announced there. --balance: see
// info_balance.cpp.

#include "client.hpp"
#include "commands.hpp"

#include <velo/velo.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace velo::cli {

struct LimitsShown {
  std::uint64_t frame_bytes_max = velo::limits::frame_bytes_max;
  std::uint64_t calls_max = messenger::limits::calls_max;
  std::uint64_t waiting_sends_max = messenger::limits::waiting_sends_max;
  std::uint64_t peers_max = messenger::limits::peers_max;
  std::uint64_t handlers_max = messenger::limits::handlers_max;
  std::uint64_t memory_budget_bytes_default = velo::limits::memory_budget_bytes_default;
  std::uint64_t peer_memory_bytes_default = velo::limits::peer_memory_bytes_default;
  double call_deadline_default_seconds = 0;
  double call_deadline_max_seconds = 0;
};
VELO_DESCRIBE(LimitsShown, frame_bytes_max, calls_max, waiting_sends_max, peers_max, handlers_max,
              memory_budget_bytes_default, peer_memory_bytes_default, call_deadline_default_seconds,
              call_deadline_max_seconds);

struct InterfaceShown {
  std::string name;
  std::string address;
  std::uint32_t prefix_bits = 0;
  bool up = false;
  bool loopback = false;
};
VELO_DESCRIBE(InterfaceShown, name, address, prefix_bits, up, loopback);

struct BuildShown {
  std::string version = VELO_VERSION;
  std::string compiler;
  std::string build = VELO_BUILD_TYPE;
  std::vector<std::string> transports = {"inproc", "quic", "shm", "tcp", "tls", "uds"};
  std::vector<std::string> discovery = {"static", "filesystem"};
  LimitsShown limits;
  std::vector<InterfaceShown> interfaces;
};
VELO_DESCRIBE(BuildShown, version, compiler, build, transports, discovery, limits, interfaces);

struct PeerShown {
  std::string instance_id;
  std::string worker_id;  ///< text: larger than what JSON numbers hold everywhere
  std::vector<std::string> transports;
};
VELO_DESCRIBE(PeerShown, instance_id, worker_id, transports);

namespace info_detail {

static std::string joined(const std::vector<std::string>& words) {
  return fmt::format("{}", fmt::join(words, ", "));
}

static std::string compiler() {
#if defined(__clang__)
  return fmt::format("clang {}.{}.{}", __clang_major__, __clang_minor__, __clang_patchlevel__);
#else
  return fmt::format("gcc {}.{}.{}", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#endif
}

static double seconds(Duration value) { return std::chrono::duration<double>(value).count(); }

static int show_build(const Globals& globals) {
  auto world = RealWorld::create();
  if (!world) return fail("cannot start", world.error());
  BuildShown shown;
  shown.compiler = compiler();
  shown.limits.call_deadline_default_seconds = seconds(velo::limits::call_deadline_default);
  shown.limits.call_deadline_max_seconds = seconds(velo::limits::call_deadline_max);
  for (const InterfaceAddress& each : (*world)->network().interfaces()) {
    shown.interfaces.push_back({each.name, each.address, each.prefix_bits, each.up, each.loopback});
  }
  if (globals.output == OutputFormat::json) {
    print_line(to_json(shown));
    return exit_ok;
  }
  const LimitsShown& limits = shown.limits;
  std::vector<std::vector<std::string>> rows = {
      {"compiler", shown.compiler},
      {"build", shown.build},
      {"transports", joined(shown.transports)},
      {"discovery", joined(shown.discovery)},
      {"frame", fmt::format("at most {}", show_bytes(limits.frame_bytes_max))},
      {"calls in flight", fmt::format("at most {}", show_count(limits.calls_max))},
      {"handlers, peers", fmt::format("at most {} each", show_count(limits.peers_max))},
      {"call deadline",
       fmt::format("{} s unless given, at most {} s", limits.call_deadline_default_seconds,
                   limits.call_deadline_max_seconds)},
  };
  for (const InterfaceShown& each : shown.interfaces) {
    rows.push_back(
        {"interface", fmt::format("{} {}/{}{}{}", each.name, each.address, each.prefix_bits,
                                  each.up ? "" : " (down)", each.loopback ? " (loopback)" : "")});
  }
  print_line(table({"velo", shown.version}, rows));
  return exit_ok;
}

static int show_peers(const Globals& globals, const InfoOptions& options) {
  Client client(options.where, globals.node);
  if (const int code = client.join(); code != exit_ok) return code;
  auto peers = client.announced();
  if (!peers) return fail("cannot read the discovery folder", peers.error());
  std::vector<PeerShown> shown;
  for (const PeerInfo& peer : *peers) {
    PeerShown row;
    row.instance_id = peer.instance_id.to_string();
    const bool wanted = options.instances.empty() ||
                        std::any_of(options.instances.begin(), options.instances.end(),
                                    [&](const auto& p) { return row.instance_id.starts_with(p); });
    if (!wanted) continue;
    row.worker_id = peer.worker_id().to_string();
    for (const auto& [key, entry] : peer.address) row.transports.push_back(key);
    shown.push_back(std::move(row));
  }
  if (shown.empty() && !options.instances.empty()) {
    return fail(
        exit_unreachable,
        fmt::format("no announced peer starts with '{}'", fmt::join(options.instances, "' or '")),
        "leave the id out to list everybody");
  }
  if (globals.output == OutputFormat::json) {
    print_line(to_json(shown));
    return exit_ok;
  }
  std::vector<std::vector<std::string>> rows;
  rows.reserve(shown.size());
  for (const PeerShown& peer : shown) {
    rows.push_back({peer.instance_id, peer.worker_id, plain(joined(peer.transports))});
  }
  print_line(table({"INSTANCE", "WORKER", "TRANSPORTS"}, rows));
  return exit_ok;
}

}  // namespace info_detail

int run_info(const Globals& globals, const InfoOptions& options) {
  if (options.balance) return run_balance(globals, options);
  if (options.where.directory.empty()) {
    if (!options.instances.empty()) {
      return fail(exit_usage, "an instance can only be looked up somewhere",
                  "add --discovery DIR, the folder in which the peers announce themselves");
    }
    return info_detail::show_build(globals);
  }
  return info_detail::show_peers(globals, options);
}

}  // namespace velo::cli
