// SPDX-License-Identifier: Apache-2.0
// The asynchronous side of the filesystem backend: operations and polling, all through one strand
// on the World's pool.

#include <velo/discovery/backends/filesystem.hpp>

#include "entry_folder.hpp"
#include "strand.hpp"

#include <velo/base/log.hpp>
#include <velo/discovery/limits.hpp>
#include <velo/discovery/peer_feed.hpp>

#include <atomic>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>

namespace velo::discovery {

struct FilesystemDiscovery::State {
  struct Announced {
    HeldEntry held;
    std::uint64_t number = 0;  ///< of the latest announce(); earlier registrations withdraw nothing
  };
  class Announcement;

  World& world;
  const FilesystemOptions options;
  PeerFeed feed{PeerFeed::Start::unknown};
  Strand strand;
  std::atomic<bool> closed{false};
  std::atomic<bool> tick_waits{false};

  // On the strand only.
  EntryFolder folder;
  std::map<InstanceId, Announced> announced;
  std::uint64_t last_number = 0;
  TimePoint verified;
  std::optional<Error> poll_error;

  // On shard 0 only.
  std::weak_ptr<State> self;  ///< for the timer, whose argument owns nothing
  std::optional<Shard::TimerId> timer;

  State(World& w, std::string path, std::string cluster, const FilesystemOptions& o)
      : world(w), options(o), strand(w.pool()), folder(w, std::move(path), std::move(cluster)) {}

  Result<std::unique_ptr<Registration>> announce(const std::shared_ptr<State>& shared,
                                                 const PeerInfo& peer);
  void withdraw(const InstanceId& id, std::uint64_t number);
  void look_after_announcements();
  void poll();

  static void kick(const std::shared_ptr<State>& state);
  void tick(const std::shared_ptr<State>& shared);
  void start_timer(Duration interval);
  void stop_timer() noexcept;
};

/// Withdraws on the strand, so before anything that is asked later.
class FilesystemDiscovery::State::Announcement final : public Registration {
 public:
  Announcement(std::shared_ptr<State> state, const InstanceId& id, std::uint64_t number)
      : state_(std::move(state)), id_(id), number_(number) {}
  Announcement(const Announcement&) = delete;
  ~Announcement() override {
    Strand& queue = state_->strand;
    queue.post([state = std::move(state_), id = id_, number = number_] {
      state->withdraw(id, number);
      kick(state);
    });
  }

 private:
  std::shared_ptr<State> state_;
  InstanceId id_;
  std::uint64_t number_;
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

}  // namespace filesystem_detail

// ---- announcements, on the strand ----

Result<std::unique_ptr<Registration>> FilesystemDiscovery::State::announce(
    const std::shared_ptr<State>& shared, const PeerInfo& peer) {
  const auto found = announced.find(peer.instance_id);
  if (found != announced.end()) {
    if (Result<void> done = folder.rewrite(found->second.held, peer); !done) {
      return std::move(done).error();
    }
    found->second.number = ++last_number;
  } else {
    Result<HeldEntry> held = folder.hold(peer);
    if (!held) return std::move(held).error();
    if (announced.empty()) verified = world.clock().now();
    announced.emplace(peer.instance_id, Announced{std::move(*held), ++last_number});
  }
  return Result<std::unique_ptr<Registration>>(
      std::make_unique<Announcement>(shared, peer.instance_id, last_number));
}

void FilesystemDiscovery::State::withdraw(const InstanceId& id, std::uint64_t number) {
  const auto found = announced.find(id);
  if (found == announced.end() || found->second.number != number) return;
  folder.withdraw(std::move(found->second.held));
  announced.erase(found);
}

void FilesystemDiscovery::State::look_after_announcements() {
  verified = world.clock().now();
  for (auto& [id, announcement] : announced) {
    if (Result<void> done = folder.look_after(announcement.held); !done) {
      VELO_LOG_WARN(discovery, "an announcement's files cannot be written",
                    {"instance", id.to_string()}, {"error", done.error()});
    }
  }
}

// ---- polling ----

void FilesystemDiscovery::State::poll() {
  Result<std::vector<PeerInfo>> peers = folder.poll(options.probes_per_poll);
  if (peers) {
    poll_error.reset();
    feed.apply(0, PeerChange(PeerChange::Kind::resync, std::move(*peers)));
  } else if (!poll_error || !(*poll_error == peers.error())) {
    VELO_LOG_WARN(discovery, "the folder of announcements cannot be read",
                  {"error", peers.error()});
    poll_error = peers.error();
  }
}

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
  const bool watched = feed.watchers() > 0;
  if (watched) {
    poll();
  } else {
    feed.mark_unknown();
  }
  if (!announced.empty() && world.clock().now() - verified >= options.verify_interval) {
    look_after_announcements();
  }
  Duration interval = announced.empty() ? Duration::max() : options.verify_interval;
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
  auto state =
      std::make_shared<State>(world, directory + '/' + cluster + "/peers", cluster, options);
  state->self = state;
  return std::unique_ptr<FilesystemDiscovery>(new FilesystemDiscovery(std::move(state)));
}

FilesystemDiscovery::~FilesystemDiscovery() {
  state_->closed.store(true);
  state_->feed.close();
  // The timer's argument is the state: this keeps it until the timer is gone.
  post(state_->world.shard(0), [state = state_] { state->stop_timer(); });
}

Op<std::unique_ptr<Registration>> FilesystemDiscovery::announce(const PeerInfo& self) {
  using Outcome = std::unique_ptr<Registration>;
  if (!self.instance_id.valid()) {
    return Op<Outcome>::ready(state_->world.pool(),
                              velo::make_error(velo::Errc::invalid_argument, "no instance id"));
  }
  return filesystem_detail::run<Outcome>(state_, [self](const std::shared_ptr<State>& state) {
    Result<Outcome> result = state->announce(state, self);
    State::kick(state);
    return result;
  });
}

Op<PeerInfo> FilesystemDiscovery::discover_by_instance_id(const InstanceId& id) {
  return filesystem_detail::run<PeerInfo>(
      state_, [id](const std::shared_ptr<State>& state) { return state->folder.find(id); });
}

Op<PeerInfo> FilesystemDiscovery::discover_by_worker_id(WorkerId id) {
  return filesystem_detail::run<PeerInfo>(
      state_, [id](const std::shared_ptr<State>& state) { return state->folder.find(id); });
}

Op<std::vector<PeerInfo>> FilesystemDiscovery::list() {
  return filesystem_detail::run<std::vector<PeerInfo>>(
      state_, [](const std::shared_ptr<State>& state) { return state->folder.list(); });
}

std::unique_ptr<Registration> FilesystemDiscovery::watch(Executor& executor, PeerWatcher watcher) {
  auto registration = state_->feed.watch(executor, std::move(watcher));
  State::kick(state_);
  return registration;
}

}  // namespace velo::discovery
