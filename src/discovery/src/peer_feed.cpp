// SPDX-License-Identifier: Apache-2.0
// The view and the list of watchers behind PeerFeed.

#include <velo/discovery/peer_feed.hpp>

#include "watch_channel.hpp"

#include <velo/base/check.hpp>

#include <algorithm>
#include <mutex>

namespace velo::discovery {

struct PeerFeed::Shared {
  struct Watch {
    std::shared_ptr<WatchChannel> channel;
    bool begun = false;  ///< its snapshot is on the way or was delivered
  };

  std::mutex mutex;
  PeerTable table;
  std::vector<Watch> watches;
  std::size_t sources = 1;
  std::uint64_t unknown = 0;  ///< bit i: source i has not reported since start or mark_unknown()
  bool closed = false;

  explicit Shared(std::size_t count) : sources(count) {}

  std::uint64_t all_sources() const noexcept {
    return sources >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << sources) - 1;
  }

  WatchChannel::Change everything(PeerChange::Kind kind) const {
    return std::make_shared<const PeerChange>(kind, table.list());
  }

  void begin_waiting() {
    if (unknown != 0) return;
    WatchChannel::Change snapshot;
    for (Watch& watch : watches) {
      if (std::exchange(watch.begun, true)) continue;
      if (!snapshot) snapshot = everything(PeerChange::Kind::snapshot);
      WatchChannel::restart(watch.channel, snapshot);
    }
  }

  void tell(std::vector<PeerChange> changes) {
    std::vector<WatchChannel::Change> shared;
    shared.reserve(changes.size());
    for (PeerChange& change : changes) {
      shared.push_back(std::make_shared<const PeerChange>(std::move(change)));
    }
    WatchChannel::Change resync;
    for (const Watch& watch : watches) {
      if (!watch.begun) continue;
      for (const WatchChannel::Change& change : shared) {
        if (WatchChannel::add(watch.channel, change)) continue;
        if (!resync) resync = everything(PeerChange::Kind::resync);
        WatchChannel::restart(watch.channel, resync);
        break;
      }
    }
  }
};

namespace peer_feed_detail {

template <class Shared>
class Watching final : public Registration {
 public:
  Watching(std::shared_ptr<Shared> shared, std::shared_ptr<WatchChannel> channel)
      : shared_(std::move(shared)), channel_(std::move(channel)) {}
  Watching(const Watching&) = delete;
  ~Watching() override {
    {
      const std::lock_guard lock(shared_->mutex);
      std::erase_if(shared_->watches, [this](const auto& w) { return w.channel == channel_; });
    }
    channel_->close();
  }

 private:
  std::shared_ptr<Shared> shared_;
  std::shared_ptr<WatchChannel> channel_;
};

}  // namespace peer_feed_detail

PeerFeed::PeerFeed(Start start, std::size_t sources) : shared_(std::make_shared<Shared>(sources)) {
  VELO_CHECK(sources <= limits::sources_max);
  if (start == Start::unknown) shared_->unknown = shared_->all_sources();
}

PeerFeed::~PeerFeed() { close(); }

void PeerFeed::close() noexcept {
  std::vector<Shared::Watch> watches;
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->closed = true;
    watches.swap(shared_->watches);
  }
  for (const Shared::Watch& watch : watches) watch.channel->close();
}

bool PeerFeed::apply(PeerTable::Source source, const PeerChange& change) {
  const std::lock_guard lock(shared_->mutex);
  PeerTable& table = shared_->table;
  bool taken = true;
  if (change.kind == PeerChange::Kind::removed) {
    taken = std::ranges::all_of(
        change.peers, [&](const PeerInfo& peer) { return table.has(source, peer.instance_id); });
  }
  const std::uint64_t refused = table.refused();
  shared_->tell(table.apply(source, change));
  taken = taken && table.refused() == refused;
  if (change.kind == PeerChange::Kind::snapshot || change.kind == PeerChange::Kind::resync) {
    shared_->unknown &= ~(std::uint64_t{1} << source);
    shared_->begin_waiting();
  }
  return taken;
}

void PeerFeed::mark_unknown() {
  const std::lock_guard lock(shared_->mutex);
  shared_->unknown = shared_->all_sources();
}

std::optional<PeerInfo> PeerFeed::find(const InstanceId& id) const {
  const std::lock_guard lock(shared_->mutex);
  const PeerInfo* peer = shared_->table.find(id);
  return peer != nullptr ? std::optional(*peer) : std::nullopt;
}

std::optional<PeerInfo> PeerFeed::find(WorkerId id) const {
  const std::lock_guard lock(shared_->mutex);
  const PeerInfo* peer = shared_->table.find(id);
  return peer != nullptr ? std::optional(*peer) : std::nullopt;
}

std::vector<PeerInfo> PeerFeed::list() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->table.list();
}

std::size_t PeerFeed::watchers() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->watches.size();
}

std::unique_ptr<Registration> PeerFeed::watch(Executor& executor, PeerWatcher watcher) {
  auto channel = std::make_shared<WatchChannel>(executor, std::move(watcher));
  {
    const std::lock_guard lock(shared_->mutex);
    if (!shared_->closed) {
      shared_->watches.push_back({channel});
      shared_->begin_waiting();
    }
  }
  return std::make_unique<peer_feed_detail::Watching<Shared>>(shared_, std::move(channel));
}

}  // namespace velo::discovery
