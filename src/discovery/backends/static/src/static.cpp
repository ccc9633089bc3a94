// SPDX-License-Identifier: Apache-2.0
// Two sources of one feed: what the program listed, and who announced itself.

#include <velo/discovery/backends/static.hpp>

#include <cstdint>
#include <map>
#include <mutex>

namespace velo::discovery {

struct StaticDiscovery::Shared {
  static constexpr PeerTable::Source listed = 0;
  static constexpr PeerTable::Source announced = 1;

  PeerFeed feed{PeerFeed::Start::empty, 2};
  std::mutex mutex;
  /// Which announcement of an instance counts: a registration that was replaced withdraws nothing.
  std::map<InstanceId, std::uint64_t> current;
  std::uint64_t last = 0;

  Result<void> put(PeerTable::Source source, const PeerInfo& peer) {
    if (!peer.instance_id.valid()) {
      return velo::make_error(velo::Errc::invalid_argument, "a peer without an instance id");
    }
    if (!feed.apply(source, PeerChange(PeerChange::Kind::added, {peer}))) {
      return velo::make_error(velo::Errc::overloaded, "the list of peers is full");
    }
    return {};
  }
};

class StaticDiscovery::Announcement final : public Registration {
 public:
  Announcement(std::shared_ptr<Shared> shared, PeerInfo self, std::uint64_t number)
      : shared_(std::move(shared)), self_(std::move(self)), number_(number) {}
  Announcement(const Announcement&) = delete;
  ~Announcement() override {
    const std::lock_guard lock(shared_->mutex);
    const auto current = shared_->current.find(self_.instance_id);
    if (current == shared_->current.end() || current->second != number_) return;
    shared_->current.erase(current);
    shared_->feed.apply(Shared::announced, PeerChange(PeerChange::Kind::removed, {self_}));
  }

 private:
  std::shared_ptr<Shared> shared_;
  PeerInfo self_;
  std::uint64_t number_;
};

StaticDiscovery::StaticDiscovery(Executor& callbacks)
    : callbacks_(callbacks), shared_(std::make_shared<Shared>()) {}

StaticDiscovery::~StaticDiscovery() { shared_->feed.close(); }

Result<std::unique_ptr<StaticDiscovery>> StaticDiscovery::create(Executor& callbacks,
                                                                 std::vector<PeerInfo> peers) {
  std::unique_ptr<StaticDiscovery> made(new StaticDiscovery(callbacks));
  for (const PeerInfo& peer : peers) {
    if (Result<void> added = made->add(peer); !added) return std::move(added).error();
  }
  return made;
}

Result<void> StaticDiscovery::add(const PeerInfo& peer) {
  return shared_->put(Shared::listed, peer);
}

bool StaticDiscovery::remove(const InstanceId& id) {
  return shared_->feed.apply(Shared::listed,
                             PeerChange(PeerChange::Kind::removed, {PeerInfo{id, {}}}));
}

Op<std::unique_ptr<Registration>> StaticDiscovery::announce(const PeerInfo& self) {
  using Outcome = Result<std::unique_ptr<Registration>>;
  const std::lock_guard lock(shared_->mutex);
  if (Result<void> put = shared_->put(Shared::announced, self); !put) {
    return Op<std::unique_ptr<Registration>>::ready(callbacks_, std::move(put).error());
  }
  const std::uint64_t number = ++shared_->last;
  shared_->current[self.instance_id] = number;
  return Op<std::unique_ptr<Registration>>::ready(
      callbacks_, Outcome(std::make_unique<Announcement>(shared_, self, number)));
}

Op<PeerInfo> StaticDiscovery::discover_by_instance_id(const InstanceId& id) {
  std::optional<PeerInfo> found = shared_->feed.find(id);
  if (!found) {
    return Op<PeerInfo>::ready(callbacks_, velo::make_error(velo::Errc::not_found, id.to_string()));
  }
  return Op<PeerInfo>::ready(callbacks_, std::move(*found));
}

Op<PeerInfo> StaticDiscovery::discover_by_worker_id(WorkerId id) {
  std::optional<PeerInfo> found = shared_->feed.find(id);
  if (!found) {
    return Op<PeerInfo>::ready(callbacks_, velo::make_error(velo::Errc::not_found, id.to_string()));
  }
  return Op<PeerInfo>::ready(callbacks_, std::move(*found));
}

Op<std::vector<PeerInfo>> StaticDiscovery::list() {
  return Op<std::vector<PeerInfo>>::ready(callbacks_, shared_->feed.list());
}

std::unique_ptr<Registration> StaticDiscovery::watch(Executor& executor, PeerWatcher watcher) {
  return shared_->feed.watch(executor, std::move(watcher));
}

}  // namespace velo::discovery
