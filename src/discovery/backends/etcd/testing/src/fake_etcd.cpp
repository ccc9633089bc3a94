// SPDX-License-Identifier: Apache-2.0
// The gateway's HTTP and JSON over a store in memory.

#include <velo/discovery/testing/fake_etcd.hpp>

#include "fake_etcd_json.hpp"

#include <velo/base/check.hpp>
#include <velo/codec/base64.hpp>
#include <velo/codec/json_value.hpp>

#include <fmt/format.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <list>
#include <set>
#include <span>
#include <utility>

namespace velo::discovery::testing {
namespace fake_etcd_detail {

static std::string base64(const std::string& text) { return codec::to_base64(as_bytes(text)); }

static bool within(const std::string& key, const std::string& from, const std::string& end) {
  return end.empty() ? key == from : key >= from && key < end;
}

}  // namespace fake_etcd_detail

struct FakeEtcd::State {
  World& world;
  Shard& shard;
  std::shared_ptr<FakeEtcdStore> store;
  std::unique_ptr<Listener> listener;
  std::list<std::shared_ptr<Connection>> connections;
  bool muted = false;
  unsigned refusal = 0;
  std::size_t requests = 0;
  std::optional<Shard::TimerId> timer;

  State(World& w, std::shared_ptr<FakeEtcdStore> s)
      : world(w), shard(w.shard(0)), store(std::move(s)) {}

  void publish();
  void tick();
  void arm();
  std::string header() const {
    return fmt::format(R"("header":{{"cluster_id":"{}","revision":"{}"}})", store->cluster,
                       store->revision);
  }
};

/// One client; at most one watch.
class FakeEtcd::Connection final : public StreamEvents,
                                   // why: a stream may end in the middle of a request's answer.
                                   public std::enable_shared_from_this<Connection> {
 public:
  Connection(State& state, std::unique_ptr<ByteStream> stream)
      : state_(state), stream_(std::move(stream)) {
    stream_->attach(*this);
  }

  bool watching() const noexcept { return watching_; }
  bool ended() const noexcept { return ended_; }
  void end() {
    ended_ = true;
    stream_->close();
  }
  void tell_events();

  void on_readable() override {
    const auto self = shared_from_this();
    std::array<std::byte, 16384> piece;
    while (!ended_) {
      const IoResult result = stream_->try_read(piece);
      if (result.status == IoResult::Status::would_block) break;
      if (result.status != IoResult::Status::ok) {
        end();
        break;
      }
      in_.append(as_text(ByteSpan(piece).first(result.bytes)));
      while (!ended_ && take_request()) {
      }
    }
    if (ended_) std::erase(state_.connections, self);
  }
  void on_writable() override { write(); }

 private:
  bool take_request();
  void handle(const std::string& path, const codec::JsonValue& body);
  void authenticate(const codec::JsonValue& body);
  void range(const codec::JsonValue& body);
  void txn(const codec::JsonValue& body);
  void lease(const std::string& path, const codec::JsonValue& body);
  void watch(const codec::JsonValue& body);
  void reply(const std::string& body, unsigned status = 200) {
    send(fmt::format("HTTP/1.1 {} x\r\nContent-Length: {}\r\n\r\n{}", status, body.size(), body));
  }
  void refuse(int code, const char* message, unsigned status) {
    reply(fmt::format(R"({{"error":"{0}","message":"{0}","code":{1}}})", message, code), status);
  }
  void chunk(const std::string& line) { send(fmt::format("{:x}\r\n{}\r\n", line.size(), line)); }
  void send(const std::string& bytes) {
    out_ += bytes;
    write();
  }
  void write() {
    while (!ended_ && !out_.empty()) {
      const iovec rest{out_.data(), out_.size()};
      const IoResult result = stream_->try_write(std::span(&rest, 1));
      if (result.status == IoResult::Status::would_block) return stream_->want_write();
      if (result.status != IoResult::Status::ok) return;  // the reader learns it, too
      out_.erase(0, result.bytes);
    }
  }

  State& state_;
  std::unique_ptr<ByteStream> stream_;
  std::string in_;
  std::string out_;
  std::string token_;  ///< of the request that is handled
  bool ended_ = false;
  bool watching_ = false;
  std::string from_;
  std::string end_;
  std::int64_t next_ = 0;
};

bool FakeEtcd::Connection::take_request() {
  constexpr std::string_view length_name = "Content-Length: ";
  const std::size_t head = in_.find("\r\n\r\n");
  if (head == std::string::npos) return false;
  const std::size_t at = in_.find(length_name);
  VELO_CHECK(in_.starts_with("POST ") && at < head);
  std::size_t length = 0;
  std::from_chars(in_.data() + at + length_name.size(), in_.data() + head, length);
  if (in_.size() < head + 4 + length) return false;
  const std::string path = in_.substr(5, in_.find(' ', 5) - 5);
  const auto body = codec::JsonValue::parse(std::string_view(in_).substr(head + 4, length));
  VELO_CHECK(body.has_value());
  constexpr std::string_view token_name = "\r\nAuthorization: ";
  const std::size_t token_at = in_.find(token_name);
  token_.clear();
  if (token_at < head) {
    const std::size_t from = token_at + token_name.size();
    token_ = in_.substr(from, in_.find("\r\n", from) - from);
  }
  in_.erase(0, head + 4 + length);
  ++state_.requests;
  if (state_.refusal != 0) {
    refuse(14, "etcdserver: no leader", state_.refusal);
  } else {
    handle(path, *body);
  }
  return true;
}

void FakeEtcd::Connection::handle(const std::string& path, const codec::JsonValue& body) {
  if (path == "/v3/auth/authenticate") return authenticate(body);
  if (!state_.store->password.empty() && token_ != state_.store->token) {
    if (token_.empty()) return refuse(3, "etcdserver: user name is empty", 400);
    return refuse(16, "etcdserver: invalid auth token", 401);
  }
  if (path == "/v3/kv/range") return range(body);
  if (path == "/v3/kv/txn") return txn(body);
  if (path == "/v3/watch") return watch(body);
  VELO_CHECK(path.starts_with("/v3/lease/"));
  lease(path, body);
}

void FakeEtcd::Connection::authenticate(const codec::JsonValue& body) {
  using namespace fake_etcd_detail;  // NOLINT(google-build-using-namespace)
  const FakeEtcdStore& store = *state_.store;
  if (store.password.empty()) return refuse(9, "etcdserver: authentication is not enabled", 412);
  if (text_of(body, "name") != store.user || text_of(body, "password") != store.password) {
    return refuse(3, "etcdserver: authentication failed, invalid user ID or password", 400);
  }
  reply(fmt::format(R"({{{},"token":"{}"}})", state_.header(), store.token));
}

void FakeEtcd::Connection::range(const codec::JsonValue& body) {
  using namespace fake_etcd_detail;  // NOLINT(google-build-using-namespace)
  const FakeEtcdStore& store = *state_.store;
  const std::int64_t revision = number_of(body, "revision");
  if (revision != 0 && revision < store.compacted) {
    return refuse(11, "etcdserver: mvcc: required revision has been compacted", 400);
  }
  // Of an old revision only that it is old matters here: tests page through what stands still.
  const std::string from = bytes_of(body, "key");
  const std::string end = bytes_of(body, "range_end");
  std::vector<const std::map<std::string, FakeEtcdStore::Value>::value_type*> found;
  for (const auto& item : store.keys) {
    if (within(item.first, from, end)) found.push_back(&item);
  }
  const std::size_t count = found.size();
  if (text_of(body, "sort_target") == "MOD") {
    std::ranges::sort(found, std::greater(),
                      [](const auto* item) { return item->second.mod_revision; });
  }
  const auto limit = static_cast<std::size_t>(number_of(body, "limit"));
  const bool more = limit != 0 && count > limit;
  if (more) found.resize(limit);
  std::string text = "{" + state_.header() + R"(,"kvs":[)";
  for (const auto* item : found) {
    if (text.back() != '[') text += ',';
    text += fmt::format(R"({{"key":"{}","mod_revision":"{}","value":"{}"}})", base64(item->first),
                        item->second.mod_revision, base64(item->second.value));
  }
  reply(text + fmt::format(R"(],"more":{},"count":"{}"}})", more, count));
}

void FakeEtcd::Connection::txn(const codec::JsonValue& body) {
  using namespace fake_etcd_detail;  // NOLINT(google-build-using-namespace)
  FakeEtcdStore& store = *state_.store;
  std::vector<const Json*> changes;
  flatten(store, body, changes);
  for (const Json* change : changes) {
    const Json* put = change->find("request_put");
    if (put != nullptr && !store.leases.contains(number_of(*put, "lease"))) {
      return refuse(5, "etcdserver: requested lease not found", 404);
    }
  }
  const std::int64_t before = store.revision;
  for (const Json* change : changes) {
    // All of one transaction have one revision.
    store.revision = before;
    if (const Json* put = change->find("request_put")) {
      store.put(bytes_of(*put, "key"), bytes_of(*put, "value"), number_of(*put, "lease"));
    } else {
      store.remove(bytes_of(*change->find("request_delete_range"), "key"));
    }
  }
  if (!store.history.empty()) store.revision = std::max(before, store.history.back().revision);
  reply("{" + state_.header() + R"(,"succeeded":true})");
  state_.publish();
}

void FakeEtcd::Connection::lease(const std::string& path, const codec::JsonValue& body) {
  using namespace fake_etcd_detail;  // NOLINT(google-build-using-namespace)
  FakeEtcdStore& store = *state_.store;
  const std::int64_t id = number_of(body, "ID");
  const auto found = store.leases.find(id);
  const auto reply_lease = [&](std::int64_t lease, std::int64_t ttl, const std::string& rest) {
    return fmt::format(R"({{{},"ID":"{}","TTL":"{}"{}}})", state_.header(), lease, ttl, rest);
  };
  if (path == "/v3/lease/grant") {
    const std::int64_t ttl = number_of(body, "TTL");
    store.leases[++store.last_lease] = {std::chrono::seconds(ttl),
                                        state_.shard.now() + std::chrono::seconds(ttl)};
    reply(reply_lease(store.last_lease, ttl, ""));
    return state_.arm();
  }
  const bool there = found != store.leases.end();
  const std::int64_t ttl =
      there ? std::chrono::duration_cast<std::chrono::seconds>(found->second.ttl).count() : 0;
  if (path == "/v3/lease/keepalive") {
    if (there) found->second.ends = state_.shard.now() + found->second.ttl;
    send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    chunk(R"({"result":)" + reply_lease(id, ttl, "") + "}\n");
    return send("0\r\n\r\n");
  }
  if (path == "/v3/lease/timetolive") {
    std::string keys = R"(,"keys":[)";
    for (const auto& [key, value] : store.keys) {
      if (value.lease != id) continue;
      if (keys.back() != '[') keys += ',';
      keys += '"' + base64(key) + '"';
    }
    return reply(reply_lease(id, there ? ttl : -1, keys + ']'));
  }
  VELO_CHECK(path == "/v3/lease/revoke");
  if (!there) return refuse(5, "etcdserver: requested lease not found", 404);
  store.revoke(id);
  reply("{" + state_.header() + "}");
  state_.publish();
}

void FakeEtcd::Connection::watch(const codec::JsonValue& body) {
  using namespace fake_etcd_detail;  // NOLINT(google-build-using-namespace)
  const Json* create = body.find("create_request");
  VELO_CHECK(create != nullptr);
  from_ = bytes_of(*create, "key");
  end_ = bytes_of(*create, "range_end");
  next_ = number_of(*create, "start_revision");
  send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
  chunk(R"({"result":{)" + state_.header() + ",\"created\":true}}\n");
  if (next_ <= state_.store->compacted) {
    return chunk(
        fmt::format("{{\"result\":{{{},\"canceled\":true,\"compact_revision\":\"{}\"}}}}\n",
                    state_.header(), state_.store->compacted));
  }
  watching_ = true;
  tell_events();
}

void FakeEtcd::Connection::tell_events() {
  using fake_etcd_detail::base64;
  if (!watching_ || ended_ || state_.muted) return;
  std::string events;
  const std::int64_t from = std::exchange(next_, std::max(next_, state_.store->revision + 1));
  for (const FakeEtcdStore::Event& event : state_.store->history) {
    if (event.revision < from || !fake_etcd_detail::within(event.key, from_, end_)) continue;
    if (!events.empty()) events += ',';
    events += fmt::format(R"({{{}"kv":{{"key":"{}","mod_revision":"{}","value":"{}"}}}})",
                          event.removed ? R"("type":"DELETE",)" : "", base64(event.key),
                          event.revision, base64(event.value));
  }
  if (events.empty()) return;
  const std::string line = R"({"result":{)" + state_.header() + ",\"events\":[" + events + "]}}\n";
  // Chunks need not be messages.
  chunk(line.substr(0, line.size() / 2));
  chunk(line.substr(line.size() / 2));
}

void FakeEtcd::State::publish() {
  // A connection may end while it is told.
  const auto all = connections;
  for (const auto& connection : all) connection->tell_events();
}

void FakeEtcd::State::tick() {
  std::vector<std::int64_t> over;
  for (const auto& [id, lease] : store->leases) {
    if (lease.ends <= shard.now()) over.push_back(id);
  }
  for (const std::int64_t id : over) store->revoke(id);
  if (!over.empty()) publish();
  arm();
}

void FakeEtcd::State::arm() {
  if (timer) shard.cancel_timer(*timer);
  timer.reset();
  TimePoint first = TimePoint::never();
  for (const auto& [id, lease] : store->leases) first = std::min(first, lease.ends);
  if (first == TimePoint::never()) return;
  timer = shard.start_timer(first, Task0{[](void* argument) {
                                           auto& state = *static_cast<State*>(argument);
                                           state.timer.reset();
                                           state.tick();
                                         },
                                         this});
}

FakeEtcd::FakeEtcd(World& world, const Endpoint& local, std::shared_ptr<FakeEtcdStore> store)
    : state_(std::make_shared<State>(world, std::move(store))) {
  auto listener = world.network().listen(
      state_->shard, local, ListenOptions(), [this](Result<std::unique_ptr<ByteStream>> stream) {
        if (!stream) return;
        state_->connections.push_back(std::make_shared<Connection>(*state_, std::move(*stream)));
      });
  VELO_CHECK(listener.has_value());
  state_->listener = std::move(*listener);
  // As a server that was restarted does.
  for (auto& [id, lease] : state_->store->leases) lease.ends = state_->shard.now() + lease.ttl;
  state_->arm();
}

FakeEtcd::~FakeEtcd() {
  if (state_->timer) state_->shard.cancel_timer(*state_->timer);
  for (const auto& connection : state_->connections) connection->end();
}

Endpoint FakeEtcd::local() const { return state_->listener->local(); }
void FakeEtcd::publish() { state_->publish(); }
void FakeEtcd::mute_watches(bool muted) { state_->muted = muted; }
void FakeEtcd::refuse_all(unsigned status) { state_->refusal = status; }
std::size_t FakeEtcd::watches() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(state_->connections, [](const auto& c) { return c->watching(); }));
}
std::size_t FakeEtcd::requests() const { return state_->requests; }
std::size_t FakeEtcd::connections() const { return state_->connections.size(); }

}  // namespace velo::discovery::testing
