// SPDX-License-Identifier: Apache-2.0
// Compares the books of several nodes.

#include <velo/messenger/balance.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace velo::messenger {
namespace balance_detail {

constexpr std::array<const char*, 3> pattern_names = {"fire", "sync", "unary"};

static std::string short_id(const InstanceId& id) { return id.to_string().substr(0, 8); }

/// One node's books, three times.
struct Samples {
  const NodeBooks& before;
  const NodeBooks& now;
  const NodeBooks& after;
};

static std::array<const PatternBooks*, 3> patterns_of(const NodeBooks& node) {
  return {&node.totals.fire, &node.totals.sync, &node.totals.unary};
}

/// A sum is read number by number, so it may be off by what moved while it was read.
static bool near(std::uint64_t a, std::uint64_t b, std::uint64_t moved) {
  return (a > b ? a - b : b - a) <= moved;
}

static std::uint64_t received_over(const ReceivedBooks& books) {
  return books.succeeded + books.failed + books.rejected + books.abandoned;
}

static std::uint64_t reasons_of(const NodeBooks& node) {
  std::uint64_t reasons = 0;
  for (const auto& [code, count] : node.totals.rejected_by) reasons += count;
  return reasons;
}

static void check_totals(const Samples& node, std::vector<std::string>& complaints) {
  const std::string name = short_id(node.now.instance);
  std::uint64_t rejected = 0;
  for (std::size_t p = 0; p < pattern_names.size(); ++p) {
    const PatternBooks& first = *patterns_of(node.before)[p];
    const PatternBooks& books = *patterns_of(node.now)[p];
    const PatternBooks& last = *patterns_of(node.after)[p];
    rejected += books[Fate::rejected];
    const std::uint64_t moved = last.sent - first.sent + last.ended() - first.ended();
    if (near(books.sent, books.in_flight + books.ended(), moved)) continue;
    complaints.push_back(fmt::format("{}: {} {} sends, but {} in flight and {} ended", name,
                                     books.sent, pattern_names[p], books.in_flight, books.ended()));
  }
  const std::uint64_t reasons = reasons_of(node.now);
  if (!near(reasons, rejected, reasons_of(node.after) - reasons_of(node.before))) {
    complaints.push_back(
        fmt::format("{}: {} sends rejected, but {} reasons counted", name, rejected, reasons));
  }
  const ReceivedBooks& first = node.before.totals.received;
  const ReceivedBooks& books = node.now.totals.received;
  const ReceivedBooks& last = node.after.totals.received;
  const std::uint64_t moved =
      last.requests - first.requests + received_over(last) - received_over(first);
  if (!near(books.requests, books.running + received_over(books), moved)) {
    complaints.push_back(fmt::format("{}: {} requests received, but {} running and {} over", name,
                                     books.requests, books.running, received_over(books)));
  }
}

/// Without an account for the other one, its traffic may be in that of all the others.
static bool has_account(const NodeBooks& node, const InstanceId& other) {
  return node.with(other) != nullptr || node.with(InstanceId()) == nullptr;
}

/// What must have arrived as the sender had it before, what can have as it had it after.
static Flow flow_of(const Samples& sender, const Samples& receiver) {
  Flow flow;
  flow.sender = sender.now.instance;
  flow.receiver = receiver.now.instance;
  flow.known = has_account(sender.now, flow.receiver) && has_account(receiver.now, flow.sender);
  if (const PeerBooks* sent = sender.after.with(flow.receiver)) {
    flow.sends = {sent->fire, sent->sync, sent->unary};
    flow.unbroken = sent->closed == 0;
    flow.may_be_lost = sent->may_be_lost;
  }
  if (const PeerBooks* closing = receiver.after.with(flow.sender)) {
    flow.unbroken = flow.unbroken && closing->closed == 0;
  }
  if (const PeerBooks* got = receiver.now.with(flow.sender)) flow.received = got->requests;
  if (const PeerBooks* sent = sender.before.with(flow.receiver)) {
    const std::uint64_t written = flow.unbroken ? sent->fire[Fate::written] : 0;
    flow.at_least = {written - std::min(written, flow.may_be_lost), sent->sync.certain(),
                     sent->unary.certain()};
  }
  return flow;
}

static void check_flow(const Flow& flow, Moving moving, std::vector<std::string>& complaints) {
  for (std::size_t p = 0; p < flow.received.size(); ++p) {
    const std::uint64_t most = flow.sends[p].accepted;
    const bool exact = moving == Moving::no && flow.unbroken;
    const std::uint64_t lost = p == 0 ? std::min(most, flow.may_be_lost) : 0;
    const std::uint64_t least = exact ? most - lost : flow.at_least[p];
    if (flow.received[p] >= least && flow.received[p] <= most) continue;
    const std::string expected =
        least == most ? fmt::format("{}", most) : fmt::format("{} to {}", least, most);
    complaints.push_back(fmt::format("{} sent {} {} to {}, which received {}",
                                     short_id(flow.sender), expected, pattern_names[p],
                                     short_id(flow.receiver), flow.received[p]));
  }
}

static Balance compare(std::span<const NodeBooks> before, std::span<const NodeBooks> now,
                       std::span<const NodeBooks> after, Moving moving) {
  Balance balance;
  std::vector<Samples> nodes;
  nodes.reserve(now.size());
  for (std::size_t i = 0; i < now.size(); ++i) nodes.push_back({before[i], now[i], after[i]});
  for (const Samples& node : nodes) check_totals(node, balance.complaints);
  for (const Samples& sender : nodes) {
    for (const Samples& receiver : nodes) {
      const Flow flow = flow_of(sender, receiver);
      if (flow.known) check_flow(flow, moving, balance.complaints);
      const bool any = flow.accepted() + flow.received[0] + flow.received[1] + flow.received[2] > 0;
      if (any) balance.flows.push_back(flow);
    }
  }
  return balance;
}

}  // namespace balance_detail

Balance compare(std::span<const NodeBooks> nodes, Moving moving) {
  return balance_detail::compare(nodes, nodes, nodes, moving);
}

Balance compare(std::span<const NodeBooks> before, std::span<const NodeBooks> now,
                std::span<const NodeBooks> after) {
  return balance_detail::compare(before, now, after, Moving::maybe);
}

}  // namespace velo::messenger
