// SPDX-License-Identifier: Apache-2.0
// Puts a node together from what its builder collected.

#include <velo/velo.hpp>

#include "builder_parts.hpp"

#include <velo/crypto/identity_store.hpp>
#include <velo/events/attach.hpp>

#include <optional>

namespace velo {

namespace velo_detail {

/// Hands on to a discovery, and tells how the announcement went: the messenger makes it but does
/// not wait for it.
class ReportingDiscovery final : public PeerDiscovery {
 public:
  ReportingDiscovery(World& world, std::shared_ptr<PeerDiscovery> inner)
      : pool_(world.pool()),
        inner_(std::move(inner)),
        announced_(std::make_shared<Promise<void>>(world.pool())) {}

  /// Ends with the first announcement. Call once, before there can be one.
  Op<void> announced() { return announced_->op(); }

  std::string_view name() const noexcept override { return inner_->name(); }
  Op<std::unique_ptr<discovery::Registration>> announce(const PeerInfo& self) override {
    using Kept = std::unique_ptr<discovery::Registration>;
    auto kept = std::make_shared<Promise<Kept>>(pool_);
    Op<Kept> op = kept->op();
    inner_->announce(self).then(pool_, [kept, announced = announced_](Result<Kept> result) {
      Result<void> told;
      if (!result) told = result.error();
      kept->set(std::move(result));
      announced->set(std::move(told));
    });
    return op;
  }
  Op<PeerInfo> discover_by_instance_id(const InstanceId& id) override {
    return inner_->discover_by_instance_id(id);
  }
  Op<PeerInfo> discover_by_worker_id(WorkerId id) override {
    return inner_->discover_by_worker_id(id);
  }
  Op<std::vector<PeerInfo>> list() override { return inner_->list(); }
  std::unique_ptr<discovery::Registration> watch(Executor& executor,
                                                 discovery::PeerWatcher watcher) override {
    return inner_->watch(executor, std::move(watcher));
  }

 private:
  Executor& pool_;
  std::shared_ptr<PeerDiscovery> inner_;
  std::shared_ptr<Promise<void>> announced_;
};

}  // namespace velo_detail

Result<void> VeloBuilder::Parts::load_identity(World& in) {
  if (!identity_folder.empty()) {
    auto loaded = crypto::IdentityStore(in.files(), identity_folder).load(passphrase);
    if (!loaded) return loaded.error();
    auto source = crypto::CredentialSource::create(std::move(*loaded));
    if (!source) return source.error();
    credentials = std::move(*source);
  }
  if (credentials == nullptr || instance_key.valid()) return {};
  auto generated = crypto::PrivateKey::generate();
  if (!generated) return generated.error();
  instance_key = std::move(*generated);
  return {};
}

Result<void> VeloBuilder::Parts::add_transports(World& in, MessengerBuilder& to) {
  if (transports.empty()) to.add_transport(transport::make_tcp());
  const NodeParts parts = node(in);
  for (TransportFactory& make : std::exchange(transports, {})) {
    auto made = make(parts);
    if (!made) return made.error();
    to.add_transport(std::move(*made));
  }
  return {};
}

Result<void> Velo::reload_identity(std::optional<std::string_view> passphrase) {
  if (identity_.folder.empty()) {
    return make_error(Errc::unsupported, "this node's identity comes from no folder");
  }
  auto loaded = crypto::IdentityStore(world().files(), identity_.folder).load(passphrase);
  if (!loaded) return loaded.error();
  return identity_.credentials->replace(std::move(*loaded));
}

Result<std::shared_ptr<PeerDiscovery>> VeloBuilder::Parts::make_discovery(World& in) {
  discovery::Directory::Sources sources;
  const NodeParts parts = node(in);
  for (Discovering& make : discoveries) {
    auto source = make(parts);
    if (!source) return source.error();
    if (*source == nullptr) return make_error(Errc::invalid_argument, "a discovery is null");
    sources.push_back(std::move(*source));
  }
  if (sources.empty()) return std::shared_ptr<PeerDiscovery>();
  if (sources.size() == 1) return std::move(sources.front());
  if (sources.size() > discovery::limits::sources_max) {
    return make_error(Errc::invalid_argument, "too many discoveries for one directory");
  }
  return std::shared_ptr<PeerDiscovery>(
      std::make_shared<discovery::Directory>(in, std::move(sources)));
}

VeloBuilder::VeloBuilder() : parts_(std::make_unique<Parts>()) {}
VeloBuilder::VeloBuilder(VeloBuilder&&) noexcept = default;
VeloBuilder& VeloBuilder::operator=(VeloBuilder&&) noexcept = default;
VeloBuilder::~VeloBuilder() = default;

VeloBuilder& VeloBuilder::add_transport(std::unique_ptr<Transport> transport) & {
  return add_transport(
      TransportFactory([made = std::move(transport)](const NodeParts&) mutable
                           -> Result<std::unique_ptr<Transport>> { return std::move(made); }));
}
VeloBuilder&& VeloBuilder::add_transport(std::unique_ptr<Transport> transport) && {
  return std::move(add_transport(std::move(transport)));
}

VeloBuilder& VeloBuilder::add_transport(TransportFactory factory) & {
  parts_->transports.push_back(std::move(factory));
  return *this;
}
VeloBuilder&& VeloBuilder::add_transport(TransportFactory factory) && {
  return std::move(add_transport(std::move(factory)));
}

VeloBuilder& VeloBuilder::tls(transport::TlsOptions options) & {
  return add_transport(
      TransportFactory([options = std::move(options)](
                           const NodeParts& node) mutable -> Result<std::unique_ptr<Transport>> {
        if (options.credentials == nullptr) options.credentials = node.credentials;
        if (options.credentials == nullptr) {
          return make_error(Errc::invalid_argument,
                            "TLS needs an identity: make one with `velo identity new`");
        }
        return transport::make_tls(std::move(options));
      }));
}
VeloBuilder&& VeloBuilder::tls(transport::TlsOptions options) && {
  return std::move(tls(std::move(options)));
}

VeloBuilder& VeloBuilder::identity(std::string folder, std::optional<std::string> passphrase) & {
  parts_->identity_folder = std::move(folder);
  parts_->passphrase = std::move(passphrase);
  return *this;
}
VeloBuilder&& VeloBuilder::identity(std::string folder, std::optional<std::string> passphrase) && {
  return std::move(identity(std::move(folder), std::move(passphrase)));
}

VeloBuilder& VeloBuilder::credentials(std::shared_ptr<crypto::CredentialSource> source) & {
  parts_->credentials = std::move(source);
  return *this;
}
VeloBuilder&& VeloBuilder::credentials(std::shared_ptr<crypto::CredentialSource> source) && {
  return std::move(credentials(std::move(source)));
}

VeloBuilder& VeloBuilder::instance_key(crypto::PrivateKey key) & {
  parts_->instance_key = std::move(key);
  return *this;
}
VeloBuilder&& VeloBuilder::instance_key(crypto::PrivateKey key) && {
  return std::move(instance_key(std::move(key)));
}

VeloBuilder& VeloBuilder::access(AccessPolicy policy) & {
  parts_->access = std::move(policy);
  return *this;
}
VeloBuilder&& VeloBuilder::access(AccessPolicy policy) && {
  return std::move(access(std::move(policy)));
}

VeloBuilder& VeloBuilder::discovery(std::shared_ptr<PeerDiscovery> source) & {
  return discovery(
      DiscoveryFactory([source = std::move(source)](
                           World&) -> Result<std::shared_ptr<PeerDiscovery>> { return source; }));
}
VeloBuilder&& VeloBuilder::discovery(std::shared_ptr<PeerDiscovery> source) && {
  return std::move(discovery(std::move(source)));
}

VeloBuilder& VeloBuilder::discovery(DiscoveryFactory factory) & {
  parts_->discoveries.emplace_back([factory = std::move(factory)](const NodeParts& node) mutable {
    return factory(node.world);
  });
  return *this;
}
VeloBuilder&& VeloBuilder::discovery(DiscoveryFactory factory) && {
  return std::move(discovery(std::move(factory)));
}

VeloBuilder& VeloBuilder::filesystem_discovery(std::string directory, std::string cluster) & {
  return discovery(
      DiscoveryFactory([directory = std::move(directory), cluster = std::move(cluster)](
                           World& world) -> Result<std::shared_ptr<PeerDiscovery>> {
        auto made = ::velo::discovery::FilesystemDiscovery::create(world, directory, cluster);
        if (!made) return made.error();
        return std::shared_ptr<PeerDiscovery>(std::move(*made));
      }));
}
VeloBuilder&& VeloBuilder::filesystem_discovery(std::string directory, std::string cluster) && {
  return std::move(filesystem_discovery(std::move(directory), std::move(cluster)));
}

VeloBuilder& VeloBuilder::multicast_discovery(::velo::discovery::MulticastOptions options,
                                              std::string cluster) & {
  parts_->discoveries.emplace_back(
      [options = std::move(options), cluster = std::move(cluster)](
          const NodeParts& node) mutable -> Result<std::shared_ptr<PeerDiscovery>> {
        if (!options.key.valid()) options.key = node.instance_key;
        auto made = ::velo::discovery::MulticastDiscovery::create(node.world, cluster, options);
        if (!made) return made.error();
        return std::shared_ptr<PeerDiscovery>(std::move(*made));
      });
  return *this;
}
VeloBuilder&& VeloBuilder::multicast_discovery(::velo::discovery::MulticastOptions options,
                                               std::string cluster) && {
  return std::move(multicast_discovery(std::move(options), std::move(cluster)));
}

VeloBuilder& VeloBuilder::etcd_discovery(::velo::discovery::EtcdOptions options,
                                         std::string cluster) & {
  return discovery(DiscoveryFactory([options = std::move(options), cluster = std::move(cluster)](
                                        World& world) -> Result<std::shared_ptr<PeerDiscovery>> {
    auto made = ::velo::discovery::EtcdDiscovery::create(world, cluster, options);
    if (!made) return made.error();
    return std::shared_ptr<PeerDiscovery>(std::move(*made));
  }));
}
VeloBuilder&& VeloBuilder::etcd_discovery(::velo::discovery::EtcdOptions options,
                                          std::string cluster) && {
  return std::move(etcd_discovery(std::move(options), std::move(cluster)));
}

VeloBuilder& VeloBuilder::world(World& world) & {
  parts_->world = &world;
  return *this;
}
VeloBuilder&& VeloBuilder::world(World& world) && { return std::move(this->world(world)); }

VeloBuilder& VeloBuilder::runtime(const RuntimeOptions& options) & {
  parts_->runtime = options;
  return *this;
}
VeloBuilder&& VeloBuilder::runtime(const RuntimeOptions& options) && {
  return std::move(runtime(options));
}

VeloBuilder& VeloBuilder::calls_max(std::size_t calls) & {
  parts_->calls_max = calls;
  return *this;
}
VeloBuilder&& VeloBuilder::calls_max(std::size_t calls) && { return std::move(calls_max(calls)); }

VeloBuilder& VeloBuilder::large_data(RendezvousOptions options) & {
  parts_->large_data = options;
  return *this;
}

VeloBuilder& VeloBuilder::memory_budget(std::size_t bytes, std::size_t peer_bytes) & {
  parts_->memory_bytes = bytes;
  parts_->peer_memory_bytes = peer_bytes;
  return *this;
}
VeloBuilder&& VeloBuilder::memory_budget(std::size_t bytes, std::size_t peer_bytes) && {
  return std::move(memory_budget(bytes, peer_bytes));
}

Result<std::unique_ptr<Velo>> VeloBuilder::build() {
  std::unique_ptr<RealWorld> owned;
  if (parts_->world == nullptr) {
    auto made = RealWorld::create(parts_->runtime);
    if (!made) return made.error();
    owned = std::move(*made);
  }
  World& world = owned != nullptr ? *owned : *parts_->world;
  if (auto loaded = parts_->load_identity(world); !loaded) return loaded.error();
  auto source = parts_->make_discovery(world);
  if (!source) return source.error();
  MessengerBuilder builder = Messenger::builder(world);
  if (auto added = parts_->add_transports(world, builder); !added) return added.error();
  if (parts_->instance_key.valid()) builder.instance_key(std::move(parts_->instance_key));
  if (parts_->access) builder.access(std::move(*parts_->access));
  std::optional<Op<void>> announced;
  std::shared_ptr<PeerDiscovery> found = *source;
  if (*source != nullptr) {
    auto reporting = std::make_shared<velo_detail::ReportingDiscovery>(world, std::move(*source));
    announced.emplace(reporting->announced());
    builder.discovery(std::move(reporting));
  }
  builder.memory_budget(parts_->memory_bytes, parts_->peer_memory_bytes);
  if (parts_->calls_max) builder.calls_max(*parts_->calls_max);
  Rendezvous data = Rendezvous::unattached(parts_->large_data);
  builder.payloads(data.resolver());
  auto exporter = parts_->open_exporter(world);
  if (!exporter) return exporter.error();
  if (*exporter != nullptr) builder.trace(*exporter, parts_->sampling);
  auto messenger = builder.build();
  if (!messenger) return messenger.error();
  if (*exporter != nullptr) (*exporter)->set_instance((*messenger)->instance_id().to_string());
  auto events = attach_events(**messenger);
  if (!events) return events.error();
  if (auto attached = data.attach_to(**messenger); !attached) return attached.error();
  if (announced) {
    auto ended = std::move(*announced).get();
    // In simulation and on executors nobody may wait; there the announcement goes on by itself.
    if (!ended && !ended.error().is(Errc::would_deadlock)) return ended.error();
  }
  auto node = std::make_unique<Velo>(
      std::move(owned), std::move(*messenger), std::move(data),
      Velo::Identity{std::move(parts_->identity_folder), std::move(parts_->credentials)});
  // The last to hold it here: if the node ends below, its World ends with it.
  node->discovery_ = std::move(found);
  node->exporter_ = velo_detail::ClosedAtEnd(std::move(*exporter));
  node->events_ = std::move(*events);
  if (auto published = publish(*node); !published) return published.error();
  return node;
}

}  // namespace velo
