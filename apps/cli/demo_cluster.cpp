// SPDX-License-Identifier: Apache-2.0
// Starts the demo's processes and lets them find each other.

#include "demo_cluster.hpp"

#include "node_setup.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace velo::cli {

namespace demo_cluster_detail {

constexpr Duration start_patience = std::chrono::seconds(60);
constexpr Duration turn_longest = std::chrono::milliseconds(100);

}  // namespace demo_cluster_detail

DemoCluster::~DemoCluster() {
  processes_.stop();
  node_.reset();
  // What still runs on its threads tells the mailbox, and reads the clock.
  if (world_ != nullptr) world_->stop();
}

int DemoCluster::start() {
  auto directory = TemporaryDirectory::create("velo-demo-");
  if (!directory) return fail("cannot make a temporary directory", directory.error());
  directory_.emplace(std::move(*directory));
  const Rendezvous where{directory_->path(), demo_cluster};
  workers_.resize(options_.workers);
  if (const int code = open_node(where); code != exit_ok) return code;
  const std::string self = node_->instance_id().to_string();
  for (std::size_t i = 0; i < options_.workers; ++i) {
    std::vector<std::string> arguments = {"demo-worker",
                                          "--discovery",
                                          where.directory,
                                          "--cluster",
                                          where.cluster,
                                          "--transport",
                                          options_.transport,
                                          "--coordinator",
                                          self,
                                          "--index",
                                          std::to_string(i),
                                          "--parent",
                                          std::to_string(::getpid())};
    if (!options_.spoil.empty()) arguments.insert(arguments.end(), {"--spoil", options_.spoil});
    auto spawned = processes_.spawn(std::move(arguments));
    if (!spawned) return fail("cannot start a worker process", spawned.error());
  }

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

int DemoCluster::open_node(const Rendezvous& where) {
  auto world = RealWorld::create();
  if (!world) return fail("cannot start", world.error());
  world_ = std::move(*world);
  auto node = Velo::builder()
                  .world(*world_)
                  .add_transport(make_transport(options_.transport, where.directory))
                  .filesystem_discovery(where.directory, where.cluster)
                  .build();
  if (!node) return fail("cannot start", node.error());
  node_ = std::move(*node);
  auto registered = node_->register_handler(
      Handler::typed_unary("join", [this](TypedContext<JoinRequest>& context) {
        const auto id = InstanceId::parse(context.input.instance_id);
        const bool welcome = id && context.input.index < workers_.size();
        if (welcome) {
          mailbox_.put([this, index = context.input.index, id = *id] {
            workers_[index].id = id;
            workers_[index].known = true;
          });
        }
        return JoinReply{welcome};
      }).build());
  if (!registered) return fail("cannot register a handler", registered.error());
  return exit_ok;
}

std::optional<int> DemoCluster::turn(Duration patience) {
  mailbox_.wait(signals_, patience);
  processes_.reap();
  for (auto& each : mailbox_.take()) each();
  return signals_.asked_to_end();
}

Result<NodeBooks> DemoCluster::books_of(std::size_t worker) {
  std::optional<Result<NodeBooks>> reply;
  node_->books_of(workers_[worker].id).then([this, &reply](Result<NodeBooks> result) {
    mailbox_.put(
        [&reply, result = std::move(result)]() mutable { reply.emplace(std::move(result)); });
  });
  while (!reply) turn(demo_cluster_detail::turn_longest);
  return std::move(*reply);
}

void DemoCluster::count_end(std::size_t worker, const Error* error) {
  if (error == nullptr) {
    ++answered_;
    ++workers_[worker].answers;
  } else {
    ++errors_;
    ++workers_[worker].uncertain;
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
