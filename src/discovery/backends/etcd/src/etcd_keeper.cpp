// SPDX-License-Identifier: Apache-2.0
// The keys that are wanted, and the transactions that bring the server there.

#include "etcd_keeper.hpp"

#include <velo/base/log.hpp>
#include <velo/discovery/limits.hpp>

#include <algorithm>
#include <utility>

namespace velo::discovery::etcd {

/// A day.
constexpr std::int64_t lease_seconds_max = 86'400;

Keeper::Keeper(Channel& channel, std::move_only_function<void()> on_idle)
    : channel_(channel),
      on_idle_(std::move(on_idle)),
      ttl_(channel.options().lease_ttl),
      backoff_(channel.options().backoff_min, channel.options().backoff_max),
      flush_timer_(channel.shard()),
      tend_timer_(channel.shard()) {}

std::uint64_t Keeper::put(const std::string& key, std::string value, Done done) {
  const std::uint64_t number = ++last_number_;
  const auto at = entries_.try_emplace(key).first;
  at->second.pending.push_back(Wish{number, std::move(value), std::move(done)});
  review(at);
  return number;
}

void Keeper::remove(const std::string& key, std::uint64_t number) {
  const auto at = entries_.find(key);
  if (at == entries_.end() || !at->second.held || at->second.held->number != number) return;
  at->second.held.reset();
  review(at);
}

void Keeper::lost(std::string_view key) {
  const auto at = entries_.find(key);
  if (at == entries_.end() || at->second.in_flight || at->second.wanted() == nullptr) return;
  if (at->second.applied != at->second.wanted_number()) return;
  at->second.applied.reset();
  review(at);
}

void Keeper::schedule(Duration delay) {
  if (flush_timer_.running() && delay > Duration::zero()) return;
  flush_timer_.start(delay, [this] { flush(); });
}

void Keeper::review(Entries::iterator at) {
  const Entry& entry = at->second;
  if (entry.in_flight) return;
  // Without a lease the server has none of these keys.
  const bool gone = entry.applied == 0 || lease_state_ != LeaseState::held;
  if (entry.wanted() == nullptr && gone) {
    dirty_.erase(at->first);
    entries_.erase(at);
    if (!entries_.empty()) return;
    release_lease();
    return settle();
  }
  if (entry.applied == entry.wanted_number()) return;
  dirty_.insert(at->first);
  schedule(Duration::zero());
}

// ---- transactions ----

void Keeper::flush() {
  flush_timer_.cancel();
  while (send_batch()) {
  }
}

/// False when there is nothing to send, or nothing can be sent.
bool Keeper::send_batch() {
  std::vector<Sent> batch;
  std::vector<Change> changes;
  std::size_t bytes = 0;
  bool lease_needed = false;
  for (auto next = dirty_.begin();
       next != dirty_.end() && batch.size() < limits::etcd_batch_entries;) {
    const auto at = entries_.find(*next);
    const Wish* wish = at->second.wanted();
    if (wish != nullptr && lease_state_ != LeaseState::held) {
      lease_needed = true;
      ++next;
      continue;
    }
    Change change;
    change.key = at->first;
    if (wish != nullptr) change.value = wish->value;
    change.again = wish != nullptr && at->second.pending.empty();
    bytes += at->first.size() + (wish != nullptr ? wish->value.size() * (change.again ? 2 : 1) : 0);
    if (!batch.empty() && bytes > limits::etcd_batch_bytes) break;
    changes.push_back(change);
    batch.push_back(Sent{at->first, at->second.wanted_number()});
    at->second.in_flight = true;
    next = dirty_.erase(next);
  }
  if (lease_needed) ask_lease();
  if (batch.empty()) return false;
  std::string body = txn_request(changes, lease_);
  auto done = [this, batch, lease = lease_](Result<Answer> answer) {
    sent(batch, lease, std::move(answer));
  };
  if (channel_.submit(path::txn, std::move(body), std::move(done))) return true;
  // The queue is full: later, and those who wait learn of it by their own requests' ends.
  for (const Sent& item : batch) {
    entries_.find(item.key)->second.in_flight = false;
    dirty_.insert(item.key);
  }
  schedule(backoff_.next(channel_.world().random()));
  return false;
}

void Keeper::sent(const std::vector<Sent>& batch, std::int64_t lease, Result<Answer> answer) {
  const bool done = answer && answer->ok();
  const bool lease_gone = answer && answer->refusal.code == grpc_code::not_found;
  if (lease_gone && lease == lease_) lose_lease("the server does not know it any more");
  bool again = false;
  for (const Sent& item : batch) {
    const auto at = entries_.find(item.key);
    Entry& entry = at->second;
    entry.in_flight = false;
    entry.applied = done ? std::optional(item.number) : std::nullopt;
    if (done) {
      succeeded(entry, item.number);
    } else if (!lease_gone) {
      failed(entry, item.number, answer ? to_error(answer->refusal) : answer.error());
      if (entry.wanted() != nullptr || lease_state_ == LeaseState::held) {
        again = true;
        dirty_.insert(item.key);
        continue;
      }
    }
    review(at);
  }
  if (done) backoff_.reset();
  if (again) schedule(backoff_.next(channel_.world().random()));
}

void Keeper::succeeded(Entry& entry, std::uint64_t number) {
  std::vector<Done> ended;
  while (!entry.pending.empty() && entry.pending.front().number <= number) {
    ended.push_back(std::move(entry.pending.front().done));
    entry.held = std::move(entry.pending.front());
    entry.pending.erase(entry.pending.begin());
  }
  for (Done& done : ended) done({});
}

void Keeper::failed(Entry& entry, std::uint64_t number, const Error& error) {
  while (!entry.pending.empty() && entry.pending.front().number <= number) {
    Done done = std::move(entry.pending.front().done);
    entry.pending.erase(entry.pending.begin());
    done(error);
  }
}

/// Those that are not being sent; the others learn it from their transaction.
void Keeper::fail_pending(const Error& error) {
  std::vector<std::string> keys;
  for (auto& [key, entry] : entries_) {
    if (entry.in_flight || entry.pending.empty()) continue;
    failed(entry, entry.wanted_number(), error);
    keys.push_back(key);
  }
  for (const std::string& key : keys) review(entries_.find(key));
  if (!dirty_.empty()) schedule(Duration::zero());
}

// ---- the lease ----

void Keeper::ask_lease() {
  if (lease_state_ != LeaseState::none) return;
  const TimePoint now = channel_.shard().now();
  if (now < lease_retry_) return schedule(lease_retry_ - now);
  lease_state_ = LeaseState::asked;
  Channel::Call call;
  call.path = path::grant;
  call.body = grant_request(
      std::chrono::duration_cast<std::chrono::seconds>(channel_.options().lease_ttl).count());
  call.deadline = channel_.usual_deadline();
  call.urgent = true;
  call.done = [this](Result<Answer> answer) { lease_answered(std::move(answer)); };
  static_cast<void>(channel_.submit(std::move(call)));
}

void Keeper::lease_answered(Result<Answer> answer) {
  lease_state_ = LeaseState::none;
  Result<LeaseReply> reply = answer ? Result<LeaseReply>(LeaseReply{}) : answer.error();
  if (answer) {
    reply = answer->ok() ? read_lease(answer->body) : Result<LeaseReply>(to_error(answer->refusal));
  }
  if (!reply || reply->ttl_seconds <= 0) {
    const Error error =
        reply ? velo::make_error(velo::Errc::io, "etcd granted no lease") : reply.error();
    VELO_LOG_WARN(discovery, "etcd grants no lease", {"error", error});
    lease_retry_ = channel_.shard().now() + backoff_.next(channel_.world().random());
    return fail_pending(error);
  }
  lease_state_ = LeaseState::held;
  lease_ = reply->lease;
  // What a server may claim is bounded, as it is multiplied below.
  ttl_ = std::chrono::seconds(std::min(reply->ttl_seconds, lease_seconds_max));
  confirmed_ = channel_.shard().now();
  turn_ = 0;
  if (entries_.empty()) return release_lease();
  tend_timer_.start(ttl_ / 3, [this] { tend(); });
  flush();
}

void Keeper::lose_lease(const char* why) {
  if (lease_state_ != LeaseState::held) return;
  VELO_LOG_WARN(discovery, "the lease of the announcements is lost; they are announced again",
                {"reason", why});
  lease_state_ = LeaseState::none;
  tend_timer_.cancel();
  std::vector<std::string> keys;
  for (auto& [key, entry] : entries_) {
    if (entry.in_flight) continue;
    entry.applied.reset();
    keys.push_back(key);
  }
  for (const std::string& key : keys) review(entries_.find(key));
}

void Keeper::release_lease() {
  if (lease_state_ != LeaseState::held) return;
  lease_state_ = LeaseState::none;
  tend_timer_.cancel();
  revoking_ = channel_
                  .submit(path::revoke, lease_request(lease_),
                          [this](const Result<Answer>&) {
                            revoking_ = false;
                            settle();
                          })
                  .has_value();
}

void Keeper::tend() {
  tend_timer_.start(ttl_ / 3, [this] { tend(); });
  const auto wanted = [](const auto& item) { return item.second.wanted() != nullptr; };
  if (std::ranges::none_of(entries_, wanted)) {
    // Only deletions are left, which no server took: the lease's end does the same.
    if (channel_.shard().now() - confirmed_ <= ttl_) return;
    lease_state_ = LeaseState::none;
    tend_timer_.cancel();
    std::erase_if(entries_, [this](const auto& item) {
      if (item.second.in_flight) return false;
      dirty_.erase(item.first);
      return true;
    });
    return settle();
  }
  keep_alive();
  if (++turn_ % 3 == 0) verify();
}

void Keeper::keep_alive() {
  if (std::exchange(kept_alive_, lease_) == lease_) return;
  Channel::Call call;
  call.path = path::keepalive;
  call.body = lease_request(lease_);
  call.deadline = channel_.shard().now() + ttl_;
  call.urgent = true;
  call.done = [this, lease = lease_](Result<Answer> answer) {
    if (kept_alive_ == lease) kept_alive_ = 0;
    if (lease != lease_ || lease_state_ != LeaseState::held) return;
    if (!answer) {
      VELO_LOG_WARN(discovery, "the lease of the announcements could not be kept alive",
                    {"error", answer.error()});
      return;
    }
    if (!answer->ok()) {
      if (answer->refusal.code == grpc_code::not_found) lose_lease("not found");
      return;
    }
    const Result<LeaseReply> reply = read_lease(answer->body);
    if (!reply || reply->lease != lease) return;
    if (reply->ttl_seconds <= 0) return lose_lease("it has run out");
    confirmed_ = channel_.shard().now();
  };
  static_cast<void>(channel_.submit(std::move(call)));
}

/// Somebody may have deleted a key by hand.
void Keeper::verify() {
  auto done = [this, lease = lease_](Result<Answer> answer) {
    if (lease != lease_ || lease_state_ != LeaseState::held || !answer || !answer->ok()) return;
    const Result<LeaseReply> reply = read_lease(answer->body);
    if (!reply || reply->lease != lease) return;
    std::set<std::string_view> there;
    for (const Bytes& key : reply->keys) there.insert(key.text());
    std::vector<std::string> missing;
    for (const auto& [key, entry] : entries_) {
      if (!there.contains(key)) missing.push_back(key);
    }
    for (const std::string& key : missing) lost(key);
  };
  static_cast<void>(channel_.submit(path::timetolive, lease_request(lease_), std::move(done)));
}

}  // namespace velo::discovery::etcd
