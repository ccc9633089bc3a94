// SPDX-License-Identifier: Apache-2.0
// The registry of peers.

#include "impl.hpp"
#include "path_engine.hpp"

#include <algorithm>

namespace velo::messenger {

std::shared_ptr<Peer> Impl::find_peer(const InstanceId& id) const {
  const std::shared_lock lock(peers_mutex_);
  const auto found = by_instance_.find(id);
  return found == by_instance_.end() ? nullptr : found->second;
}

std::shared_ptr<Peer> Impl::find_peer(WorkerId worker) const {
  const std::shared_lock lock(peers_mutex_);
  const auto found = by_worker_.find(worker);
  return found == by_worker_.end() ? nullptr : found->second;
}

std::optional<InstanceId> Impl::instance_of(WorkerId worker) const {
  if (worker == worker_) return self_.instance_id;
  const auto peer = find_peer(worker);
  if (!peer) return std::nullopt;
  const std::lock_guard lock(peer->mutex);
  if (!peer->info.instance_id.valid()) return std::nullopt;
  return peer->info.instance_id;
}

std::vector<PeerInfo> Impl::peers() const {
  std::vector<std::shared_ptr<Peer>> all;
  {
    const std::shared_lock lock(peers_mutex_);
    all.reserve(by_instance_.size());
    for (const auto& [id, peer] : by_instance_) all.push_back(peer);
  }
  std::vector<PeerInfo> infos;
  infos.reserve(all.size());
  for (const auto& peer : all) {
    const std::lock_guard lock(peer->mutex);
    if (peer->has_address) infos.push_back(peer->info);
  }
  std::sort(infos.begin(), infos.end(),
            [](const PeerInfo& a, const PeerInfo& b) { return a.instance_id < b.instance_id; });
  return infos;
}

std::vector<transport::Transport*> Impl::candidates_for(const WorkerAddress& address) const {
  std::vector<transport::Transport*> candidates;
  for (const auto& transport : transports_) {
    const auto entry = address.find(transport->key());
    if (entry != address.end() && transport->check_entry(entry->second)) {
      candidates.push_back(transport.get());
    }
  }
  return candidates;
}

std::optional<ConnectionIdentity> Impl::identity_of_peer(const InstanceId& id) const {
  if (id == self_.instance_id) return self_link_->identity();
  const auto peer = find_peer(id);
  if (!peer) return std::nullopt;
  const std::lock_guard lock(peer->mutex);
  return peer->identity;
}

std::vector<transport::Transport*> Impl::candidates_for(Peer& peer) {
  peer.last_failure = make_error(Errc::no_route, "none of our transports reaches the peer");
  if (paths_ == nullptr) return candidates_for(peer.info.address);
  auto order = paths_->dial_order(peer);
  if (order.empty()) peer.last_failure = make_error(Errc::no_route, paths_->why_none(peer));
  return order;
}

Result<void> Impl::register_peer(const PeerInfo& info, PeerSource source) {
  const bool authentic = source == PeerSource::authentic_hello;
  const bool from_hello = source == PeerSource::hello || authentic;
  if (!info.instance_id.valid()) {
    return velo::make_error(velo::Errc::invalid_argument, "the instance id is nil");
  }
  if (info.instance_id == self_.instance_id) return {};
  if (!from_hello && candidates_for(info.address).empty()) {
    return make_error(Errc::no_route,
                      "none of our transports reaches " + info.instance_id.to_string());
  }
  std::shared_ptr<Link> outdated;
  std::unique_lock lock(peers_mutex_);
  auto found = by_worker_.find(info.worker_id());
  if (found == by_worker_.end()) {
    if (by_worker_.size() >= limits::peers_max) {
      return velo::make_error(velo::Errc::overloaded, "peers_max is reached");
    }
    auto peer = std::make_shared<Peer>(next_shard_++ % shards_.size(), memory_);
    peer->worker = info.worker_id();
    found = by_worker_.emplace(info.worker_id(), std::move(peer)).first;
  }
  const std::shared_ptr<Peer> peer = found->second;
  std::unique_lock peer_lock(peer->mutex);
  if (peer->info.instance_id.valid() && peer->info.instance_id != info.instance_id) {
    // Worker ids are easily made to collide: nobody gets into another's place that way.
    return velo::make_error(velo::Errc::already_exists,
                            peer->info.instance_id.to_string() + " has this worker id");
  }
  by_instance_.emplace(info.instance_id, peer);
  const bool was_registered = peer->registered;
  if (source == PeerSource::user) peer->registered = true;
  if (from_hello) ++peer->greeted_links;
  // Whoever is registered, or greets, is worth an attempt at once.
  const bool paused = source != PeerSource::discovery && peer->state == Peer::State::pausing;
  if (source == PeerSource::user) {
    peer->backoff.reset();
    if (paths_ != nullptr) paths_->forgive(*peer);
    peer->address_is_discovered = false;
  }
  if (paused) end_pause_early(peer);
  if (peer->has_address && !peer->info.address.empty()) {
    if (peer->info.address == info.address) return {};
    // A greeting overrides nothing, unless it is certain that it is the instance which says where
    // it is, and the user has not said otherwise.
    if (from_hello && (!authentic || was_registered || info.address.empty())) return {};
    if (!authentic && (source != PeerSource::user || was_registered)) {
      return velo::make_error(velo::Errc::already_exists,
                              info.instance_id.to_string() + " is registered with another address");
    }
    // Whoever greets may claim any id and address; the user's word counts more.
    if (source == PeerSource::user) outdated = peer->link;
  }
  peer->info = info;
  peer->has_address = true;
  peer->address_is_discovered = source == PeerSource::discovery;
  peer_lock.unlock();
  lock.unlock();
  if (outdated) {
    outdated->connection().close(
        transport::make_error(transport::Errc::closed_locally, "the peer has another address"));
  }
  return {};
}

Result<void> Impl::unregister_peer(const InstanceId& id) {
  std::shared_ptr<Peer> peer;
  {
    const std::unique_lock lock(peers_mutex_);
    const auto found = by_instance_.find(id);
    if (found == by_instance_.end()) return make_error(Errc::unknown_peer, id.to_string());
    peer = found->second;
    by_instance_.erase(found);
    by_worker_.erase(peer->worker);
  }
  std::shared_ptr<Link> link;
  std::deque<PendingSend> pending;
  {
    const std::lock_guard lock(peer->mutex);
    peer->removed = true;
    ++peer->attempt;
    link = peer->link;
    pending = std::exchange(peer->pending, {});
    peer->pending_memory.clear();
  }
  fail_pending(std::move(pending), make_error(Errc::unknown_peer, "the peer was unregistered"));
  post(shard(peer->shard), [impl = shared_from_this(), peer] {
    impl->cancel_pause(peer);
    peer->dial = nullptr;  // its callback keeps the peer
    if (impl->paths_ != nullptr) impl->paths_->stop(*peer);
  });
  if (link) {
    link->connection().close(
        transport::make_error(transport::Errc::closed_locally, "the peer was unregistered"));
  }
  return {};
}

void Impl::forget_if_unused(const std::shared_ptr<Peer>& peer) {
  const std::unique_lock lock(peers_mutex_);
  const std::lock_guard peer_lock(peer->mutex);
  if (peer->registered || peer->removed || peer->greeted_links > 0 ||
      peer->state != Peer::State::idle || peer->awaited()) {
    return;
  }
  peer->removed = true;
  peer->forgotten.store(true, std::memory_order_release);
  by_worker_.erase(peer->worker);
  by_instance_.erase(peer->info.instance_id);
}

Result<std::shared_ptr<Peer>> Impl::peer_for(const CallSpec& spec) {
  auto peer = spec.has_instance ? find_peer(spec.instance) : find_peer(spec.worker);
  if (peer) return peer;
  const WorkerId worker = spec.has_instance ? spec.instance.worker_id() : spec.worker;
  if (!discovery_) {
    return make_error(Errc::unknown_peer,
                      (spec.has_instance ? spec.instance.to_string() : worker.to_string()) +
                          " is not registered, and there is no discovery to ask");
  }
  const std::unique_lock lock(peers_mutex_);
  auto found = by_worker_.find(worker);
  if (found == by_worker_.end()) {
    if (by_worker_.size() >= limits::peers_max) {
      return velo::make_error(velo::Errc::overloaded, "peers_max is reached");
    }
    peer = std::make_shared<Peer>(next_shard_++ % shards_.size(), memory_);
    peer->worker = worker;
    found = by_worker_.emplace(worker, peer).first;
  }
  peer = found->second;
  if (spec.has_instance) {
    by_instance_.emplace(spec.instance, peer);
    const std::lock_guard peer_lock(peer->mutex);
    peer->info.instance_id = spec.instance;
  }
  return peer;
}

}  // namespace velo::messenger
