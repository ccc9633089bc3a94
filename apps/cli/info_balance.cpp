// SPDX-License-Identifier: Apache-2.0
// `velo info --balance`: the books of running nodes, and whether they agree with each other.

#include "client.hpp"
#include "commands.hpp"

#include <velo/messenger/balance.hpp>
#include <velo/velo.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace velo::cli {

struct FlowShown {
  InstanceId sender;
  InstanceId receiver;
  std::uint64_t accepted = 0;  ///< the sender: taken by connections to the receiver
  std::uint64_t certain = 0;   ///< the sender: must have arrived
  std::uint64_t received = 0;  ///< the receiver
};
VELO_DESCRIBE(FlowShown, sender, receiver, accepted, certain, received);

struct BalanceShown {
  bool balanced = false;
  std::vector<NodeBooks> nodes;
  std::vector<FlowShown> flows;
  std::vector<std::string> complaints;
};
VELO_DESCRIBE(BalanceShown, balanced, nodes, flows, complaints);

namespace info_balance_detail {

/// How often books that do not add up are read again, and after which pause.
constexpr int confirmations = 2;
constexpr Duration pause_between = std::chrono::milliseconds(200);

static std::string short_id(const InstanceId& id) { return id.to_string().substr(0, 8); }

/// Exit code; a failure was printed. Whoever is announced and matches, registered with the node.
static int choose(Client& client, const std::vector<std::string>& prefixes,
                  std::vector<InstanceId>& chosen) {
  auto peers = client.announced();
  if (!peers) return fail("cannot read the discovery folder", peers.error());
  const auto matches = [](const PeerInfo& peer, const std::string& prefix) {
    return peer.instance_id.to_string().starts_with(prefix);
  };
  for (const std::string& prefix : prefixes) {
    if (std::any_of(peers->begin(), peers->end(),
                    [&](const PeerInfo& peer) { return matches(peer, prefix); })) {
      continue;
    }
    return fail(exit_unreachable, fmt::format("no announced peer starts with '{}'", prefix),
                "leave the ids out to compare everybody");
  }
  for (const PeerInfo& peer : *peers) {
    const bool wanted =
        prefixes.empty() || std::any_of(prefixes.begin(), prefixes.end(),
                                        [&](const auto& prefix) { return matches(peer, prefix); });
    if (!wanted) continue;
    if (auto registered = client.node().register_peer(peer); !registered) {
      return fail("cannot reach the peer", registered.error());
    }
    chosen.push_back(peer.instance_id);
  }
  if (!chosen.empty()) return exit_ok;
  return fail(exit_unreachable, "nobody is announced there",
              "list who is there with `velo info --discovery DIR [--cluster NAME]`");
}

static Result<std::vector<NodeBooks>> read(Client& client, const std::vector<InstanceId>& ids) {
  std::vector<Op<NodeBooks>> asked;
  asked.reserve(ids.size());
  for (const InstanceId& id : ids) asked.push_back(client.node().messenger().books_of(id));
  std::vector<NodeBooks> books;
  books.reserve(ids.size());
  for (auto& op : asked) {
    auto each = std::move(op).get();
    if (!each) return each.error();
    books.push_back(std::move(*each));
  }
  return books;
}

static void wait_a_moment(World& world) {
  Promise<void> over(world.pool());
  Op<void> op = over.op();
  Shard& shard = world.shard(0);
  post(shard, [&shard, &over] {
    shard.start_timer(
        shard.now() + pause_between,
        Task0{[](void* promise) { static_cast<Promise<void>*>(promise)->set({}); }, &over});
  });
  static_cast<void>(std::move(op).get());
}

/// Reads the books of all three times in a row, so that what moves meanwhile is no complaint.
static Result<messenger::Balance> compare_once(Client& client, const std::vector<InstanceId>& ids,
                                               std::vector<NodeBooks>& shown) {
  auto before = read(client, ids);
  if (!before) return before.error();
  auto now = read(client, ids);
  if (!now) return now.error();
  auto after = read(client, ids);
  if (!after) return after.error();
  messenger::Balance balance = messenger::compare(*before, *now, *after);
  shown = std::move(*now);
  return balance;
}

static std::string sends_table(const std::vector<NodeBooks>& nodes) {
  std::vector<std::vector<std::string>> rows;
  for (const NodeBooks& node : nodes) {
    const std::pair<const char*, const PatternBooks*> patterns[] = {
        {"fire", &node.totals.fire}, {"sync", &node.totals.sync}, {"unary", &node.totals.unary}};
    for (const auto& [name, books] : patterns) {
      if (books->sent == 0) continue;
      std::vector<std::string> row = {short_id(node.instance), name, show_count(books->sent),
                                      show_count(books->in_flight)};
      row.push_back(show_count((*books)[Fate::written] + (*books)[Fate::acknowledged] +
                               (*books)[Fate::handled]));
      for (const Fate fate : {Fate::rejected, Fate::expired, Fate::cancelled, Fate::unknown}) {
        row.push_back(show_count((*books)[fate]));
      }
      rows.push_back(std::move(row));
    }
  }
  return table({"SENDER", "PATTERN", "SENT", "IN FLIGHT", "WELL", "REJECTED", "EXPIRED",
                "CANCELLED", "UNKNOWN"},
               rows, {false, false, true, true, true, true, true, true, true});
}

static std::string received_table(const std::vector<NodeBooks>& nodes) {
  std::vector<std::vector<std::string>> rows;
  rows.reserve(nodes.size());
  for (const NodeBooks& node : nodes) {
    const ReceivedBooks& got = node.totals.received;
    rows.push_back({short_id(node.instance), show_count(got.requests), show_count(got.running),
                    show_count(got.succeeded), show_count(got.failed), show_count(got.rejected),
                    show_count(got.abandoned)});
  }
  return table({"RECEIVER", "RECEIVED", "RUNNING", "SUCCEEDED", "FAILED", "REJECTED", "ABANDONED"},
               rows, {false, true, true, true, true, true, true});
}

static std::string flows_table(const std::vector<FlowShown>& flows) {
  std::vector<std::vector<std::string>> rows;
  rows.reserve(flows.size());
  for (const FlowShown& flow : flows) {
    rows.push_back({short_id(flow.sender), short_id(flow.receiver), show_count(flow.accepted),
                    show_count(flow.certain), show_count(flow.received)});
  }
  return table({"FROM", "TO", "TAKEN", "CERTAIN", "RECEIVED"}, rows,
               {false, false, true, true, true});
}

static void print(const Globals& globals, const BalanceShown& shown) {
  if (globals.output == OutputFormat::json) return print_line(to_json(shown));
  const bool anybody_sent =
      std::any_of(shown.nodes.begin(), shown.nodes.end(), [](const NodeBooks& node) {
        return node.totals.fire.sent + node.totals.sync.sent + node.totals.unary.sent > 0;
      });
  if (anybody_sent) {
    print_line(sends_table(shown.nodes));
    print_line("");
  }
  print_line(received_table(shown.nodes));
  print_line("");
  if (!shown.flows.empty()) {
    print_line(flows_table(shown.flows));
    print_line("");
  }
  for (const std::string& complaint : shown.complaints) {
    print_line(fmt::format("{}  {}", verdict(false), complaint));
  }
  if (shown.balanced) print_line(fmt::format("{}  balanced", verdict(true)));
}

}  // namespace info_balance_detail

int run_balance(const Globals& globals, const InfoOptions& options) {
  namespace detail = info_balance_detail;
  if (options.where.directory.empty()) {
    return fail(exit_usage, "nodes can only be compared where they are found",
                "add --discovery DIR, the folder in which the peers announce themselves");
  }
  Client client(options.where, globals.node);
  if (const int code = client.join(); code != exit_ok) return code;
  std::vector<InstanceId> ids;
  if (const int code = detail::choose(client, options.instances, ids); code != exit_ok) return code;
  BalanceShown shown;
  for (int asked = 0; asked <= detail::confirmations && !shown.balanced; ++asked) {
    if (asked > 0) detail::wait_a_moment(client.node().world());
    auto balance = detail::compare_once(client, ids, shown.nodes);
    if (!balance) return fail("cannot read the books", balance.error());
    shown.balanced = balance->ok();
    shown.complaints = std::move(balance->complaints);
    shown.flows.clear();
    for (const messenger::Flow& flow : balance->flows) {
      shown.flows.push_back({flow.sender, flow.receiver, flow.accepted(),
                             flow.at_least[0] + flow.at_least[1] + flow.at_least[2],
                             flow.received[0] + flow.received[1] + flow.received[2]});
    }
  }
  detail::print(globals, shown);
  return shown.balanced ? exit_ok : exit_failed;
}

}  // namespace velo::cli
