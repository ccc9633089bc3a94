// SPDX-License-Identifier: Apache-2.0
// Seeds: large payloads of requests and replies while connections are reset and delayed, machines
// are cut off, halted and crash, one of them behind a NAT. Every call ends once and in time, what
// arrives is right and runs once, and nothing is left staged.

#include "testing.hpp"

#include <velo/sim/seeds.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace velo::rendezvous::testing::staged_faults_test {

constexpr std::size_t nodes_count = 4;
constexpr std::size_t behind_nat = 3;
constexpr int calls_count = 60;

/// Begins with the call's number; the rest is alike in all.
static std::string body_of(std::uint64_t number, std::size_t bytes) {
  static const std::string rest = pattern(std::size_t{2} << 20);
  std::string body = std::to_string(number) + " ";
  return body.append(rest, 0, bytes);
}

/// One run of a node.
struct Service {
  Service(sim::SimNode& node, std::size_t index, std::map<std::uint64_t, int>& ran)
      : data(Rendezvous::unattached()) {
    transport::TcpOptions tcp = messenger::testing::tcp_of(node);
    if (index == behind_nat) {
      tcp.advertise = transport::InterfaceFilter::listed({{"eth0", "10.77.0.1", 1, 24}});
    }
    auto builder = Messenger::builder(node);
    builder.add_transport(transport::make_tcp(std::move(tcp))).payloads(data.resolver());
    messenger = std::move(builder.build()).value();
    EXPECT_TRUE(data.attach_to(*messenger));
    const auto run = [&ran](const Context& context) {
      const std::string text = context.payload_bytes().to_string();
      const std::uint64_t number = std::strtoull(text.c_str(), nullptr, 10);
      const std::size_t head = text.find(' ') + 1;
      EXPECT_TRUE(text == body_of(number, text.size() - head)) << "call " << number;
      ++ran[number];
    };
    EXPECT_TRUE(messenger->register_handler(Handler::unary_handler("echo", [run](Context& context) {
                                              run(context);
                                              return context.payload_bytes();
                                            }).build()));
    EXPECT_TRUE(messenger->register_handler(
        Handler::am_handler("take", [run](Context& context) { run(context); }).ordered().build()));
  }
  Rendezvous data;
  std::unique_ptr<Messenger> messenger;
};

class Session {
 public:
  explicit Session(std::uint64_t seed) : sim(seed), services_(nodes_count) {
    for (std::size_t i = 0; i < nodes_count; ++i) {
      sim.add_node("node" + std::to_string(i), {}, [this, i](sim::SimNode& node) {
        services_[i] = std::make_shared<Service>(node, i, ran_);
        introduce();
        return services_[i];
      });
    }
    sim::FaultPlanOptions plan;
    plan.nodes = nodes_count;
    plan.faults = 12;
    plan.span = 12s;
    plan.duration_max = 3s;
    using enum sim::FaultKind;
    plan.kinds = {reset, reset_one, partition, partition_one_way, delay, pause, slow_reader,
                  crash, power_off, loss,      bandwidth};
    sim.apply(sim::random_fault_plan(seed, plan));
  }
  ~Session() {
    calls_.clear();
    for (auto& service : services_) service.reset();
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void run() {
    for (int i = 0; i < calls_count; ++i) {
      begin_call();
      sim.run_for(Duration(std::chrono::milliseconds(sim.random().below(300))));
      look();
    }
    // Faults that last are over by then, and so is every deadline.
    sim.run_for(16s);
    sim.heal();
    look();
    EXPECT_EQ(calls_.size(), 0U) << "the first is call " << calls_.front().number;
    // What no call waits for, and leases of readers that died, lapse.
    sim.run_for(limits::staged_ttl + limits::lease_ttl + 15s);
    for (const auto& service : services_) {
      const RendezvousUse use = service->data.use();
      EXPECT_EQ(use.entries + use.leases + use.transfers, 0U);
      EXPECT_EQ(use.bytes, 0U);
      EXPECT_EQ(service->messenger->memory().used, 0U);
    }
    for (const auto& [number, times] : ran_) EXPECT_EQ(times, 1) << "call " << number;
  }

  sim::Simulation sim;
  int well = 0;
  int badly = 0;

 private:
  struct Call {
    std::uint64_t number = 0;
    std::string body;
    std::shared_ptr<Service> service;
    std::size_t node = 0;
    bool answered = false;  ///< its end says whether it ran
    std::optional<Op<Bytes>> unary;
    std::optional<Op<void>> other;
  };

  void introduce() {
    for (const auto& one : services_) {
      for (const auto& other : services_) {
        if (one == nullptr || other == nullptr || one == other) continue;
        (void)one->messenger->register_peer(other->messenger->peer_info());
      }
    }
  }
  void begin_call() {
    const std::size_t from = sim.random().below(nodes_count);
    const std::size_t to = (from + 1 + sim.random().below(nodes_count - 1)) % nodes_count;
    if (!sim.node(from).alive()) return;
    Call call;
    call.number = ++begun_;
    const std::size_t bytes = (std::size_t{256} << 10) + sim.random().below(std::size_t{5} << 18);
    call.body = body_of(call.number, bytes);
    call.service = services_[from];
    call.node = from;
    const Duration timeout = std::chrono::milliseconds(200 + sim.random().below(6000));
    Messenger& messenger = *call.service->messenger;
    const InstanceId peer = services_[to]->messenger->instance_id();
    const std::uint64_t pattern = sim.random().below(4);
    call.answered = pattern != 3;
    if (pattern < 2) {
      call.unary.emplace(
          messenger.unary("echo").raw_payload(call.body).instance(peer).timeout(timeout).send());
    } else {
      auto send = pattern == 2 ? messenger.am_sync("take") : messenger.am_send("take");
      call.other.emplace(send.raw_payload(call.body).instance(peer).timeout(timeout).send());
    }
    calls_.push_back(std::move(call));
  }
  void judge(const Call& call, const std::optional<Error>& error) {
    const int times = ran_.contains(call.number) ? ran_.at(call.number) : 0;
    EXPECT_LE(times, 1);
    ++(error ? badly : well);
    if (!call.answered) return;
    if (!error) {
      EXPECT_EQ(times, 1) << "call " << call.number;
    } else if (!may_have_been_handled(*error)) {
      EXPECT_EQ(times, 0) << "call " << call.number << ": " << error->to_string();
    }
  }
  void look() {
    std::erase_if(calls_, [&](Call& call) {
      // Of a node that died nothing goes on.
      if (services_[call.node] != call.service) return true;
      if (call.unary && call.unary->done()) {
        const auto reply = std::move(*call.unary).get();
        if (reply) {
          EXPECT_TRUE(reply->text() == call.body) << "call " << call.number;
        }
        judge(call, reply ? std::optional<Error>() : reply.error());
        return true;
      }
      if (call.other && call.other->done()) {
        const auto ended = std::move(*call.other).get();
        judge(call, ended ? std::optional<Error>() : ended.error());
        return true;
      }
      return false;
    });
  }
  std::map<std::uint64_t, int> ran_;
  std::vector<std::shared_ptr<Service>> services_;
  std::vector<Call> calls_;
  std::uint64_t begun_ = 0;
};

static std::uint64_t seeds() {
  const char* const wanted = std::getenv("VELO_RENDEZVOUS_SEEDS");
  return wanted == nullptr ? 12 : std::strtoull(wanted, nullptr, 10);
}

TEST(StagedFaults, EveryCallEndsOnceAndNothingStaysStaged) {
  int well = 0;
  int badly = 0;
  for (std::uint64_t seed = 1; seed <= seeds(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Session session(seed);
    session.run();
    well += session.well;
    badly += session.badly;
  }
  // Faults that matter, and transfers that get through them.
  EXPECT_GT(well, badly);
  EXPECT_GT(badly, 0);
}

}  // namespace velo::rendezvous::testing::staged_faults_test
