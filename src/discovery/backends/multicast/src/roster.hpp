// SPDX-License-Identifier: Apache-2.0
// The core that listens: who is believed, which rows they have, when a row is over. Everything that
// a stranger can make it hold or compute has a limit (limits.hpp). Values in, changes out; time and
// randomness are arguments.
// Threading: a value; belongs to one owner.
#pragma once

#include <velo/base/network.hpp>
#include <velo/discovery/backends/multicast/counters.hpp>
#include <velo/discovery/backends/multicast/limits.hpp>
#include <velo/discovery/backends/multicast/message.hpp>
#include <velo/discovery/backends/multicast/signing.hpp>

#include "announcer.hpp"
#include "assembler.hpp"
#include "believer.hpp"
#include "token_bucket.hpp"

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

namespace velo::discovery::multicast {

struct RosterOptions {
  std::uint64_t cluster = 0;
  std::uint64_t self = 0;        ///< one's own announcer number, whose statements are ignored
  const Trust* trust = nullptr;  ///< null: any key, the first one that names an instance
  bool accept_unsigned = false;
  std::size_t rows_max = limits::rows_max;
  std::size_t rows_bytes_max = limits::rows_bytes_max;
  std::size_t rows_bytes_per_source_max = limits::rows_bytes_per_source_max;
  std::size_t announcers_max = limits::announcers_max;
  std::size_t sources_max = limits::sources_max;
};

struct RosterChange {
  bool added = false;  ///< or changed; otherwise gone, and `row` has no entries
  Row row;
};

struct RosterOut {
  std::vector<RosterChange> changes;
  std::vector<std::pair<std::uint64_t, Row>> answers;  ///< to the question of that number
  std::vector<Question> ask;                           ///< without asker and number
  std::vector<Question> heard;                         ///< others' questions, for the Announcer
};

class Roster {
 public:
  /// `signing` and `random` outlive it.
  Roster(const RosterOptions& options, const Signing& signing, Random& random);

  void receive(const NetAddress& from, ByteSpan datagram, const Now& now, RosterOut& out);
  void tick(const Now& now, RosterOut& out);
  TimePoint wake() const noexcept;

  const Row* find(const Row::Key& key) const;
  const Row* find_peer(WorkerId id) const;
  std::vector<Row> rows() const;
  Counters counters() const;

 private:
  struct Known {
    SourceId source{};
    std::uint64_t highest = 0;
    std::uint64_t seen = 0;     ///< bit i: highest - i was heard
    std::uint64_t goodbye = 0;  ///< the latest; older statements bring nothing new
    TimePoint forget;
    std::set<Row::Key> rows;
  };
  struct Held {
    Row row;
    AnnouncerId from;
    std::uint64_t sequence = 0;
    std::uint64_t digest = 0;  ///< of a row that came in parts
    std::size_t bytes = 0;     ///< as it is sent
    TimePoint heard;
    Duration lifetime{0};
    TimePoint check;
    int stage = 0;
  };
  struct Source {
    TokenBucket rate;
    std::size_t announcers = 0;
    std::size_t rows = 0;
    std::size_t bytes = 0;  ///< of the rows
  };
  struct Owner {
    RawKey key{};
    std::size_t rows = 0;
  };

  bool within_rate(const SourceId& source, const Now& now);
  void hear(const Statement& said, const Received& received, const SourceId& source, const Now& now,
            RosterOut& out);
  void hear(const Chain& chain, const Now& now, RosterOut& out);
  void hear(const Question& question, const Now& now, RosterOut& out);
  bool authentic(const Statement& said, const Received& received, bool known, const Now& now);
  static bool repeated(const Known& known, std::uint64_t sequence) noexcept;
  static void note(Known& known, std::uint64_t sequence) noexcept;
  Known* admit(const AnnouncerId& id, const SourceId& source);
  void keep(const AnnouncerId& id, Known& known, TimePoint until);
  void take(const Row& row, const Statement& said, const AnnouncerId& id, Known& known,
            const Now& now, RosterOut& out);
  void schedule(const Row::Key& key, Held& held, const Now& now);
  void drop(const Row::Key& key, RosterOut& out);
  bool heard_lately(const Part& part, const AnnouncerId& id, const Now& now) const;
  void take_part(const Statement& said, const AnnouncerId& id, Known& known, const Now& now,
                 RosterOut& out);
  bool is_others(const RawKey& key, const InstanceId& id) const;
  bool has_room(Source* source, std::size_t rows, std::size_t bytes) const;
  void count(const Known& known, std::ptrdiff_t rows, std::ptrdiff_t bytes);
  Source* source_of(const Known& known);
  bool note_asked(std::uint64_t announcer, const Now& now);
  void forget_announcers(const Now& now);

  RosterOptions options_;
  const Signing& signing_;
  Random& random_;
  Counters counters_;
  TokenBucket verifications_;
  TokenBucket others_;  ///< sources beyond sources_max
  TimePoint swept_;
  std::map<SourceId, Source> sources_;
  std::map<AnnouncerId, Known> announcers_;
  std::set<std::pair<TimePoint, AnnouncerId>> forgetting_;
  std::map<Row::Key, Held> rows_;
  std::size_t rows_bytes_ = 0;
  Assembler parts_;
  std::set<std::pair<TimePoint, Row::Key>> checks_;
  std::map<WorkerId, InstanceId> workers_;
  std::map<InstanceId, Owner> owners_;
  std::map<std::uint64_t, TimePoint> asked_;  ///< announcers, and when somebody asked them
  Believer believer_;
};

}  // namespace velo::discovery::multicast
