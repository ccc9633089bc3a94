// SPDX-License-Identifier: Apache-2.0
// The rungs between the floor and the messenger, as round trips: our frames over plain sockets, and
// our transport without a messenger. Both carry exactly the bytes that a messenger sends.

#include "floor_socket.hpp"
#include "media.hpp"

#include <velo/codec/hex.hpp>
#include <velo/runtime/real_world.hpp>
#include <velo/transport/framing.hpp>

#include <atomic>
#include <memory>
#include <span>

namespace velo::bench {
namespace ladder_detail {

using floor_detail::fail;
using transport::FrameParser;
using transport::FrameType;
using transport::OutFrame;

/// What a unary call of "echo" and its reply have as headers, where both ends are ours.
constexpr std::size_t request_header_bytes = 34;
constexpr std::size_t response_header_bytes = 19;

static Bytes header_of(std::size_t bytes) { return Bytes::own(std::string(bytes, 'h')); }

// ---- framing: sockets that carry our frames

/// A socket that is read and written in whole frames.
class FramedSocket {
 public:
  FramedSocket(int fd, const Spec& spec)
      : fd_(fd),
        in_((std::size_t{256} << 10U) + spec.payload_bytes),
        out_(spec.payload_bytes + 256) {
    const int one = 1;
    if (spec.medium == Medium::tcp) {
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    epoll_event event{};
    event.events = EPOLLIN;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  }

  void send(FrameType type, const Bytes& header, ByteSpan payload) {
    const OutFrame frame(type, header, payload);
    std::size_t left = transport::encode_frame(out_, frame);
    const std::byte* at = out_.data();
    while (left > 0) {
      const ssize_t sent = ::send(fd_, at, left, MSG_NOSIGNAL);
      if (sent < 0 && errno != EAGAIN && errno != EINTR) ::_exit(0);
      if (sent <= 0) {
        pollfd wait{fd_, POLLOUT, 0};
        ::poll(&wait, 1, -1);
        continue;
      }
      at += sent;
      left -= static_cast<std::size_t>(sent);
    }
  }

  /// Valid until the next call. At most one frame is on its way at a time.
  ByteSpan receive() {
    std::size_t have = 0;
    for (;;) {
      FrameParser parser(ByteSpan(in_).first(have));
      const auto status = parser.next();
      if (status == FrameParser::Status::frame) return parser.payload();
      if (status == FrameParser::Status::malformed) fail("framing");
      epoll_event events[8];
      ::epoll_wait(epoll_, events, 8, -1);
      const ssize_t got = ::recv(fd_, in_.data() + have, in_.size() - have, 0);
      if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) ::_exit(0);
      if (got > 0) have += static_cast<std::size_t>(got);
    }
  }

 private:
  int fd_;
  int epoll_;
  std::vector<std::byte> in_;
  std::vector<std::byte> out_;
};

static Measurement framing_round_trips(const Spec& spec) {
  const std::string where = start_server(spec, [&](int ready) {
    FramedSocket socket(floor_detail::accept_one(spec, ready), spec);
    const Bytes header = header_of(response_header_bytes);
    for (;;) socket.send(FrameType::response, header, socket.receive());
  });
  FramedSocket socket(floor_detail::connect_to(spec, where), spec);
  const Bytes header = header_of(request_header_bytes);
  const Bytes payload = header_of(spec.payload_bytes);
  return floor_detail::time_round_trips(spec, [&] {
    socket.send(FrameType::message, header, payload);
    (void)socket.receive();
  });
}

// ---- transport: our connections, and nothing above

template <class T>
static T must(Result<T> result, const char* what) {
  if (!result) {
    std::fprintf(stderr, "bench: %s: %s\n", what, result.error().to_string().c_str());
    ::_exit(3);
  }
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

/// One end of a connection: a World, a transport, and who is told of frames.
class End final : public transport::AcceptHandler, public transport::ConnectionEvents {
 public:
  using OnFrame = std::function<void(transport::Connection&, const transport::InFrame&)>;

  End(const Spec& spec, const char* name, OnFrame on_frame)
      : world_(must(runtime::RealWorld::create(runtime_options(spec)), "world")),
        on_frame_(std::move(on_frame)) {
    transport_ = make_medium(spec, name);
    const InstanceId self = InstanceId::random(world_->random());
    must(transport_->start({*world_, self, *this, std::make_shared<MemoryBudget>()}), "transport");
  }

  World& world() { return *world_; }
  Bytes address() const { return transport_->address_entry(); }

  /// Returns once connected; everything after that happens on the I/O thread.
  transport::ConnectionPtr connect(ByteSpan entry) {
    std::atomic<bool> done{false};
    transport::ConnectionPtr connected;
    std::unique_ptr<transport::Dial> dial;
    post(world_->shard(0), [&] {
      dial = transport_->connect(world_->shard(0), entry, [&](auto connection) {
        connected = must(std::move(connection), "connect");
        connected->start(*this);
        done.store(true);
        done.notify_one();
      });
    });
    done.wait(false);
    return connected;
  }

  void on_accepted(transport::ConnectionPtr connection) override { connection->start(*this); }
  void on_frame(transport::Connection& connection, const transport::InFrame& frame) override {
    on_frame_(connection, frame);
  }
  void on_written(transport::Connection&) noexcept override {}
  void on_closed(transport::Connection&, const Error&) override {}

 private:
  std::unique_ptr<runtime::RealWorld> world_;
  std::unique_ptr<transport::Transport> transport_;
  OnFrame on_frame_;
};

[[noreturn]] static void serve_transport(const Spec& spec, int ready) {
  const Bytes header = header_of(response_header_bytes);
  End end(spec, "server", [&](transport::Connection& connection, const transport::InFrame& frame) {
    (void)connection.send(OutFrame(FrameType::response, header, frame.payload()));
  });
  const std::string line = codec::to_hex(end.address()) + "\n";
  if (::write(ready, line.data(), line.size()) < 0) fail("ready");
  for (;;) ::pause();
}

static Measurement transport_round_trips(const Spec& spec) {
  const std::string where = start_server(spec, [&](int ready) { serve_transport(spec, ready); });
  const Bytes header = header_of(request_header_bytes);
  const Bytes payload = header_of(spec.payload_bytes);
  Measurement result;
  std::atomic<bool> done{false};
  std::int64_t last = 0;
  std::int64_t measure_from = 0;
  std::int64_t end_at = 0;
  // Never taken down: the process ends once it has told what it measured.
  End& end =
      *new End(spec, "client", [&](transport::Connection& connection, const transport::InFrame&) {
        const std::int64_t now = now_ns();
        if (last >= measure_from)
          result.samples_ns.push_back(static_cast<std::uint32_t>(now - last));
        last = now;
        if (now < end_at) {
          (void)connection.send(OutFrame(FrameType::message, header, payload));
          return;
        }
        done.store(true);
        done.notify_one();
      });
  static const auto connection = end.connect(must(codec::from_hex(where), "address"));
  post(end.world().shard(0), [&] {
    last = now_ns();
    measure_from = last + static_cast<std::int64_t>(spec.warm_up_seconds * 1e9);
    end_at = measure_from + static_cast<std::int64_t>(spec.seconds * 1e9);
    (void)connection->send(OutFrame(FrameType::message, header, payload));
  });
  done.wait(false);
  result.messages = static_cast<double>(result.samples_ns.size());
  result.seconds = spec.seconds;
  return result;
}

}  // namespace ladder_detail

Measurement run_rung(const Spec& spec) {
  return spec.rung == Rung::framing ? ladder_detail::framing_round_trips(spec)
                                    : ladder_detail::transport_round_trips(spec);
}

}  // namespace velo::bench
