// SPDX-License-Identifier: Apache-2.0
// The public face of the messenger, and its construction.

#include <velo/messenger/messenger.hpp>

#include "handler_queue.hpp"
#include "impl.hpp"
#include "loopback.hpp"
#include "path_engine.hpp"
#include "path_health.hpp"
#include "tracer.hpp"
#include "waiting_send.hpp"
#include "watching.hpp"

#include <velo/base/log.hpp>

#include <algorithm>

namespace velo {

namespace messenger {

Impl::Impl(World& world, ImplOptions options)
    : world_(world),
      transports_(std::move(options.transports)),
      discovery_(std::move(options.discovery)),
      extensions_(options.extensions),
      guard_(std::move(options.guard)),
      memory_(std::make_shared<MemoryBudget>(options.memory_bytes, options.peer_memory_bytes)),
      tracer_(options.spans == nullptr ? nullptr
                                       : std::make_shared<const Tracer>(
                                             world, std::move(options.spans), options.sampling)),
      shards_(world.shard_count()),
      staging_(*this, std::move(options.resolver)) {
  const auto bound = guard_.has_key() ? guard_.own_instance() : InstanceId::random(world.random());
  // A key that is none is found by build() before.
  self_.instance_id = bound ? *bound : InstanceId();
  worker_ = self_.instance_id.worker_id();
  offer_ = local_offer(worker_.value());
  offer_.window_calls = options.window_calls;
  offer_.window_bytes = options.window_bytes;
  if (staging_.on()) offer_.features.emplace_back("staged");
  const PathPolicy& wishes = options.paths;
  const bool wished = !wishes.prefer.empty() || !wishes.never.empty() || wishes.private_beyond_host;
  if (transports_.size() > 1) {
    offer_.features.emplace_back("path");
    offer_.features.emplace_back("resume");
  }
  if (transports_.size() > 1 || wished) paths_ = std::make_unique<PathEngine>(*this, wishes);
  const std::uint64_t first_generation = world.random().next();
  calls_ = CallTable::create(world, worker_, options.calls_max, first_generation);
}

Impl::~Impl() {
  // Ends announced after the links were gone had nobody left to answer them.
  calls_->for_each_live([](CallSlot& slot, std::uint64_t generation) {
    if (!slot.claim(generation)) return;
    const bool sent = slot.travels_on.serial() != 0;
    if (sent) return slot.end_as_unknown(make_error(Errc::shutting_down));
    slot.end(make_error(Errc::shutting_down), false);
  });
  calls_->orphan();
}

Result<void> Impl::start_up() {
  calls_->set_events(weak_from_this());
  facade_ =
      std::make_unique<Messenger>(std::shared_ptr<Impl>(std::shared_ptr<void>(), this), false);
  register_system_handlers();
  self_link_ = add_link(make_loopback(shard(0), memory_), false);
  self_link_->peer = self_.instance_id;
  self_link_->introduce(self_.instance_id, true);
  self_link_->account = calls_->ledger().open(self_.instance_id);
  self_link_->agreement = agree(offer_, offer_);
  self_link_->agreement.window = false;
  self_link_->connection().start(*self_link_);
  for (const auto& transport : transports_) {
    if (auto started = transport->start({world_, self_.instance_id, *this, memory_}); !started) {
      return started.error();
    }
    Bytes entry = transport->address_entry();
    if (!entry.empty()) self_.address.emplace(std::string(transport->key()), std::move(entry));
  }
  if (discovery_) {
    announcement_state_.kind = AnnouncementState::Kind::under_way;
    discovery_->announce(self_).then(
        shard(0),
        [impl = shared_from_this()](Result<std::unique_ptr<discovery::Registration>> registration) {
          impl->on_announced(std::move(registration));
        });
  }
  return {};
}

void Impl::on_announced(Result<std::unique_ptr<discovery::Registration>> registration) {
  if (!registration) {
    VELO_LOG_WARN(messenger, "not announced; peers cannot find this messenger by discovery",
                  {"discovery", std::string(discovery_->name())},
                  {"error", registration.error().to_string()});
  }
  const std::lock_guard lock(announcement_mutex_);
  if (draining()) return;
  announcement_state_.kind =
      registration ? AnnouncementState::Kind::announced : AnnouncementState::Kind::failed;
  if (registration) {
    announcement_ = std::move(*registration);
  } else {
    announcement_state_.error = registration.error();
  }
}

AnnouncementState Impl::announcement() const {
  const std::lock_guard lock(announcement_mutex_);
  return announcement_state_;
}

}  // namespace messenger

Messenger::Messenger(std::shared_ptr<messenger::Impl> impl, bool owner) noexcept
    : impl_(std::move(impl)), owner_(owner) {}

Messenger::~Messenger() {
  if (!owner_) return;
  impl_->withdraw_metrics();
  impl_->stop_now(
      messenger::make_error(messenger::Errc::shutting_down, "the messenger was destroyed"));
  impl_->wait_for_the_end();
}

MessengerBuilder Messenger::builder(World& world) { return MessengerBuilder(world); }

const InstanceId& Messenger::instance_id() const noexcept { return impl_->self().instance_id; }
WorkerId Messenger::worker_id() const noexcept { return impl_->calls().worker(); }
const PeerInfo& Messenger::peer_info() const noexcept { return impl_->self(); }
World& Messenger::world() const noexcept { return impl_->world(); }

Result<void> Messenger::register_handler(Handler handler) {
  std::vector<Handler> one;
  one.push_back(std::move(handler));
  return impl_->register_handlers(std::move(one), false);
}
std::vector<std::string> Messenger::list_local_handlers() const {
  return impl_->handlers().names();
}

std::size_t Messenger::handler_lanes(std::string_view handler) const {
  const Handler* found = impl_->handlers().find(handler);
  return found == nullptr || !found->order() ? 0 : found->queue()->lanes();
}

Result<void> Messenger::register_peer(const PeerInfo& peer) {
  return impl_->register_peer(peer, messenger::Impl::PeerSource::user);
}
std::optional<ConnectionIdentity> Messenger::identity_of(const InstanceId& peer) const {
  return impl_->identity_of_peer(peer);
}
Result<void> Messenger::unregister_peer(const InstanceId& peer) {
  return impl_->unregister_peer(peer);
}
std::vector<PeerInfo> Messenger::peers() const { return impl_->peers(); }

Send<void> Messenger::am_send(std::string_view handler) {
  return {*impl_, messenger::Pattern::fire, false, handler};
}
Send<void> Messenger::am_sync(std::string_view handler) {
  return {*impl_, messenger::Pattern::sync, false, handler};
}
Send<Bytes> Messenger::unary(std::string_view handler) {
  return {*impl_, messenger::Pattern::unary, false, handler};
}

Broadcast<Bytes> Messenger::broadcast(std::string_view handler) {
  return {*impl_, messenger::Pattern::unary, false, handler};
}
Broadcast<void> Messenger::broadcast_sync(std::string_view handler) {
  return {*impl_, messenger::Pattern::sync, false, handler};
}
Broadcast<void> Messenger::broadcast_send(std::string_view handler) {
  return {*impl_, messenger::Pattern::fire, false, handler};
}

Op<std::vector<std::string>> Messenger::available_handlers(const InstanceId& peer) {
  return impl_->query_handlers(peer, true);
}
Op<std::vector<std::string>> Messenger::refresh_handlers(const InstanceId& peer) {
  return impl_->query_handlers(peer, false);
}
Op<void> Messenger::wait_for_handler(const InstanceId& peer, std::string handler,
                                     Duration timeout) {
  return impl_->wait_for_handler(peer, std::move(handler), timeout);
}
Op<void> Messenger::shutdown(ShutdownPolicy policy) { return impl_->shutdown(policy); }
AnnouncementState Messenger::announcement() const { return impl_->announcement(); }
DrainState Messenger::drain_state() const { return impl_->drain_state(); }
Books Messenger::books() const { return impl_->books(); }
NodeBooks Messenger::node_books() const { return impl_->node_books(); }
Result<void> Messenger::publish_metrics(metrics::Registry& registry) {
  return impl_->publish_metrics(registry);
}
Op<NodeBooks> Messenger::books_of(const InstanceId& peer, Duration timeout) {
  return impl_->books_of(peer, timeout);
}
PathReport Messenger::explain_path(const InstanceId& peer) const {
  return messenger::PathEngine::report_of(*impl_, peer);
}
Result<void> Messenger::prefer_path(const InstanceId& peer, std::string_view transport) {
  return messenger::PathEngine::prefer_of(*impl_, peer, transport);
}
Op<PathReport> Messenger::explain_path_of(const InstanceId& node, const InstanceId& to,
                                          Duration timeout) {
  return messenger::PathHealthChecks::path_of(*impl_, node, to, timeout);
}
Op<PathHealth> Messenger::check_health(const InstanceId& peer, std::string_view transport,
                                       Duration timeout) {
  return messenger::PathHealthChecks::one(*impl_, peer, transport, timeout);
}
Op<std::vector<PathHealth>> Messenger::check_health(const InstanceId& peer, Duration timeout) {
  return messenger::PathHealthChecks::all(*impl_, peer, timeout);
}
Op<void> Messenger::closed() { return messenger::Watching::closed(*impl_); }
Op<DrainReport> Messenger::drain_peer(const InstanceId& peer, ShutdownPolicy policy) {
  return messenger::Watching::drain(*impl_, peer, policy);
}
NodeWatch Messenger::watch() const { return messenger::Watching::look(*impl_); }
Op<NodeWatch> Messenger::watch_of(const InstanceId& peer, Duration timeout) {
  return messenger::Watching::ask(*impl_, peer, timeout);
}
MemoryUse Messenger::memory() const { return impl_->memory()->use(); }

struct MessengerBuilder::Parts {
  World& world;
  messenger::ImplOptions options;
  explicit Parts(World& w) : world(w) {}
};

MessengerBuilder::MessengerBuilder(World& world) : parts_(std::make_unique<Parts>(world)) {}
MessengerBuilder::MessengerBuilder(MessengerBuilder&&) noexcept = default;
MessengerBuilder::~MessengerBuilder() = default;

MessengerBuilder& MessengerBuilder::add_transport(std::unique_ptr<transport::Transport> transport) {
  parts_->options.transports.push_back(std::move(transport));
  return *this;
}
MessengerBuilder& MessengerBuilder::discovery(
    std::shared_ptr<::velo::discovery::PeerDiscovery> source) {
  parts_->options.discovery = std::move(source);
  return *this;
}
MessengerBuilder& MessengerBuilder::calls_max(std::size_t calls) {
  parts_->options.calls_max = std::clamp<std::size_t>(calls, 1, messenger::limits::calls_max);
  return *this;
}
MessengerBuilder& MessengerBuilder::request_window(std::size_t calls, std::size_t bytes) {
  parts_->options.window_calls = std::max<std::size_t>(calls, 1);
  parts_->options.window_bytes = std::max<std::size_t>(bytes, 1);
  return *this;
}
MessengerBuilder& MessengerBuilder::memory_budget(std::size_t bytes, std::size_t peer_bytes) {
  parts_->options.memory_bytes = bytes;
  parts_->options.peer_memory_bytes = peer_bytes;
  return *this;
}
MessengerBuilder& MessengerBuilder::prefer(std::vector<std::string> transports) {
  parts_->options.paths.prefer = std::move(transports);
  return *this;
}
MessengerBuilder& MessengerBuilder::never(std::vector<std::string> transports) {
  parts_->options.paths.never = std::move(transports);
  return *this;
}
MessengerBuilder& MessengerBuilder::require_private_beyond_host(bool required) {
  parts_->options.paths.private_beyond_host = required;
  return *this;
}
MessengerBuilder& MessengerBuilder::payloads(std::shared_ptr<messenger::PayloadResolver> resolver) {
  parts_->options.resolver = std::move(resolver);
  return *this;
}
MessengerBuilder& MessengerBuilder::trace(std::shared_ptr<::velo::trace::SpanSink> sink,
                                          ::velo::trace::Sampling sampling) {
  parts_->options.spans = std::move(sink);
  parts_->options.sampling = sampling;
  return *this;
}
MessengerBuilder& MessengerBuilder::without_extensions() {
  parts_->options.extensions = false;
  return *this;
}

MessengerBuilder& MessengerBuilder::instance_key(crypto::PrivateKey key) {
  parts_->options.guard.instance_key = std::move(key);
  return *this;
}
MessengerBuilder& MessengerBuilder::require_authentication(bool required) {
  parts_->options.guard.require_authentication = required;
  return *this;
}

MessengerBuilder& MessengerBuilder::access(AccessPolicy policy) {
  parts_->options.guard.access = std::move(policy);
  return *this;
}

Result<std::unique_ptr<Messenger>> MessengerBuilder::build() {
  if (auto sound = parts_->options.guard.access.check(); !sound) return sound.error();
  if (const auto& key = parts_->options.guard.instance_key; key.valid()) {
    if (const auto id = messenger::instance_of_key(key.public_key()); !id) return id.error();
  }
  auto impl = std::make_shared<messenger::Impl>(parts_->world, std::move(parts_->options));
  auto messenger = std::make_unique<Messenger>(impl, true);
  if (auto started = impl->start_up(); !started) return started.error();
  return messenger;
}

}  // namespace velo
