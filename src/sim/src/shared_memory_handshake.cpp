// SPDX-License-Identifier: Apache-2.0
// How simulated nodes come to share memory: the greeting is the region's number and length, the
// answer a number.

#include "shared_memory.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <list>

namespace velo::sim::detail {
namespace shared_memory_handshake_detail {

constexpr std::size_t page_bytes = 4096;
/// Number and length of the region, and the node's own number.
constexpr std::size_t greeting_bytes = 24;
/// The node's own number.
constexpr std::size_t answer_bytes = 8;

/// Nodes all run as one user; their process is their number.
static PeerCredentials credentials(std::uint64_t node) noexcept {
  return {1000, 1000, static_cast<std::int32_t>(node + 1)};
}

/// Ends what it stands for when its time is up; destroying it in time is enough.
class TimeLimit {
 public:
  TimeLimit(Shard& shard, Duration limit, std::move_only_function<void()> over)
      : shard_(shard), over_(std::move(over)) {
    timer_ = shard.start_timer(shard.now() + limit, Task0{[](void* argument) {
                                                            auto& self =
                                                                *static_cast<TimeLimit*>(argument);
                                                            self.timer_ = 0;
                                                            auto end = std::move(self.over_);
                                                            end();
                                                          },
                                                          this});
  }
  TimeLimit(const TimeLimit&) = delete;
  TimeLimit& operator=(const TimeLimit&) = delete;
  ~TimeLimit() {
    if (timer_ != 0) shard_.cancel_timer(timer_);
  }

 private:
  Shard& shard_;
  std::move_only_function<void()> over_;
  Shard::TimerId timer_ = 0;
};

struct Guest {
  std::unique_ptr<SimLink> link;
  std::unique_ptr<TimeLimit> limit;
};

// why: kept while on_accept, which may destroy the listener, is running.
class Reception final : public std::enable_shared_from_this<Reception> {
 public:
  Reception(NodeImpl& node, SharedMemoryOptions options, SharedMemoryHandler on_accept)
      : node_(node), options_(std::move(options)), on_accept_(std::move(on_accept)) {}

  void welcome(Result<std::unique_ptr<ByteStream>> stream);
  void close() noexcept {
    closed_ = true;
    guests_.clear();
  }

 private:
  using Place = std::list<Guest>::iterator;
  void greeted(Place place, bool complete);

  NodeImpl& node_;
  const SharedMemoryOptions options_;
  SharedMemoryHandler on_accept_;
  std::list<Guest> guests_;
  bool closed_ = false;
};

void Reception::welcome(Result<std::unique_ptr<ByteStream>> stream) {
  if (!stream) return on_accept_(stream.error());
  if (guests_.size() >= options_.handshakes_max) guests_.pop_front();
  Shard& shard = (*stream)->shard();
  const Place place = guests_.insert(guests_.end(), Guest());
  place->link = std::make_unique<SimLink>(std::move(*stream), false);
  place->limit =
      std::make_unique<TimeLimit>(shard, options_.timeout, [this, place] { guests_.erase(place); });
  place->link->await(greeting_bytes, [self = weak_from_this(), place](bool complete) {
    if (const auto reception = self.lock()) reception->greeted(place, complete);
  });
}

void Reception::greeted(Place place, bool complete) {
  if (closed_) return;
  const auto keep = shared_from_this();
  std::unique_ptr<SimLink> link = std::move(place->link);
  guests_.erase(place);
  if (!complete) return;
  const std::uint64_t bytes = link->greeting_number(1);
  if (bytes < options_.bytes_min || bytes > options_.bytes_max) return;
  auto& regions = node_.machine().regions;
  const auto found = regions.find(link->greeting_number(0));
  if (found == regions.end()) return;
  std::shared_ptr<Region> region = found->second.lock();
  if (region == nullptr || region->size() != bytes) return;
  link->share(std::move(region));
  link->set_peer(credentials(link->greeting_number(2)));
  const std::array<std::uint64_t, 1> answer{node_.index()};
  if (!link->say(std::as_bytes(std::span(answer)))) return;
  on_accept_(std::unique_ptr<SharedMemoryLink>(std::move(link)));
}

class LinkListener final : public Listener {
 public:
  LinkListener(std::shared_ptr<Reception> reception, std::unique_ptr<Listener> listener)
      : reception_(std::move(reception)), listener_(std::move(listener)) {}
  ~LinkListener() override {
    listener_.reset();
    reception_->close();
  }
  Endpoint local() const override { return listener_->local(); }

 private:
  std::shared_ptr<Reception> reception_;
  std::unique_ptr<Listener> listener_;
};

// why: its handler may destroy the handle that owns it.
class Introduction final : public std::enable_shared_from_this<Introduction> {
 public:
  Introduction(NodeImpl& node, const SharedMemoryOptions& options, Endpoint remote,
               SharedMemoryHandler done)
      : node_(node), options_(options), remote_(std::move(remote)), done_(std::move(done)) {}

  void connected(Result<std::unique_ptr<ByteStream>> stream);
  void abandon() noexcept {
    done_ = nullptr;
    release();
  }

 private:
  void release() noexcept {
    limit_.reset();
    link_.reset();
  }
  void end(Result<std::unique_ptr<SharedMemoryLink>> result) {
    const auto self = shared_from_this();
    release();
    SharedMemoryHandler done = std::exchange(done_, nullptr);
    if (done) done(std::move(result));
  }

  NodeImpl& node_;
  const SharedMemoryOptions options_;
  const Endpoint remote_;
  SharedMemoryHandler done_;
  std::unique_ptr<SimLink> link_;
  std::unique_ptr<TimeLimit> limit_;
};

void Introduction::connected(Result<std::unique_ptr<ByteStream>> stream) {
  if (!done_) return;
  if (!stream) return end(stream.error());
  Shard& shard = (*stream)->shard();
  Machine& machine = node_.machine();
  const std::size_t bytes = (options_.bytes + page_bytes - 1) / page_bytes * page_bytes;
  auto region = std::make_shared<Region>(bytes);
  std::erase_if(machine.regions, [](const auto& offered) { return offered.second.expired(); });
  const std::uint64_t id = ++machine.last_region;
  machine.regions.emplace(id, region);
  link_ = std::make_unique<SimLink>(std::move(*stream), true);
  link_->share(std::move(region));
  const std::array<std::uint64_t, 3> greeting{id, bytes, node_.index()};
  static_cast<void>(link_->say(std::as_bytes(std::span(greeting))));
  limit_ = std::make_unique<TimeLimit>(shard, options_.timeout, [this] {
    end(Error(error_code(Errc::deadline_exceeded), Retry::elsewhere,
              "shared memory with " + remote_.to_string() + ": timed out"));
  });
  link_->await(answer_bytes, [self = weak_from_this()](bool complete) {
    const auto introduction = self.lock();
    if (introduction == nullptr || introduction->link_ == nullptr) return;
    if (complete) {
      std::unique_ptr<SimLink> link = std::move(introduction->link_);
      link->set_peer(credentials(link->greeting_number(0)));
      return introduction->end(std::unique_ptr<SharedMemoryLink>(std::move(link)));
    }
    introduction->end(
        Error(error_code(Errc::io), Retry::elsewhere,
              "shared memory with " + introduction->remote_.to_string() + ": refused"));
  });
}

class Handle final : public Connecting {
 public:
  Handle(std::shared_ptr<Introduction> introduction, std::unique_ptr<Connecting> attempt) noexcept
      : introduction_(std::move(introduction)), attempt_(std::move(attempt)) {}
  ~Handle() override {
    attempt_.reset();
    introduction_->abandon();
  }

 private:
  std::shared_ptr<Introduction> introduction_;
  std::unique_ptr<Connecting> attempt_;
};

}  // namespace shared_memory_handshake_detail

Result<std::unique_ptr<Listener>> listen_for_links(NodeImpl& node, Shard& shard,
                                                   const Endpoint& local,
                                                   const SharedMemoryOptions& options,
                                                   SharedMemoryHandler on_accept) {
  using namespace shared_memory_handshake_detail;  // NOLINT(google-build-using-namespace)
  if (local.kind != Endpoint::Kind::unix_socket) {
    return make_error(Errc::invalid_argument, "shared memory needs a Unix socket");
  }
  auto reception = std::make_shared<Reception>(node, options, std::move(on_accept));
  ListenOptions listen;
  listen.backlog = options.backlog;
  Result<std::unique_ptr<Listener>> listener = node.network().listen(
      shard, local, listen, [reception](Result<std::unique_ptr<ByteStream>> stream) {
        reception->welcome(std::move(stream));
      });
  if (!listener) return listener.error();
  return std::unique_ptr<Listener>(
      std::make_unique<LinkListener>(std::move(reception), std::move(*listener)));
}

std::unique_ptr<Connecting> connect_link(NodeImpl& node, Shard& shard, const Endpoint& remote,
                                         const SharedMemoryOptions& options,
                                         SharedMemoryHandler done) {
  using namespace shared_memory_handshake_detail;  // NOLINT(google-build-using-namespace)
  auto introduction = std::make_shared<Introduction>(node, options, remote, std::move(done));
  ConnectOptions connect;
  connect.timeout = options.timeout;
  auto attempt = node.network().connect(shard, remote, connect,
                                        [introduction](Result<std::unique_ptr<ByteStream>> stream) {
                                          introduction->connected(std::move(stream));
                                        });
  return std::make_unique<Handle>(std::move(introduction), std::move(attempt));
}

std::string NetworkImpl::unix_socket_identity(const std::string& path) {
  const Machine& machine = node_.machine();
  if (!path.starts_with('@') && !machine.unix_listeners.contains(path)) return {};
  return "sim-" + machine.host;
}

Result<std::unique_ptr<Listener>> NetworkImpl::listen_shared_memory(
    Shard& shard, const Endpoint& local, const SharedMemoryOptions& options,
    SharedMemoryHandler on_accept) {
  return listen_for_links(node_, shard, local, options, std::move(on_accept));
}

std::unique_ptr<Connecting> NetworkImpl::connect_shared_memory(Shard& shard, const Endpoint& remote,
                                                               const SharedMemoryOptions& options,
                                                               SharedMemoryHandler done) {
  return connect_link(node_, shard, remote, options, std::move(done));
}

}  // namespace velo::sim::detail
