// SPDX-License-Identifier: Apache-2.0
// Peers to announce, and the record of a watch.

#include "ground.hpp"

namespace velo::discovery::conformance {

PeerInfo make_peer(World& world, std::string_view address) {
  PeerInfo peer;
  peer.instance_id = InstanceId::random(world.random());
  peer.address.emplace("tcp", Bytes::copy(address));
  return peer;
}

PeerWatcher Record::watcher() {
  return [shared = shared_](const PeerChange& change) {
    {
      const std::lock_guard lock(shared->mutex);
      if (std::exchange(shared->inside, true)) shared->overlapped = true;
    }
    const std::lock_guard lock(shared->mutex);
    shared->changes.push_back(change);
    if (change.kind == PeerChange::Kind::snapshot || change.kind == PeerChange::Kind::resync) {
      shared->view.clear();
    }
    for (const PeerInfo& peer : change.peers) {
      if (change.kind == PeerChange::Kind::removed) {
        shared->view.erase(peer.instance_id);
      } else {
        shared->view.insert_or_assign(peer.instance_id, peer);
      }
    }
    shared->inside = false;
  };
}

std::size_t Record::calls() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->changes.size();
}

std::size_t Record::snapshots() const {
  const std::lock_guard lock(shared_->mutex);
  std::size_t count = 0;
  for (const PeerChange& change : shared_->changes) {
    count += change.kind == PeerChange::Kind::snapshot ? 1 : 0;
  }
  return count;
}

bool Record::overlapped() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->overlapped;
}

std::vector<PeerChange> Record::changes() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->changes;
}

std::map<InstanceId, PeerInfo> Record::view() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->view;
}

}  // namespace velo::discovery::conformance
