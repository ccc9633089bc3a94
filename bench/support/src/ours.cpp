// SPDX-License-Identifier: Apache-2.0
// Our side of a measurement: two messengers in two processes.

#include "media.hpp"
#include "typed_echo.hpp"

#include <velo/bench/measure.hpp>

#include <velo/codec/hex.hpp>
#include <velo/codec/peer_info.hpp>
#include <velo/messenger/messenger.hpp>
#include <velo/runtime/real_world.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include <unistd.h>

namespace velo::bench {
namespace ours_detail {

/// A World and a messenger on it, of one process.
struct Node {
  std::unique_ptr<runtime::RealWorld> world;
  std::unique_ptr<Messenger> messenger;
};

template <class T>
static T must(Result<T> result, const char* what) {
  if (!result) {
    std::fprintf(stderr, "bench: %s: %s\n", what, result.error().to_string().c_str());
    ::_exit(3);
  }
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

static Node make_node(const Spec& spec, const char* name) {
  Node node;
  node.world = must(runtime::RealWorld::create(runtime_options(spec)), "world");
  auto builder = Messenger::builder(*node.world);
  builder.add_transport(make_medium(spec, name));
  node.messenger = must(builder.build(), "messenger");
  return node;
}

static void serve(const Spec& spec, int ready) {
  const Node node = make_node(spec, "server");
  std::atomic<std::uint64_t> received{0};
  const auto echo = [](Context& context) { return context.payload_bytes(); };
  auto builder = Handler::unary_handler("echo", echo);
  must(node.messenger->register_handler(spec.spawn ? std::move(builder).spawn().build()
                                                   : std::move(builder).inline_().build()),
       "echo");
  must(node.messenger->register_handler(
           Handler::typed_unary("typed",
                                [](TypedContext<TypedEcho>& context) { return context.input; })
               .inline_()
               .build()),
       "typed");
  must(node.messenger->register_handler(
           Handler::am_handler(
               "count", [&received](Context&) { received.fetch_add(1, std::memory_order_relaxed); })
               .inline_()
               .build()),
       "count");
  must(node.messenger->register_handler(
           Handler::unary_handler(
               "taken",
               [&received](Context&) { return Bytes::copy(std::to_string(received.exchange(0))); })
               .inline_()
               .build()),
       "taken");
  const PeerInfo& self = node.messenger->peer_info();
  const Bytes address = codec::encode_worker_address(self.address);
  const std::string line = self.instance_id.to_string() + " " + codec::to_hex(address) + "\n";
  if (::write(ready, line.data(), line.size()) < 0) ::_exit(3);
  for (;;) ::pause();
}

static PeerInfo parse_peer(const std::string& line) {
  PeerInfo peer;
  const std::size_t space = line.find(' ');
  peer.instance_id = must(InstanceId::parse(line.substr(0, space)), "peer id");
  const std::vector<std::byte> address =
      must(codec::from_hex(line.substr(space + 1)), "peer address");
  peer.address = must(codec::decode_worker_address(address), "peer address");
  return peer;
}

/// Issues calls on the I/O thread, each from the completion of another.
class Driver {
 public:
  Driver(Messenger& messenger, const InstanceId& peer, const Spec& spec)
      : messenger_(messenger),
        peer_(peer),
        outstanding_(spec.shape == Shape::rtt ? 1 : spec.outstanding),
        keep_samples_(spec.shape == Shape::rtt),
        typed_(spec.rung == Rung::typed),
        payload_(Bytes::own(std::string(spec.payload_bytes, 'x'))) {
    typed_echo_.text = std::string(spec.payload_bytes, 'x');
  }

  Measurement run(double seconds) {
    result_ = Measurement();
    done_.store(false);
    post(messenger_.world().shard(0), [this, seconds] {
      begin_ = last_ = now_ns();
      end_ = begin_ + static_cast<std::int64_t>(seconds * 1e9);
      for (std::size_t i = 0; i < outstanding_; ++i) issue();
    });
    done_.wait(false);
    result_.seconds = static_cast<double>(last_ - begin_) / 1e9;
    return std::move(result_);
  }

 private:
  void issue() {
    ++in_flight_;
    if (typed_) {
      typed_echo_.number = in_flight_;
      messenger_.typed_unary<TypedEcho>("typed")
          .payload(typed_echo_)
          .instance(peer_)
          .send()
          .then([this](Result<TypedEcho> reply) { completed(reply); });
      return;
    }
    messenger_.unary("echo").raw_payload(payload_).instance(peer_).send().then(
        [this](Result<Bytes> reply) { completed(reply); });
  }

  template <class T>
  void completed(const Result<T>& reply) {
    if (!reply) must(Result<void>(reply.error()), "call");
    --in_flight_;
    ++result_.messages;
    // Pipelines read the clock once in a while; round trips are timed one by one.
    const bool look = keep_samples_ || ++unread_ >= outstanding_;
    if (look) {
      unread_ = 0;
      const std::int64_t now = now_ns();
      if (keep_samples_) result_.samples_ns.push_back(static_cast<std::uint32_t>(now - last_));
      last_ = now;
    }
    if (last_ < end_) return issue();
    if (in_flight_ == 0) {
      last_ = now_ns();
      done_.store(true);
      done_.notify_one();
    }
  }

  Messenger& messenger_;
  const InstanceId peer_;
  const std::size_t outstanding_;
  const bool keep_samples_;
  const bool typed_;
  const Bytes payload_;
  TypedEcho typed_echo_;
  Measurement result_;
  std::atomic<bool> done_{false};
  std::size_t in_flight_ = 0;
  std::size_t unread_ = 0;
  std::int64_t begin_ = 0;
  std::int64_t last_ = 0;
  std::int64_t end_ = 0;
};

static Measurement blocking_round_trips(Messenger& messenger, const InstanceId& peer,
                                        const Spec& spec, double seconds) {
  Measurement result;
  const Bytes payload = Bytes::own(std::string(spec.payload_bytes, 'x'));
  const std::int64_t begin = now_ns();
  const std::int64_t end = begin + static_cast<std::int64_t>(seconds * 1e9);
  std::int64_t last = begin;
  while (last < end) {
    must(messenger.unary("echo").raw_payload(payload).instance(peer).send().get(), "call");
    const std::int64_t now = now_ns();
    result.samples_ns.push_back(static_cast<std::uint32_t>(now - last));
    last = now;
  }
  result.messages = static_cast<double>(result.samples_ns.size());
  result.seconds = static_cast<double>(last - begin) / 1e9;
  return result;
}

/// Sends bursts from the I/O thread, each once the one before is written, and asks the receiver for
/// its count at the end.
static Measurement one_way(Messenger& messenger, const InstanceId& peer, const Spec& spec,
                           double seconds) {
  Measurement result;
  const Bytes payload = Bytes::own(std::string(spec.payload_bytes, 'x'));
  std::atomic<bool> done{false};
  const std::int64_t begin = now_ns();
  const std::int64_t end = begin + static_cast<std::int64_t>(seconds * 1e9);
  struct Loop {
    std::function<void()> turn;
  } loop;
  loop.turn = [&] {
    auto last = messenger.am_send("count").raw_payload(payload).instance(peer).send();
    ++result.messages;
    for (std::size_t i = 1; i < spec.outstanding; ++i) {
      (void)messenger.am_send("count").raw_payload(payload).instance(peer).send();
      ++result.messages;
    }
    std::move(last).then([&](Result<void> written) {
      if (!written) must(std::move(written), "send");
      if (now_ns() < end) return post(messenger.world().shard(0), [&] { loop.turn(); });
      done.store(true);
      done.notify_one();
    });
  };
  post(messenger.world().shard(0), [&] { loop.turn(); });
  done.wait(false);
  // Where lanes travel side by side the question may overtake what it asks for.
  double received = 0;
  const std::int64_t patience_end = now_ns() + 5'000'000'000;
  while (received < result.messages && now_ns() < patience_end) {
    const Bytes taken = must(messenger.unary("taken").instance(peer).send().get(), "count");
    received += std::strtod(std::string(taken.text()).c_str(), nullptr);
  }
  if (received != result.messages) {
    std::fprintf(stderr, "bench: sent %.0f, received %.0f\n", result.messages, received);
    ::_exit(3);
  }
  result.seconds = static_cast<double>(now_ns() - begin) / 1e9;
  return result;
}

}  // namespace ours_detail

Measurement run_ours(const Spec& spec) {
  using namespace ours_detail;
  const std::string line = start_server(spec, [&](int ready) { serve(spec, ready); });
  const PeerInfo peer = parse_peer(line);
  const Node node = make_node(spec, "client");
  must(node.messenger->register_peer(peer), "peer");
  must(node.messenger->unary("echo").instance(peer.instance_id).send().get(), "first call");
  if (spec.shape == Shape::rtt_caller) {
    blocking_round_trips(*node.messenger, peer.instance_id, spec, spec.warm_up_seconds);
    return blocking_round_trips(*node.messenger, peer.instance_id, spec, spec.seconds);
  }
  if (spec.shape == Shape::one_way) {
    one_way(*node.messenger, peer.instance_id, spec, spec.warm_up_seconds);
    return one_way(*node.messenger, peer.instance_id, spec, spec.seconds);
  }
  Driver driver(*node.messenger, peer.instance_id, spec);
  driver.run(spec.warm_up_seconds);
  return driver.run(spec.seconds);
}

}  // namespace velo::bench
