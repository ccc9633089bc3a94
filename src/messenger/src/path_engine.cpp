// SPDX-License-Identifier: Apache-2.0
// What is known of each transport towards a peer, the order that follows, and the report of both.

#include "path_engine.hpp"

#include "impl.hpp"

#include <velo/base/log.hpp>

#include <algorithm>
#include <utility>

namespace velo::messenger {

PathEngine::PathEngine(Impl& impl, PathPolicy policy) : impl_(impl), policy_(std::move(policy)) {}

PeerPaths& PathEngine::of(Peer& peer) {
  if (peer.paths == nullptr) peer.paths = std::make_unique<PeerPaths>(impl_.transports_.size());
  return *peer.paths;
}

std::size_t PathEngine::index_of(const transport::Transport* transport) const noexcept {
  const auto& all = impl_.transports_;
  const auto found = std::find_if(all.begin(), all.end(),
                                  [&](const auto& each) { return each.get() == transport; });
  return static_cast<std::size_t>(found - all.begin());
}

std::string_view PathEngine::in_use(const Peer& peer) noexcept {
  const bool greeted =
      peer.link != nullptr && peer.link->route != nullptr && peer.state != Peer::State::dialing;
  return greeted ? peer.link->route->key() : std::string_view();
}

std::vector<PathOption> PathEngine::options(Peer& peer) {
  const PeerPaths& paths = of(peer);
  std::vector<PathOption> options;
  options.reserve(impl_.transports_.size());
  for (std::size_t i = 0; i < impl_.transports_.size(); ++i) {
    const transport::Transport& transport = *impl_.transports_[i];
    const PathRecord& record = paths.records[i];
    PathOption option;
    option.key = transport.key();
    const auto entry = peer.info.address.find(transport.key());
    if (entry == peer.info.address.end()) {
      option.refused = "the peer has no address for it";
    } else if (auto usable = transport.check_entry(entry->second); !usable) {
      option.refused = usable.error().context();
    } else {
      option.reach = transport.assess(entry->second);
    }
    option.round_trip = record.round_trip;
    option.failures = record.backoff.failures();
    option.failure = record.failure;
    option.failed_at = record.failed_at;
    option.again_at = record.again_at;
    options.push_back(std::move(option));
  }
  return options;
}

std::vector<RankedPath> PathEngine::rank(Peer& peer, const std::vector<PathOption>& options,
                                         TimePoint now) {
  return rank_paths(options, policy_, in_use(peer), of(peer).forced, now);
}

std::vector<transport::Transport*> PathEngine::dial_order(Peer& peer) {
  const std::vector<PathOption> all = options(peer);
  std::vector<transport::Transport*> order;
  for (const RankedPath& path : rank(peer, all, impl_.world_.clock().now())) {
    if (path.usable) order.push_back(impl_.transports_[path.option].get());
  }
  return order;
}

std::string PathEngine::why_none(Peer& peer) {
  const std::vector<PathOption> all = options(peer);
  std::string text = "none of our transports reaches the peer";
  for (const RankedPath& path : rank(peer, all, impl_.world_.clock().now())) {
    text += "; " + std::string(all[path.option].key) + ": " + path.reason;
  }
  return text;
}

void PathEngine::note_failure(Peer& peer, const transport::Transport& transport,
                              std::string failure, bool for_good) {
  PathRecord& record = of(peer).records[index_of(&transport)];
  const TimePoint now = impl_.world_.clock().now();
  const Duration pause = record.backoff.failed(impl_.world_.random().next());
  record.failure = std::move(failure);
  record.failed_at = now;
  record.again_at = for_good ? TimePoint::never() : now + pause;
}

void PathEngine::dial_failed(Peer& peer, const transport::Transport& transport,
                             const Error& error) {
  const std::lock_guard lock(peer.mutex);
  note_failure(peer, transport, error.context(), false);
}

void PathEngine::forgive(Peer& peer) {
  if (peer.paths == nullptr) return;
  for (PathRecord& record : peer.paths->records) {
    record.backoff.reset();
    record.again_at = TimePoint();
  }
}

PathBooks PathEngine::books() const noexcept {
  PathBooks books;
  books.probes = counts_.probes.load(std::memory_order_relaxed);
  books.upgrades = counts_.upgrades.load(std::memory_order_relaxed);
  books.failovers = counts_.failovers.load(std::memory_order_relaxed);
  books.resumed = counts_.resumed.load(std::memory_order_relaxed);
  books.deduplicated = counts_.deduplicated.load(std::memory_order_relaxed);
  books.lost = counts_.lost.load(std::memory_order_relaxed);
  return books;
}

PathReport PathEngine::report(Peer& peer) {
  PathReport report;
  report.from = impl_.self().instance_id.to_string();
  const std::lock_guard lock(peer.mutex);
  const PeerPaths& paths = of(peer);
  report.to = peer.info.instance_id.to_string();
  report.epoch = paths.epoch;
  report.probes = paths.probes;
  report.upgrades = paths.upgrades;
  report.failovers = paths.failovers;
  report.resumed = paths.resumed;
  report.chosen = std::string(in_use(peer));
  const std::vector<PathOption> all = options(peer);
  for (const RankedPath& path : rank(peer, all, impl_.world_.clock().now())) {
    const PathOption& option = all[path.option];
    PathCandidate candidate;
    candidate.transport = std::string(option.key);
    candidate.usable = path.usable && !path.waiting;
    candidate.chosen = option.key == report.chosen;
    candidate.reason = path.reason;
    if (!option.refused) {
      candidate.locality = std::string(transport::to_string(option.reach.locality));
      candidate.is_private = option.reach.is_private;
    }
    if (option.round_trip) {
      candidate.round_trip_ns = static_cast<std::uint64_t>(option.round_trip->count());
    }
    candidate.failures = option.failures;
    if (candidate.chosen) report.why = candidate.reason;
    report.candidates.push_back(std::move(candidate));
  }
  if (!report.chosen.empty()) return report;
  report.why = peer.has_address ? "no connection at the moment" : "no address is known yet";
  return report;
}

Result<void> PathEngine::prefer(const PeerPtr& peer, std::string key) {
  {
    const std::lock_guard lock(peer->mutex);
    if (!key.empty()) {
      const std::vector<PathOption> all = options(*peer);
      const auto found = std::find_if(all.begin(), all.end(),
                                      [&](const PathOption& each) { return each.key == key; });
      if (found == all.end()) {
        return velo::make_error(velo::Errc::invalid_argument, "no transport of ours is " + key);
      }
      if (found->refused) return make_error(Errc::no_route, key + ": " + *found->refused);
      // Whoever asks for it by name does not want to wait for its next time.
      of(*peer).records[static_cast<std::size_t>(found - all.begin())].again_at = TimePoint();
    }
    of(*peer).forced = std::move(key);
  }
  post(impl_.shard(peer->shard),
       [impl = impl_.shared_from_this(), peer] { impl->paths_->evaluate(peer); });
  return {};
}

PathReport PathEngine::report_of(Impl& impl, const InstanceId& id) {
  PathReport report;
  report.from = impl.self().instance_id.to_string();
  report.to = id.to_string();
  if (id == impl.self().instance_id) {
    report.chosen = "self";
    report.why = "chosen: it is this messenger";
    return report;
  }
  const auto peer = impl.find_peer(id);
  if (peer == nullptr) {
    report.why = "the peer is not known";
    return report;
  }
  if (impl.paths_ != nullptr) return impl.paths_->report(*peer);
  return PathEngine(impl, PathPolicy()).report(*peer);
}

Result<void> PathEngine::prefer_of(Impl& impl, const InstanceId& id, std::string_view transport) {
  const auto peer = impl.find_peer(id);
  if (peer == nullptr) return make_error(Errc::unknown_peer, id.to_string());
  if (impl.paths_ != nullptr) return impl.paths_->prefer(peer, std::string(transport));
  if (transport.empty() || impl.transports_.front()->key() == transport) return {};
  return velo::make_error(velo::Errc::invalid_argument,
                          "no transport of ours is " + std::string(transport));
}

}  // namespace velo::messenger
