// SPDX-License-Identifier: Apache-2.0
// The connecting side of the handshake of shared memory.

#include "shared_memory_handshake.hpp"

#include <velo/base/check.hpp>

#include <sys/epoll.h>

#include <cerrno>
#include <utility>

#include "clock.hpp"
#include "shared_memory_greeting.hpp"
#include "shared_memory_link.hpp"
#include "socket_stream.hpp"
#include "system_error.hpp"

namespace velo::runtime {
namespace shared_memory_handshake_detail {

class Introduction final : public EventSource,
                           public StopListener,
                           // why: its handler may destroy the handle that owns it.
                           public std::enable_shared_from_this<Introduction> {
 public:
  Introduction(EpollShard& shard, Endpoint remote, SharedMemoryOptions options,
               SharedMemoryHandler done)
      : shard_(shard),
        remote_(std::move(remote)),
        options_(std::move(options)),
        deadline_at_(monotonic_now() + options_.timeout),
        done_(std::move(done)) {}

  void connected(Result<std::unique_ptr<ByteStream>> stream);
  void on_events(std::uint32_t events) override;
  void on_stop() noexcept override;
  void abandon() noexcept {
    VELO_DCHECK(shard_.may_touch());
    release();
    done_ = nullptr;
  }

 private:
  /// Nothing, or why not.
  std::optional<Error> introduce();
  void release() noexcept;
  void end(Result<std::unique_ptr<SharedMemoryLink>> result);
  Error failed(int code) const {
    return connect_error("shared memory with " + remote_.to_string(), code);
  }

  EpollShard& shard_;
  const Endpoint remote_;
  const SharedMemoryOptions options_;
  const TimePoint deadline_at_;
  SharedMemoryHandler done_;
  AnswerReader answer_;
  LinkParts parts_;
  bool waiting_ = false;  ///< for the answer: watched, and among the stop listeners
  bool stopped_ = false;
  Shard::TimerId deadline_ = 0;
  EpollShard::StopTicket ticket_;
};

void Introduction::connected(Result<std::unique_ptr<ByteStream>> stream) {
  if (!stream.has_value()) return end(stream.error());
  parts_.socket = static_cast<SocketStream&>(**stream).release();
  if (auto error = introduce()) return end(std::move(*error));
  if (const int code = shard_.watch(parts_.socket.get(), EPOLLIN | EPOLLRDHUP, *this); code != 0) {
    return end(failed(code));
  }
  waiting_ = true;
  ticket_ = shard_.add_stop_listener(*this);
  deadline_ = shard_.start_timer(deadline_at_, Task0{[](void* argument) {
                                                       auto& self =
                                                           *static_cast<Introduction*>(argument);
                                                       self.deadline_ = 0;
                                                       self.end(self.failed(ETIMEDOUT));
                                                     },
                                                     this});
}

std::optional<Error> Introduction::introduce() {
  const auto peer = credentials_of(parts_.socket);
  if (!peer.has_value() || !is_allowed(*peer, options_)) {
    return make_error(Errc::permission_denied,
                      remote_.to_string() + " belongs to a user who is not allowed");
  }
  parts_.peer = *peer;
  auto region = make_region(options_.bytes);
  if (!region.has_value()) return region.error();
  GreetingFiles files;
  files.region = std::move(region->file);
  for (Descriptor* bell : {&files.makers_bell, &files.accepters_bell}) {
    auto made = make_bell();
    if (!made.has_value()) return made.error();
    *bell = std::move(*made);
  }
  const std::size_t bytes = region->memory.span().size();
  if (const int code = send_greeting(parts_.socket, bytes, files); code != 0) return failed(code);
  parts_.memory = std::move(region->memory);
  parts_.own_bell = std::move(files.makers_bell);
  parts_.their_bell = std::move(files.accepters_bell);
  parts_.remote = remote_;
  parts_.is_maker = true;
  return std::nullopt;
}

void Introduction::on_events(std::uint32_t /*events*/) {
  const auto progress = answer_.read(parts_.socket);
  if (progress == GreetingReader::Progress::incomplete) return;
  if (progress == GreetingReader::Progress::broken) return end(failed(ECONNREFUSED));
  const auto self = shared_from_this();
  shard_.unwatch(parts_.socket.get(), *this);
  waiting_ = false;
  if (!stopped_) shard_.remove_stop_listener(ticket_);
  end(std::make_unique<KernelLink>(shard_, std::move(parts_)));
}

void Introduction::on_stop() noexcept {
  stopped_ = true;
  end(make_error(Errc::shutting_down, "the World stops"));
}

void Introduction::release() noexcept {
  if (waiting_) {
    shard_.unwatch(parts_.socket.get(), *this);
    if (!stopped_) shard_.remove_stop_listener(ticket_);
  }
  waiting_ = false;
  if (deadline_ != 0) shard_.cancel_timer(std::exchange(deadline_, 0));
  parts_ = LinkParts();
}

void Introduction::end(Result<std::unique_ptr<SharedMemoryLink>> result) {
  const auto self = shared_from_this();
  release();
  SharedMemoryHandler done = std::exchange(done_, nullptr);
  if (done) done(std::move(result));
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

std::unique_ptr<Connecting> connect_link(KernelNetwork& network, EpollShard& shard,
                                         const Endpoint& remote, const SharedMemoryOptions& options,
                                         SharedMemoryHandler done) {
  using namespace shared_memory_handshake_detail;  // NOLINT(google-build-using-namespace)
  auto introduction = std::make_shared<Introduction>(shard, remote, options, std::move(done));
  ConnectOptions connect;
  connect.timeout = options.timeout;
  auto attempt = network.connect(shard, remote, connect,
                                 [introduction](Result<std::unique_ptr<ByteStream>> stream) {
                                   introduction->connected(std::move(stream));
                                 });
  return std::make_unique<Handle>(std::move(introduction), std::move(attempt));
}

}  // namespace velo::runtime
