// SPDX-License-Identifier: Apache-2.0
// Two sources of each feed: what the program listed, and who announced itself.

#include <velo/discovery/backends/static.hpp>

#include <velo/discovery/own_rows.hpp>

#include <mutex>

namespace velo::discovery {

struct StaticDiscovery::Shared {
  static constexpr PeerTable::Source listed = 0;
  static constexpr PeerTable::Source announced = 1;

  PeerFeed peers{PeerFeed::Start::empty, 2};
  ServiceFeed services{ServiceFeed::Start::empty, 2};
  std::mutex mutex;
  OwnRows<PeerSubject::Key> own_peers;
  OwnRows<ServiceSubject::Key> own_services;

  Result<void> put(PeerTable::Source source, const PeerInfo& peer) {
    if (!peer.instance_id.valid()) {
      return velo::make_error(velo::Errc::invalid_argument, "a peer without an instance id");
    }
    if (!peers.apply(source, PeerChange(ChangeKind::added, {peer}))) {
      return velo::make_error(velo::Errc::overloaded, "the list of peers is full");
    }
    return {};
  }
  Result<void> put(PeerTable::Source source, const ServiceInstance& instance) {
    if (Result<void> checked = check_service(instance); !checked) return checked;
    if (!services.apply(source, ServiceChange(ChangeKind::added, {instance}))) {
      return velo::make_error(velo::Errc::overloaded, "the list of services is full");
    }
    return {};
  }
};

namespace static_detail {

/// The registration of what was just announced; withdraws it unless it was replaced.
template <class Subject, class Shared, class Feed>
static Result<std::unique_ptr<Registration>> announced(const std::shared_ptr<Shared>& shared,
                                                       Feed Shared::* feed,
                                                       OwnRows<typename Subject::Key> Shared::* own,
                                                       const typename Subject::Info& info) {
  using Change = typename Subject::Change;
  const typename Subject::Key key = Subject::key(info);
  const std::lock_guard lock(shared->mutex);
  if (Result<void> put = shared->put(Shared::announced, info); !put) return std::move(put).error();
  return make_registration([shared, feed, own, key, number = (shared.get()->*own).take(key)] {
    const std::lock_guard withdrawing(shared->mutex);
    if (!(shared.get()->*own).release(key, number)) return;
    (shared.get()->*feed)
        .apply(Shared::announced, Change(ChangeKind::removed, {Subject::bare(key)}));
  });
}

}  // namespace static_detail

StaticDiscovery::StaticDiscovery(Executor& callbacks)
    : callbacks_(callbacks), shared_(std::make_shared<Shared>()) {}

StaticDiscovery::~StaticDiscovery() {
  shared_->peers.close();
  shared_->services.close();
}

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
  return shared_->peers.apply(Shared::listed, PeerChange(ChangeKind::removed, {PeerInfo{id, {}}}));
}

Result<void> StaticDiscovery::add_service(const ServiceInstance& instance) {
  return shared_->put(Shared::listed, instance);
}

bool StaticDiscovery::remove_service(std::string_view service, const InstanceId& id) {
  return shared_->services.apply(
      Shared::listed,
      ServiceChange(ChangeKind::removed, {ServiceInstance{std::string(service), id, {}}}));
}

// ---- peers ----

Op<std::unique_ptr<Registration>> StaticDiscovery::announce(const PeerInfo& self) {
  return Op<std::unique_ptr<Registration>>::ready(
      callbacks_,
      static_detail::announced<PeerSubject>(shared_, &Shared::peers, &Shared::own_peers, self));
}

Op<PeerInfo> StaticDiscovery::discover_by_instance_id(const InstanceId& id) {
  std::optional<PeerInfo> found = shared_->peers.find(id);
  if (!found) {
    return Op<PeerInfo>::ready(callbacks_, velo::make_error(velo::Errc::not_found, id.to_string()));
  }
  return Op<PeerInfo>::ready(callbacks_, std::move(*found));
}

Op<PeerInfo> StaticDiscovery::discover_by_worker_id(WorkerId id) {
  std::optional<PeerInfo> found = shared_->peers.find(id);
  if (!found) {
    return Op<PeerInfo>::ready(callbacks_, velo::make_error(velo::Errc::not_found, id.to_string()));
  }
  return Op<PeerInfo>::ready(callbacks_, std::move(*found));
}

Op<std::vector<PeerInfo>> StaticDiscovery::list() {
  return Op<std::vector<PeerInfo>>::ready(callbacks_, shared_->peers.list());
}

std::unique_ptr<Registration> StaticDiscovery::watch(Executor& executor, PeerWatcher watcher) {
  return shared_->peers.watch(executor, std::move(watcher));
}

// ---- services ----

Op<std::unique_ptr<Registration>> StaticDiscovery::register_service(
    const ServiceInstance& instance) {
  return Op<std::unique_ptr<Registration>>::ready(
      callbacks_, static_detail::announced<ServiceSubject>(shared_, &Shared::services,
                                                           &Shared::own_services, instance));
}

Op<std::vector<std::string>> StaticDiscovery::list_services() {
  return Op<std::vector<std::string>>::ready(
      callbacks_, shared_->services.read([](const ServiceTable& table) { return table.names(); }));
}

Op<std::vector<ServiceInstance>> StaticDiscovery::instances(std::string_view service) {
  return Op<std::vector<ServiceInstance>>::ready(callbacks_,
                                                 shared_->services.list(std::string(service)));
}

std::unique_ptr<Registration> StaticDiscovery::watch_service(std::string_view service,
                                                             Executor& executor,
                                                             ServiceWatcher watcher) {
  return shared_->services.watch(executor, std::move(watcher), std::string(service));
}

}  // namespace velo::discovery
