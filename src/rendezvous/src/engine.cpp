// SPDX-License-Identifier: Apache-2.0
// The store of one messenger, and when what is in it ends.

#include "engine.hpp"

#include <velo/messenger/error.hpp>

#include <algorithm>
#include <utility>

namespace velo::rendezvous {
namespace engine_detail {

/// A random id is taken once in 2^64 times; then another is drawn.
constexpr int draws_max = 4;

static StoreLimits limits_of(const RendezvousOptions& options) {
  StoreLimits limits;
  limits.entries_max = options.entries_max;
  limits.lease_ttl = options.lease_ttl;
  return limits;
}

}  // namespace engine_detail

Engine::Engine(const RendezvousOptions& options)
    : options_(options), store_(engine_detail::limits_of(options)) {}

Result<void> Engine::attach(Messenger& messenger) {
  world_ = &messenger.world();
  messenger_ = messenger::share(messenger);
  budget_ = messenger::budget_of(messenger);
  self_.instance = messenger.instance_id();
  self_.worker = messenger.worker_id();
  self_.owner = true;
  auto attached = messenger::attach(messenger, shared_from_this(), handlers());
  if (attached) attached_.store(true, std::memory_order_release);
  return attached;
}

Result<DataHandle> Engine::add(Source source, const Terms& terms) {
  if (stopped()) return messenger::make_error(messenger::Errc::shutting_down);
  TimePoint due;
  DataHandle handle;
  {
    const std::lock_guard lock(mutex_);
    Result<void> added = velo::make_error(velo::Errc::already_exists);
    for (int draw = 0; draw < engine_detail::draws_max; ++draw) {
      const std::uint64_t id = world_->secret_random().next();
      // What is refused is not moved from.
      added = store_.add(id, std::move(source), terms);  // NOLINT(bugprone-use-after-move)
      handle = DataHandle(self_.worker, id);
      if (added || !added.error().is(velo::Errc::already_exists)) break;
    }
    if (!tally_.counted(Operation::registering, added)) return added.error();
    due = store_.next_end();
  }
  rearm_soon(due);
  return handle;
}

Result<DataMetadata> Engine::metadata(std::uint64_t id, const Reader& reader) const {
  const std::lock_guard lock(mutex_);
  return tally_.counted(Operation::metadata, store_.metadata(id, reader));
}

Result<Store::Granted> Engine::acquire(std::uint64_t id, const Reader& reader) {
  if (stopped()) return messenger::make_error(messenger::Errc::shutting_down);
  const TimePoint now = world_->clock().now();
  Result<Store::Granted> granted = velo::make_error(velo::Errc::already_exists);
  TimePoint due;
  {
    const std::lock_guard lock(mutex_);
    for (int draw = 0; draw < engine_detail::draws_max; ++draw) {
      Store::LeaseIds ids;
      ids.lease = world_->secret_random().next();
      ids.transfer = world_->secret_random().next();
      granted = store_.acquire(id, reader, ids, now);
      if (granted || !granted.error().is(velo::Errc::already_exists)) break;
    }
    due = store_.next_end();
  }
  rearm_soon(due);
  return tally_.counted(Operation::acquire, std::move(granted));
}

Result<Piece> Engine::piece(const wire::PullRequest& request, const Reader& reader) {
  const TimePoint now = world_->clock().now();
  const std::lock_guard lock(mutex_);
  auto piece = tally_.counted(Operation::pull,
                              store_.piece(request.transfer_id, request.chunk_index, reader, now));
  if (piece) tally_.sent(piece->size);
  return piece;
}

Result<void> Engine::add_reference(std::uint64_t id, const Reader& reader) {
  const std::lock_guard lock(mutex_);
  return tally_.counted(Operation::ref, store_.add_reference(id, reader));
}

Result<void> Engine::detach(std::uint64_t id, DataLease lease, const Reader& reader) {
  const std::lock_guard lock(mutex_);
  return tally_.counted(Operation::detach, store_.detach(id, lease, reader));
}

Result<void> Engine::release(std::uint64_t id, DataLease lease, const Reader& reader) {
  const std::lock_guard lock(mutex_);
  return tally_.counted(Operation::release, store_.release(id, lease, reader));
}

bool Engine::withdraw(std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  return store_.withdraw(id);
}

RendezvousUse Engine::use() const {
  const std::lock_guard lock(mutex_);
  const StoreUse stored = store_.use();
  RendezvousUse use;
  use.entries = stored.entries;
  use.leases = stored.leases;
  use.bytes = stored.bytes;
  use.transfers = pulls_.size();
  return use;
}

std::uint64_t Engine::unfinished() const noexcept {
  const TimePoint now = world_->clock().now();
  const std::lock_guard lock(mutex_);
  return pulls_.size() + store_.under_way(now, limits::drain_idle);
}

std::shared_ptr<Pull> Engine::start_pull(const DataHandle& handle,
                                         std::unique_ptr<DataWriter> writer, PullOptions options,
                                         Pull::Done done) {
  Shard* shard = nullptr;
  for (std::size_t i = 0; i < world_->shard_count(); ++i) {
    if (world_->shard(i).on_this_thread()) shard = &world_->shard(i);
  }
  if (shard == nullptr) {
    const std::size_t turn = next_shard_.fetch_add(1, std::memory_order_relaxed);
    shard = &world_->shard(turn % world_->shard_count());
  }
  auto pull = std::make_shared<Pull>(shared_from_this(), *shard, handle, std::move(writer),
                                     std::move(options), std::move(done));
  std::optional<Error> refusal;
  {
    const std::lock_guard lock(mutex_);
    if (stopped()) {
      refusal = messenger::make_error(messenger::Errc::shutting_down);
    } else if (pulls_.size() >= limits::transfers_max) {
      refusal = make_error(Errc::store_full, "transfers_max is reached");
    } else {
      pull->order = next_pull_++;
      pulls_.emplace(pull.get(), pull);
    }
  }
  pull->start(std::move(refusal));
  return pull;
}

void Engine::pull_over(const Pull& pull, bool well, std::uint64_t bytes, Duration took) noexcept {
  tally_.got(well, bytes, took);
  std::shared_ptr<Pull> last;
  const std::lock_guard lock(mutex_);
  const auto found = pulls_.find(&pull);
  if (found == pulls_.end()) return;
  last = std::move(found->second);
  pulls_.erase(found);
}

Result<std::shared_ptr<void>> Engine::publish_metrics(metrics::Registry& registry) {
  return tally_.publish(registry, self_.instance,
                        [engine = shared_from_this()] { return engine->use(); });
}

void Engine::on_stop(const Error& reason) {
  std::vector<std::shared_ptr<Pull>> pulls;
  {
    const std::lock_guard lock(mutex_);
    stopped_.store(true, std::memory_order_release);
    for (const auto& [key, pull] : pulls_) pulls.push_back(pull);
    store_.clear();
  }
  std::ranges::sort(pulls, {}, [](const auto& pull) { return pull->order; });
  for (const auto& pull : pulls) pull->abort(reason);
  post(world_->shard(0), [engine = shared_from_this()] {
    if (engine->timer_keepalive_ != nullptr &&
        engine->world_->shard(0).cancel_timer(engine->timer_)) {
      engine->timer_keepalive_ = nullptr;
    }
  });
}

void Engine::rearm_soon(TimePoint at) {
  std::int64_t armed = armed_ns_.load(std::memory_order_seq_cst);
  do {
    if (at.nanoseconds() >= armed) return;
  } while (!armed_ns_.compare_exchange_weak(armed, at.nanoseconds(), std::memory_order_seq_cst));
  post(world_->shard(0), [engine = shared_from_this(), at] { engine->rearm(at); });
}

void Engine::rearm(TimePoint at) {
  if (stopped()) return;
  Shard& shard = world_->shard(0);
  if (timer_keepalive_ != nullptr) {
    if (timer_at_ <= at || !shard.cancel_timer(timer_)) return;
  }
  timer_keepalive_ = shared_from_this();
  timer_at_ = at;
  timer_ = shard.start_timer(
      at, Task0{[](void* argument) { static_cast<Engine*>(argument)->reap(); }, this});
}

void Engine::reap() {
  const std::shared_ptr<Engine> alive = std::exchange(timer_keepalive_, nullptr);
  // From here on, whoever adds something that ends arms the timer itself.
  armed_ns_.store(INT64_MAX, std::memory_order_seq_cst);
  TimePoint next;
  {
    const std::lock_guard lock(mutex_);
    next = store_.reap(world_->shard(0).now());
  }
  if (next != TimePoint::never()) rearm_soon(next);
}

}  // namespace velo::rendezvous
