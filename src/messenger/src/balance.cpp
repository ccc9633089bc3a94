// SPDX-License-Identifier: Apache-2.0
// Compares the books of several nodes.

#include <velo/messenger/balance.hpp>

#include <fmt/format.h>

namespace velo::messenger {
namespace balance_detail {

constexpr std::array<const char*, 3> pattern_names = {"fire", "sync", "unary"};

static std::string short_id(const InstanceId& id) { return id.to_string().substr(0, 8); }

static void check_totals(const NodeBooks& node, std::vector<std::string>& complaints) {
  const std::array<const PatternBooks*, 3> patterns = {&node.totals.fire, &node.totals.sync,
                                                       &node.totals.unary};
  std::uint64_t rejected = 0;
  for (std::size_t p = 0; p < patterns.size(); ++p) {
    const PatternBooks& books = *patterns[p];
    rejected += books[Fate::rejected];
    if (books.balanced()) continue;
    complaints.push_back(fmt::format("{}: {} {} sends, but {} in flight and {} ended",
                                     short_id(node.instance), books.sent, pattern_names[p],
                                     books.in_flight, books.ended()));
  }
  std::uint64_t reasons = 0;
  for (const auto& [code, count] : node.totals.rejected_by) reasons += count;
  if (reasons != rejected) {
    complaints.push_back(fmt::format("{}: {} sends rejected, but {} reasons counted",
                                     short_id(node.instance), rejected, reasons));
  }
  const ReceivedBooks& received = node.totals.received;
  if (!received.balanced()) {
    complaints.push_back(
        fmt::format("{}: {} requests received, but {} running and {} over", short_id(node.instance),
                    received.requests, received.running,
                    received.succeeded + received.failed + received.rejected + received.abandoned));
  }
}

/// Without an account for the other one, its traffic may be in that of all the others.
static bool has_account(const NodeBooks& node, const InstanceId& other) {
  return node.with(other) != nullptr || node.with(InstanceId()) == nullptr;
}

static Flow flow_of(const NodeBooks& sender, const NodeBooks& receiver) {
  Flow flow;
  flow.sender = sender.instance;
  flow.receiver = receiver.instance;
  flow.known = has_account(sender, receiver.instance) && has_account(receiver, sender.instance);
  if (const PeerBooks* sent = sender.with(receiver.instance)) {
    flow.sends = {sent->fire, sent->sync, sent->unary};
    flow.unbroken = sent->closed == 0;
  }
  if (const PeerBooks* got = receiver.with(sender.instance)) {
    flow.received = got->requests;
    flow.unbroken = flow.unbroken && got->closed == 0;
  }
  flow.at_least = {flow.unbroken ? flow.sends[0][Fate::written] : 0, flow.sends[1].certain(),
                   flow.sends[2].certain()};
  return flow;
}

static void check_flow(const Flow& flow, Moving moving, std::vector<std::string>& complaints) {
  for (std::size_t p = 0; p < flow.received.size(); ++p) {
    const std::uint64_t most = flow.sends[p].accepted;
    const bool exact = moving == Moving::no && flow.unbroken;
    const std::uint64_t least = exact ? most : flow.at_least[p];
    if (flow.received[p] >= least && flow.received[p] <= most) continue;
    const std::string expected =
        least == most ? fmt::format("{}", most) : fmt::format("{} to {}", least, most);
    complaints.push_back(fmt::format("{} sent {} {} to {}, which received {}",
                                     short_id(flow.sender), expected, pattern_names[p],
                                     short_id(flow.receiver), flow.received[p]));
  }
}

}  // namespace balance_detail

Balance compare(std::span<const NodeBooks> nodes, Moving moving) {
  Balance balance;
  for (const NodeBooks& node : nodes) balance_detail::check_totals(node, balance.complaints);
  for (const NodeBooks& sender : nodes) {
    for (const NodeBooks& receiver : nodes) {
      Flow flow = balance_detail::flow_of(sender, receiver);
      if (flow.known) balance_detail::check_flow(flow, moving, balance.complaints);
      const bool any = flow.accepted() + flow.received[0] + flow.received[1] + flow.received[2] > 0;
      if (any) balance.flows.push_back(flow);
    }
  }
  return balance;
}

}  // namespace velo::messenger
