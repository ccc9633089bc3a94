// SPDX-License-Identifier: Apache-2.0
// Changes of path on real sockets, under the load of several threads: every send ends well, each
// thread's sends arrive once and in order, while the path changes a hundred times, and while the
// connections in use keep breaking. Meant for ThreadSanitizer as much as for its own checks.

#include <velo/messenger/messenger.hpp>
#include <velo/runtime/real_world.hpp>
#include <velo/transport/backends/tcp.hpp>
#include <velo/transport/backends/uds.hpp>
#include <velo/transport/failed_dial.hpp>

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace velo::path_threads_test {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

constexpr int thread_count = 3;

/// Hands on to a transport, and can break what was dialled last.
class Breakable final : public transport::Transport {
 public:
  explicit Breakable(std::unique_ptr<transport::Transport> inner) : inner_(std::move(inner)) {}
  std::string_view key() const noexcept override { return inner_->key(); }
  Result<void> start(const transport::TransportContext& context) override {
    return inner_->start(context);
  }
  Bytes address_entry() const override { return inner_->address_entry(); }
  Result<void> check_entry(ByteSpan entry) const override { return inner_->check_entry(entry); }
  transport::Reach assess(ByteSpan entry) const override { return inner_->assess(entry); }
  std::unique_ptr<transport::Dial> connect(Shard& shard, ByteSpan entry,
                                           transport::ConnectHandler done) override {
    return inner_->connect(
        shard, entry,
        [this, done = std::move(done)](Result<transport::ConnectionPtr> connection) mutable {
          if (connection) {
            const std::lock_guard lock(mutex_);
            last_ = *connection;
          }
          done(std::move(connection));
        });
  }
  void stop() noexcept override {
    break_last();
    inner_->stop();
  }
  void break_last() {
    transport::ConnectionPtr broken;
    {
      const std::lock_guard lock(mutex_);
      broken = std::exchange(last_, {});
    }
    if (broken) {
      broken->close(transport::make_error(transport::Errc::connection_lost, "broken by the test"));
    }
  }

 private:
  std::unique_ptr<transport::Transport> inner_;
  std::mutex mutex_;
  transport::ConnectionPtr last_;
};

class PathThreads : public ::testing::Test {
 protected:
  PathThreads() : server_world_(make_world()), client_world_(make_world()) {
    std::array<Breakable*, 2> unused{};
    server_ = build(*server_world_, unused);
    client_ = build(*client_world_, media_);
    EXPECT_TRUE(server_->register_handler(Handler::unary_handler("number",
                                                                 [this](Context& context) {
                                                                   note(context.payload());
                                                                   return context.payload_bytes();
                                                                 })
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
  static std::unique_ptr<Messenger> build(World& world, std::array<Breakable*, 2>& media) {
    transport::UdsOptions uds;
    uds.path = "@velo-paths-" + std::to_string(world.random().next());
    auto first = std::make_unique<Breakable>(transport::make_uds(std::move(uds)));
    auto second = std::make_unique<Breakable>(transport::make_tcp());
    media = {first.get(), second.get()};
    auto built = Messenger::builder(world)
                     .add_transport(std::move(first))
                     .add_transport(std::move(second))
                     .request_window(64, std::size_t{1} << 20)
                     .build();
    EXPECT_TRUE(built) << built.error().to_string();
    return std::move(*built);
  }

  void note(ByteSpan payload) {
    const std::string text(as_text(payload));
    const auto thread = static_cast<std::size_t>(text.front() - '0');
    const int number = std::stoi(text.substr(1));
    const int expected = next_[thread].fetch_add(1);
    if (number != expected) out_of_order_.fetch_add(1);
  }
  /// One thread's load: eight calls in flight, until it is told to stop. Returns how many it sent.
  int drive(std::size_t thread) {
    std::vector<Op<Bytes>> flying;
    int sent = 0;
    while (!stop_.load()) {
      for (int i = 0; i < 8; ++i) {
        flying.push_back(client_->unary("number")
                             .raw_payload(std::to_string(thread) + std::to_string(sent++))
                             .instance(server_->instance_id())
                             .send());
      }
      for (auto& call : flying) {
        const auto reply = std::move(call).get();
        EXPECT_TRUE(reply) << reply.error().to_string();
      }
      flying.clear();
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
    for (std::size_t i = 0; i < thread_count; ++i) EXPECT_EQ(next_[i].load(), sent[i]);
    EXPECT_EQ(out_of_order_.load(), 0);
  }
  PathReport report() { return client_->explain_path(server_->instance_id()); }
  /// Until the predicate holds; the load goes on meanwhile.
  template <class P>
  ::testing::AssertionResult until(P predicate) {
    Clock& clock = client_world_->clock();
    const TimePoint end = clock.now() + 20s;
    while (!predicate()) {
      if (clock.now() > end) {
        return ::testing::AssertionFailure() << "chosen: " << report().chosen;
      }
      (void)client_->unary("nobody").instance(server_->instance_id()).send().get();
    }
    return ::testing::AssertionSuccess();
  }

  std::unique_ptr<runtime::RealWorld> server_world_;
  std::unique_ptr<runtime::RealWorld> client_world_;
  std::array<Breakable*, 2> media_{};
  std::unique_ptr<Messenger> server_;
  std::unique_ptr<Messenger> client_;
  std::array<std::atomic<int>, thread_count> next_{};
  std::atomic<int> out_of_order_{0};
  std::atomic<bool> stop_{false};
};

TEST_F(PathThreads, AHundredChangesUnderLoadLoseRepeatAndReorderNothing) {
  under_load([&] {
    for (int i = 0; i < 100; ++i) {
      const std::string wanted = i % 2 == 0 ? "tcp" : "uds";
      ASSERT_TRUE(client_->prefer_path(server_->instance_id(), wanted));
      ASSERT_TRUE(until([&] { return report().chosen == wanted; })) << "change " << i;
    }
  });
  EXPECT_GE(report().upgrades, 99u);
}

TEST_F(PathThreads, ConnectionsThatKeepBreakingLoseRepeatAndReorderNothing) {
  under_load([&] {
    for (int i = 0; i < 50; ++i) {
      const std::uint64_t before = report().failovers;
      ASSERT_TRUE(until([&] { return !report().chosen.empty(); }));
      media_[report().chosen == "tcp" ? 1 : 0]->break_last();
      ASSERT_TRUE(until([&] { return report().failovers > before; })) << "break " << i;
    }
  });
}

}  // namespace velo::path_threads_test
