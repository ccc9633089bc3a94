// SPDX-License-Identifier: Apache-2.0
// Puts the parts of the real world together, and takes them apart in an order that runs every
// posted task.

#include <velo/runtime/real_world.hpp>

#include <velo/base/check.hpp>
#include <velo/base/log.hpp>

#include <algorithm>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "clock.hpp"
#include "disk_files.hpp"
#include "epoll_shard.hpp"
#include "network.hpp"
#include "random.hpp"
#include "worker_pool.hpp"

namespace velo::runtime {
namespace real_world_detail {

constexpr std::size_t shards_max = 256;
constexpr std::size_t workers_max = 1024;
constexpr int drain_rounds_max = 1000;

}  // namespace real_world_detail

struct RealWorld::Parts {
  explicit Parts(const RuntimeOptions& options)
      : random(options.seed), external_first_shard(options.external_first_shard) {}

  SystemClock clock;
  SeededRandom random;
  SystemRandom secret_random;
  KernelNetwork network;
  DiskFiles files;
  const bool external_first_shard;
  std::vector<std::unique_ptr<EpollShard>> shards;
  WorkerPool pool;
};

RuntimeOptions::RuntimeOptions()
    : workers(std::max<std::size_t>(2, std::thread::hardware_concurrency())) {}

RealWorld::RealWorld(std::unique_ptr<Parts> parts) noexcept : parts_(std::move(parts)) {}

RealWorld::~RealWorld() { stop(); }

Result<std::unique_ptr<RealWorld>> RealWorld::create(const RuntimeOptions& options) {
  if (options.shards < 1 || options.shards > real_world_detail::shards_max || options.workers < 1 ||
      options.workers > real_world_detail::workers_max) {
    return make_error(Errc::invalid_argument, "a World has 1 to 256 shards and 1 to 1024 workers");
  }
  auto parts = std::make_unique<Parts>(options);
  for (std::size_t i = 0; i < options.shards; ++i) {
    ShardSettings settings;
    settings.spin = options.spin;
    settings.external = options.external_first_shard && i == 0;
    if (options.pin_shards) settings.pin = i;
    settings.index = i;
    auto shard = EpollShard::create(settings);
    if (!shard.has_value()) return shard.error();
    parts->shards.push_back(std::move(*shard));
  }
  std::unique_ptr<RealWorld> world(new RealWorld(std::move(parts)));
  try {
    for (std::size_t i = options.external_first_shard ? 1 : 0; i < options.shards; ++i) {
      world->parts_->shards[i]->start();
    }
    world->parts_->pool.start(options.workers);
  } catch (const std::system_error& failure) {
    return make_error(Errc::overloaded, std::string("cannot start a thread: ") + failure.what());
  }
  return world;
}

std::size_t RealWorld::stop() noexcept {
  // A thread cannot join itself.
  for (const auto& shard : parts_->shards) VELO_CHECK(!shard->on_this_thread());
  VELO_CHECK(Executor::current() != &parts_->pool);
  // The pool first: what its tasks post to the shards still runs there.
  parts_->pool.join();
  for (const auto& shard : parts_->shards) shard->join();
  for (int round = 0; round < real_world_detail::drain_rounds_max; ++round) {
    std::size_t ran = parts_->pool.drain_round();
    for (const auto& shard : parts_->shards) ran += shard->drain_round();
    if (ran == 0) return 0;
  }
  std::size_t left = parts_->pool.queued();
  for (const auto& shard : parts_->shards) left += shard->queued();
  VELO_LOG_ERROR(runtime, "tasks kept posting tasks while the World stopped", {"given_up", left});
  return left;
}

std::size_t RealWorld::run_once(Duration timeout) noexcept {
  return parts_->shards.front()->run_once(timeout);
}

int RealWorld::poll_descriptor() const noexcept {
  return parts_->external_first_shard ? parts_->shards.front()->descriptor() : -1;
}

Clock& RealWorld::clock() noexcept { return parts_->clock; }
Random& RealWorld::random() noexcept { return parts_->random; }
Random& RealWorld::secret_random() noexcept { return parts_->secret_random; }
Network& RealWorld::network() noexcept { return parts_->network; }
Files& RealWorld::files() noexcept { return parts_->files; }
std::size_t RealWorld::shard_count() const noexcept { return parts_->shards.size(); }
Shard& RealWorld::shard(std::size_t index) noexcept { return *parts_->shards[index]; }
Executor& RealWorld::pool() noexcept { return parts_->pool; }

}  // namespace velo::runtime
