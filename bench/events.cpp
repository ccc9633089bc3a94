// SPDX-License-Identifier: Apache-2.0
// bench events: completing and awaiting, within a process and between two nodes of one, each
// against the least that could do the same.

#include <velo/bench/suite.hpp>
#include <velo/events/attach.hpp>
#include <velo/messenger/messenger.hpp>
#include <velo/runtime/real_world.hpp>
#include <velo/transport/backends/tcp.hpp>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace velo::bench {
namespace events_suite {

constexpr std::uint32_t batch = 64;

template <class T>
static T must(Result<T> result) {
  if (!result) {
    std::fprintf(stderr, "bench events: %s\n", result.error().to_string().c_str());
    std::_Exit(1);
  }
  return std::move(*result);
}
static void must(const Result<void>& result) {
  if (result) return;
  std::fprintf(stderr, "bench events: %s\n", result.error().to_string().c_str());
  std::_Exit(1);
}

/// Samples of `batch` calls each, for as long as the spec says.
template <class F>
static Measurement batches(const Spec& spec, F once) {
  Measurement measured;
  measured.calls_per_sample = batch;
  const std::int64_t begin = now_ns();
  const auto warm = begin + static_cast<std::int64_t>(spec.warm_up_seconds * 1e9);
  const auto end = warm + static_cast<std::int64_t>(spec.seconds * 1e9);
  for (std::int64_t from = begin; from < end;) {
    for (std::uint32_t i = 0; i < batch; ++i) once();
    const std::int64_t now = now_ns();
    if (from >= warm) measured.samples_ns.push_back(static_cast<std::uint32_t>(now - from));
    from = now;
  }
  return measured;
}

/// Samples of one call each; `prepare` is not timed.
template <class P, class F>
static Measurement singles(const Spec& spec, P prepare, F once) {
  Measurement measured;
  const std::int64_t begin = now_ns();
  const auto warm = begin + static_cast<std::int64_t>(spec.warm_up_seconds * 1e9);
  const auto end = warm + static_cast<std::int64_t>(spec.seconds * 1e9);
  for (std::int64_t now = begin; now < end; now = now_ns()) {
    auto prepared = prepare();
    const std::int64_t from = now_ns();
    once(prepared);
    const std::int64_t took = now_ns() - from;
    if (from >= warm) measured.samples_ns.push_back(static_cast<std::uint32_t>(took));
  }
  return measured;
}

/// A bare Op that its own thread ends.
static Measurement bare_op(const Spec& spec) {
  const auto world = must(runtime::RealWorld::create());
  return batches(spec, [&] {
    Promise<void> promise(world->pool());
    Op<void> op = promise.op();
    promise.set({});
    must(std::move(op).get());
  });
}

static Measurement local_trigger_await(const Spec& spec) {
  const auto world = must(runtime::RealWorld::create());
  const EventManager events = EventManager::alone(*world);
  return batches(spec, [&] {
    Event event = must(events.new_event());
    EventAwaiter awaiter = event.awaiter();
    must(std::move(event).trigger());
    must(std::move(awaiter).get());
  });
}

/// Two nodes with a world each.
struct Pair {
  Pair() {
    for (std::size_t i = 0; i < 2; ++i) {
      worlds[i] = must(runtime::RealWorld::create());
      auto builder = Messenger::builder(*worlds[i]);
      builder.add_transport(transport::make_tcp());
      nodes[i] = must(builder.build());
      events.push_back(must(attach_events(*nodes[i])));
    }
    must(nodes[0]->register_peer(nodes[1]->peer_info()));
    must(nodes[1]->register_peer(nodes[0]->peer_info()));
  }
  std::unique_ptr<runtime::RealWorld> worlds[2];
  std::unique_ptr<Messenger> nodes[2];
  std::vector<EventManager> events;
};

/// A fire-and-forget message whose handler wakes the thread that sent it.
static Measurement one_way(const Spec& spec) {
  std::unique_ptr<Promise<void>> promise;
  Pair pair;
  must(pair.nodes[1]->register_handler(
      Handler::am_handler("mark", [&](Context&) { promise->set({}); }).inline_().build()));
  return singles(
      spec,
      [&] {
        promise = std::make_unique<Promise<void>>(pair.worlds[1]->pool());
        return promise->op();
      },
      [&](Op<void>& op) {
        must(pair.nodes[0]
                 ->am_send("mark")
                 .raw_payload("mark")
                 .send_to(pair.nodes[1]->instance_id())
                 .get());
        must(std::move(op).get());
      });
}

/// From the trigger on one node until the thread that awaits on the other runs. Not timed: making
/// the event and subscribing to it, which is answered before the trigger. Nothing waits for
/// acknowledgements: they leave about a millisecond later, one message for all completions of that
/// time, and cost whichever samples they fall into.
static Measurement remote_await_trigger(const Spec& spec) {
  Pair pair;
  struct Ready {
    Event event;
    EventAwaiter awaiter;
  };
  return singles(
      spec,
      [&] {
        Event event = must(pair.events[0].new_event());
        EventAwaiter awaiter = pair.events[1].awaiter(event.handle());
        // It is answered after the subscription was.
        must(pair.events[1].poll(event.handle()).get());
        return Ready{std::move(event), std::move(awaiter)};
      },
      [&](Ready& ready) {
        must(std::move(ready.event).trigger());
        must(std::move(ready.awaiter).get());
      });
}

/// Fails the measurement when it makes any message.
static Measurement completed_reawait(const Spec& spec) {
  Pair pair;
  const EventHandle handle = must(pair.events[0].new_event()).into_handle();
  must(pair.events[0].trigger(handle).get());
  must(pair.events[1].awaiter(handle).get());
  const std::uint64_t before = pair.events[1].counts().messages;
  Measurement measured = batches(spec, [&] { must(pair.events[1].awaiter(handle).get()); });
  if (pair.events[1].counts().messages != before) {
    must(Result<void>(velo::make_error(velo::Errc::internal, "a known end was asked for again")));
  }
  return measured;
}

static std::vector<Case> cases(double seconds) {
  std::vector<Case> all;
  const auto add = [&](std::string name, bool one_core, Measurement (*floor)(const Spec&),
                       Measurement (*ours)(const Spec&)) {
    Spec spec;
    spec.seconds = seconds;
    spec.one_core = one_core;
    all.emplace_back(
        std::move(name), spec, [=] { return floor(spec); }, [=] { return ours(spec); });
  };
  // The bound of the first is absolute; its floor says what the Op alone costs.
  add("local_trigger_await", true, &bare_op, &local_trigger_await);
  add("completed_reawait", true, &bare_op, &completed_reawait);
  // The floor is a fire-and-forget message of ours that wakes the same thread.
  add("remote_await_trigger", true, &one_way, &remote_await_trigger);
  return all;
}

}  // namespace events_suite
}  // namespace velo::bench

int main(int count, char** arguments) {
  return velo::bench::run_suite("events", count, arguments, velo::bench::events_suite::cases);
}
