// SPDX-License-Identifier: Apache-2.0
// The core that speaks: one's own rows, when they are said again, answers to questions, goodbyes.
// Values in, datagrams out; time and randomness are arguments.
// Threading: a value; belongs to one owner.
#pragma once

#include <velo/base/time.hpp>
#include <velo/base/world.hpp>
#include <velo/discovery/backends/multicast/message.hpp>
#include <velo/discovery/backends/multicast/signing.hpp>

#include "token_bucket.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <vector>

namespace velo::discovery::multicast {

struct Now {
  TimePoint at;
  WallTime wall;
  std::int64_t unix_milliseconds() const noexcept { return wall.unix_nanoseconds / 1'000'000; }
};

using Datagrams = std::vector<std::vector<std::byte>>;

struct AnnouncerOptions {
  std::uint64_t cluster = 0;
  Duration interval_min = std::chrono::seconds(1);
  Duration interval_max = std::chrono::seconds(10);
  /// Answers to everybody's question come within this.
  Duration answer_spread = std::chrono::milliseconds(200);
  bool is_signed = true;
  std::vector<std::byte> chain;  ///< the datagram with one's certificates; empty: none
};

class Announcer {
 public:
  /// `signing` and `random` outlive it.
  Announcer(AnnouncerOptions options, const Signing& signing, Random& random);

  std::uint64_t number() const noexcept { return number_; }
  std::size_t size() const noexcept { return rows_.size(); }
  const Row* find(const Row::Key& key) const;
  const Row* find_peer(WorkerId id) const;

  /// Errc::invalid_argument beyond large_row_bytes_max, Errc::overloaded beyond own_rows_max and
  /// own_large_rows_max.
  Result<void> put(Row row);
  void remove(const Row::Key& key);
  /// Says what put() and remove() changed since the last time.
  void flush(const Now& now, Datagrams& out);
  /// A way to others is new: says everything soon, as at the start.
  void greet(const Now& now);
  void hear(const Question& question, const Now& now, Datagrams& out);
  void tick(const Now& now, Datagrams& out);
  TimePoint wake() const noexcept;
  /// That everything it announced is gone.
  void leave(const Now& now, Datagrams& out);

 private:
  void say_all(const Now& now, Datagrams& out);
  void say(const std::vector<const Row*>& rows, const Now& now, std::uint64_t answers,
           Datagrams& out);
  void say_parts(const Row& row, const Now& now, std::uint64_t answers, Datagrams& out);
  void say_goodbye(const Now& now, Datagrams& out);
  void send(Statement said, const Now& now, Datagrams& out);
  void soon(const Now& now);
  Duration jitter(Duration around);
  std::uint32_t lifetime(const Now& now) const;

  AnnouncerOptions options_;
  const Signing& signing_;
  Random& random_;
  const std::uint64_t number_;
  std::uint64_t sequence_ = 0;
  std::map<Row::Key, Row> rows_;
  std::map<WorkerId, InstanceId> workers_;
  std::set<Row::Key> large_;  ///< rows that are said in parts
  std::set<Row::Key> changed_;
  std::map<Row::Key, int> departed_;  ///< how often its end is still to be said
  Duration interval_;                 ///< after the next time
  TimePoint next_ = TimePoint::never();
  TimePoint answer_ = TimePoint::never();
  TimePoint chain_said_;
  TokenBucket answers_;
};

}  // namespace velo::discovery::multicast
