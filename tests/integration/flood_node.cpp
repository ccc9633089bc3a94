// SPDX-License-Identifier: Apache-2.0
// A process of flooding_test. `serve TRANSPORT COUNT` is COUNT nodes that say how they are reached,
// a line each, until their input ends. `offer TRANSPORT FROZEN LIMIT_MIB` reads such lines and
// floods the first FROZEN of them while it calls the last one, under RLIMIT_DATA unless that is 0;
// it says when it is ready, what came of it, and how the rest ended, and reads a line before each.

#include <velo/base/check.hpp>
#include <velo/codec/describe.hpp>
#include <velo/codec/json.hpp>
#include <velo/codec/peer_info.hpp>
#include <velo/messenger/messenger.hpp>
#include <velo/runtime/real_world.hpp>
#include <velo/transport/backends/tcp.hpp>
#include <velo/transport/backends/uds.hpp>

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "flood_report.hpp"

namespace velo::flooding {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

static std::unique_ptr<runtime::RealWorld> make_world() {
  runtime::RuntimeOptions options;
  options.shards = 1;
  options.workers = 1;
  auto world = runtime::RealWorld::create(options);
  VELO_CHECK(world.has_value());
  return std::move(*world);
}

/// Over tcp one node, over uds many: there the system queues little for each of them.
static std::unique_ptr<transport::Transport> make_transport(bool tcp, const std::string& listen) {
  if (tcp) return transport::make_tcp();
  transport::UdsOptions options;
  options.listen = !listen.empty();
  if (options.listen) options.path = "@velo-flood-" + std::to_string(getpid()) + "-" + listen;
  return transport::make_uds(std::move(options));
}

static std::unique_ptr<Messenger> make_node(World& world, bool tcp, const std::string& listen) {
  auto node = Messenger::builder(world)
                  .add_transport(make_transport(tcp, listen))
                  .memory_budget(budget_bytes)
                  .build();
  VELO_CHECK(node.has_value());
  return std::move(*node);
}

static bool next_line(std::string& line) { return static_cast<bool>(std::getline(std::cin, line)); }

template <class T>
static void say(const T& value) {
  std::cout << codec::to_json(value) << std::endl;
}

static int serve(bool tcp, std::size_t count) {
  const auto world = make_world();
  std::vector<std::unique_ptr<Messenger>> nodes;
  for (std::size_t i = 0; i < count; ++i) {
    nodes.push_back(make_node(*world, tcp, std::to_string(i)));
    VELO_CHECK(
        nodes.back()
            ->register_handler(Handler::unary_handler("swallow", [](Context&) { return Bytes(); })
                                   .inline_()
                                   .build())
            .has_value());
  }
  for (const auto& node : nodes) say(node->peer_info());
  for (std::string line; next_line(line);) {
  }
  return 0;
}

static std::size_t resident_bytes() {
  std::size_t total = 0;
  std::size_t resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

class Flood {
 public:
  Flood(bool tcp, std::size_t frozen) : world_(make_world()), node_(make_node(*world_, tcp, "")) {
    std::string line;
    for (std::size_t i = 0; i <= frozen; ++i) {
      VELO_CHECK(next_line(line));
      auto peer = codec::from_json<PeerInfo>(line);
      VELO_CHECK(peer.has_value() && node_->register_peer(*peer).has_value());
      peers_.push_back(peer->instance_id);
    }
    for (const InstanceId& peer : peers_) VELO_CHECK(call(peer, small_).get().has_value());
  }

  FloodReport offer() {
    FloodReport report;
    const std::size_t frozen = peers_.size() - 1;
    const std::size_t bytes = frozen == 1 ? std::size_t{1} << 20 : std::size_t{256} << 10;
    const std::size_t count = offered_bytes / bytes;
    report.before_ns = median([&](std::size_t) { (void)payload(bytes); }, count);
    report.during_ns = median(
        [&](std::size_t i) {
          auto op = call(peers_[i % frozen], payload(bytes));
          report.offered_bytes += bytes;
          report.resident_bytes_max =
              std::max<std::uint64_t>(report.resident_bytes_max, resident_bytes());
          if (!op.done()) return accepted_.push_back(std::move(op));
          const auto ended = std::move(op).get();
          const bool over = !ended && ended.error().is(messenger::Errc::over_budget);
          ++(over ? report.over_budget : report.otherwise);
        },
        count);
    report.accepted = accepted_.size();
    report.used_bytes = node_->memory().used;
    return report;
  }

  DrainReport drain() {
    DrainReport report;
    for (auto& op : accepted_) {
      const auto ended = std::move(op).get();
      ++(ended ? report.well : report.otherwise);
    }
    report.used_bytes = node_->memory().used;
    report.balanced = node_->books().balanced();
    return report;
  }

 private:
  static Bytes payload(std::size_t bytes) { return Bytes::own(std::string(bytes, 'f')); }

  Op<Bytes> call(const InstanceId& to, const Bytes& bytes) {
    return node_->unary("swallow").raw_payload(bytes).instance(to).timeout(10min).send();
  }

  /// Of the time that a call to the peer that is not frozen takes, after each of `count` steps.
  template <class Step>
  std::uint64_t median(Step step, std::size_t count) {
    std::vector<std::uint64_t> taken;
    for (std::size_t i = 0; i < count; ++i) {
      step(i);
      const TimePoint begin = world_->clock().now();
      VELO_CHECK(call(peers_.back(), small_).get().has_value());
      taken.push_back(static_cast<std::uint64_t>((world_->clock().now() - begin).count()));
    }
    std::nth_element(taken.begin(), taken.begin() + static_cast<std::ptrdiff_t>(count / 2),
                     taken.end());
    return taken[count / 2];
  }

  const Bytes small_ = Bytes::own(std::string(1024, 's'));
  std::unique_ptr<runtime::RealWorld> world_;
  std::unique_ptr<Messenger> node_;
  std::vector<InstanceId> peers_;
  std::vector<Op<Bytes>> accepted_;
};

static int offer(bool tcp, std::size_t frozen, std::size_t limit_mib) {
  if (limit_mib != 0) {
    rlimit limit{limit_mib << 20U, limit_mib << 20U};
    VELO_CHECK(setrlimit(RLIMIT_DATA, &limit) == 0);
  }
  Flood flood(tcp, frozen);
  std::string line;
  std::cout << "ready" << std::endl;
  VELO_CHECK(next_line(line));
  say(flood.offer());
  VELO_CHECK(next_line(line));
  say(flood.drain());
  return 0;
}

}  // namespace velo::flooding

int main(int count, char** arguments) {
  const std::vector<std::string> words(arguments, arguments + count);
  const bool tcp = count > 2 && words[2] == "tcp";
  if (count == 4 && words[1] == "serve") return velo::flooding::serve(tcp, std::stoul(words[3]));
  if (count == 5 && words[1] == "offer") {
    return velo::flooding::offer(tcp, std::stoul(words[3]), std::stoul(words[4]));
  }
  return 2;
}
