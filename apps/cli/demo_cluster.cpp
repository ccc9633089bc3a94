// SPDX-License-Identifier: Apache-2.0
// Starts the demo's processes and lets them find each other.

#include "demo_cluster.hpp"

#include "client.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace velo::cli {

namespace demo_cluster_detail {

constexpr Duration start_patience = std::chrono::seconds(60);
constexpr Duration turn_longest = std::chrono::milliseconds(100);

}  // namespace demo_cluster_detail

DemoCluster::~DemoCluster() {
  processes_.stop();
  watch_.reset();
  node_.reset();
  discovery_.reset();
  // What still runs on its threads tells the mailbox, and reads the clock.
  if (world_ != nullptr) world_->stop();
}

int DemoCluster::start() {
  auto directory = TemporaryDirectory::create("velo-demo-");
  if (!directory) return fail("cannot make a temporary directory", directory.error());
  directory_.emplace(std::move(*directory));
  const Rendezvous where{directory_->path(), demo_cluster};
  for (std::size_t i = 0; i < options_.workers; ++i) {
    auto spawned = processes_.spawn(where, options_);
    if (!spawned) return fail("cannot start a worker process", spawned.error());
  }
  workers_.resize(options_.workers);
  if (const int code = open_node(); code != exit_ok) return code;

  const TimePoint until = now() + demo_cluster_detail::start_patience;
  while (missing_workers() > 0) {
    if (const auto number = turn(demo_cluster_detail::turn_longest)) return exit_signal + *number;
    if (processes_.alive_count() == 0) {
      return fail(exit_failed, "every worker ended before the work began",
                  "VELO_LOG=debug shows what they did");
    }
    if (now() > until) {
      return fail(exit_unreachable, fmt::format("{} workers did not appear", missing_workers()),
                  "VELO_LOG=debug shows what they do");
    }
  }
  return exit_ok;
}

int DemoCluster::open_node() {
  auto world = RealWorld::create();
  if (!world) return fail("cannot start", world.error());
  world_ = std::move(*world);
  auto found = discovery::FilesystemDiscovery::create(*world_, directory_->path(), demo_cluster);
  if (!found) return fail("cannot use the discovery folder", found.error());
  discovery_ = std::move(*found);
  auto node = Velo::builder()
                  .world(*world_)
                  .add_transport(make_transport(options_.transport, directory_->path()))
                  .discovery(discovery_)
                  .build();
  if (!node) return fail("cannot start", node.error());
  node_ = std::move(*node);
  watch_ = discovery_->watch(world_->pool(), [this](const discovery::PeerChange& change) {
    if (change.kind == discovery::PeerChange::Kind::removed) return;
    for (const PeerInfo& peer : change.peers) {
      mailbox_.put([this, instance = peer.instance_id] { greet(instance); });
    }
  });
  return exit_ok;
}

void DemoCluster::greet(const InstanceId& instance) {
  if (instance == node_->instance_id()) return;
  // A worker is announced before it has its handlers.
  node_->wait_for_handler(instance, "worker", demo_cluster_detail::start_patience)
      .then([this, instance](const Result<void>& ready) {
        if (!ready) return;  // it died; start() counts the living
        mailbox_.put([this, instance] {
          ++calls_;
          node_->typed_unary<WorkerReply>("worker")
              .payload(WorkerRequest())
              .instance(instance)
              .send()
              .then([this, instance](Result<WorkerReply> reply) {
                mailbox_.put([this, instance, reply = std::move(reply)] {
                  const bool sane = reply && reply->index < workers_.size();
                  count_end(sane ? reply->index : workers_.size(),
                            reply ? nullptr : &reply.error());
                  if (!sane || workers_[reply->index].known) return;
                  workers_[reply->index].id = instance;
                  workers_[reply->index].known = true;
                });
              });
        });
      });
}

std::optional<int> DemoCluster::turn(Duration patience) {
  mailbox_.wait(signals_, patience);
  processes_.reap();
  for (auto& each : mailbox_.take()) each();
  return signals_.asked_to_end();
}

void DemoCluster::count_end(std::size_t worker, const Error* error) {
  if (error == nullptr) {
    ++answered_;
    if (worker < workers_.size()) ++workers_[worker].answers;
  } else {
    ++errors_;
    if (worker < workers_.size()) ++workers_[worker].uncertain;
  }
}

std::size_t DemoCluster::missing_workers() const {
  std::size_t missing = 0;
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    if (processes_.alive(i) && !workers_[i].known) ++missing;
  }
  return missing;
}

}  // namespace velo::cli
