// SPDX-License-Identifier: Apache-2.0
// Which keys are believed because of a certificate, for how long, and which are being asked for
// theirs. Bounded by limits::keys_max. Values in, questions out; time is an argument.
// Threading: a value; belongs to one owner.
#pragma once

#include <velo/base/time.hpp>
#include <velo/discovery/backends/multicast/limits.hpp>
#include <velo/discovery/backends/multicast/message.hpp>
#include <velo/discovery/backends/multicast/signing.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace velo::discovery::multicast {

class Believer {
 public:
  /// Whether the key is believed now; if not, its announcer is asked for certificates, at most once
  /// a second.
  bool believes(const RawKey& key, std::uint64_t announcer, TimePoint now,
                std::vector<Question>& ask) {
    const auto trusted = trusted_.find(key);
    if (trusted != trusted_.end()) {
      if (now < trusted->second) return true;
      trusted_.erase(trusted);
    }
    auto wanted = wanted_.find(key);
    if (wanted == wanted_.end()) {
      if (full(now)) return false;
      wanted = wanted_.try_emplace(key).first;
    } else if (now - wanted->second.asked < pause) {
      return false;
    }
    wanted->second = {now, announcer};
    Question question;
    question.about = Question::About::certificates;
    question.key = key;
    ask.push_back(question);
    return false;
  }

  bool wants_any() const noexcept { return !wanted_.empty(); }

  /// The announcer that was waiting to be believed, if one was.
  std::optional<std::uint64_t> learn(const BelievedKey& believed, TimePoint now, WallTime wall) {
    const auto wanted = wanted_.find(believed.key);
    if (wanted == wanted_.end()) return std::nullopt;
    const std::uint64_t announcer = wanted->second.announcer;
    wanted_.erase(wanted);
    const Duration valid(believed.until.unix_nanoseconds - wall.unix_nanoseconds);
    trusted_[believed.key] = now + std::min(valid, trust_time);
    return announcer;
  }

  std::size_t size() const noexcept { return trusted_.size() + wanted_.size(); }

 private:
  static constexpr Duration pause = std::chrono::seconds(1);
  /// Then the chain is judged again: it may have been revoked.
  static constexpr Duration trust_time = std::chrono::minutes(10);
  struct Wanted {
    TimePoint asked;
    std::uint64_t announcer = 0;
  };

  /// Room is made by those that did not answer and those that are over, once a second.
  bool full(TimePoint now) {
    if (size() < limits::keys_max) return false;
    if (now - swept_ < pause) return true;
    swept_ = now;
    std::erase_if(wanted_, [&](const auto& one) { return now - one.second.asked > 2 * pause; });
    std::erase_if(trusted_, [&](const auto& one) { return one.second <= now; });
    return size() >= limits::keys_max;
  }

  std::map<RawKey, TimePoint> trusted_;  ///< until
  std::map<RawKey, Wanted> wanted_;
  TimePoint swept_;
};

}  // namespace velo::discovery::multicast
