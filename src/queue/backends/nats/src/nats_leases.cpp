// SPDX-License-Identifier: Apache-2.0
// Leases judged on this side.

#include "nats_leases.hpp"

#include <algorithm>

namespace velo::queue::nats {

/// Three words within the server's patience, as long as the lease goes beyond it.
void Leases::schedule(TimePoint now, Held& held) const noexcept {
  const TimePoint patience = now + (server_wait_ - limits::nats_lease_slack_min);
  held.renew = held.until > patience ? now + server_wait_ / 3 : TimePoint::never();
}

void Leases::add(TimePoint now, std::uint64_t item, Held held, Duration visibility) {
  held.until = now + visibility;
  schedule(now, held);
  held_.insert_or_assign(item, std::move(held));
}

const Leases::Held* Leases::find(TimePoint now, Lease lease) const {
  const auto found = held_.find(lease.item);
  if (found == held_.end()) return nullptr;
  const Held& held = found->second;
  return held.token == lease.token && held.until > now && !held.dying ? &held : nullptr;
}

std::optional<Leases::Held> Leases::take(TimePoint now, Lease lease) {
  if (find(now, lease) == nullptr) return {};
  return std::move(held_.extract(lease.item).mapped());
}

bool Leases::extend(TimePoint now, Lease lease, Duration visibility) {
  if (find(now, lease) == nullptr) return false;
  Held& held = held_.find(lease.item)->second;
  held.until = now + visibility;
  schedule(now, held);
  return true;
}

void Leases::die(TimePoint now, std::uint64_t item, std::string reason) {
  const auto found = held_.find(item);
  if (found == held_.end()) return;
  Held& held = found->second;
  held.dying = true;
  held.letter.reason = std::move(reason);
  held.until = TimePoint::never();
  held.dead_at = now;
  held.renew = now + server_wait_ / 3;
}

const Leases::Held* Leases::dying(std::uint64_t item) const {
  const auto found = held_.find(item);
  return found != held_.end() && found->second.dying ? &found->second : nullptr;
}

void Leases::spared(TimePoint now, std::uint64_t item) {
  const auto found = held_.find(item);
  if (found != held_.end()) found->second.dead_at = now + limits::dead_letter_pause;
}

std::optional<Leases::Held> Leases::buried(std::uint64_t item) {
  if (dying(item) == nullptr) return {};
  return std::move(held_.extract(item).mapped());
}

Leases::Due Leases::due(TimePoint now) {
  Due due;
  for (auto at = held_.begin(); at != held_.end();) {
    auto& [item, held] = *at;
    if (held.until <= now) {
      if (!held.last) {
        due.give_back.push_back(std::move(held.ack));
        at = held_.erase(at);
        continue;
      }
      die(now, item, "its receivers' leases ran out");
    }
    if (held.dying && held.dead_at <= now) {
      held.dead_at = TimePoint::never();
      due.bury.push_back(item);
    }
    if (held.renew <= now) {
      due.renew.push_back(held.ack);
      schedule(now, held);
    }
    ++at;
  }
  // Not in a hash table's order.
  std::ranges::sort(due.bury);
  return due;
}

TimePoint Leases::next_change() const noexcept {
  TimePoint next = TimePoint::never();
  for (const auto& [item, held] : held_) {
    next = std::min({next, held.until, held.renew, held.dead_at});
  }
  return next;
}

std::size_t Leases::dying_count() const noexcept {
  return static_cast<std::size_t>(
      std::ranges::count_if(held_, [](const auto& each) { return each.second.dying; }));
}

std::vector<std::string> Leases::take_all() {
  std::vector<std::string> all;
  all.reserve(held_.size());
  for (auto& [item, held] : held_) all.push_back(std::move(held.ack));
  held_.clear();
  return all;
}

}  // namespace velo::queue::nats
