// SPDX-License-Identifier: Apache-2.0
// The public object: operations are posted to the agent on shard 0.

#include <velo/discovery/backends/multicast.hpp>

#include "agent.hpp"

#include <velo/base/log.hpp>
#include <velo/discovery/backends/multicast/limits.hpp>
#include <velo/discovery/limits.hpp>

#include <fmt/format.h>

#include <type_traits>
#include <utility>

namespace velo::discovery {

struct MulticastDiscovery::State {
  explicit State(std::shared_ptr<multicast::Agent> a) : agent(std::move(a)) {}
  std::shared_ptr<multicast::Agent> agent;
};

namespace multicast_detail {

using multicast::Agent;
using multicast::Question;
using multicast::Row;

/// An operation on the shard: `work(agent, end)` leads to one call of `end`, whose promise's
/// continuations run on the pool.
template <class T, class Work>
static Op<T> run(const std::shared_ptr<Agent>& agent, Work work) {
  using multicast::limits::operations_pending_max;
  if (agent->pending.fetch_add(1) >= operations_pending_max) {
    agent->pending.fetch_sub(1);
    return Op<T>::ready(agent->world().pool(),
                        velo::make_error(velo::Errc::overloaded, "too many operations wait"));
  }
  auto promise = std::make_shared<Promise<T>>(agent->world().pool());
  promise->on_cancel([weak = std::weak_ptr<Promise<T>>(promise)]() noexcept {
    if (const auto owned = weak.lock()) owned->set(velo::make_error(velo::Errc::cancelled));
  });
  Op<T> op = promise->op();
  // Counted until the promise's last owner is gone, whatever became of the operation.
  std::shared_ptr<Promise<T>> counted(
      promise.get(), [agent, promise](Promise<T>*) { agent->pending.fetch_sub(1); });
  promise.reset();
  post(agent->world().shard(0),
       [agent, counted = std::move(counted), work = std::move(work)]() mutable {
         if (counted->ended()) return;
         work(agent, [agent, counted](Result<T> result) {
           post(agent->world().pool(), [counted, result = std::move(result)]() mutable {
             counted->set(std::move(result));
           });
         });
       });
  return op;
}

static Op<std::unique_ptr<Registration>> announce(const std::shared_ptr<Agent>& shared, Row row) {
  using Outcome = std::unique_ptr<Registration>;
  return run<Outcome>(shared,
                      [row = std::move(row)](const std::shared_ptr<Agent>& agent, auto end) {
                        const Row::Key key = row.key();
                        auto number = std::make_shared<std::uint64_t>(0);
                        const auto announced = agent->announce(row, [agent, key, number, end] {
                          end(make_registration([agent, key, number = *number]() mutable {
                            Shard& shard = agent->world().shard(0);
                            post(shard, [agent, key, number] { agent->withdraw(key, number); });
                          }));
                        });
                        if (!announced) return end(announced.error());
                        *number = *announced;
                      });
}

/// Asks everybody, then reads one of the feeds.
template <class T, class Read>
static Op<T> gather(const std::shared_ptr<Agent>& shared, Read read) {
  return run<T>(shared, [read = std::move(read)](const std::shared_ptr<Agent>& agent, auto end) {
    agent->gather([weak = std::weak_ptr<Agent>(agent), read, end](Result<void> asked) mutable {
      const auto self = weak.lock();
      if (!asked || !self)
        return end(asked ? velo::make_error(velo::Errc::cancelled) : asked.error());
      end(read(*self));
    });
  });
}

static Result<void> check(const MulticastOptions& options, const std::string& cluster) {
  const auto wrong = [](std::string what) {
    return velo::make_error(velo::Errc::invalid_argument, std::move(what));
  };
  if (cluster.empty() || cluster.size() > limits::cluster_name_bytes_max) {
    return wrong("not a cluster's name: " + cluster.substr(0, limits::cluster_name_bytes_max));
  }
  for (const std::string& group : {options.group_v4, options.group_v6}) {
    if (group.empty()) continue;
    const auto address = to_net_address(Endpoint::tcp(group, 0));
    if (!address || !is_multicast(*address)) return wrong("not a group: " + group);
  }
  if (options.group_v4.empty() && options.group_v6.empty()) return wrong("no group");
  if (options.port == 0) return wrong("discovery needs a port that all members know");
  for (const Duration time : {options.interval_min, options.answer_spread, options.lookup_time,
                              options.list_time, options.interface_check}) {
    if (time <= Duration::zero()) return wrong("times are above zero");
  }
  if (options.interval_max < options.interval_min) return wrong("interval_max below interval_min");
  if (options.trust != nullptr && options.chain.empty()) {
    return wrong("with trust, one's own certificate is needed, too");
  }
  return {};
}

/// The datagram with one's certificates.
static Result<std::vector<std::byte>> chain_datagram(const MulticastOptions& options,
                                                     const multicast::AgentParts& parts) {
  if (options.chain.empty()) return std::vector<std::byte>();
  const auto leaf = multicast::make_trust(options.trust);
  multicast::Chain chain;
  for (const crypto::Certificate& one : options.chain) chain.certificates.push_back(one.der());
  const Bytes raw = options.chain.front().public_key().raw();
  const multicast::RawKey key = parts.signing->key();
  if (!std::ranges::equal(ByteSpan(raw), std::as_bytes(std::span(key)))) {
    return velo::make_error(velo::Errc::invalid_argument, "the certificate is of another key");
  }
  auto bytes = multicast::encode(parts.cluster, chain);
  if (bytes.size() > multicast::limits::datagram_bytes_max) {
    return velo::make_error(
        velo::Errc::invalid_argument,
        fmt::format("certificates of {} bytes do not fit into a datagram", bytes.size()));
  }
  return bytes;
}

static Result<multicast::AgentParts> make_parts(const MulticastOptions& options,
                                                const std::string& cluster) {
  multicast::AgentParts parts;
  parts.cluster = multicast::cluster_number(cluster);
  parts.signing = options.signing;
  if (parts.signing == nullptr) {
    crypto::PrivateKey key = options.key;
    if (!key.valid()) {
      auto made = crypto::PrivateKey::generate();
      if (!made) return std::move(made).error();
      key = std::move(*made);
    }
    auto signing = multicast::make_signing(std::move(key));
    if (!signing) return std::move(signing).error();
    parts.signing = std::move(*signing);
  }
  if (options.trust != nullptr) parts.trust = multicast::make_trust(options.trust);
  auto chain = chain_datagram(options, parts);
  if (!chain) return std::move(chain).error();
  parts.chain = std::move(*chain);
  return parts;
}

/// On every place that can be used; an error only if the options name places and none can.
static Result<std::vector<std::unique_ptr<multicast::Channel>>> open_channels(
    World& world, const MulticastOptions& options, Agent& agent) {
  std::vector<std::unique_ptr<multicast::Channel>> channels;
  std::optional<Error> failure;
  for (const multicast::ChannelPlace& place : multicast::channel_places(world.network(), options)) {
    auto opened = multicast::Channel::open(world, options, place, agent);
    if (opened) {
      channels.push_back(std::move(*opened));
      continue;
    }
    failure = opened.error();
    VELO_LOG_WARN(discovery, "an interface cannot be used", {"interface", place.interface_address},
                  {"error", opened.error()});
  }
  if (!channels.empty()) return channels;
  if (!options.interfaces.empty()) {
    if (failure) return *failure;
    return velo::make_error(velo::Errc::invalid_argument, "no such interface");
  }
  VELO_LOG_WARN(discovery, "no interface can multicast yet", {"group", options.group_v4});
  return channels;
}

}  // namespace multicast_detail

MulticastDiscovery::MulticastDiscovery(std::shared_ptr<State> state) noexcept
    : state_(std::move(state)) {}

Result<std::unique_ptr<MulticastDiscovery>> MulticastDiscovery::create(
    World& world, const std::string& cluster, const MulticastOptions& options) {
  if (Result<void> checked = multicast_detail::check(options, cluster); !checked) {
    return std::move(checked).error();
  }
  auto parts = multicast_detail::make_parts(options, cluster);
  if (!parts) return std::move(parts).error();
  if (options.unsigned_announcements) {
    VELO_LOG_WARN(discovery, "announcements without signatures are believed", {"cluster", cluster});
  }
  auto agent = std::make_shared<multicast::Agent>(world, options, std::move(*parts));
  auto channels = multicast_detail::open_channels(world, options, *agent);
  if (!channels) return std::move(channels).error();
  post(world.shard(0),
       [agent, channels = std::move(*channels)]() mutable { agent->start(std::move(channels)); });
  return std::unique_ptr<MulticastDiscovery>(
      new MulticastDiscovery(std::make_shared<State>(std::move(agent))));
}

MulticastDiscovery::~MulticastDiscovery() {
  const auto agent = std::move(state_->agent);
  agent->peers.close();
  agent->services.close();
  post(agent->world().shard(0), [agent] { agent->close(); });
}

multicast::Counters MulticastDiscovery::counters() const { return state_->agent->counters(); }

// ---- peers ----

Op<std::unique_ptr<Registration>> MulticastDiscovery::announce(const PeerInfo& self) {
  if (!self.instance_id.valid()) {
    return Op<std::unique_ptr<Registration>>::ready(
        state_->agent->world().pool(),
        velo::make_error(velo::Errc::invalid_argument, "no instance id"));
  }
  return multicast_detail::announce(state_->agent,
                                    multicast::Row{{}, self.instance_id, self.address});
}

Op<PeerInfo> MulticastDiscovery::discover_by_instance_id(const InstanceId& id) {
  return multicast_detail::run<PeerInfo>(
      state_->agent, [id](const std::shared_ptr<multicast::Agent>& agent, auto end) {
        multicast::Question question;
        question.about = multicast::Question::About::instance;
        question.instance = id;
        agent->look_up(question, std::move(end));
      });
}

Op<PeerInfo> MulticastDiscovery::discover_by_worker_id(WorkerId id) {
  return multicast_detail::run<PeerInfo>(
      state_->agent, [id](const std::shared_ptr<multicast::Agent>& agent, auto end) {
        multicast::Question question;
        question.about = multicast::Question::About::worker;
        question.id = id.value();
        agent->look_up(question, std::move(end));
      });
}

Op<std::vector<PeerInfo>> MulticastDiscovery::list() {
  return multicast_detail::gather<std::vector<PeerInfo>>(
      state_->agent, [](const multicast::Agent& agent) { return agent.peers.list(); });
}

std::unique_ptr<Registration> MulticastDiscovery::watch(Executor& executor, PeerWatcher watcher) {
  return state_->agent->peers.watch(executor, std::move(watcher));
}

// ---- services ----

Op<std::unique_ptr<Registration>> MulticastDiscovery::register_service(
    const ServiceInstance& instance) {
  if (Result<void> checked = check_service(instance); !checked) {
    return Op<std::unique_ptr<Registration>>::ready(state_->agent->world().pool(),
                                                    std::move(checked).error());
  }
  return multicast_detail::announce(
      state_->agent, multicast::Row{instance.service, instance.instance_id, instance.metadata});
}

Op<std::vector<std::string>> MulticastDiscovery::list_services() {
  return multicast_detail::gather<std::vector<std::string>>(
      state_->agent, [](const multicast::Agent& agent) {
        return agent.services.read([](const ServiceTable& table) { return table.names(); });
      });
}

Op<std::vector<ServiceInstance>> MulticastDiscovery::instances(std::string_view service) {
  return multicast_detail::gather<std::vector<ServiceInstance>>(
      state_->agent, [name = std::string(service)](const multicast::Agent& agent) {
        return agent.services.list(name);
      });
}

std::unique_ptr<Registration> MulticastDiscovery::watch_service(std::string_view service,
                                                                Executor& executor,
                                                                ServiceWatcher watcher) {
  return state_->agent->services.watch(executor, std::move(watcher), std::string(service));
}

}  // namespace velo::discovery
