// SPDX-License-Identifier: Apache-2.0
// The messenger's books, its own and those of others, and `_books`, which tells them.

#include "impl.hpp"
#include "path_engine.hpp"
#include "waiting_send.hpp"
#include "watching.hpp"

#include <velo/base/log.hpp>

#include <algorithm>
#include <optional>

namespace velo::messenger {
namespace books_detail {

template <class Sends, class Of>
static Sends& of_pattern(Of& books, Pattern pattern) noexcept {
  if (pattern == Pattern::fire) return books.fire;
  return pattern == Pattern::sync ? books.sync : books.unary;
}

}  // namespace books_detail

Books Impl::books() const {
  using books_detail::of_pattern;
  Books books = calls_->ledger().totals();
  calls_->for_each_live([&](CallSlot& slot, std::uint64_t /*generation*/) {
    if (!slot.system) ++of_pattern<PatternBooks>(books, slot.pattern).in_flight;
  });
  {
    const std::lock_guard lock(waiting_mutex_);
    for (const auto& waiting : waiting_) {
      if (waiting->claimed() || waiting->spec.system) continue;
      ++of_pattern<PatternBooks>(books, waiting->spec.pattern).in_flight;
    }
  }
  if (paths_ != nullptr) books.paths = paths_->books();
  books.received.running = running_requests_.load(std::memory_order_relaxed);
  return books;
}

NodeBooks Impl::node_books() const {
  NodeBooks node;
  node.instance = self_.instance_id;
  node.totals = books();
  std::vector<Account> accounts;
  node.peers = calls_->ledger().peers(&accounts);
  calls_->for_each_live([&](CallSlot& slot, std::uint64_t /*generation*/) {
    const Account account = slot.travels_on.account();
    if (slot.system || account == Ledger::nobody) return;
    const auto found = std::lower_bound(accounts.begin(), accounts.end(), account);
    if (found == accounts.end() || *found != account) return;
    PeerBooks& peer = node.peers[static_cast<std::size_t>(found - accounts.begin())];
    ++books_detail::of_pattern<PeerSends>(peer, slot.pattern).in_flight;
  });
  std::sort(node.peers.begin(), node.peers.end(),
            [](const PeerBooks& a, const PeerBooks& b) { return a.peer < b.peer; });
  return node;
}

void Impl::register_books_handler() {
  auto answer = [this](TypedContext<Nothing>& /*context*/) { return node_books(); };
  (void)handlers_.add(Handler::typed_unary("_books", std::move(answer)).inline_().build(), true);
}

Result<void> Impl::publish_metrics(metrics::Registry& registry) {
  const std::lock_guard lock(metrics_mutex_);
  if (metrics_ != nullptr) return make_error(velo::Errc::already_exists, "published before");
  auto fresh = std::make_unique<NodeMetrics>(
      registry, self_.instance_id, transports_, calls_->ledger(), [this] { return books(); },
      [this] { return Watching::look(*this); });
  auto added = fresh->add_own();
  for (const auto& subsystem : subsystems_.all()) {
    if (added) added = fresh->add(*subsystem);
  }
  if (!added) return added;
  metrics_ = std::move(fresh);
  if (const auto counted = metrics_->add_frames(); !counted) {
    VELO_LOG_WARN(messenger, "not every transport is counted apart",
                  {"error", counted.error().to_string()});
  }
  meter_handlers();
  const std::lock_guard links(links_mutex_);
  for (const auto& [serial, link] : links_) {
    link->set_meter(metrics_->frames_of(link->connection().transport_key()));
  }
  return added;
}

void Impl::meter_handlers() {
  std::optional<Error> refused;
  handlers_.for_each([&](const Handler& handler) {
    if (refused || handler.name().starts_with('_')) return;
    if (auto added = metrics_->add(handler); !added) refused = added.error();
  });
  if (!refused) return;
  VELO_LOG_WARN(messenger, "not every handler is counted apart", {"error", refused->to_string()});
}

void Impl::meter_new(Link* link) {
  const std::lock_guard lock(metrics_mutex_);
  if (metrics_ == nullptr) return;
  if (link == nullptr) return meter_handlers();
  link->set_meter(metrics_->frames_of(link->connection().transport_key()));
}

void Impl::withdraw_metrics() noexcept {
  const std::lock_guard lock(metrics_mutex_);
  if (metrics_ == nullptr) return;
  retired_meters_ = metrics_->meters();
  metrics_.reset();
  const std::lock_guard links(links_mutex_);
  for (const auto& [serial, link] : links_) link->set_meter(nullptr);
}

Op<NodeBooks> Impl::books_of(const InstanceId& peer, Duration timeout) {
  CallSpec spec;
  spec.impl = this;
  spec.pattern = Pattern::unary;
  spec.system = true;
  spec.typed = true;
  spec.handler = "_books";
  spec.has_instance = true;
  spec.instance = peer;
  spec.timeout = timeout;
  return {start(spec), &decode_reply<NodeBooks>};
}

}  // namespace velo::messenger
