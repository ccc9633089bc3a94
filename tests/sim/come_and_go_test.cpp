// SPDX-License-Identifier: Apache-2.0
// A node that stays while hundreds of others come, use all that it offers, and end in the middle of
// it: drained, closed, or without a word. What the one that stays takes in memory is what it took
// before, but for an account of each in its books.

#include "quiet.hpp"

#include <velo/sim/simulation.hpp>
#include <velo/velo.hpp>

#include <gtest/gtest.h>
#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

namespace velo::come_and_go_test {

/// Of all blocks that are in use.
static std::atomic<std::int64_t> bytes_in_use{0};

static void* take(std::size_t size) {
  void* block = std::malloc(size);  // NOLINT(cppcoreguidelines-no-malloc)
  if (block == nullptr) std::abort();
  bytes_in_use += static_cast<std::int64_t>(::malloc_usable_size(block));
  return block;
}

static void give(void* block) noexcept {
  if (block == nullptr) return;
  bytes_in_use -= static_cast<std::int64_t>(::malloc_usable_size(block));
  std::free(block);  // NOLINT(cppcoreguidelines-no-malloc)
}

}  // namespace velo::come_and_go_test

#if defined(__SANITIZE_THREAD__)
#define VELO_COUNTS_BLOCKS 0
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define VELO_COUNTS_BLOCKS 0
#endif
#endif
#ifndef VELO_COUNTS_BLOCKS
#define VELO_COUNTS_BLOCKS 1
#endif

// The thread sanitizer defines these itself; there nothing is measured.
#if VELO_COUNTS_BLOCKS
// Not inlined, or g++ sees malloc meet delete and warns.
[[gnu::noinline]] void* operator new(std::size_t size) {
  return velo::come_and_go_test::take(size);
}
[[gnu::noinline]] void operator delete(void* block) noexcept {
  velo::come_and_go_test::give(block);
}
[[gnu::noinline]] void operator delete(void* block, std::size_t /*size*/) noexcept {
  velo::come_and_go_test::give(block);
}
#endif

namespace velo::come_and_go_test {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

struct Ask {
  std::string text;
};
VELO_DESCRIBE(Ask, text);

struct Item {
  int value = 0;
};
VELO_DESCRIBE(Item, value);

constexpr int items = 100;
constexpr std::size_t data_bytes = 100'000;

static std::unique_ptr<Velo> node_on(sim::SimNode& node) {
  transport::TcpOptions tcp;
  tcp.bind = node.endpoint(0);
  tcp.allow_plaintext_beyond_loopback = true;
  auto built =
      Velo::builder().world(node).add_transport(transport::make_tcp(std::move(tcp))).build();
  EXPECT_TRUE(built) << built.error().to_string();
  return std::move(*built);
}

/// The node that stays.
struct Host {
  explicit Host(sim::SimNode& on) : node(node_on(on)) {
    auto serving = queue::QueueHost::create(node->messenger());
    EXPECT_TRUE(serving);
    queues = std::move(*serving);
    EXPECT_TRUE(queues->serve("jobs", queue::make_memory_queue(on, "jobs")));
    auto streams = node->streams();
    EXPECT_TRUE(streams);
    for (Handler& each : handlers(*streams)) EXPECT_TRUE(node->register_handler(std::move(each)));
  }

  std::vector<Handler> handlers(const Streams& streams) {
    std::vector<Handler> all;
    all.push_back(Handler::typed_unary("echo", [](TypedContext<Ask>& context) {
                    return context.input;
                  }).build());
    all.push_back(Handler::am_handler("note", [](Context&) {}).build());
    all.push_back(Handler::typed_unary("event", [this](TypedContext<Ask>&) -> Result<Ask> {
                    auto made = node->event_manager().new_event();
                    if (!made) return made.error();
                    own.push_back(std::move(*made).into_handle());
                    return Ask{own.back().to_string()};
                  }).build());
    all.push_back(Handler::typed_unary("await", [this](TypedContext<Ask>& context) -> Result<Ask> {
                    auto handle = EventHandle::parse(context.input.text);
                    if (!handle) return handle.error();
                    awaiting.push_back(node->event_manager().awaiter(*handle));
                    return context.input;
                  }).build());
    all.push_back(Handler::typed_unary("offer", [this](TypedContext<Ask>&) -> Result<Ask> {
                    RegisterOptions options;
                    options.ttl = 30s;
                    auto handle = node->data().register_data(
                        Bytes::own(std::string(data_bytes, 'x')), options);
                    if (!handle) return handle.error();
                    return Ask{handle->to_string()};
                  }).build());
    all.push_back(stream_handler<Ask, Item>(
        streams, "stream", [this](const Ask& ask, StreamSender<Item> sender) {
          for (int i = 0; i < items && sender.try_send(Item{i}); ++i) continue;
          if (ask.text == "whole") return sender.finalize().then([](const Result<void>&) {});
          senders.push_back(std::move(sender));
        }));
    return all;
  }

  std::unique_ptr<Velo> node;
  std::unique_ptr<queue::QueueHost> queues;
  std::vector<EventHandle> own;
  std::vector<EventAwaiter> awaiting;
  std::vector<StreamSender<Item>> senders;
};

enum class End : std::uint8_t { drained, closed, silent };

struct ComeAndGo : testing::TestWithParam<End> {
  ComeAndGo() = default;
  /// The node goes first, and what it left to do is done, before the simulation ends.
  ~ComeAndGo() override {
    host = nullptr;
    sim.run_until_quiet(1min);
  }

  template <class T>
  Result<T> wait(Op<T> op) {
    auto result = sim.wait(std::move(op), 1min);
    EXPECT_TRUE(result) << result.error().to_string();
    return result;
  }
  Op<Ask> ask(Velo& guest, std::string_view handler, std::string text = {}) {
    return guest.typed_unary<Ask>(handler)
        .payload(Ask{std::move(text)})
        .instance(host->node->instance_id())
        .send();
  }

  /// Does a little of everything, and leaves half of it open when it ends.
  void visit() {
    auto guest = node_on(guests);
    ASSERT_TRUE(guest->register_peer(host->node->peer_info()));
    ASSERT_TRUE(wait(ask(*guest, "echo", "hello")));
    ASSERT_TRUE(
        wait(guest->am_sync("note").instance(host->node->instance_id()).raw_payload("x").send()));
    use_events(*guest);
    use_data(*guest);
    use_streams(*guest);
    use_queue(*guest);
    leave(std::move(guest));
    host->senders.clear();
    host->awaiting.clear();
    for (const EventHandle& each : std::exchange(host->own, {})) {
      EXPECT_TRUE(wait(host->node->event_manager().trigger(each)));
    }
  }
  void use_events(Velo& guest) {
    const EventManager& events = guest.event_manager();
    // The host's: one that happens, and one that still has not when the guest is gone.
    for (int i = 0; i < 2; ++i) {
      const auto made = wait(ask(guest, "event"));
      const auto handle = EventHandle::parse(made->text);
      ASSERT_TRUE(handle);
      EventAwaiter awaiter = events.awaiter(*handle);
      sim.run_for(20ms);
      if (i == 0) {
        ASSERT_TRUE(wait(host->node->event_manager().poison(*handle, "as planned")));
        host->own.pop_back();
        EXPECT_FALSE(sim.wait(std::move(awaiter), 1min));
      }
    }
    // The guest's, which the host awaits: the same.
    for (int i = 0; i < 2; ++i) {
      auto made = events.new_event();
      ASSERT_TRUE(made);
      const EventHandle handle = std::move(*made).into_handle();
      ASSERT_TRUE(wait(ask(guest, "await", handle.to_string())));
      sim.run_for(20ms);
      if (i == 0) ASSERT_TRUE(wait(events.trigger(handle)));
    }
  }
  void use_data(Velo& guest) {
    for (int i = 0; i < 2; ++i) {
      const auto offered = wait(ask(guest, "offer"));
      const auto handle = DataHandle::parse(offered->text);
      ASSERT_TRUE(handle);
      const auto fetched = wait(guest.data().get(*handle));
      ASSERT_TRUE(fetched);
      EXPECT_EQ(fetched->data.size(), data_bytes);
      if (i == 0) ASSERT_TRUE(wait(guest.data().release(*handle, fetched->lease)));
    }
  }
  void use_streams(Velo& guest) {
    auto streams = guest.streams();
    ASSERT_TRUE(streams);
    for (const char* kind : {"whole", "half"}) {
      auto anchor = stream_call<Item>(*streams, "stream")
                        .payload(Ask{kind})
                        .send_to(host->node->instance_id());
      ASSERT_TRUE(anchor);
      for (int i = 0; i < items; ++i) {
        const auto frame = wait(anchor->next());
        ASSERT_TRUE(frame->is_item());
        EXPECT_EQ(frame->item().value, i);
      }
      if (kind[0] == 'w') EXPECT_TRUE(wait(anchor->next())->finalized());
      left_open.push_back(std::move(*anchor));
    }
  }
  void use_queue(Velo& guest) {
    auto jobs = queue::make_remote_queue(guest.messenger(), host->node->instance_id(), "jobs");
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(wait(jobs->send(Bytes::copy("a job"))));
    queue::ReceiveOptions options;
    options.batch = 4;
    const auto taken = wait(jobs->receive(options));
    ASSERT_FALSE(taken->empty());
    for (const queue::Delivery& each : *taken) {
      if (&each != &taken->back()) ASSERT_TRUE(wait(jobs->ack(each.lease)));
    }
  }
  void leave(std::unique_ptr<Velo> guest) {
    if (GetParam() == End::drained) {
      left_open.clear();
      EXPECT_TRUE(sim.wait(guest->shutdown(), 1min));
    }
    if (GetParam() == End::silent) sim.isolate(guests);
    left_open.clear();
    guest = nullptr;
    if (GetParam() == End::silent) {
      sim.run_for(2min);
      // As a kernel that hears nothing for so long does.
      sim.reset_connections(hosts);
      sim.heal();
    }
    sim.run_for(1s);
  }

  /// Once all that has a time has ended.
  std::int64_t at_rest() {
    sim.run_for(10min);
    sim.run_until_quiet(1min);
    return bytes_in_use;
  }

  sim_tests::Quiet quiet;
  sim::Simulation sim{7};
  sim::SimNode& guests = sim.add_node("guests");
  sim::SimNode& hosts = sim.add_node("host");
  std::unique_ptr<Host> host = std::make_unique<Host>(hosts);
  std::vector<StreamAnchor<Item>> left_open;
};

TEST_P(ComeAndGo, LeavesNoMoreThanAnAccountBehind) {
  constexpr int visits = 150;
  // Of each in the books; and of events that are over some are remembered.
  constexpr std::int64_t account_bytes = 1'000;
  // What is remembered in general fills up, and so do the pools.
  for (int i = 0; i < visits; ++i) visit();
  const std::int64_t before = at_rest();
  for (int i = 0; i < visits; ++i) visit();
  const std::int64_t after = at_rest();
  EXPECT_LT(after - before, visits * account_bytes) << before << " bytes were in use before";
  EXPECT_EQ(before > 0, VELO_COUNTS_BLOCKS == 1);
}

INSTANTIATE_TEST_SUITE_P(Ends, ComeAndGo, testing::Values(End::drained, End::closed, End::silent));

}  // namespace velo::come_and_go_test
