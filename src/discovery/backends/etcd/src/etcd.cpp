// SPDX-License-Identifier: Apache-2.0
// The public object: operations, registrations and watches, all brought to one shard.

#include <velo/discovery/backends/etcd.hpp>

#include <velo/discovery/error.hpp>
#include <velo/discovery/limits.hpp>

#include <algorithm>
#include <atomic>
#include <optional>
#include <set>
#include <type_traits>
#include <utility>

#include "announced_keys.hpp"
#include "etcd_channel.hpp"
#include "etcd_entry.hpp"
#include "etcd_keeper.hpp"
#include "etcd_linger.hpp"
#include "etcd_list.hpp"
#include "etcd_options.hpp"

namespace velo::discovery {

struct EtcdDiscovery::State {
  const EtcdOptions options;
  std::shared_ptr<std::atomic<std::size_t>> operations =
      std::make_shared<std::atomic<std::size_t>>(0);
  World& world;

  // On the shard only, but for the feeds.
  Shard& shard;
  etcd::Channel channel{world, shard, options};
  etcd::Keeper keeper{channel, [this] { linger.end(); }};
  etcd::AnnouncedKeys<PeerSubject> peers;
  etcd::AnnouncedKeys<ServiceSubject> services;
  bool closed = false;
  std::size_t handles = 1;  ///< the object, and the registrations
  etcd::Linger linger{shard};

  State(World& w, const std::string& cluster, const EtcdOptions& o)
      : options(o),
        world(w),
        shard(w.shard(0)),
        peers(channel, keeper, cluster),
        services(channel, keeper, cluster) {}

  template <class Subject>
  etcd::AnnouncedKeys<Subject>& keys() noexcept {
    if constexpr (std::is_same_v<Subject, PeerSubject>) {
      return peers;
    } else {
      return services;
    }
  }

  /// Starts and stops watches as there are watchers.
  void follow() {
    peers.follow(closed);
    services.follow(closed);
  }
  /// The last one out waits until the server was told that everything is withdrawn.
  static void release_handle(const std::shared_ptr<State>& state) {
    if (--state->handles > 0 || state->keeper.idle()) return;
    state->linger.begin(state, state->options.operation_timeout);
  }
};

namespace etcd_detail {

/// An operation's end, counted as long as it is awaited.
template <class T>
struct Running {
  Promise<T> promise;
  std::shared_ptr<std::atomic<std::size_t>> count;

  Running(Executor& pool, std::shared_ptr<std::atomic<std::size_t>> c)
      : promise(pool), count(std::move(c)) {}
  Running(const Running&) = delete;
  ~Running() { count->fetch_sub(1); }
};

/// Runs `work(state, running)` on the shard, which leads to the promise's end.
template <class T, class State, class Work>
static Op<T> run(const std::shared_ptr<State>& state, Work work) {
  Executor& pool = state->world.pool();
  if (state->operations->fetch_add(1) >= limits::etcd_requests_pending_max) {
    state->operations->fetch_sub(1);
    return Op<T>::ready(pool, velo::make_error(velo::Errc::overloaded, "too many operations"));
  }
  auto running = std::make_shared<Running<T>>(pool, state->operations);
  running->promise.on_cancel([weak = std::weak_ptr(running)]() noexcept {
    if (const auto owned = weak.lock()) {
      owned->promise.set(velo::make_error(velo::Errc::cancelled));
    }
  });
  Op<T> op = running->promise.op();
  Shard& shard = state->shard;
  post(shard, [state, running = std::move(running), work = std::move(work)]() mutable {
    if (running->promise.ended()) return;
    state->keeper.flush();
    work(state, std::move(running));
  });
  return op;
}

template <class T>
static std::function<bool()> wanted(const std::shared_ptr<Running<T>>& running) {
  return [weak = std::weak_ptr(running)] {
    const auto owned = weak.lock();
    return owned != nullptr && !owned->promise.ended();
  };
}

/// The rows below `prefix`, as the server has them now.
template <class Subject, class State>
static void read_all(
    const std::shared_ptr<State>& state, const std::string& prefix, std::function<bool()> wanted,
    std::move_only_function<void(Result<std::vector<typename Subject::Info>>)> done) {
  using Reader = etcd::RowReader<Subject>;
  auto infos = std::make_shared<std::vector<typename Subject::Info>>();
  auto reader = std::make_shared<Reader>(state->template keys<Subject>().reader.cluster());
  list_keys(
      state->channel, prefix, std::move(wanted),
      [infos, reader](bool first, const std::vector<etcd::KeyValue>& entries) {
        if (first) infos->clear();
        reader->read(entries, *infos);
      },
      [infos, done = std::move(done)](const Result<etcd::Listed>& listed) mutable {
        if (!listed) return done(listed.error());
        done(std::move(*infos));
      });
}

/// Withdraws on the shard, so before anything that is asked later.
template <class State>
static std::unique_ptr<Registration> hold(const std::shared_ptr<State>& state,
                                          const std::string& key, std::uint64_t number) {
  ++state->handles;
  return make_registration([state, key, number]() mutable {
    Shard& shard = state->shard;
    post(shard, [state = std::move(state), key, number] {
      state->keeper.remove(key, number);
      State::release_handle(state);
    });
  });
}

template <class Subject, class State>
static Op<std::unique_ptr<Registration>> announce(const std::shared_ptr<State>& state,
                                                  const typename Subject::Info& info) {
  using Outcome = std::unique_ptr<Registration>;
  const auto& reader = state->template keys<Subject>().reader;
  Result<std::string> value = etcd::encode_value<Subject>(reader.cluster(), info);
  if (!value) return Op<Outcome>::ready(state->world.pool(), std::move(value).error());
  auto work = [key = reader.key(Subject::key(info)), value = std::move(*value)](
                  const std::shared_ptr<State>& owner,
                  std::shared_ptr<Running<Outcome>> running) mutable {
    if (owner->keeper.size() >= limits::etcd_announcements_max) {
      running->promise.set(velo::make_error(velo::Errc::overloaded, "too many announcements"));
      return;
    }
    // The number is known when put() has returned, which is before `done` is called.
    const auto number = std::make_shared<std::uint64_t>(0);
    auto done = [weak = std::weak_ptr(owner), key, number, running](Result<void> ended) {
      const auto owned = weak.lock();
      if (!ended) {
        running->promise.set(std::move(ended).error());
      } else if (owned == nullptr) {
        running->promise.set(velo::make_error(velo::Errc::cancelled));
      } else {
        // If nobody waits for it any more, it withdraws at once.
        running->promise.set(Result<Outcome>(hold(owned, key, *number)));
      }
    };
    *number = owner->keeper.put(key, std::move(value), std::move(done));
  };
  return run<Outcome>(state, std::move(work));
}

template <class Subject, class State>
static std::unique_ptr<Registration> watch(const std::shared_ptr<State>& state, Executor& executor,
                                           typename Subject::Watcher watcher,
                                           typename Subject::Filter filter) {
  auto watching =
      state->template keys<Subject>().feed.watch(executor, std::move(watcher), std::move(filter));
  const auto follow = [](std::shared_ptr<State> owner) {
    Shard& shard = owner->shard;
    post(shard, [owner = std::move(owner)] { owner->follow(); });
  };
  follow(state);
  return make_registration([state, follow, watching = std::move(watching)]() mutable {
    watching.reset();
    follow(std::move(state));
  });
}

/// Of a range request for that instance's key.
static Result<PeerInfo> one_peer(etcd::RowReader<PeerSubject>& reader, const InstanceId& id,
                                 Result<etcd::Answer> answer) {
  if (!answer) return std::move(answer).error();
  if (!answer->ok()) return to_error(answer->refusal);
  Result<etcd::RangeReply> reply = etcd::read_range(answer->body);
  if (!reply) return std::move(reply).error();
  if (!reply->entries.empty() && reader.row_of(reply->entries.front().key.text()) == id) {
    if (auto peer = reader.read(id, reply->entries.front())) return std::move(*peer);
  }
  return velo::make_error(velo::Errc::not_found, id.to_string());
}

}  // namespace etcd_detail

// ---- the public object ----

EtcdDiscovery::EtcdDiscovery(std::shared_ptr<State> state) noexcept : state_(std::move(state)) {}

Result<std::unique_ptr<EtcdDiscovery>> EtcdDiscovery::create(World& world,
                                                             const std::string& cluster,
                                                             const EtcdOptions& options) {
  if (!etcd::valid_cluster(cluster)) {
    return velo::make_error(velo::Errc::invalid_argument, "not a cluster's name: " + cluster);
  }
  if (Result<void> checked = etcd::check_options(options); !checked) {
    return std::move(checked).error();
  }
  EtcdOptions complete = options;
  if (!complete.connect) {
    complete.connect = [&world](Shard& shard, const Endpoint& remote, const ConnectOptions& how,
                                StreamHandler done) {
      return world.network().connect(shard, remote, how, std::move(done));
    };
  }
  return std::unique_ptr<EtcdDiscovery>(
      new EtcdDiscovery(std::make_shared<State>(world, cluster, complete)));
}

EtcdDiscovery::~EtcdDiscovery() {
  state_->peers.feed.close();
  state_->services.feed.close();
  Shard& shard = state_->shard;
  post(shard, [state = std::move(state_)] {
    state->closed = true;
    state->follow();
    State::release_handle(state);
  });
}

// ---- peers ----

Op<std::unique_ptr<Registration>> EtcdDiscovery::announce(const PeerInfo& self) {
  if (!self.instance_id.valid()) {
    return Op<std::unique_ptr<Registration>>::ready(
        state_->world.pool(), velo::make_error(velo::Errc::invalid_argument, "no instance id"));
  }
  return etcd_detail::announce<PeerSubject>(state_, self);
}

Op<PeerInfo> EtcdDiscovery::discover_by_instance_id(const InstanceId& id) {
  using Reader = etcd::RowReader<PeerSubject>;
  return etcd_detail::run<PeerInfo>(
      state_, [id](const std::shared_ptr<State>& state, auto running) {
        Reader reader(state->peers.reader.cluster());
        etcd::Channel::Call call;
        call.path = etcd::path::range;
        call.body = etcd::range_request(reader.key(id), {}, 1, 0);
        call.deadline = state->channel.usual_deadline();
        call.wanted = etcd_detail::wanted(running);
        call.done = [running, id, reader = std::move(reader)](Result<etcd::Answer> answer) mutable {
          running->promise.set(etcd_detail::one_peer(reader, id, std::move(answer)));
        };
        if (Result<void> submitted = state->channel.submit(std::move(call)); !submitted) {
          running->promise.set(std::move(submitted).error());
        }
      });
}

Op<PeerInfo> EtcdDiscovery::discover_by_worker_id(WorkerId id) {
  using Peers = std::vector<PeerInfo>;
  return etcd_detail::run<PeerInfo>(state_, [id](const std::shared_ptr<State>& state,
                                                 auto running) {
    auto wanted = etcd_detail::wanted(running);
    etcd_detail::read_all<PeerSubject>(
        state, state->peers.reader.prefix(), std::move(wanted), [id, running](Result<Peers> peers) {
          if (!peers) {
            running->promise.set(std::move(peers).error());
            return;
          }
          const auto found = std::ranges::find(*peers, id, &PeerInfo::worker_id);
          if (found == peers->end()) {
            running->promise.set(velo::make_error(velo::Errc::not_found, id.to_string()));
          } else {
            running->promise.set(std::move(*found));
          }
        });
  });
}

Op<std::vector<PeerInfo>> EtcdDiscovery::list() {
  using Peers = std::vector<PeerInfo>;
  return etcd_detail::run<Peers>(state_, [](const std::shared_ptr<State>& state, auto running) {
    auto wanted = etcd_detail::wanted(running);
    etcd_detail::read_all<PeerSubject>(
        state, state->peers.reader.prefix(), std::move(wanted),
        [running](Result<Peers> peers) { running->promise.set(std::move(peers)); });
  });
}

std::unique_ptr<Registration> EtcdDiscovery::watch(Executor& executor, PeerWatcher watcher) {
  return etcd_detail::watch<PeerSubject>(state_, executor, std::move(watcher), EveryPeer{});
}

// ---- services ----

Op<std::unique_ptr<Registration>> EtcdDiscovery::register_service(const ServiceInstance& instance) {
  if (Result<void> checked = check_service(instance); !checked) {
    return Op<std::unique_ptr<Registration>>::ready(state_->world.pool(),
                                                    std::move(checked).error());
  }
  return etcd_detail::announce<ServiceSubject>(state_, instance);
}

Op<std::vector<std::string>> EtcdDiscovery::list_services() {
  using Names = std::vector<std::string>;
  using Instances = std::vector<ServiceInstance>;
  return etcd_detail::run<Names>(state_, [](const std::shared_ptr<State>& state, auto running) {
    auto wanted = etcd_detail::wanted(running);
    etcd_detail::read_all<ServiceSubject>(state, state->services.reader.prefix(), std::move(wanted),
                                          [running](const Result<Instances>& all) {
                                            if (!all) {
                                              running->promise.set(all.error());
                                              return;
                                            }
                                            std::set<std::string> names;
                                            for (const ServiceInstance& instance : *all)
                                              names.insert(instance.service);
                                            running->promise.set(Names(names.begin(), names.end()));
                                          });
  });
}

Op<std::vector<ServiceInstance>> EtcdDiscovery::instances(std::string_view service) {
  using Instances = std::vector<ServiceInstance>;
  if (!valid_service_name(service)) return Op<Instances>::ready(state_->world.pool(), Instances());
  std::string prefix = state_->services.reader.prefix() + std::string(service) + '/';
  return etcd_detail::run<Instances>(
      state_, [prefix = std::move(prefix)](const std::shared_ptr<State>& state, auto running) {
        auto wanted = etcd_detail::wanted(running);
        etcd_detail::read_all<ServiceSubject>(
            state, prefix, std::move(wanted),
            [running](Result<Instances> all) { running->promise.set(std::move(all)); });
      });
}

std::unique_ptr<Registration> EtcdDiscovery::watch_service(std::string_view service,
                                                           Executor& executor,
                                                           ServiceWatcher watcher) {
  return etcd_detail::watch<ServiceSubject>(state_, executor, std::move(watcher),
                                            std::string(service));
}

}  // namespace velo::discovery
