// SPDX-License-Identifier: Apache-2.0
// libnats: connections, callbacks, and the queue of what is written.

#include "nats_link.hpp"

#include <velo/base/check.hpp>
#include <velo/base/log.hpp>

#include <fmt/format.h>
#include <nats/nats.h>

#include <algorithm>
#include <vector>

namespace velo::queue::nats {
namespace nats_link_detail {

static int milliseconds(Duration value) noexcept {
  return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(value).count());
}

static Error error_of_status(natsStatus status, std::string_view what) {
  std::string text = fmt::format("{}: {}", what, natsStatus_GetText(status));
  switch (status) {
    case NATS_CONNECTION_AUTH_FAILED:
    case NATS_NOT_PERMITTED:
    case NATS_SECURE_CONNECTION_REQUIRED:
    case NATS_SECURE_CONNECTION_WANTED:
      return velo::make_error(velo::Errc::permission_denied, std::move(text));
    case NATS_MAX_PAYLOAD: return make_error(Errc::too_large, std::move(text));
    default: return velo::make_error(velo::Errc::io, std::move(text));
  }
}

/// Options of libnats for the time of one attempt, and what the first of their settings that failed
/// said.
class Settings {
 public:
  Settings() { keep(natsOptions_Create(&options_)); }
  Settings(const Settings&) = delete;
  ~Settings() { natsOptions_Destroy(options_); }

  void keep(natsStatus status) noexcept {
    if (status_ == NATS_OK) status_ = status;
  }
  natsStatus status() const noexcept { return status_; }
  natsOptions* get() const noexcept { return options_; }

 private:
  natsOptions* options_ = nullptr;
  natsStatus status_ = NATS_OK;
};

static void apply(Settings& settings, const NatsOptions& options) {
  std::vector<const char*> servers;
  servers.reserve(options.servers.size());
  for (const std::string& server : options.servers) servers.push_back(server.c_str());
  natsOptions* to = settings.get();
  settings.keep(natsOptions_SetServers(to, servers.data(), static_cast<int>(servers.size())));
  settings.keep(natsOptions_SetName(to, "velo"));
  settings.keep(natsOptions_SetTimeout(to, milliseconds(options.connect_timeout)));
  settings.keep(natsOptions_SetMaxReconnect(to, -1));
  settings.keep(natsOptions_SetReconnectWait(to, milliseconds(options.backoff_min)));
  settings.keep(natsOptions_SetReconnectJitter(to, milliseconds(options.backoff_max) / 4 + 1,
                                               milliseconds(options.backoff_max) / 4 + 1));
  // A server that says nothing is one that is gone.
  constexpr int ping_milliseconds = 2000;
  settings.keep(natsOptions_SetPingInterval(to, ping_milliseconds));
  settings.keep(natsOptions_SetMaxPingsOut(to, 2));
  settings.keep(natsOptions_SetWriteDeadline(to, ping_milliseconds));
  settings.keep(natsOptions_SetSendAsap(to, true));
  // Nobody has said that those may be talked to, and in which way.
  settings.keep(natsOptions_SetIgnoreDiscoveredServers(to, true));
  if (!options.token.empty()) settings.keep(natsOptions_SetToken(to, options.token.c_str()));
  if (!options.user.empty()) {
    settings.keep(natsOptions_SetUserInfo(to, options.user.c_str(), options.password.c_str()));
  }
  if (!options.tls) return;
  settings.keep(natsOptions_SetSecure(to, true));
  if (!options.ca_file.empty()) {
    settings.keep(natsOptions_LoadCATrustedCertificates(to, options.ca_file.c_str()));
  }
  if (!options.certificate_file.empty()) {
    settings.keep(natsOptions_LoadCertificatesChain(to, options.certificate_file.c_str(),
                                                    options.key_file.c_str()));
  }
}

static Message message_of(natsMsg* msg) {
  Message message;
  message.subject = natsMsg_GetSubject(msg);
  if (const char* reply = natsMsg_GetReply(msg); reply != nullptr) message.reply = reply;
  message.payload = Bytes::copy(
      std::string_view(natsMsg_GetData(msg), static_cast<std::size_t>(natsMsg_GetDataLength(msg))));
  const char** keys = nullptr;
  int count = 0;
  if (natsMsgHeader_Keys(msg, &keys, &count) != NATS_OK) return message;
  for (int i = 0; i < count; ++i) {
    const char* value = nullptr;
    if (natsMsgHeader_Get(msg, keys[i], &value) != NATS_OK || value == nullptr) continue;
    if (std::string_view(keys[i]) == "Status") {
      message.status = std::atoi(value);
    } else {
      message.headers.emplace_back(keys[i], value);
    }
  }
  std::free(static_cast<void*>(keys));
  return message;
}

}  // namespace nats_link_detail

using namespace nats_link_detail;  // NOLINT(google-build-using-namespace)

/// What libnats calls. Its closure is the Link, which stop() keeps until the last of these is over.
struct Link::Callbacks {
  static Link& link(void* closure) { return *static_cast<Link*>(closure); }

  static void arrived(natsConnection* /*connection*/, natsSubscription* /*subscription*/,
                      natsMsg* msg, void* closure) {
    Message message = message_of(msg);
    natsMsg_Destroy(msg);
    link(closure).events_.arrived(std::move(message));
  }
  static void subscription_over(void* closure) {
    Link& self = link(closure);
    const std::lock_guard lock(self.mutex_);
    self.open_.subscription_over = true;
    self.changed_.notify_all();
  }
  static void lost(natsConnection* /*connection*/, void* closure) {
    Link& self = link(closure);
    const std::lock_guard lock(self.mutex_);
    self.connected_ = false;
  }
  static void found_again(natsConnection* /*connection*/, void* closure) {
    Link& self = link(closure);
    {
      const std::lock_guard lock(self.mutex_);
      if (self.open_.closed || self.stopped_) return;
      self.connected_ = true;
    }
    self.events_.connected();
  }
  static void closed(natsConnection* /*connection*/, void* closure) { link(closure).on_closed(); }
};

Link::Link(World& world, NatsOptions options, std::string inbox)
    : world_(world),
      options_(std::move(options)),
      inbox_(std::move(inbox)),
      timer_(world.shard(0)) {}

Link::~Link() { VELO_CHECK(stopped_ && open_.connection == nullptr); }

void Link::start(Events events) {
  events_ = std::move(events);
  post(world_.pool(), [self = shared_from_this()] { self->connect(); });
}

bool Link::connected() const {
  const std::lock_guard lock(mutex_);
  return connected_;
}

void Link::connect() {
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
    attempting_ = true;
  }
  Result<void> opened = open_connection();
  bool lost = false;
  {
    const std::lock_guard lock(mutex_);
    lost = opened && open_.closed;
    connected_ = opened && !lost && !stopped_;
    failures_ = connected_ ? 0 : failures_ + 1;
  }
  if (lost) {
    close_connection();
    opened = velo::make_error(velo::Errc::io, "the connection was closed");
  }
  if (opened) {
    events_.connected();
  } else {
    VELO_LOG_DEBUG(queue, "no NATS server", {"error", opened.error().to_string()});
    if (opened.error().is(velo::Errc::permission_denied)) events_.refused(opened.error());
    connect_later();
  }
  attempt_ends();
}

void Link::attempt_ends() {
  const std::lock_guard lock(mutex_);
  attempting_ = false;
  changed_.notify_all();
}

Result<void> Link::open_connection() {
  Settings settings;
  apply(settings, options_);
  natsOptions* to = settings.get();
  settings.keep(natsOptions_SetDisconnectedCB(to, &Callbacks::lost, this));
  settings.keep(natsOptions_SetReconnectedCB(to, &Callbacks::found_again, this));
  settings.keep(natsOptions_SetClosedCB(to, &Callbacks::closed, this));
  if (settings.status() != NATS_OK) return error_of_status(settings.status(), "NATS' options");
  natsConnection* connection = nullptr;
  const natsStatus connected = natsConnection_Connect(&connection, to);
  if (connected != NATS_OK) return error_of_status(connected, "connecting to NATS");
  {
    const std::lock_guard lock(mutex_);
    open_ = Open{connection, nullptr, false, true};
  }
  natsSubscription* subscription = nullptr;
  natsStatus status = natsConnection_Subscribe(&subscription, connection, (inbox_ + ".*").c_str(),
                                               &Callbacks::arrived, this);
  if (status == NATS_OK) {
    {
      const std::lock_guard lock(mutex_);
      open_.subscription = subscription;
      open_.subscription_over = false;
    }
    status = natsSubscription_SetOnCompleteCB(subscription, &Callbacks::subscription_over, this);
    if (status != NATS_OK) Callbacks::subscription_over(this);
    // Only what was asked for comes: requests and receivers are bounded.
    natsSubscription_SetPendingLimits(subscription, -1, -1);
  }
  if (status == NATS_OK) return {};
  close_connection();
  return error_of_status(status, "subscribing to NATS");
}

void Link::close_connection() {
  Open open;
  {
    std::unique_lock lock(mutex_);
    connected_ = false;
    changed_.wait(lock, [this] { return !writing_; });
    open = open_;
  }
  if (open.connection == nullptr) return;
  natsConnection_Close(open.connection);
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return open_.closed && open_.subscription_over; });
    open_ = Open();
  }
  natsSubscription_Destroy(open.subscription);
  natsConnection_Destroy(open.connection);
}

/// libnats gave the connection up, as after a server refused us twice, or was told to.
void Link::on_closed() {
  {
    const std::lock_guard lock(mutex_);
    connected_ = false;
    open_.closed = true;
    changed_.notify_all();
    // An attempt that runs sees it at its end.
    if (stopped_ || attempting_) return;
    attempting_ = true;
  }
  post(world_.pool(), [self = shared_from_this()] {
    self->close_connection();
    self->attempt_ends();
    self->connect();
  });
}

void Link::connect_later() {
  Duration most = options_.backoff_min;
  {
    const std::lock_guard lock(mutex_);
    constexpr int doublings_max = 20;
    for (int i = 1; i < std::min(failures_, doublings_max); ++i) most = most * 2;
  }
  most = std::min(most, options_.backoff_max);
  const auto below = static_cast<std::uint64_t>(most.count() / 2 + 1);
  const Duration pause =
      most / 2 + Duration(static_cast<std::int64_t>(world_.random().below(below)));
  post(world_.shard(0), [weak = weak_from_this(), pause] {
    const auto self = weak.lock();
    if (self == nullptr) return;
    {
      const std::lock_guard lock(self->mutex_);
      if (self->stopped_) return;
    }
    self->timer_.start(pause, [weak] {
      if (const auto due = weak.lock()) {
        post(due->world_.pool(), [due] { due->connect(); });
      }
    });
  });
}

void Link::publish(Message message) {
  {
    const std::lock_guard lock(mutex_);
    if (stopped_ || !connected_) return;
    queue_.push_back(std::move(message));
    if (writing_) return;
    writing_ = true;
  }
  post(world_.pool(), [self = shared_from_this()] { self->write_queue(); });
}

void Link::write_queue() {
  for (;;) {
    Message message;
    {
      const std::lock_guard lock(mutex_);
      if (!connected_ || stopped_) queue_.clear();
      if (queue_.empty()) {
        writing_ = false;
        changed_.notify_all();
        return;
      }
      message = std::move(queue_.front());
      queue_.pop_front();
    }
    write(message);
  }
}

void Link::write(const Message& message) {
  natsMsg* msg = nullptr;
  natsStatus status = natsMsg_Create(&msg, message.subject.c_str(),
                                     message.reply.empty() ? nullptr : message.reply.c_str(),
                                     reinterpret_cast<const char*>(message.payload.data()),
                                     static_cast<int>(message.payload.size()));
  for (const auto& [name, value] : message.headers) {
    if (status == NATS_OK) status = natsMsgHeader_Set(msg, name.c_str(), value.c_str());
  }
  // close_connection() waits until nothing is written any longer, so it is there.
  if (status == NATS_OK) status = natsConnection_PublishMsg(open_.connection, msg);
  natsMsg_Destroy(msg);
  if (status == NATS_MAX_PAYLOAD) {
    events_.not_sent(message.reply, error_of_status(status, "the server takes no such message"));
  }
}

void Link::stop() {
  {
    std::unique_lock lock(mutex_);
    // What is queued still goes out.
    changed_.wait(lock, [this] { return !writing_; });
    stopped_ = true;
    changed_.wait(lock, [this] { return !attempting_; });
  }
  close_connection();
  post(world_.shard(0), [self = shared_from_this()] { self->timer_.cancel(); });
}

}  // namespace velo::queue::nats
