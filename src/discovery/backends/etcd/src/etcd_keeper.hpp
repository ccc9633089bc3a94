// SPDX-License-Identifier: Apache-2.0
// Keeps keys in etcd as they are wanted: puts them, bound to one lease that it keeps alive, puts
// them again when they were lost, and deletes them. Several changes travel in one transaction.
// A key that another lease holds belongs to who announced it later: it is neither deleted nor put
// again. Not what the keys mean.
// Threading: on the channel's shard's thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "etcd_channel.hpp"

namespace velo::discovery::etcd {

class Keeper {
 public:
  using Done = std::move_only_function<void(Result<void>)>;

  /// `on_idle` is called whenever idle() became true; it must not destroy the keeper.
  Keeper(Channel& channel, std::move_only_function<void()> on_idle);
  Keeper(const Keeper&) = delete;

  /// Ends when the server has it; on failure what was put there before stays wanted. The number
  /// names this wish to remove(). `done` is not called inside.
  std::uint64_t put(const std::string& key, std::string value, Done done);
  /// Unless another put() of the key has succeeded meanwhile.
  void remove(const std::string& key, std::uint64_t number);
  /// Sends what is to be changed, so that it is done before what is submitted next.
  void flush();
  /// The server turned out not to have it.
  void lost(std::string_view key);
  std::size_t size() const noexcept { return entries_.size(); }
  /// Nothing is left to be told to the server.
  bool idle() const noexcept { return entries_.empty() && !revoking_; }

 private:
  struct Wish {
    std::uint64_t number = 0;
    std::string value;
    Done done;
  };
  struct Entry {
    std::optional<Wish> held;   ///< succeeded
    std::vector<Wish> pending;  ///< in order; the last one counts
    bool in_flight = false;
    /// The number of the wish that the server has, 0 for none; empty when that is not known.
    std::optional<std::uint64_t> applied = 0;

    const Wish* wanted() const noexcept {
      if (!pending.empty()) return &pending.back();
      return held ? &*held : nullptr;
    }
    std::uint64_t wanted_number() const noexcept {
      const Wish* wish = wanted();
      return wish != nullptr ? wish->number : 0;
    }
  };
  using Entries = std::map<std::string, Entry, std::less<>>;
  struct Sent {
    std::string key;
    std::uint64_t number;
  };
  enum class LeaseState : std::uint8_t { none, asked, held };

  void schedule(Duration delay);
  /// Notes what is to be done for the entry, which may be gone afterwards.
  void review(Entries::iterator at);
  bool send_batch();
  void sent(const std::vector<Sent>& batch, std::int64_t lease, Result<Answer> answer);
  void succeeded(Entry& entry, std::uint64_t number);
  void failed(Entry& entry, std::uint64_t number, const Error& error);
  void ask_lease();
  void lease_answered(Result<Answer> answer);
  void lose_lease(const char* why);
  void release_lease();
  void tend();
  void keep_alive();
  void verify();
  void fail_pending(const Error& error);
  void settle() {
    if (idle()) on_idle_();
  }

  Channel& channel_;
  std::move_only_function<void()> on_idle_;
  Entries entries_;
  std::set<std::string, std::less<>> dirty_;
  std::uint64_t last_number_ = 0;
  LeaseState lease_state_ = LeaseState::none;
  std::int64_t lease_ = 0;
  Duration ttl_;
  TimePoint confirmed_;          ///< when the lease was last known to live
  TimePoint lease_retry_;        ///< a refused lease is not asked for again before
  std::int64_t kept_alive_ = 0;  ///< the lease whose keep-alive is on its way
  bool revoking_ = false;
  unsigned turn_ = 0;
  Backoff backoff_;
  ShardTimer flush_timer_;
  ShardTimer tend_timer_;
};

}  // namespace velo::discovery::etcd
