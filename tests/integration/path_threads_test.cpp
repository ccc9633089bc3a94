// SPDX-License-Identifier: Apache-2.0
// Changes of path between two real worlds, under the load of several threads: calls in order and
// without one, acknowledged sends and fire-and-forget all end well, arrive once, and in order where
// there is one, while the path changes a hundred times and back, and while the better one dies in
// every manner. Meant for ThreadSanitizer as much as for its own checks.

#include "path_breaks.hpp"

#include <velo/messenger/messenger.hpp>
#include <velo/runtime/real_world.hpp>
#include <velo/transport/backends/shm.hpp>
#include <velo/transport/backends/tcp.hpp>
#include <velo/transport/backends/uds.hpp>
#include <velo/transport/media.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <numeric>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace velo::path_threads_test {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using transport::Medium;
using transport::MediumTransport;

constexpr std::size_t thread_count = 3;
/// Of one thread; each must see all of its sends in order, but the last.
constexpr std::array<const char*, 4> handlers{"call", "acknowledged", "fire", "unordered"};

/// What one handler saw of one thread.
struct Seen {
  std::mutex mutex;
  std::vector<int> numbers;

  void add(int number) {
    const std::lock_guard lock(mutex);
    numbers.push_back(number);
  }
  std::size_t size() {
    const std::lock_guard lock(mutex);
    return numbers.size();
  }
};

/// The other way is TCP.
class PathThreads : public ::testing::TestWithParam<std::string> {
 protected:
  PathThreads() : server_world_(make_world()), client_world_(make_world()) {
    server_ = build(*server_world_);
    client_ = build(*client_world_);
    const auto note = [this](std::size_t handler) {
      return [this, handler](Context& context) {
        const std::string text(as_text(context.payload()));
        seen_[handler][static_cast<std::size_t>(text.front() - '0')].add(std::stoi(text.substr(1)));
        return context.payload_bytes();
      };
    };
    for (const std::size_t i : {0U, 1U}) {
      EXPECT_TRUE(server_->register_handler(
          Handler::unary_handler(handlers[i], note(i)).inline_().build()));
    }
    EXPECT_TRUE(server_->register_handler(Handler::unary_handler(handlers[3], note(3)).build()));
    EXPECT_TRUE(server_->register_handler(
        Handler::am_handler(handlers[2],
                            [note = note(2)](Context& context) { (void)note(context); })
            .inline_()
            .build()));
    EXPECT_TRUE(client_->register_peer(server_->peer_info()));
  }
  ~PathThreads() override {
    client_.reset();
    server_.reset();
  }

  static std::unique_ptr<runtime::RealWorld> make_world() {
    runtime::RuntimeOptions options;
    options.shards = 2;
    options.workers = 2;
    auto world = runtime::RealWorld::create(options);
    EXPECT_TRUE(world) << world.error().to_string();
    return std::move(*world);
  }
  static std::unique_ptr<transport::Transport> make_near(World& world) {
    const std::string path = "@velo-paths-" + std::to_string(world.random().next());
    if (GetParam() == "shm") {
      transport::ShmOptions shm;
      shm.path = path;
      return transport::make_shm(std::move(shm));
    }
    transport::UdsOptions uds;
    uds.path = path;
    return transport::make_uds(std::move(uds));
  }
  std::unique_ptr<Messenger> build(World& world) {
    auto built = Messenger::builder(world)
                     .add_transport(std::make_unique<MediumTransport>(make_near(world), near_))
                     .add_transport(std::make_unique<MediumTransport>(transport::make_tcp(), tcp_))
                     .prefer({near_->key(), "tcp"})
                     .request_window(64, std::size_t{1} << 20)
                     .build();
    EXPECT_TRUE(built) << built.error().to_string();
    return std::move(*built);
  }

  /// One thread's load: eight of each in flight, until it is told to stop. How many it sent.
  int drive(std::size_t thread) {
    std::vector<Op<Bytes>> calls;
    std::vector<Op<void>> others;
    const InstanceId& to = server_->instance_id();
    int sent = 0;
    while (!stop_.load()) {
      for (int i = 0; i < 8; ++i, ++sent) {
        const Bytes body = Bytes::copy(std::to_string(thread) + std::to_string(sent));
        calls.push_back(client_->unary(handlers[0]).raw_payload(body).instance(to).send());
        others.push_back(client_->am_sync(handlers[1]).raw_payload(body).instance(to).send());
        others.push_back(client_->am_send(handlers[2]).raw_payload(body).instance(to).send());
        calls.push_back(client_->unary(handlers[3]).raw_payload(body).instance(to).send());
      }
      for (auto& call : calls) {
        const auto reply = std::move(call).get();
        EXPECT_TRUE(reply) << reply.error().to_string();
      }
      for (auto& other : others) {
        const auto ended = std::move(other).get();
        EXPECT_TRUE(ended) << ended.error().to_string();
      }
      calls.clear();
      others.clear();
    }
    return sent;
  }
  template <class F>
  void under_load(F change) {
    std::array<int, thread_count> sent{};
    {
      std::vector<std::jthread> threads;
      for (std::size_t i = 0; i < thread_count; ++i) {
        threads.emplace_back([this, i, &sent] { sent[i] = drive(i); });
      }
      change();
      stop_.store(true);
    }
    for (std::size_t thread = 0; thread < thread_count; ++thread) {
      EXPECT_GT(sent[thread], 0);
      std::vector<int> all(static_cast<std::size_t>(sent[thread]));
      std::iota(all.begin(), all.end(), 0);
      // Fire-and-forget ends before it arrives.
      EXPECT_TRUE(until([&] { return seen_[2][thread].size() >= all.size(); }));
      for (std::size_t i = 0; i < handlers.size(); ++i) {
        const std::lock_guard lock(seen_[i][thread].mutex);
        std::vector<int>& numbers = seen_[i][thread].numbers;
        if (i == 3) std::sort(numbers.begin(), numbers.end());
        EXPECT_TRUE(numbers == all)
            << handlers[i] << ": " << numbers.size() << " of " << all.size() << " or out of order";
      }
    }
    EXPECT_EQ(client_->books().paths.lost, 0U);
  }
  PathReport report() { return client_->explain_path(server_->instance_id()); }
  /// Until the predicate holds; the load goes on meanwhile.
  template <class P>
  ::testing::AssertionResult until(P predicate) {
    Clock& clock = client_world_->clock();
    const TimePoint end = clock.now() + 60s;
    while (!predicate()) {
      if (clock.now() > end) {
        return ::testing::AssertionFailure() << "chosen: " << report().chosen;
      }
      (void)client_->unary("nobody").instance(server_->instance_id()).send().get();
    }
    return ::testing::AssertionSuccess();
  }
  void move_to(const std::string& wanted) {
    ASSERT_TRUE(client_->prefer_path(server_->instance_id(), wanted));
    ASSERT_TRUE(until([&] { return report().chosen == wanted; })) << wanted;
  }
  /// Moves to what `break_it` breaks, and breaks it until another takes over.
  template <class F>
  void expect_failover_of(const std::string& key, F break_it) {
    ASSERT_NO_FATAL_FAILURE(move_to(key));
    const std::uint64_t before = report().failovers;
    ASSERT_TRUE(until([&] {
      if (report().failovers > before) return true;
      break_it();
      // The user's word that it can be reached: nothing waits for a pause after so many failures.
      EXPECT_TRUE(client_->register_peer(server_->peer_info()));
      return false;
    })) << key;
  }

  std::unique_ptr<runtime::RealWorld> server_world_;
  std::unique_ptr<runtime::RealWorld> client_world_;
  std::shared_ptr<Medium> near_ = std::make_shared<Medium>(GetParam());
  std::shared_ptr<Medium> tcp_ = std::make_shared<Medium>("tcp");
  std::unique_ptr<Messenger> server_;
  std::unique_ptr<Messenger> client_;
  std::array<std::array<Seen, thread_count>, handlers.size()> seen_;
  std::atomic<bool> stop_{false};
};

TEST_P(PathThreads, AHundredMovesThereAndBackUnderLoadLoseRepeatAndReorderNothing) {
  under_load([&] {
    for (int i = 0; i < 100; ++i) {
      ASSERT_NO_FATAL_FAILURE(move_to("tcp")) << "move " << i;
      ASSERT_NO_FATAL_FAILURE(move_to(near_->key())) << "move " << i;
    }
  });
  EXPECT_GE(client_->books().paths.upgrades, 199U);
}

TEST_P(PathThreads, ConnectionsThatAreClosedAtAnEndLoseRepeatAndReorderNothing) {
  under_load([&] {
    for (int i = 0; i < 10; ++i) {
      for (const auto& medium : {near_, tcp_}) {
        for (const Medium::End end : {Medium::End::dialled, Medium::End::accepted}) {
          ASSERT_NO_FATAL_FAILURE(
              expect_failover_of(medium->key(), [&] { medium->break_all(end); }));
        }
      }
    }
  });
  EXPECT_GE(client_->books().paths.failovers, 40U);
}

TEST_P(PathThreads, ConnectionsThatAreResetAndMemoryThatIsBrokenLoseRepeatAndReorderNothing) {
  using path_breaks::End;
  std::size_t resets = 0;
  std::size_t regions = 0;
  under_load([&] {
    for (int i = 0; i < 10; ++i) {
      const End end = i % 2 == 0 ? End::dialled : End::accepted;
      ASSERT_NO_FATAL_FAILURE(
          expect_failover_of("tcp", [&] { resets += path_breaks::reset_tcp(end); }));
      if (GetParam() != "shm") continue;
      ASSERT_NO_FATAL_FAILURE(
          expect_failover_of("shm", [&] { regions += path_breaks::break_shared_memory(); }));
    }
  });
  EXPECT_GE(resets, 10U);
  if (GetParam() == "shm") {
    EXPECT_GE(regions, 10U);
  }
}

INSTANTIATE_TEST_SUITE_P(Near, PathThreads, ::testing::Values("shm", "uds"),
                         [](const auto& param) { return param.param; });

}  // namespace velo::path_threads_test
