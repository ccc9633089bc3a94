// SPDX-License-Identifier: Apache-2.0
// The items of one queue.

#include "queue_core.hpp"

#include <algorithm>

namespace velo::queue {
namespace queue_core_detail {

/// What an item costs beside its bytes, about.
constexpr std::size_t item_overhead = 256;

static Duration bounded(Duration asked, Duration otherwise) noexcept {
  const Duration chosen = asked.count() > 0 ? asked : otherwise;
  return std::clamp(chosen, Duration(0), Duration(limits::wait_max));
}

/// splitmix64's mixing: leases that follow each other do not show it.
static std::uint64_t mixed(std::uint64_t value) noexcept {
  value = (value ^ (value >> 30U)) * 0xbf58476d1ce4e5b9U;
  value = (value ^ (value >> 27U)) * 0x94d049bb133111ebU;
  return value ^ (value >> 31U);
}

}  // namespace queue_core_detail

std::size_t QueueCore::Stored::bytes() const noexcept {
  std::size_t sum = queue_core_detail::item_overhead + id.size() + payload.size();
  for (const auto& [name, value] : headers) sum += name.size() + value.size();
  return sum;
}

QueueCore::QueueCore(const QueueOptions& options, std::uint64_t first, std::uint64_t secret)
    : options_(options), next_item_(first), secret_(secret) {}

bool QueueCore::is_known(TimePoint now, const std::string& id) {
  while (!known_order_.empty() && known_order_.front().first <= now) {
    known_.erase(known_order_.front().second);
    known_order_.pop_front();
  }
  return known_.contains(id);
}

void QueueCore::remember(TimePoint now, const std::string& id) {
  if (options_.remember_ids.count() <= 0) return;
  if (known_order_.size() >= limits::remembered_ids_max) {
    known_.erase(known_order_.front().second);
    known_order_.pop_front();
  }
  const TimePoint until = now + options_.remember_ids;
  known_.emplace(id, until);
  known_order_.emplace_back(until, id);
}

Result<Receipt> QueueCore::send(TimePoint now, Bytes payload, const SendOptions& options) {
  if (closed_) return make_error(Errc::closed);
  if (auto sound = check_item(payload, options); !sound) return sound.error();
  if (!options.id.empty() && is_known(now, options.id)) {
    ++counts_.duplicates;
    return Receipt{options.id, true};
  }
  Stored stored;
  stored.id = options.id;
  if (stored.id.empty()) {
    stored.id = std::to_string(queue_core_detail::mixed(next_item_ ^ secret_));
  }
  stored.payload = std::move(payload);
  stored.headers = options.headers;
  stored.since = now;
  const std::size_t bytes = stored.bytes();
  if (items_.size() >= options_.items_max || bytes_ + bytes > options_.bytes_max) {
    // One that is larger than the whole queue would wait for ever.
    if (bytes > options_.bytes_max) return make_error(Errc::too_large, "larger than the queue");
    return make_error(
        Errc::full, std::to_string(items_.size()) + " items, " + std::to_string(bytes_) + " bytes");
  }
  bytes_ += bytes;
  ++counts_.queued;
  const std::uint64_t item = next_item_++;
  Receipt receipt{stored.id, false};
  if (!options.id.empty()) remember(now, options.id);
  ages_.emplace(now, item);
  Stored& kept = items_.emplace(item, std::move(stored)).first->second;
  if (options.delay.count() > 0) {
    wait_until(item, kept, Where::delayed,
               now + queue_core_detail::bounded(options.delay, Duration(0)));
  } else {
    ready_.insert(item);
  }
  return receipt;
}

std::vector<Delivery> QueueCore::receive(TimePoint now, const ReceiveOptions& options) {
  std::vector<Delivery> batch;
  const std::size_t most = std::clamp<std::size_t>(options.batch, 1, limits::batch_max);
  std::size_t bytes = 0;
  while (!ready_.empty() && batch.size() < most) {
    const std::uint64_t item = *ready_.begin();
    Stored& stored = items_.find(item)->second;
    if (!batch.empty() && bytes + stored.bytes() > limits::batch_bytes_max) break;
    bytes += stored.bytes();
    ready_.erase(ready_.begin());
    if (stored.deliveries++ > 0) ++counts_.redelivered;
    stored.token = queue_core_detail::mixed(secret_ + item * 0x9e3779b97f4a7c15U) ^
                   queue_core_detail::mixed(secret_ ^ stored.deliveries);
    wait_until(item, stored, Where::leased,
               now + queue_core_detail::bounded(options.visibility, options_.visibility));
    batch.push_back(
        {Lease{item, stored.token}, stored.id, stored.payload, stored.headers, stored.deliveries});
  }
  return batch;
}

QueueCore::Stored* QueueCore::leased(Lease lease) noexcept {
  const auto found = items_.find(lease.item);
  if (found == items_.end()) return nullptr;
  Stored& stored = found->second;
  return stored.where == Where::leased && stored.token == lease.token ? &stored : nullptr;
}

Result<void> QueueCore::ack(TimePoint now, Lease lease) {
  expire(now);
  if (leased(lease) == nullptr) return make_error(Errc::lease_lost);
  ++counts_.acked;
  remove(lease.item);
  return {};
}

Result<void> QueueCore::nack(TimePoint now, Lease lease, Duration delay) {
  expire(now);
  Stored* stored = leased(lease);
  if (stored == nullptr) return make_error(Errc::lease_lost);
  stop_waiting(lease.item, *stored);
  give_back(now, lease.item, *stored, queue_core_detail::bounded(delay, Duration(0)),
            "its receivers gave it back");
  return {};
}

Result<void> QueueCore::extend(TimePoint now, Lease lease, Duration visibility) {
  expire(now);
  Stored* stored = leased(lease);
  if (stored == nullptr) return make_error(Errc::lease_lost);
  stop_waiting(lease.item, *stored);
  wait_until(lease.item, *stored, Where::leased,
             now + queue_core_detail::bounded(visibility, options_.visibility));
  return {};
}

void QueueCore::wait_until(std::uint64_t item, Stored& stored, Where where, TimePoint until) {
  stored.where = where;
  stored.until = until;
  timed_.emplace(until, item);
}

void QueueCore::stop_waiting(std::uint64_t item, Stored& stored) noexcept {
  timed_.erase({stored.until, item});
}

void QueueCore::give_back(TimePoint now, std::uint64_t item, Stored& stored, Duration delay,
                          std::string reason) {
  stored.reason = std::move(reason);
  if (options_.dead_letters != nullptr && stored.deliveries >= options_.deliveries_max) {
    stored.where = Where::dying;
    dying_.insert(item);
  } else if (delay.count() > 0) {
    wait_until(item, stored, Where::delayed, now + delay);
  } else {
    stored.where = Where::ready;
    ready_.insert(item);
  }
}

void QueueCore::expire(TimePoint now) {
  while (!timed_.empty() && timed_.begin()->first <= now) {
    const std::uint64_t item = timed_.begin()->second;
    timed_.erase(timed_.begin());
    Stored& stored = items_.find(item)->second;
    if (stored.where == Where::leased) {
      give_back(now, item, stored, Duration(0), "its receivers' leases ran out");
    } else if (stored.where == Where::dying) {
      dying_.insert(item);
    } else {
      stored.where = Where::ready;
      ready_.insert(item);
    }
  }
}

TimePoint QueueCore::next_change() const noexcept {
  return timed_.empty() ? TimePoint::never() : timed_.begin()->first;
}

std::vector<std::pair<std::uint64_t, DeadLetter>> QueueCore::take_dead(const std::string& source,
                                                                       WallTime wall) {
  std::vector<std::pair<std::uint64_t, DeadLetter>> dead;
  for (const std::uint64_t item : std::exchange(dying_, {})) {
    const Stored& stored = items_.find(item)->second;
    DeadLetter letter;
    letter.source = source;
    letter.id = stored.id;
    letter.payload = stored.payload;
    for (const auto& [name, value] : stored.headers) letter.headers.emplace(name, value);
    letter.deliveries = stored.deliveries;
    letter.reason = stored.reason;
    letter.at = wall;
    dead.emplace_back(item, std::move(letter));
  }
  return dead;
}

void QueueCore::buried(std::uint64_t item) {
  ++counts_.dead;
  remove(item);
}

void QueueCore::spared(std::uint64_t item, TimePoint until) {
  wait_until(item, items_.find(item)->second, Where::dying, until);
}

void QueueCore::remove(std::uint64_t item) {
  const auto found = items_.find(item);
  stop_waiting(item, found->second);
  ages_.erase({found->second.since, item});
  bytes_ -= found->second.bytes();
  items_.erase(found);
}

QueueState QueueCore::state(TimePoint now) const {
  QueueState state = counts_;
  state.ready = ready_.size();
  for (const auto& [until, item] : timed_) {
    const Where where = items_.find(item)->second.where;
    if (where == Where::leased) ++state.leased;
  }
  state.delayed = items_.size() - state.ready - state.leased;
  state.bytes = bytes_;
  if (!ages_.empty()) state.oldest = now - ages_.begin()->first;
  return state;
}

}  // namespace velo::queue
