// SPDX-License-Identifier: Apache-2.0
// Ledger: what really happened to every send of a simulation, kept by the test's own hands: who
// began it, how often its handler ran, how it ended. It knows the promises of the messenger and
// remembers the first one that was broken. It reads none of the product's counters; they are
// compared with it.
// Threading: the one thread that drives the simulation.
#pragma once

#include "ask.hpp"

#include <velo/base/error.hpp>
#include <velo/messenger/call.hpp>
#include <velo/messenger/fates.hpp>
#include <velo/sim/simulation.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <queue>
#include <string>
#include <vector>

namespace velo::scenarios {

using messenger::Pattern;

/// What the ledger knows of one send.
struct Send {
  Place from;
  Place to;
  TimePoint deadline;  ///< on the sender's clock
  Duration timeout{0};
  Pattern pattern = Pattern::fire;
  Route route = Route::note;
  bool tight = false;      ///< its deadline may well come before the answer
  bool unordered = false;  ///< may be overtaken: it waited for a call slot

  // The ledger's own.
  std::uint8_t runs = 0;
  bool ended = false;
  bool well = false;
  bool dropped = false;
  bool cancel_asked = false;
  bool never_runs = false;  ///< ended in a way that promises that no handler ran
  std::uint32_t epoch = 0;  ///< of the sender's connections
};

/// What one incarnation of a node sent and handled.
struct RunBook {
  bool alive = false;
  std::array<std::uint64_t, 3> began{};
  std::array<std::uint64_t, 3> open{};
  std::array<std::uint64_t, 3> dropped{};
  std::array<std::array<std::uint64_t, fate_count>, 3> ends{};
  std::uint64_t handled = 0;  ///< handlers that started here
};

struct LedgerOptions {
  /// How much later than its deadline a call may be heard to end: posted tasks, pauses excepted.
  Duration slack = std::chrono::milliseconds(50);
  /// Whether limits may be reached: then `overloaded` and `too_many_calls` are ends like others.
  bool may_overload = false;
};

class Ledger {
 public:
  Ledger(sim::Simulation& sim, std::size_t nodes, const LedgerOptions& options);

  /// Empty, or the first promise that was broken.
  const std::string& failure() const noexcept { return failure_; }
  bool failed() const noexcept { return !failure_.empty(); }
  void fail(std::string what);

  // ---- what the simulation does ----

  void run_began(Place place);
  void run_over(Place place);
  /// A connection of this node broke or closed: order is promised from here on anew.
  void connections_changed(std::uint32_t node);
  /// From here on any end is possible for everybody's sends.
  void trouble_everywhere() noexcept { trouble_everywhere_ = true; }
  /// The same for sends from and to this run.
  void trouble(Place place);
  /// The node will run nothing for so long.
  void paused(std::uint32_t node, Duration duration);

  // ---- what the nodes do ----

  /// Just before the send. Returns its id.
  std::uint64_t begin(Send send);
  void cancel_asked(std::uint64_t id);
  /// Its Op was dropped: no end will be heard of.
  void dropped(std::uint64_t id);
  /// Its handler starts at `here`; `in_order` if handlers of this kind run in the order of arrival.
  void handler_began(const Ask& ask, Place here, Duration time_left, bool in_order);
  /// The end, once. With an answer if the pattern has one.
  void ended(std::uint64_t id, const Error* error, std::optional<Answer> answer);

  // ---- checks ----

  /// Cheap: no open send is past its deadline.
  void check_deadlines();
  /// The product's books of a run, between two events.
  void check_books(Place place, const Books& books);
  /// The same when nothing is moving any more.
  void check_final_books(Place place, const Books& books);
  /// Then also: what nobody answers, and nothing happened to, was handled.
  void check_arrivals();

  const Send& operator[](std::uint64_t id) const { return sends_[id]; }
  std::uint64_t count() const noexcept { return sends_.size(); }
  /// Sends of live runs that have not been heard to end.
  std::uint64_t open() const noexcept { return open_; }
  std::uint64_t ends(Fate fate) const noexcept { return fates_[static_cast<std::size_t>(fate)]; }
  std::uint64_t handled() const noexcept { return handled_; }
  std::uint64_t lost_with_their_node() const noexcept { return lost_; }
  bool calm() const noexcept { return !trouble_everywhere_; }
  std::string describe(std::uint64_t id) const;

 private:
  struct Due {
    std::int64_t at;
    std::uint64_t id;
    friend bool operator>(const Due& a, const Due& b) noexcept {
      return a.at != b.at ? a.at > b.at : a.id > b.id;
    }
  };
  struct LastSeen {
    Place from;
    Place to;
    std::uint32_t epoch = 0;
    std::uint64_t id = 0;
  };

  RunBook& book(Place place);
  bool alive(Place place) const;
  bool is_calm(const Send& send) const;
  TimePoint local_now(std::uint32_t node) const;
  void check_order(const Send& send, std::uint64_t id);
  void check_success(const Send& send, std::uint64_t id, const std::optional<Answer>& answer);
  void check_error(Send& send, std::uint64_t id, const Error& error, Fate fate);
  void check_expected(const Send& send, std::uint64_t id, const Error* error);

  sim::Simulation& sim_;
  const LedgerOptions options_;
  std::string failure_;
  std::vector<Send> sends_;
  std::vector<std::vector<RunBook>> books_;  ///< by node, by run
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
  std::vector<std::uint32_t> epochs_;
  std::vector<Duration> pauses_;
  std::vector<std::uint32_t> calm_from_run_;
  std::vector<LastSeen> last_seen_;  ///< by sending node times nodes plus receiving node
  bool trouble_everywhere_ = false;
  std::uint64_t open_ = 0;
  std::uint64_t handled_ = 0;
  std::uint64_t lost_ = 0;
  std::array<std::uint64_t, fate_count> fates_{};
};

}  // namespace velo::scenarios
