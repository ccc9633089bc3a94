// SPDX-License-Identifier: Apache-2.0
// The one header of a program that uses velo: class Velo, which puts a node together (world,
// transports, discovery, messenger), and every type that it works with. Not a second messenger:
// each function hands on to the inner one. <velo/asio.hpp> is separate, for programs that use
// Boost.Asio.
// Threading: every function of Velo from any thread; a builder belongs to one.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>
#include <velo/base/ids.hpp>
#include <velo/base/op.hpp>
#include <velo/base/task.hpp>
#include <velo/base/world.hpp>
#include <velo/codec/describe.hpp>
#include <velo/codec/json.hpp>
#include <velo/codec/msgpack.hpp>
#include <velo/crypto/credentials.hpp>
#include <velo/crypto/key.hpp>
#include <velo/discovery/backends/etcd.hpp>
#include <velo/discovery/backends/filesystem.hpp>
#include <velo/discovery/backends/multicast.hpp>
#include <velo/discovery/backends/static.hpp>
#include <velo/discovery/directory.hpp>
#include <velo/discovery/discovery.hpp>
#include <velo/discovery/services.hpp>
#include <velo/events/event_manager.hpp>
#include <velo/messenger/messenger.hpp>
#include <velo/queue/backends/memory.hpp>
#include <velo/queue/backends/messenger.hpp>
#include <velo/queue/typed.hpp>
#include <velo/rendezvous/rendezvous.hpp>
#include <velo/runtime/real_world.hpp>
#include <velo/streaming/call.hpp>
#include <velo/streaming/streams.hpp>
#include <velo/telemetry/scrape_endpoint.hpp>
#include <velo/telemetry/trace_exporter.hpp>
#include <velo/transport/backends/inproc.hpp>
#include <velo/transport/backends/shm.hpp>
#include <velo/transport/backends/tcp.hpp>
#include <velo/transport/backends/tls.hpp>
#include <velo/transport/backends/uds.hpp>
#include <velo/transport/transport.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace velo {

using discovery::PeerDiscovery;
using queue::WorkQueue;
using queue::WorkQueueReceiver;
using queue::WorkQueueSender;
using runtime::RealWorld;
using runtime::RuntimeOptions;
using transport::Transport;

class VeloBuilder;

namespace velo_detail {

/// Its last spans leave before the node's World ends.
class ClosedAtEnd {
 public:
  ClosedAtEnd() noexcept = default;
  explicit ClosedAtEnd(std::shared_ptr<telemetry::TraceExporter> exporter) noexcept
      : exporter_(std::move(exporter)) {}
  ClosedAtEnd(ClosedAtEnd&&) noexcept = default;
  ClosedAtEnd& operator=(ClosedAtEnd&& other) noexcept {
    std::swap(exporter_, other.exporter_);
    return *this;
  }
  ~ClosedAtEnd() {
    if (exporter_ != nullptr) exporter_->close();
  }
  const std::shared_ptr<telemetry::TraceExporter>& exporter() const noexcept { return exporter_; }

 private:
  std::shared_ptr<telemetry::TraceExporter> exporter_;
};

}  // namespace velo_detail

/// A node: a messenger with its transports, and the World they live in unless the builder was given
/// one.
class Velo {
 public:
  static VeloBuilder builder();

  struct Identity {
    std::string folder;                                     ///< empty: the credentials were given
    std::shared_ptr<crypto::CredentialSource> credentials;  ///< null: none
  };

  /// For the builder. `owned` may be empty; then `messenger` lives in a World that outlives it.
  Velo(std::unique_ptr<RealWorld> owned, std::unique_ptr<Messenger> messenger, Rendezvous data,
       Identity identity) noexcept
      : owned_world_(std::move(owned)),
        messenger_(std::move(messenger)),
        data_(std::move(data)),
        identity_(std::move(identity)) {}
  Velo(const Velo&) = delete;
  Velo& operator=(const Velo&) = delete;

  /// Named services of the node's discovery; null without one that has services. Lives as long as
  /// the node.
  discovery::ServiceDiscovery* services() noexcept {
    return discovery_ != nullptr ? discovery_->services() : nullptr;
  }
  /// Makes this node findable as an instance of the service until the registration is destroyed,
  /// which is before the node is. Errc::unsupported without services().
  Op<std::unique_ptr<discovery::Registration>> register_service(
      std::string service, discovery::ServiceMetadata metadata = {});
  /// Who offers the service now; send to their instance ids. Errc::unsupported as above.
  Op<std::vector<discovery::ServiceInstance>> discover_service(std::string_view service);

  /// As ~Messenger; then stops the World if it is the node's own. Never on one of that World's
  /// threads. Every Op of the node has ended or was dropped before.
  ~Velo() = default;

  /// Events that every node can await, trigger and poison (docs/guides/events.md).
  const EventManager& event_manager() const noexcept { return *events_; }

  Messenger& messenger() noexcept { return *messenger_; }
  /// Data and files that others read by handle (docs/protocols/rendezvous.md).
  Rendezvous& data() noexcept { return data_; }
  World& world() const noexcept { return messenger_->world(); }

  const InstanceId& instance_id() const noexcept { return messenger_->instance_id(); }
  WorkerId worker_id() const noexcept { return messenger_->worker_id(); }
  const PeerInfo& peer_info() const noexcept { return messenger_->peer_info(); }

  Result<void> register_handler(Handler handler) {
    return messenger_->register_handler(std::move(handler));
  }
  std::vector<std::string> list_local_handlers() const { return messenger_->list_local_handlers(); }

  Result<void> register_peer(const PeerInfo& peer) { return messenger_->register_peer(peer); }
  Result<void> unregister_peer(const InstanceId& peer) { return messenger_->unregister_peer(peer); }
  std::vector<PeerInfo> peers() const { return messenger_->peers(); }

  Send<void> am_send(std::string_view handler) { return messenger_->am_send(handler); }
  Send<void> am_sync(std::string_view handler) { return messenger_->am_sync(handler); }
  Send<Bytes> unary(std::string_view handler) { return messenger_->unary(handler); }
  template <class R>
  Send<R> typed_unary(std::string_view handler) {
    return messenger_->typed_unary<R>(handler);
  }

  Broadcast<Bytes> broadcast(std::string_view handler) { return messenger_->broadcast(handler); }
  Broadcast<void> broadcast_sync(std::string_view handler) {
    return messenger_->broadcast_sync(handler);
  }
  Broadcast<void> broadcast_send(std::string_view handler) {
    return messenger_->broadcast_send(handler);
  }
  template <class R>
  Broadcast<R> typed_broadcast(std::string_view handler) {
    return messenger_->typed_broadcast<R>(handler);
  }

  Op<std::vector<std::string>> available_handlers(const InstanceId& peer) {
    return messenger_->available_handlers(peer);
  }
  Op<std::vector<std::string>> refresh_handlers(const InstanceId& peer) {
    return messenger_->refresh_handlers(peer);
  }
  Op<void> wait_for_handler(const InstanceId& peer, std::string handler, Duration timeout) {
    return messenger_->wait_for_handler(peer, std::move(handler), timeout);
  }

  /// Streams of this node; `options` count the first time. As Streams::of().
  Result<Streams> streams(StreamingOptions options = StreamingOptions()) {
    return Streams::of(*messenger_, options);
  }
  template <class T>
  Result<StreamAnchor<T>> create_anchor(StreamOptions options = StreamOptions()) {
    auto own = streams();
    if (!own) return own.error();
    return own->create_anchor<T>(options);
  }
  template <class T>
  Result<MpscStreamAnchor<T>> create_mpsc_anchor(StreamOptions options = StreamOptions()) {
    auto own = streams();
    if (!own) return own.error();
    return own->create_mpsc_anchor<T>(options);
  }
  template <class T>
  Op<StreamSender<T>> attach_anchor(const StreamAnchorHandle& handle) {
    auto own = streams();
    if (!own) return Op<StreamSender<T>>::ready(world().pool(), own.error());
    return own->attach_anchor<T>(handle);
  }
  template <class T>
  Op<StreamSender<T>> attach_mpsc_anchor(const StreamAnchorHandle& handle) {
    auto own = streams();
    if (!own) return Op<StreamSender<T>>::ready(world().pool(), own.error());
    return own->attach_mpsc_anchor<T>(handle);
  }
  /// With FlushPolicy::manual: what streams have sent until now leaves.
  void flush_batch() {
    if (auto own = streams()) own->flush_batch();
  }

  Op<void> shutdown(ShutdownPolicy policy = ShutdownPolicy()) {
    return messenger_->shutdown(policy);
  }
  DrainState drain_state() const { return messenger_->drain_state(); }
  Books books() const { return messenger_->books(); }
  NodeBooks node_books() const { return messenger_->node_books(); }
  Op<NodeBooks> books_of(const InstanceId& peer) { return messenger_->books_of(peer); }
  MemoryUse memory() const { return messenger_->memory(); }

  /// Where its spans go; null without VeloBuilder::export_traces().
  const std::shared_ptr<telemetry::TraceExporter>& trace_exporter() const noexcept {
    return exporter_.exporter();
  }
  /// Where its metrics are served; nullopt without VeloBuilder::serve_metrics().
  std::optional<Endpoint> metrics_endpoint() const {
    if (scraped_ == nullptr) return std::nullopt;
    return scraped_->local();
  }

  /// What secure transports of this node present and believe; null without an identity. What is
  /// replaced in it holds for connections that are made from then on; others go on.
  const std::shared_ptr<crypto::CredentialSource>& credentials() const noexcept {
    return identity_.credentials;
  }
  /// Reads the folder of VeloBuilder::identity() again, after a rotation or a revocation. On an
  /// error the node keeps what it has: that of IdentityStore::load(), or velo::Errc::unsupported
  /// when there is no such folder. Blocks on the disk.
  Result<void> reload_identity(std::optional<std::string_view> passphrase = std::nullopt);

 private:
  friend class VeloBuilder;

  std::unique_ptr<RealWorld> owned_world_;
  std::shared_ptr<PeerDiscovery> discovery_;
  std::unique_ptr<metrics::Registry> registry_;  ///< null: the user's, or none
  velo_detail::ClosedAtEnd exporter_;            ///< outlives the messenger, whose spans it takes
  std::optional<EventManager> events_;
  std::unique_ptr<Messenger> messenger_;
  Rendezvous data_;
  Identity identity_;
  std::unique_ptr<telemetry::ScrapeEndpoint> scraped_;
};

/// What a transport can be made from once the node has it.
struct NodeParts {
  World& world;
  std::shared_ptr<crypto::CredentialSource> credentials;  ///< null without an identity
  crypto::PrivateKey instance_key;  ///< of this run; not valid() without an identity
};
using TransportFactory =
    std::move_only_function<Result<std::unique_ptr<Transport>>(const NodeParts& parts)>;

/// Makes a discovery that lives in the node's World, which exists only once the node is built.
using DiscoveryFactory = std::move_only_function<Result<std::shared_ptr<PeerDiscovery>>(World&)>;

class [[nodiscard]] VeloBuilder {
 public:
  VeloBuilder();
  VeloBuilder(VeloBuilder&&) noexcept;
  VeloBuilder& operator=(VeloBuilder&&) noexcept;
  ~VeloBuilder();

  /// Transports in order of preference. Without any: TCP on loopback.
  VeloBuilder& add_transport(std::unique_ptr<Transport> transport) &;
  VeloBuilder&& add_transport(std::unique_ptr<Transport> transport) &&;

  /// The same, made when the node is built; its error fails the build. For transports outside this
  /// header: `[](const NodeParts& node) { ... options.credentials = node.credentials; ... }`.
  VeloBuilder& add_transport(TransportFactory factory) &;
  VeloBuilder&& add_transport(TransportFactory factory) &&;
  /// TLS with this node's identity; `options.credentials` may stay empty.
  VeloBuilder& tls(transport::TlsOptions options = transport::TlsOptions()) &;
  VeloBuilder&& tls(transport::TlsOptions options = transport::TlsOptions()) &&;

  /// Key, certificates and trust from a folder that `velo identity new` made. Secure transports use
  /// them, and the node's instance id is bound to a key of this run, which every greeting proves.
  VeloBuilder& identity(std::string folder, std::optional<std::string> passphrase = {}) &;
  VeloBuilder&& identity(std::string folder, std::optional<std::string> passphrase = {}) &&;
  /// The same from memory.
  VeloBuilder& credentials(std::shared_ptr<crypto::CredentialSource> source) &;
  VeloBuilder&& credentials(std::shared_ptr<crypto::CredentialSource> source) &&;
  /// As MessengerBuilder::instance_key(); with an identity and without this, one is generated.
  VeloBuilder& instance_key(crypto::PrivateKey key) &;
  VeloBuilder&& instance_key(crypto::PrivateKey key) &&;
  /// Who may call what, as MessengerBuilder::access().
  VeloBuilder& access(AccessPolicy policy) &;
  VeloBuilder&& access(AccessPolicy policy) &&;

  /// Announces the node there, and asks it for unknown peers. Several become one Directory, asked
  /// in this order.
  VeloBuilder& discovery(std::shared_ptr<PeerDiscovery> source) &;
  VeloBuilder&& discovery(std::shared_ptr<PeerDiscovery> source) &&;
  /// The same, made when the node is built; its error fails the build.
  VeloBuilder& discovery(DiscoveryFactory factory) &;
  VeloBuilder&& discovery(DiscoveryFactory factory) &&;
  /// A FilesystemDiscovery over `directory`, for processes that see the same files.
  VeloBuilder& filesystem_discovery(std::string directory, std::string cluster = "velo") &;
  VeloBuilder&& filesystem_discovery(std::string directory, std::string cluster = "velo") &&;

  /// A MulticastDiscovery, for hosts of one network without a server. Announcements are signed by
  /// the instance key unless `options` names another; without either by a key of this run.
  VeloBuilder& multicast_discovery(
      discovery::MulticastOptions options = discovery::MulticastOptions(),
      std::string cluster = "velo") &;
  VeloBuilder&& multicast_discovery(
      discovery::MulticastOptions options = discovery::MulticastOptions(),
      std::string cluster = "velo") &&;
  /// An EtcdDiscovery, for processes that reach the same etcd.
  VeloBuilder& etcd_discovery(discovery::EtcdOptions options = discovery::EtcdOptions(),
                              std::string cluster = "velo") &;
  VeloBuilder&& etcd_discovery(discovery::EtcdOptions options = discovery::EtcdOptions(),
                               std::string cluster = "velo") &&;

  /// From which size on payloads are staged and pulled instead of travelling in their messages, and
  /// what bounds registered data. Without it: the defaults.
  VeloBuilder& large_data(RendezvousOptions options) &;
  VeloBuilder&& large_data(RendezvousOptions options) && { return std::move(large_data(options)); }

  /// `world` outlives the node and every Op of it. Without it the node makes a RealWorld of its
  /// own.
  VeloBuilder& world(World& world) &;
  VeloBuilder&& world(World& world) &&;
  /// For the node's own World; without effect when world() gave one.
  VeloBuilder& runtime(const RuntimeOptions& options) &;
  VeloBuilder&& runtime(const RuntimeOptions& options) &&;

  /// Calls in flight at once; 1 to 65,535, which is the default.
  VeloBuilder& calls_max(std::size_t calls) &;
  VeloBuilder&& calls_max(std::size_t calls) &&;

  /// As MessengerBuilder::memory_budget().
  VeloBuilder& memory_budget(std::size_t bytes, std::size_t peer_bytes = 0) &;
  VeloBuilder&& memory_budget(std::size_t bytes, std::size_t peer_bytes = 0) &&;

  /// Publishes the node's metrics there (Messenger::publish_metrics); `registry` outlives the node.
  VeloBuilder& metrics(::velo::metrics::Registry& registry) &;
  VeloBuilder&& metrics(::velo::metrics::Registry& registry) &&;
  /// Serves them over HTTP to Prometheus; from a registry of the node's own without metrics().
  VeloBuilder& serve_metrics(telemetry::ScrapeOptions options = telemetry::ScrapeOptions()) &;
  VeloBuilder&& serve_metrics(telemetry::ScrapeOptions options = telemetry::ScrapeOptions()) &&;

  /// Spans of its sends and handlers to a collector of OTLP over HTTP, as
  /// `export_traces(telemetry::ExportOptions("http://127.0.0.1:4318"))`: all that belong to sampled
  /// traces of others, and that share of the traces that begin here. What the node's end leaves
  /// waiting has limits::export_flush_patience. Its counts are among the node's metrics.
  VeloBuilder& export_traces(telemetry::ExportOptions options,
                             trace::Sampling sampling = trace::Sampling()) &;
  VeloBuilder&& export_traces(telemetry::ExportOptions options,
                              trace::Sampling sampling = trace::Sampling()) &&;
  /// The same as OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or OTEL_EXPORTER_OTLP_ENDPOINT say
  /// (telemetry::TraceExporter::from_environment()); without them, and with what
  /// cannot be used (which is logged), nothing is exported.
  VeloBuilder& export_traces_from_environment(trace::Sampling sampling = trace::Sampling()) &;
  VeloBuilder&& export_traces_from_environment(trace::Sampling sampling = trace::Sampling()) &&;

  /// Starts everything and waits until the node is announced (not on executors and in simulation,
  /// where nothing may wait); the first part that fails, fails the build. Once.
  Result<std::unique_ptr<Velo>> build();

 private:
  struct Parts;
  Result<void> publish(Velo& node);

  std::unique_ptr<Parts> parts_;
};

inline VeloBuilder Velo::builder() { return {}; }

}  // namespace velo
