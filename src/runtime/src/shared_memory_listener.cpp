// SPDX-License-Identifier: Apache-2.0
// The accepting side of the handshake of shared memory.

#include "shared_memory_handshake.hpp"

#include <sys/epoll.h>

#include <list>
#include <utility>

#include "shared_memory_greeting.hpp"
#include "shared_memory_link.hpp"
#include "socket_stream.hpp"

namespace velo::runtime {
namespace shared_memory_listener_detail {

class Reception;

/// A connection whose greeting is awaited.
class Guest final : public EventSource {
 public:
  Guest(Reception& reception, Descriptor socket, Endpoint remote, PeerCredentials peer)
      : reception_(reception),
        socket_(std::move(socket)),
        remote_(std::move(remote)),
        peer_(peer) {}
  ~Guest();

  /// False if it is over already, one way or the other.
  bool begin();
  void on_events(std::uint32_t events) override;
  void place(std::list<std::unique_ptr<Guest>>::iterator place) noexcept { place_ = place; }

 private:
  GreetingReader::Progress read();
  Result<std::unique_ptr<SharedMemoryLink>> admit();

  Reception& reception_;
  Descriptor socket_;
  const Endpoint remote_;
  const PeerCredentials peer_;
  GreetingReader greeting_;
  std::list<std::unique_ptr<Guest>>::iterator place_;
  bool watched_ = false;
  Shard::TimerId deadline_ = 0;
};

/// What a listener of shared memory is made of, besides the listener of its socket.
// why: kept while on_accept, which may destroy the listener, is running.
class Reception final : public std::enable_shared_from_this<Reception> {
 public:
  Reception(EpollShard& shard, SharedMemoryOptions options, SharedMemoryHandler on_accept)
      : shard_(shard), options_(std::move(options)), on_accept_(std::move(on_accept)) {}

  void welcome(Result<std::unique_ptr<ByteStream>> stream);
  void dismiss(std::list<std::unique_ptr<Guest>>::iterator place) { guests_.erase(place); }
  void close() noexcept {
    closed_ = true;
    guests_.clear();
  }
  void hand_over(std::unique_ptr<SharedMemoryLink> link) {
    if (!closed_) on_accept_(std::move(link));
  }

  EpollShard& shard() const noexcept { return shard_; }
  const SharedMemoryOptions& options() const noexcept { return options_; }

 private:
  EpollShard& shard_;
  const SharedMemoryOptions options_;
  SharedMemoryHandler on_accept_;
  std::list<std::unique_ptr<Guest>> guests_;
  bool closed_ = false;
};

Guest::~Guest() {
  EpollShard& shard = reception_.shard();
  if (watched_) shard.unwatch(socket_.get(), *this);
  if (deadline_ != 0) shard.cancel_timer(deadline_);
}

bool Guest::begin() {
  EpollShard& shard = reception_.shard();
  if (shard.watch(socket_.get(), EPOLLIN | EPOLLRDHUP, *this) != 0) return false;
  watched_ = true;
  deadline_ = shard.start_timer(shard.now() + reception_.options().timeout,
                                Task0{[](void* argument) {
                                        auto& self = *static_cast<Guest*>(argument);
                                        self.deadline_ = 0;
                                        self.reception_.dismiss(self.place_);
                                      },
                                      this});
  return true;
}

void Guest::on_events(std::uint32_t /*events*/) {
  const auto progress = greeting_.read(socket_);
  if (progress == GreetingReader::Progress::incomplete) return;
  const auto reception = reception_.shared_from_this();
  std::unique_ptr<SharedMemoryLink> link;
  if (progress == GreetingReader::Progress::complete) {
    if (auto admitted = admit()) link = std::move(*admitted);
  }
  reception->dismiss(place_);  // ends this object
  if (link != nullptr) reception->hand_over(std::move(link));
}

Result<std::unique_ptr<SharedMemoryLink>> Guest::admit() {
  const SharedMemoryOptions& options = reception_.options();
  const std::size_t bytes = greeting_.region_bytes();
  GreetingFiles& files = greeting_.files();
  if (bytes < options.bytes_min || bytes > options.bytes_max) {
    return make_error(Errc::invalid_argument, "shared memory of a length that is not allowed");
  }
  if (!is_bell(files.makers_bell) || !is_bell(files.accepters_bell)) {
    return make_error(Errc::invalid_argument, "shared memory without bells");
  }
  auto memory = adopt_region(files.region, bytes);
  if (!memory.has_value()) return memory.error();
  if (send_answer(socket_) != 0) return make_error(Errc::io, "the other end is gone");
  reception_.shard().unwatch(socket_.get(), *this);
  watched_ = false;
  LinkParts parts;
  parts.socket = std::move(socket_);
  parts.own_bell = std::move(files.accepters_bell);
  parts.their_bell = std::move(files.makers_bell);
  parts.memory = std::move(*memory);
  parts.remote = remote_;
  parts.peer = peer_;
  return std::make_unique<KernelLink>(reception_.shard(), std::move(parts));
}

void Reception::welcome(Result<std::unique_ptr<ByteStream>> stream) {
  if (!stream.has_value()) return on_accept_(stream.error());
  auto& accepted = static_cast<SocketStream&>(**stream);
  Endpoint remote = accepted.remote();
  Descriptor socket = accepted.release();
  const auto peer = credentials_of(socket);
  if (!peer.has_value() || !is_allowed(*peer, options_)) return;
  if (guests_.size() >= options_.handshakes_max) guests_.pop_front();
  auto guest = std::make_unique<Guest>(*this, std::move(socket), std::move(remote), *peer);
  Guest& added = *guest;
  guests_.push_back(std::move(guest));
  const auto place = std::prev(guests_.end());
  added.place(place);
  // The greeting is sent before the connection is accepted: it is there already, as a rule.
  if (added.begin()) {
    added.on_events(EPOLLIN);
  } else {
    guests_.erase(place);
  }
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

}  // namespace shared_memory_listener_detail

Result<std::unique_ptr<Listener>> listen_for_links(KernelNetwork& network, EpollShard& shard,
                                                   const Endpoint& local,
                                                   const SharedMemoryOptions& options,
                                                   SharedMemoryHandler on_accept) {
  using namespace shared_memory_listener_detail;  // NOLINT(google-build-using-namespace)
  if (local.kind != Endpoint::Kind::unix_socket) {
    return make_error(Errc::invalid_argument, "shared memory needs a Unix socket");
  }
  auto reception = std::make_shared<Reception>(shard, options, std::move(on_accept));
  ListenOptions listen;
  listen.backlog = options.backlog;
  listen.unix_mode = options.unix_mode;
  auto listener =
      network.listen(shard, local, listen, [reception](Result<std::unique_ptr<ByteStream>> stream) {
        reception->welcome(std::move(stream));
      });
  if (!listener.has_value()) return listener.error();
  return std::make_unique<LinkListener>(std::move(reception), std::move(*listener));
}

}  // namespace velo::runtime
