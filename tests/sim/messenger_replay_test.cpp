// SPDX-License-Identifier: Apache-2.0
// Ten messengers, 10,000 calls and connections that keep being reset, in one thread: every call
// ends once, the books of all sides balance, and one seed replays the whole run. VELO_SEEDS=N runs
// N seeds.

#include <velo/messenger/messenger.hpp>
#include <velo/sim/simulation.hpp>
#include <velo/transport/backends/tcp.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

namespace velo::messenger_replay_test {

using namespace std::chrono_literals;

constexpr std::size_t nodes = 10;
constexpr std::uint64_t calls = 10'000;

/// One run: what it did, and whether every promise held.
class Cluster {
 public:
  explicit Cluster(std::uint64_t seed) : sim_(seed) {
    for (std::size_t i = 0; i < nodes; ++i) add_messenger(i);
    for (auto& messenger : messengers_) {
      for (auto& other : messengers_) {
        EXPECT_TRUE(messenger->register_peer(other->peer_info()));
      }
    }
  }
  ~Cluster() {
    messengers_.clear();
    sim_.run_until_quiet(5min);
  }

  void drive() {
    while (started_ < calls) {
      start_one();
      if (sim_.random().below(40) == 0) break_a_connection();
      sim_.run_for(std::chrono::microseconds(sim_.random().below(400)));
    }
    EXPECT_TRUE(sim_.run_until([this] { return ended_ == started_; }, 10min))
        << ended_ << " of " << started_ << " calls ended";
    sim_.run_for(1min);
    check();
  }

  std::uint64_t hash() const { return sim_.trace_hash(); }
  std::uint64_t resets() const { return resets_; }
  std::uint64_t failures() const { return failed_; }

 private:
  void add_messenger(std::size_t index) {
    sim::SimNode& node = sim_.add_node("n" + std::to_string(index));
    transport::TcpOptions options;
    options.bind = node.endpoint(0);
    options.allow_plaintext_beyond_loopback = true;
    auto builder = Messenger::builder(node);
    builder.add_transport(transport::make_tcp(options));
    auto built = builder.build();
    ASSERT_TRUE(built) << built.error().to_string();
    Messenger& messenger = **built;
    const auto echo = [](Context& context) { return context.payload_bytes(); };
    EXPECT_TRUE(
        messenger.register_handler(Handler::unary_handler("inline", echo).inline_().build()));
    EXPECT_TRUE(messenger.register_handler(Handler::unary_handler("spawn", echo).build()));
    EXPECT_TRUE(messenger.register_handler(
        Handler::am_handler("note", [this](Context&) { ++notes_; }).inline_().build()));
    messengers_.push_back(std::move(*built));
  }

  void start_one() {
    const std::size_t from = sim_.random().below(nodes);
    const std::size_t to = sim_.random().below(nodes);
    const std::uint64_t size = sim_.random().below(300);
    const std::uint64_t kind = sim_.random().below(4);
    Messenger& messenger = *messengers_[from];
    const InstanceId& target = messengers_[to]->instance_id();
    const std::string body(size, static_cast<char>('a' + started_ % 26));
    Executor& executor = sim_.node(from).shard(0);
    ++started_;
    if (kind < 2) {
      messenger.unary(kind == 0 ? "inline" : "spawn")
          .raw_payload(body)
          .instance(target)
          .timeout(20s)
          .send()
          .then(executor, [this, body](Result<Bytes> reply) {
            if (reply) {
              EXPECT_EQ(reply->text(), body);
            }
            ended(reply);
          });
    } else if (kind == 2) {
      messenger.am_sync("note").raw_payload(body).instance(target).timeout(20s).send().then(
          executor, [this](Result<void> done) { ended(done); });
    } else {
      messenger.am_send("note").raw_payload(body).instance(target).timeout(20s).send().then(
          executor, [this](Result<void> done) { ended(done); });
    }
  }

  template <class T>
  void ended(const Result<T>& result) {
    ++ended_;
    if (result) return;
    ++failed_;
    const Error& error = result.error();
    EXPECT_TRUE(error.is(messenger::Errc::connection_lost) || error.is(messenger::Errc::not_sent))
        << error.to_string();
  }

  void break_a_connection() {
    const std::size_t a = sim_.random().below(nodes);
    const std::size_t b = sim_.random().below(nodes);
    if (a == b) return;
    ++resets_;
    sim_.reset_connections(sim_.node(a), sim_.node(b));
  }

  void check() {
    std::uint64_t sent = 0;
    std::uint64_t requests = 0;
    std::uint64_t at_most = 0;
    std::uint64_t at_least = 0;
    for (const auto& messenger : messengers_) {
      const Books books = messenger->books();
      EXPECT_TRUE(books.balanced());
      EXPECT_EQ(books.received.malformed, 0u);
      EXPECT_EQ(books.received.running, 0u);
      requests += books.received.requests;
      for (const PatternBooks& pattern : {books.fire, books.sync, books.unary}) {
        EXPECT_EQ(pattern.in_flight, 0u);
        sent += pattern.sent;
        const std::uint64_t certain = pattern[Fate::acknowledged] + pattern[Fate::handled];
        at_least += certain;
        at_most += certain + pattern[Fate::unknown] + pattern[Fate::written];
      }
    }
    EXPECT_EQ(sent, calls);
    // What was surely handled was received; what never left was not.
    EXPECT_GE(requests, at_least);
    EXPECT_LE(requests, at_most);
  }

  sim::Simulation sim_;
  std::vector<std::unique_ptr<Messenger>> messengers_;
  std::uint64_t started_ = 0;
  std::uint64_t ended_ = 0;
  std::uint64_t failed_ = 0;
  std::uint64_t resets_ = 0;
  std::uint64_t notes_ = 0;
};

static std::uint64_t seeds() {
  const char* text = std::getenv("VELO_SEEDS");
  return text == nullptr ? 5 : std::strtoull(text, nullptr, 10);
}

TEST(MessengerReplay, TenNodesAndTenThousandCallsWithResetsReplayToTheSameHash) {
  Cluster first(7);
  first.drive();
  EXPECT_GT(first.resets(), 50u);
  EXPECT_GT(first.failures(), 0u) << "no reset hit a call, so the test shows nothing";
  // Something else lives where the first run's memory was.
  const std::vector<std::unique_ptr<int[]>> elsewhere = [] {
    std::vector<std::unique_ptr<int[]>> blocks;
    for (std::size_t i = 1; i < 200; ++i) blocks.push_back(std::make_unique<int[]>(i * 7));
    return blocks;
  }();
  Cluster second(7);
  second.drive();
  EXPECT_EQ(first.hash(), second.hash());
  EXPECT_EQ(first.failures(), second.failures());
}

TEST(MessengerReplay, EveryPromiseHoldsForEverySeed) {
  for (std::uint64_t seed = 1; seed <= seeds(); ++seed) {
    Cluster run(seed);
    run.drive();
    ASSERT_FALSE(HasFailure()) << "failing seed: " << seed;
  }
}

}  // namespace velo::messenger_replay_test
