// SPDX-License-Identifier: Apache-2.0
// bench streams: many streams on one connection against a plain socket; what a stalled one costs
// the others; and how many small frames of one step share a write.

#include <velo/bench/suite.hpp>

#include <velo/codec/hex.hpp>
#include <velo/codec/peer_info.hpp>
#include <velo/messenger/messenger.hpp>
#include <velo/runtime/real_world.hpp>
#include <velo/streaming/streams.hpp>
#include <velo/transport/backends/tcp.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace velo::bench {
namespace streams_suite {

constexpr std::size_t frame_bytes = 1'024;
constexpr std::size_t raw_write_bytes = std::size_t{64} << 10;
constexpr double fairest_to_least_max = 2.0;
constexpr std::size_t token_streams = 32;
constexpr Duration token_step = std::chrono::milliseconds(5);

[[noreturn]] static void fail(const std::string& why) {
  std::fprintf(stderr, "bench streams: %s\n", why.c_str());
  ::_exit(3);
}

template <class T>
static T must(Result<T> result, const char* what) {
  if (!result) fail(std::string(what) + ": " + result.error().to_string());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

// ---- the floor: one connection, 64 KiB a write

static int loopback_socket(sockaddr_in& address) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return fd;
}

static void write_all(int fd, const char* data, std::size_t size) {
  while (size > 0) {
    const ssize_t written = ::write(fd, data, size);
    if (written <= 0) fail("the floor's write");
    data += written;
    size -= static_cast<std::size_t>(written);
  }
}

static void serve_raw(int ready) {
  sockaddr_in address{};
  const int listener = loopback_socket(address);
  socklen_t size = sizeof address;
  if (::bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(listener, 1) != 0 ||
      ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    fail("the floor's listener");
  }
  const std::string line = std::to_string(ntohs(address.sin_port)) + "\n";
  write_all(ready, line.data(), line.size());
  const int fd = ::accept(listener, nullptr, nullptr);
  std::vector<char> buffer(raw_write_bytes);
  std::uint64_t bytes = 0;
  for (ssize_t got = 1; got > 0;) {
    got = ::read(fd, buffer.data(), buffer.size());
    if (got > 0) bytes += static_cast<std::uint64_t>(got);
  }
  write_all(fd, reinterpret_cast<const char*>(&bytes), sizeof bytes);
}

static Measurement run_raw(const Spec& spec) {
  const std::string line = start_server(spec, serve_raw);
  sockaddr_in address{};
  const int fd = loopback_socket(address);
  address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(line.c_str())));
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fail("connect");
  const std::vector<char> block(raw_write_bytes, 'x');
  std::uint64_t sent = 0;
  const std::int64_t begin = now_ns();
  const std::int64_t end = begin + static_cast<std::int64_t>(spec.seconds * 1e9);
  while (now_ns() < end) {
    write_all(fd, block.data(), block.size());
    sent += block.size();
  }
  ::shutdown(fd, SHUT_WR);
  std::uint64_t arrived = 0;
  if (::read(fd, &arrived, sizeof arrived) != sizeof arrived || arrived != sent) {
    fail("the floor lost bytes");
  }
  Measurement result;
  result.messages = static_cast<double>(sent / frame_bytes);
  result.seconds = static_cast<double>(now_ns() - begin) / 1e9;
  return result;
}

// ---- ours: the server has the anchors, the client the senders

struct Node {
  std::unique_ptr<runtime::RealWorld> world;
  std::unique_ptr<Messenger> messenger;
};

static Node make_node() {
  Node node;
  node.world = must(runtime::RealWorld::create(), "world");
  auto builder = Messenger::builder(*node.world);
  builder.add_transport(transport::make_tcp());
  node.messenger = must(builder.build(), "messenger");
  return node;
}

/// Reads one stream on the server's shard until it ends.
class Reader {
 public:
  Reader(Shard& shard, StreamAnchor<Bytes> anchor, bool stalled)
      : shard_(shard), anchor_(std::move(anchor)) {
    if (!stalled) post(shard_, [this] { wait(); });
  }
  const StreamAnchorHandle& handle() const noexcept { return anchor_.handle(); }

 private:
  void wait() {
    anchor_.next().then(shard_, [this](const Result<StreamFrame<Bytes>>& frame) {
      if (!take(frame)) return;
      while (auto more = anchor_.try_next()) {
        if (!take(*more)) return;
      }
      wait();
    });
  }
  static bool take(const Result<StreamFrame<Bytes>>& frame) {
    if (!frame || !frame->is_item()) return false;
    if (frame->item().size() > frame_bytes) fail("an item of another size");
    return true;
  }

  Shard& shard_;
  StreamAnchor<Bytes> anchor_;
};

static void serve(int ready) {
  const Node node = make_node();
  auto streams = must(Streams::of(*node.messenger), "streams");
  std::vector<std::unique_ptr<Reader>> readers;
  // "o" opens a stream that is read, "s" one that is not; the answer is its handle.
  auto open = [&](Context& context) {
    const bool stalled = as_text(context.payload()) == "s";
    auto anchor = must(streams.create_anchor<Bytes>(), "anchor");
    readers.push_back(std::make_unique<Reader>(node.world->shard(0), std::move(anchor), stalled));
    return Bytes::copy(readers.back()->handle().to_string());
  };
  must(node.messenger->register_handler(Handler::unary_handler("open", open).inline_().build()),
       "open");
  const PeerInfo& self = node.messenger->peer_info();
  const Bytes address = codec::encode_worker_address(self.address);
  const std::string line = self.instance_id.to_string() + " " + codec::to_hex(address) + "\n";
  write_all(ready, line.data(), line.size());
  for (;;) ::pause();
}

/// Sends into one stream as fast as it takes it, on the client's shard.
class Producer {
 public:
  Producer(Shard& shard, StreamSender<Bytes> sender, std::atomic<std::size_t>& left)
      : shard_(shard), sender_(std::move(sender)), left_(left) {}

  void start(std::int64_t end) {
    end_ = end;
    go_on();
  }
  std::uint64_t sent() const noexcept { return sent_; }
  StreamSender<Bytes>& sender() noexcept { return sender_; }

 private:
  void go_on() {
    static const Bytes item = Bytes::own(std::string(frame_bytes - 16, 'x'));
    if (now_ns() >= end_) return finish();
    for (;;) {
      const auto sent = sender_.try_send(item);
      if (!sent) {
        if (!sent.error().is(streaming::Errc::no_credit)) fail(sent.error().to_string());
        break;
      }
      ++sent_;
    }
    sender_.send(item).then(shard_, [this](Result<void> sent) {
      // A consumer that was stalled to the end takes the item that waits for it along.
      if (!sent && now_ns() >= end_) return leave();
      must(std::move(sent), "send");
      ++sent_;
      go_on();
    });
  }
  void finish() {
    sender_.finalize().then(shard_, [this](Result<void> finalized) {
      must(std::move(finalized), "finalize");
      leave();
    });
  }
  void leave() {
    if (left_.fetch_sub(1) == 1) left_.notify_all();
  }

  Shard& shard_;
  StreamSender<Bytes> sender_;
  std::atomic<std::size_t>& left_;
  std::int64_t end_ = 0;
  std::uint64_t sent_ = 0;
};

struct Client {
  explicit Client(const Spec& spec) {
    const std::string line = start_server(spec, serve);
    const std::size_t space = line.find(' ');
    peer.instance_id = must(InstanceId::parse(line.substr(0, space)), "peer");
    peer.address =
        must(codec::decode_worker_address(must(codec::from_hex(line.substr(space + 1)), "address")),
             "address");
    node = make_node();
    must(node.messenger->register_peer(peer), "peer");
    streams = std::make_unique<Streams>(must(Streams::of(*node.messenger), "streams"));
  }

  StreamSender<Bytes> open(std::string_view kind) {
    const Bytes handle = must(
        node.messenger->unary("open").raw_payload(kind).instance(peer.instance_id).send().get(),
        "open");
    return must(
        streams->attach_anchor<Bytes>(must(StreamAnchorHandle::parse(handle.text()), "handle"))
            .get(),
        "attach");
  }

  PeerInfo peer;
  Node node;
  std::unique_ptr<Streams> streams;
};

static Measurement run_share(const Spec& spec, std::size_t count, std::size_t stalled,
                             bool judged) {
  Client client(spec);
  Shard& shard = client.node.world->shard(0);
  std::atomic<std::size_t> left{count};
  std::vector<std::unique_ptr<Producer>> producers;
  std::atomic<std::size_t> idle{stalled};
  std::vector<std::unique_ptr<Producer>> stuck;
  for (std::size_t i = 0; i < stalled; ++i) {
    stuck.push_back(std::make_unique<Producer>(shard, client.open("s"), idle));
  }
  for (std::size_t i = 0; i < count; ++i) {
    producers.push_back(std::make_unique<Producer>(shard, client.open("o"), left));
  }
  const std::int64_t begin = now_ns();
  const std::int64_t end = begin + static_cast<std::int64_t>(spec.seconds * 1e9);
  post(shard, [&] {
    for (auto& producer : stuck) producer->start(end);
    for (auto& producer : producers) producer->start(end);
  });
  for (std::size_t now = left.load(); now != 0; now = left.load()) left.wait(now);
  Measurement result;
  result.seconds = static_cast<double>(now_ns() - begin) / 1e9;
  std::uint64_t least = UINT64_MAX;
  std::uint64_t most = 0;
  for (const auto& producer : producers) {
    least = std::min(least, producer->sent());
    most = std::max(most, producer->sent());
    result.messages += static_cast<double>(producer->sent());
  }
  const double share =
      static_cast<double>(most) / static_cast<double>(std::max<std::uint64_t>(least, 1));
  std::fprintf(
      stderr, "%s",
      fmt::format("{} streams: most {} least {} ({:.2f})\n", count, most, least, share).c_str());
  if (judged && share > fairest_to_least_max) {
    std::fprintf(stderr, "the shares are too far apart: at most %.1f\n", fairest_to_least_max);
  }
  // The world goes first; what the stalled ones wait for never comes.
  ::fflush(stderr);
  return result;
}

/// An engine's steps: a thread emits one small frame on each stream. Frames a write.
static Measurement run_tokens(const Spec& spec) {
  Client client(spec);
  std::vector<StreamSender<Bytes>> senders;
  senders.reserve(token_streams);
  for (std::size_t i = 0; i < token_streams; ++i) senders.push_back(client.open("o"));
  const Bytes token = Bytes::copy(" velocity");
  struct Engine {
    std::function<void(TimePoint)> step;
    std::atomic<bool> over{false};
  } engine;
  World& world = *client.node.world;
  const auto before = client.streams->counts();
  const TimePoint end =
      world.clock().now() + std::chrono::nanoseconds(static_cast<std::int64_t>(spec.seconds * 1e9));
  struct Tick {
    Engine* engine;
    World* world;
    TimePoint at;
  };
  engine.step = [&](TimePoint at) {
    for (auto& sender : senders) must(sender.try_send(token), "token");
    if (at >= end) {
      engine.over.store(true);
      engine.over.notify_all();
      return;
    }
    auto* tick = new Tick{&engine, &world, at + token_step};
    world.shard(0).start_timer(
        tick->at, Task0{[](void* argument) {
                          const std::unique_ptr<Tick> owned(static_cast<Tick*>(argument));
                          post(owned->world->pool(),
                               [engine = owned->engine, due = owned->at] { engine->step(due); });
                        },
                        tick});
  };
  post(world.pool(), [&] { engine.step(world.clock().now()); });
  engine.over.wait(false);
  for (auto& sender : senders) must(sender.finalize().get(), "finalize");
  const auto after = client.streams->counts();
  Measurement result;
  result.messages = static_cast<double>(after.frames_out - before.frames_out);
  result.seconds = static_cast<double>(after.batches_out - before.batches_out);
  return result;
}

static std::vector<Case> cases(double seconds) {
  std::vector<Case> all;
  Spec spec;
  spec.shape = Shape::one_way;
  spec.one_core = false;
  spec.seconds = seconds;
  all.emplace_back(
      "streams_1024_share", spec, [spec] { return run_raw(spec); },
      [spec] { return run_share(spec, 1'024, 0, true); });
  // Against the same without the one that stalls.
  all.emplace_back(
      "streams_32_stalled", spec, [spec] { return run_share(spec, 32, 0, false); },
      [spec] { return run_share(spec, 32, 1, false); });
  // Frames a write, against the 16 that it has to have: not a rate in spite of the unit.
  all.emplace_back(
      "token_stream", spec,
      [] {
        Measurement wanted;
        wanted.messages = 16;
        wanted.seconds = 1;
        return wanted;
      },
      [spec] { return run_tokens(spec); });
  return all;
}

}  // namespace streams_suite
}  // namespace velo::bench

int main(int count, char** arguments) {
  return velo::bench::run_suite("streams", count, arguments, velo::bench::streams_suite::cases);
}
