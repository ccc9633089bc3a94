// SPDX-License-Identifier: Apache-2.0
// The asynchronous side of the filesystem backend: operations and polling, all through one strand
// on the World's pool.

#include <velo/discovery/backends/filesystem.hpp>

#include "announced_folder.hpp"
#include "strand.hpp"

#include <velo/discovery/limits.hpp>

#include <atomic>
#include <cstdint>
#include <optional>
#include <set>
#include <type_traits>
#include <utility>

namespace velo::discovery {

struct FilesystemDiscovery::State {
  World& world;
  const FilesystemOptions options;
  Strand strand;
  std::atomic<bool> closed{false};
  std::atomic<bool> tick_waits{false};

  // On the strand only, but for their feeds.
  AnnouncedFolder<PeerSubject> peers;
  AnnouncedFolder<ServiceSubject> services;
  TimePoint verified;

  // On shard 0 only.
  std::weak_ptr<State> self;  ///< for the timer, whose argument owns nothing
  std::optional<Shard::TimerId> timer;

  State(World& w, const std::string& path, const std::string& cluster, const FilesystemOptions& o)
      : world(w),
        options(o),
        strand(w.pool()),
        peers(w, path + "/peers", cluster),
        services(w, path + "/services", cluster) {}

  template <class Subject>
  AnnouncedFolder<Subject>& part() noexcept {
    if constexpr (std::is_same_v<Subject, PeerSubject>) {
      return peers;
    } else {
      return services;
    }
  }

  static void kick(const std::shared_ptr<State>& state);
  void tick(const std::shared_ptr<State>& shared);
  void start_timer(Duration interval);
  void stop_timer() noexcept;
};

namespace filesystem_detail {

static bool valid_cluster(std::string_view name) noexcept {
  if (name.empty() || name.size() > limits::cluster_name_bytes_max || name.front() == '.') {
    return false;
  }
  return name.find_first_not_of(
             "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
         std::string_view::npos;
}

/// Runs `work(state)` on the strand; the Op ends on the pool, outside the strand, so that what
/// continues it holds up nothing.
template <class T, class State, class Work>
static Op<T> run(const std::shared_ptr<State>& state, Work work) {
  auto promise = std::make_shared<Promise<T>>(state->world.pool());
  promise->on_cancel([weak = std::weak_ptr<Promise<T>>(promise)]() noexcept {
    if (const auto owned = weak.lock()) owned->set(velo::make_error(velo::Errc::cancelled));
  });
  Op<T> op = promise->op();
  const bool queued = state->strand.try_post(
      [state, promise, work = std::move(work)]() mutable {
        if (promise->ended()) return;
        Result<T> result = work(state);
        Executor& pool = state->world.pool();
        post(pool, [promise = std::move(promise), result = std::move(result)]() mutable {
          promise->set(std::move(result));
        });
      },
      limits::file_operations_pending_max);
  if (!queued) {
    promise->set(velo::make_error(velo::Errc::overloaded, "too many file operations wait"));
  }
  return op;
}

/// Announces on the strand; the registration withdraws there, so before anything asked later.
template <class Subject, class State>
static Op<std::unique_ptr<Registration>> announce(const std::shared_ptr<State>& shared,
                                                  const typename Subject::Info& info) {
  using Outcome = std::unique_ptr<Registration>;
  return run<Outcome>(shared, [info](const std::shared_ptr<State>& state) -> Result<Outcome> {
    auto& part = state->template part<Subject>();
    const bool first = !state->peers.holds_any() && !state->services.holds_any();
    const Result<std::uint64_t> number = part.announce(info);
    if (!number) return number.error();
    if (first) state->verified = state->world.clock().now();
    State::kick(state);
    return make_registration([state, key = Subject::key(info), number = *number] {
      state->strand.post([state, key, number] {
        state->template part<Subject>().withdraw(key, number);
        State::kick(state);
      });
    });
  });
}

}  // namespace filesystem_detail

// ---- polling ----

/// Brings the next tick forward to now.
void FilesystemDiscovery::State::kick(const std::shared_ptr<State>& state) {
  if (state->closed.load() || state->tick_waits.exchange(true)) return;
  state->strand.post([state] {
    state->tick_waits.store(false);
    state->tick(state);
  });
}

void FilesystemDiscovery::State::tick(const std::shared_ptr<State>& shared) {
  if (closed.load()) return;
  const bool peers_watched = peers.poll(options.probes_per_poll);
  const bool services_watched = services.poll(options.probes_per_poll);
  const bool watched = peers_watched || services_watched;
  const bool announced = peers.holds_any() || services.holds_any();
  if (announced && world.clock().now() - verified >= options.verify_interval) {
    verified = world.clock().now();
    peers.look_after();
    services.look_after();
  }
  Duration interval = announced ? options.verify_interval : Duration::max();
  if (watched) interval = std::min(interval, options.poll_interval);
  post(world.shard(0), [state = shared, interval] { state->start_timer(interval); });
}

void FilesystemDiscovery::State::start_timer(Duration interval) {
  stop_timer();
  if (closed.load() || interval == Duration::max()) return;
  Shard& shard = world.shard(0);
  timer = shard.start_timer(shard.now() + interval, Task0{[](void* argument) {
                                                            auto& state =
                                                                *static_cast<State*>(argument);
                                                            state.timer.reset();
                                                            if (auto owned = state.self.lock())
                                                              kick(owned);
                                                          },
                                                          this});
}

void FilesystemDiscovery::State::stop_timer() noexcept {
  if (timer) world.shard(0).cancel_timer(*timer);
  timer.reset();
}

// ---- the public object ----

FilesystemDiscovery::FilesystemDiscovery(std::shared_ptr<State> state) noexcept
    : state_(std::move(state)) {}

Result<std::unique_ptr<FilesystemDiscovery>> FilesystemDiscovery::create(
    World& world, const std::string& directory, const std::string& cluster,
    const FilesystemOptions& options) {
  if (directory.empty()) {
    return velo::make_error(velo::Errc::invalid_argument, "discovery needs a directory");
  }
  if (!filesystem_detail::valid_cluster(cluster)) {
    return velo::make_error(velo::Errc::invalid_argument, "not a cluster's name: " + cluster);
  }
  if (options.poll_interval <= Duration::zero() || options.verify_interval <= Duration::zero() ||
      options.probes_per_poll == 0) {
    return velo::make_error(velo::Errc::invalid_argument, "intervals and probes are above zero");
  }
  auto state = std::make_shared<State>(world, directory + '/' + cluster, cluster, options);
  state->self = state;
  return std::unique_ptr<FilesystemDiscovery>(new FilesystemDiscovery(std::move(state)));
}

FilesystemDiscovery::~FilesystemDiscovery() {
  state_->closed.store(true);
  state_->peers.feed.close();
  state_->services.feed.close();
  // The timer's argument is the state: this keeps it until the timer is gone.
  post(state_->world.shard(0), [state = state_] { state->stop_timer(); });
}

// ---- peers ----

Op<std::unique_ptr<Registration>> FilesystemDiscovery::announce(const PeerInfo& self) {
  if (!self.instance_id.valid()) {
    return Op<std::unique_ptr<Registration>>::ready(
        state_->world.pool(), velo::make_error(velo::Errc::invalid_argument, "no instance id"));
  }
  return filesystem_detail::announce<PeerSubject>(state_, self);
}

Op<PeerInfo> FilesystemDiscovery::discover_by_instance_id(const InstanceId& id) {
  return filesystem_detail::run<PeerInfo>(
      state_, [id](const std::shared_ptr<State>& state) { return state->peers.folder.find(id); });
}

Op<PeerInfo> FilesystemDiscovery::discover_by_worker_id(WorkerId id) {
  return filesystem_detail::run<PeerInfo>(state_, [id](const std::shared_ptr<State>& state) {
    return state->peers.folder.find_if(
        [id](const InstanceId& instance) { return instance.worker_id() == id; });
  });
}

Op<std::vector<PeerInfo>> FilesystemDiscovery::list() {
  return filesystem_detail::run<std::vector<PeerInfo>>(
      state_, [](const std::shared_ptr<State>& state) { return state->peers.folder.list(); });
}

std::unique_ptr<Registration> FilesystemDiscovery::watch(Executor& executor, PeerWatcher watcher) {
  auto registration = state_->peers.feed.watch(executor, std::move(watcher));
  State::kick(state_);
  return registration;
}

// ---- services ----

Op<std::unique_ptr<Registration>> FilesystemDiscovery::register_service(
    const ServiceInstance& instance) {
  if (Result<void> checked = check_service(instance); !checked) {
    return Op<std::unique_ptr<Registration>>::ready(state_->world.pool(),
                                                    std::move(checked).error());
  }
  return filesystem_detail::announce<ServiceSubject>(state_, instance);
}

Op<std::vector<std::string>> FilesystemDiscovery::list_services() {
  using Names = std::vector<std::string>;
  return filesystem_detail::run<Names>(state_,
                                       [](const std::shared_ptr<State>& state) -> Result<Names> {
                                         const auto all = state->services.folder.list();
                                         if (!all) return all.error();
                                         std::set<std::string> names;
                                         for (const ServiceInstance& instance : *all)
                                           names.insert(instance.service);
                                         return Names(names.begin(), names.end());
                                       });
}

Op<std::vector<ServiceInstance>> FilesystemDiscovery::instances(std::string_view service) {
  using Instances = std::vector<ServiceInstance>;
  return filesystem_detail::run<Instances>(
      state_, [name = std::string(service)](const std::shared_ptr<State>& state) {
        Result<Instances> all = state->services.folder.list();
        if (!all) return all;
        std::erase_if(*all, [&](const ServiceInstance& one) { return one.service != name; });
        return all;
      });
}

std::unique_ptr<Registration> FilesystemDiscovery::watch_service(std::string_view service,
                                                                 Executor& executor,
                                                                 ServiceWatcher watcher) {
  auto registration =
      state_->services.feed.watch(executor, std::move(watcher), std::string(service));
  State::kick(state_);
  return registration;
}

}  // namespace velo::discovery
