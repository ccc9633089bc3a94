// SPDX-License-Identifier: Apache-2.0
// The end of a connection, and of the calls that travelled on it.

#include "impl.hpp"
#include "path_engine.hpp"
#include "request_window.hpp"

#include <velo/base/log.hpp>

namespace velo::messenger {

void Impl::on_link_closed(Link& link, const Error& reason) {
  const std::shared_ptr<Link> alive = link.self();
  if (link.dialed()) link.death = reason;
  VELO_LOG_DEBUG(messenger, "connection closed", {"remote", link.connection().remote()},
                 {"reason", reason.to_string()});
  bool last = false;
  {
    const std::lock_guard lock(links_mutex_);
    links_.erase(link.serial());
    last = links_.empty();
  }
  if (link.dialed() && link.peer.valid()) {
    for (std::size_t i = 0; i < shards_.size(); ++i) {
      if (&world_.shard(i) != &link.connection().shard()) continue;
      shards_[i].last_link = nullptr;
      const auto found = shards_[i].ready.find(link.peer);
      if (found != shards_[i].ready.end() && found->second == &link) shards_[i].ready.erase(found);
    }
  }
  const bool by_path = link.agreement.path && link.dialed() && paths_ != nullptr &&
                       !stopped_.load(std::memory_order_seq_cst);
  if (const auto peer = !by_path && link.peer.valid() ? find_peer(link.peer) : nullptr) {
    if (link.dialed()) {
      link_lost(peer, link);
    } else {
      const std::lock_guard lock(peer->mutex);
      if (peer->greeted_links > 0) --peer->greeted_links;
    }
    forget_if_unused(peer);
  }
  stranger_over(link);
  subsystems_.unlinked(link, reason);
  if (link.dialed() || paths_ == nullptr || !paths_->outlive(link)) link.stop_all_inbound();
  calls_->ledger().connection_closed(link.account);
  if (by_path) {
    paths_->link_closed(link, reason);
  } else {
    if (link.window != nullptr) {
      fail_pending(link.window->close(), make_error(Errc::not_sent, reason.to_string()));
    }
    end_calls_of(link, reason);
  }
  if (stopped_.load(std::memory_order_acquire)) {
    drain_.bytes_cut_off.fetch_add(link.connection().queued(), std::memory_order_acq_rel);
  }
  if (last) connections_over();
}

void Impl::end_calls_of(Link& link, const Error& reason,
                        const std::unordered_set<std::uint64_t>* but) {
  const std::uint64_t written = link.connection().written();
  const bool by_us = stopped_.load(std::memory_order_acquire);
  calls_->for_each_live([&](CallSlot& slot, std::uint64_t generation) {
    if (slot.travels_on.serial() != link.serial()) return;
    if (but != nullptr && but->contains(slot.id().local())) return;
    const std::uint64_t end = slot.stream_end.load(std::memory_order_acquire);
    if (!slot.claim(generation)) return;
    const bool left = end <= written;
    // As stop_now() ends those that it finds first.
    if (by_us && left) {
      return slot.end_as_unknown(
          Error(error_code(Errc::shutting_down), Retry::later, reason.context()));
    }
    if (by_us) return slot.end(make_error(Errc::shutting_down, reason.context()));
    if (left) return slot.end(make_error(Errc::connection_lost, reason.to_string()));
    slot.end_as_not_sent(make_error(Errc::not_sent, reason.to_string()));
  });
}

}  // namespace velo::messenger
