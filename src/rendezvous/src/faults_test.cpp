// SPDX-License-Identifier: Apache-2.0
// Seeds: nodes that read each other's data while connections are reset, machines are cut off and
// nodes crash and start again. Every operation ends, what arrives is right, and nothing is left.

#include "testing.hpp"

#include <velo/sim/seeds.hpp>

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace velo::rendezvous::testing::rendezvous_faults_test {

constexpr std::size_t nodes_count = 4;
constexpr std::size_t data_bytes = (std::size_t{3} << 20) + 11;

/// One run of a node: its messenger and its data.
struct Service {
  explicit Service(sim::SimNode& node) {
    auto builder = Messenger::builder(node);
    builder.add_transport(transport::make_tcp(messenger::testing::tcp_of(node)));
    messenger = std::move(builder.build()).value();
    data.emplace(std::move(Rendezvous::attach(*messenger)).value());
  }
  std::unique_ptr<Messenger> messenger;
  std::optional<Rendezvous> data;
};

class Session {
 public:
  explicit Session(std::uint64_t seed) : sim(seed), services_(nodes_count) {
    for (std::size_t i = 0; i < nodes_count; ++i) {
      sim.add_node("node" + std::to_string(i), {}, [this, i](sim::SimNode& node) {
        services_[i] = std::make_shared<Service>(node);
        introduce();
        return services_[i];
      });
    }
  }
  ~Session() {
    ops_.clear();
    for (auto& service : services_) service.reset();
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// Everybody that lives registers something, and somebody else reads it.
  void begin_round() {
    for (std::size_t i = 0; i < nodes_count; ++i) {
      if (!sim.node(i).alive()) continue;
      const auto handle = services_[i]->data->register_data(Bytes::copy(contents_));
      ASSERT_TRUE(handle);
      const std::size_t reader = (i + 1 + sim.random().below(nodes_count - 1)) % nodes_count;
      if (!sim.node(reader).alive()) {
        ASSERT_TRUE(services_[i]->data->withdraw(*handle));
        continue;
      }
      read(reader, i, *handle);
    }
  }
  void fault() {
    const std::size_t a = sim.random().below(nodes_count);
    const std::size_t b = (a + 1 + sim.random().below(nodes_count - 1)) % nodes_count;
    switch (sim.random().below(4)) {
      case 0: sim.reset_connections(sim.node(a), sim.node(b)); break;
      case 1: sim.partition(sim.node(a), sim.node(b)); break;
      case 2: sim.heal(); break;
      default: sim.restart(sim.node(a)); ++crashes;
    }
  }
  bool all_ended() const { return begun_ == ended_; }
  std::size_t left() const {
    std::size_t left = 0;
    for (const auto& service : services_) {
      const RendezvousUse use = service->data->use();
      left += use.entries + use.leases + use.transfers + use.bytes;
    }
    return left;
  }

  sim::Simulation sim;
  int arrived = 0;
  int failed = 0;
  int crashes = 0;

 private:
  void introduce() {
    for (const auto& one : services_) {
      for (const auto& other : services_) {
        if (one == nullptr || other == nullptr || one == other) continue;
        (void)one->messenger->register_peer(other->messenger->peer_info());
      }
    }
  }
  void read(std::size_t reader, std::size_t owner, const DataHandle& handle) {
    ++begun_;
    auto service = services_[reader];
    auto owning = services_[owner];
    const auto over = [this, owning, handle] {
      ++ended_;
      // The owner does not wait for the end of the lease of a reader that may be dead.
      (void)owning->data->withdraw(handle);
    };
    auto op = std::make_shared<Op<FetchedData>>(service->data->get(handle));
    // Of a node that dies nothing continues: its readers are looked after by the test.
    watch_.push_back({op,
                      [this, service, handle, over](Result<FetchedData> got) {
                        if (got) {
                          EXPECT_EQ(got->data.text(), contents_);
                          ++arrived;
                          ops_.push_back(service->data->release(handle, got->lease));
                        } else {
                          ++failed;
                        }
                        over();
                      },
                      service, reader, over});
  }

 public:
  /// Takes what has ended; what belonged to a node that died has.
  void look() {
    std::erase_if(watch_, [&](Watched& each) {
      if (services_[each.node] != each.service) {
        each.lost();
        return true;
      }
      if (!each.op->done()) return false;
      each.then(std::move(*each.op).get());
      return true;
    });
  }

 private:
  struct Watched {
    std::shared_ptr<Op<FetchedData>> op;
    std::function<void(Result<FetchedData>)> then;
    std::shared_ptr<Service> service;
    std::size_t node;
    std::function<void()> lost;
  };

  const std::string contents_ = pattern(data_bytes);
  std::vector<std::shared_ptr<Service>> services_;
  std::vector<Watched> watch_;
  std::vector<Op<void>> ops_;
  int begun_ = 0;
  int ended_ = 0;
};

static std::uint64_t seeds() {
  const char* const wanted = std::getenv("VELO_RENDEZVOUS_SEEDS");
  return wanted == nullptr ? 12 : std::strtoull(wanted, nullptr, 10);
}

TEST(RendezvousFaults, EveryTransferEndsAndNothingIsLeft) {
  int arrived = 0;
  int failed = 0;
  int crashes = 0;
  for (std::uint64_t seed = 1; seed <= seeds(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Session run(seed);
    for (int round = 0; round < 6; ++round) {
      run.begin_round();
      for (int step = 0; step < 4; ++step) {
        run.sim.run_for(Duration(std::chrono::microseconds(run.sim.random().below(3000))));
        run.look();
        run.fault();
        run.look();
      }
    }
    run.sim.heal();
    ASSERT_TRUE(run.sim.run_until(
        [&] {
          run.look();
          return run.all_ended();
        },
        5min));
    // Leases of readers that died lapse.
    run.sim.run_for(limits::lease_ttl + 15s);
    EXPECT_EQ(run.left(), 0U);
    arrived += run.arrived;
    failed += run.failed;
    crashes += run.crashes;
  }
  // The faults are worth their name, and so are the transfers.
  EXPECT_GT(arrived, failed);
  EXPECT_GT(crashes, 0);
}

}  // namespace velo::rendezvous::testing::rendezvous_faults_test
