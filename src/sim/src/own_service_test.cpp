// SPDX-License-Identifier: Apache-2.0
// How a user tests a service of their own: a register that must never go back or skip, whatever
// breaks.

#include "stream_test_kit.hpp"

#include <gtest/gtest.h>

#include <charconv>
#include <memory>
#include <string>
#include <vector>

namespace velo::sim::own_service_test {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using stream_test_kit::Talker;

constexpr int last_number = 50;

int parse(std::string_view text) {
  int number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

/// Takes lines with numbers, keeps the latest one on disk, and answers each line with what it
/// keeps.
class Register {
 public:
  Register(World& world, const Endpoint& at, std::vector<std::string>& violations)
      : world_(world), violations_(violations) {
    const auto kept = world.files().read("/register", 100);
    if (kept) value_ = parse(kept->text());
    auto listening = world.network().listen(world.shard(0), at, ListenOptions(),
                                            [this](Result<std::unique_ptr<ByteStream>> stream) {
                                              if (stream) serve(std::move(*stream));
                                            });
    if (listening) listener_ = std::move(*listening);
  }

 private:
  void serve(std::unique_ptr<ByteStream> stream) {
    Talker* talker = talkers_.emplace_back(std::make_unique<Talker>(std::move(stream))).get();
    talker->on_heard = [this, talker, done = std::size_t{0}]() mutable {
      for (;;) {
        const std::size_t end = talker->heard().find('\n', done);
        if (end == std::string::npos) return;
        take(parse(std::string_view(talker->heard()).substr(done, end - done)));
        done = end + 1;
        talker->say(std::to_string(value_) + "\n");
      }
    };
  }
  void take(int number) {
    if (number > value_ + 1) violations_.push_back("skipped to " + std::to_string(number));
    if (number <= value_) return;
    value_ = number;
    if (!world_.files().write_atomic("/register", as_bytes(std::to_string(number)))) {
      violations_.push_back("the disk refused");
    }
  }

  World& world_;
  std::vector<std::string>& violations_;
  int value_ = 0;
  std::unique_ptr<Listener> listener_;
  std::vector<std::unique_ptr<Talker>> talkers_;
};

/// Sends the next number until it is confirmed; on a new connection whenever an answer takes too
/// long.
class Client {
 public:
  Client(World& world, Endpoint server) : world_(world), server_(std::move(server)) { connect(); }
  int confirmed() const { return confirmed_; }

 private:
  void connect() {
    talker_.reset();
    connecting_ = world_.network().connect(world_.shard(0), server_, ConnectOptions(),
                                           [this](Result<std::unique_ptr<ByteStream>> stream) {
                                             if (stream) begin(std::move(*stream));
                                           });
    const TimePoint again = world_.clock().now() + seconds(3);
    world_.shard(0).start_timer(
        again, Task0{[](void* self) { static_cast<Client*>(self)->check(); }, this});
  }
  void check() {
    if (confirmed_ < last_number) connect();
  }
  void begin(std::unique_ptr<ByteStream> stream) {
    talker_ = std::make_unique<Talker>(std::move(stream));
    talker_->on_heard = [this, done = std::size_t{0}]() mutable {
      const std::string& heard = talker_->heard();
      for (std::size_t end = heard.find('\n', done); end != std::string::npos;
           end = heard.find('\n', done)) {
        confirmed_ = std::max(confirmed_, parse(std::string_view(heard).substr(done, end - done)));
        done = end + 1;
        ask();
      }
    };
    ask();
  }
  void ask() {
    if (confirmed_ < last_number) talker_->say(std::to_string(confirmed_ + 1) + "\n");
  }

  World& world_;
  Endpoint server_;
  int confirmed_ = 0;
  std::unique_ptr<Connecting> connecting_;
  std::unique_ptr<Talker> talker_;
};

TEST(SimOwnService, ARegisterNeverSkipsOrGoesBackUnderAHundredSeedsOfFaults) {
  int crashes = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    Simulation sim(seed);
    std::vector<std::string> violations;
    SimNode& server = sim.add_node("server", NodeOptions(), [&violations](SimNode& node) {
      return std::make_shared<Register>(node, node.endpoint(7000), violations);
    });
    SimNode& node = sim.add_node("client");
    Client client(node, server.endpoint(7000));
    FaultPlanOptions faults;
    faults.nodes = 1;  // the client stays up
    faults.faults = 12;
    faults.span = seconds(10);
    faults.duration_max = seconds(5);
    // All but crash_wiped: a register cannot survive the loss of its disk.
    faults.kinds = {FaultKind::crash,     FaultKind::power_off,         FaultKind::reset,
                    FaultKind::partition, FaultKind::partition_one_way, FaultKind::pause,
                    FaultKind::delay,     FaultKind::slow_reader,       FaultKind::clock_drift};
    sim.apply(random_fault_plan(seed, faults));
    // A slow start spreads the numbers over the time of the faults.
    LinkOptions slow;
    slow.latency = Latency(milliseconds(20), milliseconds(300));
    sim.set_link(node, server, slow);
    EXPECT_TRUE(sim.run_until([&] { return client.confirmed() == last_number; }, minutes(3)))
        << "seed " << seed;
    EXPECT_TRUE(violations.empty()) << "seed " << seed << ": " << violations.front();
    crashes += static_cast<int>(sim.stats().crashes);
  }
  EXPECT_GT(crashes, 50);
}

}  // namespace velo::sim::own_service_test
