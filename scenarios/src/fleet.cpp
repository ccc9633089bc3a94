// SPDX-License-Identifier: Apache-2.0
// Starting nodes, watching them, and ending everything in good order.

#include "fleet.hpp"

#include "send.hpp"

#include <velo/messenger/balance.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace velo::scenarios {

namespace fleet_detail {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

/// Longer than a transport takes to notice a peer that vanished.
constexpr Duration recovery_pause = 30s;
constexpr int recovery_rounds = 5;
/// From so many nodes on, each probes a few of them.
constexpr std::uint32_t small_fleet = 12;
constexpr std::uint32_t probes_per_node = 4;

static bool breaks_a_connection(sim::TraceKind kind) noexcept {
  return kind == sim::TraceKind::reset || kind == sim::TraceKind::timed_out ||
         kind == sim::TraceKind::end_of_stream || kind == sim::TraceKind::connect_failed;
}

}  // namespace fleet_detail

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

Fleet::Fleet(std::uint64_t seed, const FleetOptions& options, const sim::FaultPlan& plan)
    : options_(options),
      plan_(plan),
      members_(options.nodes),
      ids_(options.nodes),
      ledger_(sim_, options.nodes, options.ledger),
      sim_(seed, options.sim) {
  sim_.on_trace([this](const sim::TraceRecord& record) { on_trace(record); });
  sim::NodeOptions node_options;
  node_options.shards = options.shards;
  if (options.several_ways) {
    node_options.machine = "host";
    for (const char* key : {"tcp", "shm"}) {
      media_.push_back(std::make_shared<transport::Medium>(key));
    }
  }
  for (std::uint32_t i = 0; i < options.nodes; ++i) {
    sim_.add_node("n" + std::to_string(i), node_options,
                  [this](sim::SimNode& node) { return std::make_shared<Member>(*this, node); });
  }
  // Such links lose a connection now and then without a fault in the plan.
  if (options.sim.link.reset_per_million_segments != 0) ledger_.trouble_everywhere();
  sim_.apply(plan);
}

void Fleet::joined(Member& member) {
  const Place place = member.place();
  ledger_.run_began(place);
  auto& ids = ids_[place.node];
  ids.resize(place.run + 1);
  ids[place.run] = member.messenger().instance_id();
  members_[place.node] = &member;
  for (Member* other : members_) {
    if (other == nullptr || other == &member || !other->node().alive()) continue;
    // Half of them still believe in the earlier run for a while.
    if (place.run > 0 && (other->place().node + place.run) % 2 == 0) {
      (void)other->messenger().unregister_peer(ids[place.run - 1]);
    }
    for (const auto& [knows, of] : {std::pair(other, &member), std::pair(&member, other)}) {
      auto registered = knows->messenger().register_peer(of->messenger().peer_info());
      if (!registered) ledger_.fail("a peer is refused: " + registered.error().to_string());
    }
  }
}

void Fleet::left(Member& member) {
  const Place place = member.place();
  if (!ids_[place.node].empty() && !closing_) ledger_.run_over(place);
  if (members_[place.node] == &member) members_[place.node] = nullptr;
}

Member* Fleet::member(std::uint32_t node) noexcept {
  Member* member = members_[node];
  return member == nullptr || !member->node().alive() ? nullptr : member;
}

Place Fleet::latest(std::uint32_t node) const {
  return {node, static_cast<std::uint32_t>(ids_[node].size() - 1)};
}

void Fleet::on_trace(const sim::TraceRecord& record) {
  if (record.kind == sim::TraceKind::fault) return on_fault(record);
  if (record.node >= options_.nodes) return;
  // Where another way takes over, order holds across connections, until the first fault.
  const bool order_holds = options_.several_ways && ledger_.calm();
  if (fleet_detail::breaks_a_connection(record.kind) && !order_holds) {
    ledger_.connections_changed(record.node);
  }
  if (record.kind == sim::TraceKind::crash) {
    ledger_.run_over({record.node, static_cast<std::uint32_t>(record.id)});
  }
}

void Fleet::on_fault(const sim::TraceRecord& record) {
  ledger_.trouble_everywhere();
  if (static_cast<sim::FaultKind>(record.id) != sim::FaultKind::pause) return;
  // The record does not say for how long; the plan does.
  Duration longest{0};
  for (const sim::Fault& fault : plan_) {
    if (fault.kind != sim::FaultKind::pause || fault.a != record.node) continue;
    longest = std::max(longest, fault.duration > Duration::zero() ? fault.duration : 1h);
  }
  for (std::uint32_t i = 0; i < options_.nodes; ++i) {
    if (record.node == i || record.node == sim::any_node) ledger_.paused(i, longest);
  }
}

bool Fleet::check_step() {
  ledger_.check_deadlines();
  if (++until_check_ >= options_.events_per_check) {
    until_check_ = 0;
    next_checked_ = (next_checked_ + 1) % options_.nodes;
    if (Member* checked = member(next_checked_)) {
      ledger_.check_books(checked->place(), checked->messenger().books());
    }
  }
  return ledger_.failed();
}

bool Fleet::run_for(Duration duration) {
  (void)sim_.run_until([this] { return check_step(); }, duration);
  return !ledger_.failed();
}

void Fleet::drain(std::uint32_t node, Duration patience) {
  Member* drained_member = member(node);
  if (drained_member == nullptr || drained_member->draining) return;
  ++drains_;
  drained_member->draining = true;
  const Place place = drained_member->place();
  ledger_.trouble(place);
  drain_list_.push_back(
      {place, drained_member->node().clock().now() + patience + messenger::limits::flush_patience});
  drained_member->messenger()
      .shutdown(ShutdownPolicy(patience))
      .then(drained_member->node().shard(0),
            [this, place](const Result<void>& result) { drained(place, result); });
}

void Fleet::drained(Place place, const Result<void>& result) {
  const auto found = std::find_if(drain_list_.begin(), drain_list_.end(),
                                  [&](const Drain& drain) { return drain.place == place; });
  if (found == drain_list_.end()) return ledger_.fail("a shutdown ended twice");
  found->over = true;
  Member* over = member(place.node);
  if (over == nullptr || !(over->place() == place)) return;
  const Books books = over->messenger().books();
  if (books.fire.in_flight + books.sync.in_flight + books.unary.in_flight != 0) {
    ledger_.fail(fmt::format("n{}.{} is shut down, with sends in flight", place.node, place.run));
  }
  if (result && books.received.running != 0) {
    ledger_.fail(
        fmt::format("n{}.{} is shut down in time, but handlers still run", place.node, place.run));
  }
}

void Fleet::revive() {
  for (std::size_t i = 0; i < drain_list_.size();) {
    const Drain& drain = drain_list_[i];
    const sim::SimNode& node = sim_.node(drain.place.node);
    const bool same = node.alive() && node.incarnation() == drain.place.run;
    if (same && !drain.over) {
      if (ledger_.calm() && node.alive() &&
          members_[drain.place.node]->node().clock().now() > drain.until + options_.ledger.slack) {
        ledger_.fail(fmt::format("n{}.{} does not shut down", drain.place.node, drain.place.run));
      }
      ++i;
      continue;
    }
    if (same) sim_.restart(node);
    drain_list_.erase(drain_list_.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

void Fleet::heal() {
  Duration plan_over{0};
  for (const sim::Fault& fault : plan_) plan_over = std::max(plan_over, fault.at + fault.duration);
  if (const Duration now = sim_.now().since_origin(); now < plan_over) {
    if (!run_for(plan_over - now + 1ms)) return;
  }
  // What was for good ends here.
  sim_.heal();
  for (const auto& medium : media_) medium->mend();
  for (std::uint32_t i = 0; i < options_.nodes; ++i) {
    sim::SimNode& node = sim_.node(i);
    if (!node.alive()) {
      sim_.restart(node);
      continue;
    }
    sim_.resume(node);
    sim_.slow_reader(node, 0);
  }
  while (!drain_list_.empty() && !ledger_.failed()) {
    (void)run_for(100ms);
    revive();
  }
  (void)run_until([this] { return ledger_.open() == 0; }, 10min, "the end of all sends");
}

std::uint64_t Fleet::probe(std::vector<std::pair<std::uint32_t, std::uint32_t>>& pairs) {
  std::uint64_t waiting = pairs.size();
  std::vector<std::pair<std::uint32_t, std::uint32_t>> failed;
  for (const auto& pair : pairs) {
    Order order;
    order.to = latest(pair.second);
    order.timeout = 10s;
    Member* from = member(pair.first);
    if (from == nullptr) {
      ledger_.fail(fmt::format("n{} is down after all faults are over", pair.first));
      return 0;
    }
    send(*this, *from, order, [&waiting, &failed, pair](bool well) {
      --waiting;
      if (!well) failed.push_back(pair);
    });
  }
  (void)run_until([&waiting] { return waiting == 0; }, 1min, "probing");
  pairs = std::move(failed);
  return pairs.size();
}

void Fleet::prove_reachable() {
  std::vector<std::pair<std::uint32_t, std::uint32_t>> pairs;
  const std::uint32_t count = options_.nodes;
  const std::uint32_t each =
      count <= fleet_detail::small_fleet ? count - 1 : fleet_detail::probes_per_node;
  for (std::uint32_t from = 0; from < count; ++from) {
    for (std::uint32_t i = 1; i <= each; ++i) {
      const std::uint32_t step = each == count - 1 ? i : i * (count / (each + 1));
      pairs.emplace_back(from, (from + step) % count);
    }
  }
  for (int round = 0; round < fleet_detail::recovery_rounds; ++round) {
    if (probe(pairs) == 0 || ledger_.failed()) return;
    if (!run_for(fleet_detail::recovery_pause)) return;
  }
  ledger_.fail(fmt::format("n{} does not reach n{}, {} rounds after all faults are over",
                           pairs.front().first, pairs.front().second,
                           fleet_detail::recovery_rounds));
}

void Fleet::check_quiet() {
  if (ledger_.failed()) return;
  // Handlers that never answer are told when their questions' deadlines are over.
  if (!run_for(30s)) return;
  std::vector<NodeBooks> all;
  for (std::uint32_t i = 0; i < options_.nodes; ++i) {
    Member* checked = member(i);
    if (checked == nullptr) return ledger_.fail(fmt::format("n{} is down at the end", i));
    checked->check_held();
    all.push_back(checked->messenger().node_books());
    ledger_.check_final_books(checked->place(), all.back().totals);
    paths_ += all.back().totals.paths;
  }
  ledger_.check_arrivals();
  const messenger::Balance balance = messenger::compare(all, messenger::Moving::no);
  if (!balance.ok()) ledger_.fail(balance.complaints.front());
}

void Fleet::close() {
  if (ledger_.failed()) return;
  closing_ = true;
  for (Member* member : members_) {
    if (member != nullptr) member->close();
  }
  if (!sim_.run_until_idle(5min)) {
    return ledger_.fail("something is still to be done after all messengers are gone");
  }
  if (const std::uint64_t left = sim_.stats().connections_open; left != 0) {
    ledger_.fail(fmt::format("{} connections are left after all messengers are gone", left));
  }
}

}  // namespace velo::scenarios
