// SPDX-License-Identifier: Apache-2.0
// The view and the list of watchers behind Feed.

#include <velo/discovery/feed.hpp>

#include "watch_channel.hpp"

#include <velo/base/check.hpp>

#include <algorithm>
#include <mutex>

namespace velo::discovery {

template <class Subject>
struct Feed<Subject>::Shared {
  using Channel = WatchChannel<Subject>;
  struct Watch {
    std::shared_ptr<Channel> channel;
    Filter filter;
    bool begun = false;  ///< its snapshot is on the way or was delivered
  };

  std::mutex mutex;
  View table;
  std::vector<Watch> watches;
  std::size_t sources = 1;
  std::uint64_t unknown = 0;  ///< bit i: source i has not reported since start or mark_unknown()
  bool closed = false;

  explicit Shared(std::size_t count) : sources(count) {}

  std::uint64_t all_sources() const noexcept {
    return sources >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << sources) - 1;
  }

  typename Channel::Change everything(ChangeKind kind, const Filter& filter) const {
    return std::make_shared<const Change>(kind, table.list(filter));
  }

  void begin_waiting() {
    if (unknown != 0) return;
    for (Watch& watch : watches) {
      if (std::exchange(watch.begun, true)) continue;
      Channel::restart(watch.channel, everything(ChangeKind::snapshot, watch.filter));
    }
  }

  void tell(std::vector<Change> changes) {
    std::vector<typename Channel::Change> shared;
    shared.reserve(changes.size());
    for (Change& change : changes) {
      shared.push_back(std::make_shared<const Change>(std::move(change)));
    }
    for (const Watch& watch : watches) {
      if (!watch.begun) continue;
      for (const auto& change : shared) {
        if (!Subject::matches(watch.filter, Subject::items(*change).front())) continue;
        if (Channel::add(watch.channel, change)) continue;
        Channel::restart(watch.channel, everything(ChangeKind::resync, watch.filter));
        break;
      }
    }
  }
};

namespace feed_detail {

template <class Shared, class Channel>
class Watching final : public Registration {
 public:
  Watching(std::shared_ptr<Shared> shared, std::shared_ptr<Channel> channel)
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
  std::shared_ptr<Channel> channel_;
};

}  // namespace feed_detail

template <class Subject>
Feed<Subject>::Feed(Start start, std::size_t sources) : shared_(std::make_shared<Shared>(sources)) {
  VELO_CHECK(sources <= limits::sources_max);
  if (start == Start::unknown) shared_->unknown = shared_->all_sources();
}

template <class Subject>
Feed<Subject>::~Feed() {
  close();
}

template <class Subject>
std::mutex& Feed<Subject>::mutex() const noexcept {
  return shared_->mutex;
}

template <class Subject>
auto Feed<Subject>::view() const noexcept -> const View& {
  return shared_->table;
}

template <class Subject>
void Feed<Subject>::close() noexcept {
  std::vector<typename Shared::Watch> watches;
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->closed = true;
    watches.swap(shared_->watches);
  }
  for (const auto& watch : watches) watch.channel->close();
}

template <class Subject>
bool Feed<Subject>::apply(Source source, const Change& change) {
  const std::lock_guard lock(shared_->mutex);
  View& table = shared_->table;
  bool taken = true;
  if (change.kind == ChangeKind::removed) {
    taken = std::ranges::all_of(Subject::items(change), [&](const Info& info) {
      return table.has(source, Subject::key(info));
    });
  }
  const std::uint64_t refused = table.refused();
  shared_->tell(table.apply(source, change));
  taken = taken && table.refused() == refused;
  if (change.kind == ChangeKind::snapshot || change.kind == ChangeKind::resync) {
    shared_->unknown &= ~(std::uint64_t{1} << source);
    shared_->begin_waiting();
  }
  return taken;
}

template <class Subject>
void Feed<Subject>::mark_unknown() {
  const std::lock_guard lock(shared_->mutex);
  shared_->unknown = shared_->all_sources();
}

template <class Subject>
auto Feed<Subject>::stop_waiting() -> std::vector<Source> {
  const std::lock_guard lock(shared_->mutex);
  std::vector<Source> silent;
  for (Source source = 0; source < shared_->sources; ++source) {
    if ((shared_->unknown >> source & 1U) != 0) silent.push_back(source);
  }
  shared_->unknown = 0;
  shared_->begin_waiting();
  return silent;
}

template <class Subject>
auto Feed<Subject>::find(const Key& key) const -> std::optional<Info> {
  const std::lock_guard lock(shared_->mutex);
  const Info* info = shared_->table.find(key);
  return info != nullptr ? std::optional(*info) : std::nullopt;
}

template <class Subject>
auto Feed<Subject>::list(const Filter& filter) const -> std::vector<Info> {
  const std::lock_guard lock(shared_->mutex);
  return shared_->table.list(filter);
}

template <class Subject>
std::size_t Feed<Subject>::watchers() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->watches.size();
}

template <class Subject>
std::unique_ptr<Registration> Feed<Subject>::watch(Executor& executor, Watcher watcher,
                                                   Filter filter) {
  using Channel = typename Shared::Channel;
  auto channel = std::make_shared<Channel>(executor, std::move(watcher));
  {
    const std::lock_guard lock(shared_->mutex);
    if (!shared_->closed) {
      shared_->watches.push_back({channel, std::move(filter)});
      shared_->begin_waiting();
    }
  }
  return std::make_unique<feed_detail::Watching<Shared, Channel>>(shared_, std::move(channel));
}

template class Feed<PeerSubject>;
template class Feed<ServiceSubject>;

}  // namespace velo::discovery
