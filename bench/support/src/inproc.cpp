// SPDX-License-Identifier: Apache-2.0
// Both sides of a measurement within one process: two messengers over inproc, and as the floor a
// call through std::function that hands the payload back.

#include "typed_echo.hpp"

#include <velo/bench/measure.hpp>

#include <velo/messenger/messenger.hpp>
#include <velo/runtime/real_world.hpp>
#include <velo/transport/backends/inproc.hpp>

#include <atomic>
#include <cstdio>
#include <memory>
#include <optional>

#include <unistd.h>

namespace velo::bench {
namespace inproc_detail {

/// A call takes no longer than reading the clock does; a hundred of them are a fair sample.
constexpr std::uint32_t calls_per_sample = 100;

using Echo = std::function<Bytes(const Bytes&)>;

/// Not inlined, so that the compiler does not see through the function it makes.
[[gnu::noinline]] static Echo make_echo(std::atomic<std::uint64_t>& received) {
  return [&received](const Bytes& payload) {
    received.fetch_add(1, std::memory_order_relaxed);
    return payload;
  };
}

[[noreturn]] static void fail(const char* what, const Error& error) {
  std::fprintf(stderr, "bench: %s: %s\n", what, error.to_string().c_str());
  ::_exit(3);
}

template <class T>
static T must(Result<T> result, const char* what) {
  if (!result) fail(what, result.error());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

/// Repeats `calls`, which makes `count` calls, for `seconds`, and times each repetition.
template <class F>
static Measurement repeat(double seconds, std::size_t count, bool keep_samples, F calls) {
  Measurement result;
  const std::int64_t begin = now_ns();
  const std::int64_t end = begin + static_cast<std::int64_t>(seconds * 1e9);
  std::int64_t last = begin;
  while (last < end) {
    calls();
    const std::int64_t now = now_ns();
    if (keep_samples) result.samples_ns.push_back(static_cast<std::uint32_t>(now - last));
    last = now;
    result.messages += static_cast<double>(count);
  }
  if (keep_samples) result.calls_per_sample = static_cast<std::uint32_t>(count);
  result.seconds = static_cast<double>(last - begin) / 1e9;
  return result;
}

/// After a warm-up, the same with either side's `calls`.
template <class F>
static Measurement run(const Spec& spec, F calls) {
  const bool one_by_one = spec.shape == Shape::rtt || spec.shape == Shape::rtt_caller;
  const std::size_t count = one_by_one ? calls_per_sample : spec.outstanding;
  (void)repeat(spec.warm_up_seconds, count, false, [&] { calls(count); });
  return repeat(spec.seconds, count, one_by_one, [&] { calls(count); });
}

/// Two messengers in one World, of which `client` knows `server`.
struct Pair {
  std::unique_ptr<runtime::RealWorld> world;
  std::atomic<std::uint64_t> received{0};
  std::unique_ptr<Messenger> server;
  std::unique_ptr<Messenger> client;

  explicit Pair(const Spec& spec) : world(must(runtime::RealWorld::create(), "world")) {
    const auto hub = transport::make_inproc_hub(world->random().next());
    const auto make = [&] {
      auto builder = Messenger::builder(*world);
      builder.add_transport(transport::make_inproc(hub));
      return must(builder.build(), "messenger");
    };
    server = make();
    client = make();
    auto echo = Handler::unary_handler("echo", [this](Context& context) {
      received.fetch_add(1, std::memory_order_relaxed);
      return context.payload_bytes();
    });
    auto count = Handler::am_handler(
        "count", [this](Context&) { received.fetch_add(1, std::memory_order_relaxed); });
    add(spec, std::move(echo));
    add(spec, Handler::typed_unary("typed",
                                   [](TypedContext<TypedEcho>& context) { return context.input; }));
    add(spec, std::move(count));
    must(client->register_peer(server->peer_info()), "peer");
    must(client->unary("echo").instance(server->instance_id()).send().get(), "first call");
  }

 private:
  void add(const Spec& spec, Handler::Builder builder) {
    must(server->register_handler(spec.spawn ? std::move(builder).spawn().build()
                                             : std::move(builder).inline_().build()),
         "handler");
  }
};

static Measurement one_way(const Spec& spec, Pair& pair, const Bytes& payload) {
  const InstanceId peer = pair.server->instance_id();
  double sent = 1;  // the first call
  const auto burst = [&](std::size_t count) {
    sent += static_cast<double>(count);
    for (std::size_t i = 1; i < count; ++i) {
      (void)pair.client->am_send("count").raw_payload(payload).instance(peer).send();
    }
    must(pair.client->am_send("count").raw_payload(payload).instance(peer).send().get(), "send");
  };
  Measurement measured = run(spec, burst);
  must(pair.server->shutdown().get(), "drain");
  if (static_cast<double>(pair.received.load()) != sent) {
    std::fprintf(stderr, "bench: sent %.0f, received %.0f\n", sent,
                 static_cast<double>(pair.received.load()));
    ::_exit(3);
  }
  return measured;
}

}  // namespace inproc_detail

Measurement run_inproc_floor(const Spec& spec) {
  using namespace inproc_detail;
  std::atomic<std::uint64_t> received{0};
  const Echo echo = make_echo(received);
  const Bytes payload = Bytes::own(std::string(spec.payload_bytes, 'x'));
  std::size_t bytes = 0;
  Measurement measured = run(spec, [&](std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) bytes += echo(payload).size();
  });
  if (bytes != received.load() * spec.payload_bytes) {
    fail("floor", make_error(Errc::internal, "lost a payload"));
  }
  return measured;
}

Measurement run_inproc_ours(const Spec& spec) {
  using namespace inproc_detail;
  Pair pair(spec);
  const InstanceId peer = pair.server->instance_id();
  const Bytes payload = Bytes::own(std::string(spec.payload_bytes, 'x'));
  if (spec.shape == Shape::one_way) return one_way(spec, pair, payload);
  if (spec.rung == Rung::typed) {
    TypedEcho ask;
    ask.text = std::string(spec.payload_bytes, 'x');
    return run(spec, [&](std::size_t count) {
      for (std::size_t i = 0; i < count; ++i) {
        ask.number = i;
        auto call = pair.client->typed_unary<TypedEcho>("typed").payload(ask).instance(peer).send();
        if (must(std::move(call).get(), "call").number != i) ::_exit(3);
      }
    });
  }
  const auto send = [&] {
    return pair.client->unary("echo").raw_payload(payload).instance(peer).send();
  };
  if (spec.shape != Shape::pipeline) {
    return run(spec, [&](std::size_t count) {
      for (std::size_t i = 0; i < count; ++i) must(send().get(), "call");
    });
  }
  std::vector<Op<Bytes>> calls;
  return run(spec, [&](std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) calls.push_back(send());
    for (auto& call : calls) must(std::move(call).get(), "call");
    calls.clear();
  });
}

}  // namespace velo::bench
