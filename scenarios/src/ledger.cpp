// SPDX-License-Identifier: Apache-2.0
// Keeping the ledger, and the promises it checks.

#include "ledger.hpp"

#include <velo/messenger/error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace velo::scenarios {

namespace ledger_detail {

static std::size_t index(Pattern pattern) noexcept { return static_cast<std::size_t>(pattern); }

static std::string_view pattern_name(Pattern pattern) noexcept {
  if (pattern == Pattern::fire) return "fire";
  return pattern == Pattern::sync ? "sync" : "unary";
}

static std::string to_string(Place place) { return fmt::format("n{}.{}", place.node, place.run); }

static Fate well(Pattern pattern) noexcept {
  if (pattern == Pattern::fire) return Fate::written;
  return pattern == Pattern::sync ? Fate::acknowledged : Fate::handled;
}

/// What an end means, by the documentation of the error codes.
static Fate fate_of(Pattern pattern, const Error* error) {
  using messenger::Errc;
  if (error == nullptr || error->code().room == Room::user) return well(pattern);
  for (const Errc by_handler : {Errc::failed, Errc::bad_request, Errc::handler_threw}) {
    if (error->is(by_handler)) return well(pattern);
  }
  if (error->is(Errc::connection_lost)) return Fate::unknown;
  if (error->is(Errc::deadline_exceeded)) return Fate::expired;
  if (error->is(Errc::cancelled)) return Fate::cancelled;
  // Said of a send that had left, it does not invite to send elsewhere.
  if (error->is(Errc::shutting_down) && error->retry() != Retry::elsewhere) return Fate::unknown;
  return Fate::rejected;
}

/// An expired send says so when it cannot have been handled.
static bool expired_unsent(const Error& error) {
  return error.is(messenger::Errc::deadline_exceeded) &&
         (error.context().starts_with("not sent") || error.context().starts_with("no call slot"));
}

}  // namespace ledger_detail

Ledger::Ledger(sim::Simulation& sim, std::size_t nodes, const LedgerOptions& options)
    : sim_(sim),
      options_(options),
      books_(nodes),
      epochs_(nodes),
      pauses_(nodes),
      calm_from_run_(nodes),
      last_seen_(nodes * nodes) {}

void Ledger::fail(std::string what) {
  if (failed()) return;
  const std::int64_t at = sim_.now().nanoseconds();
  failure_ = fmt::format("at {}.{:09} s: {}", at / 1'000'000'000, at % 1'000'000'000, what);
}

std::string Ledger::describe(std::uint64_t id) const {
  const Send& send = sends_[id];
  return fmt::format("{} #{} \"{}\" from {} to {}", ledger_detail::pattern_name(send.pattern), id,
                     route_name(send.route), ledger_detail::to_string(send.from),
                     ledger_detail::to_string(send.to));
}

RunBook& Ledger::book(Place place) { return books_[place.node][place.run]; }

bool Ledger::alive(Place place) const {
  const auto& runs = books_[place.node];
  return place.run < runs.size() && runs[place.run].alive;
}

bool Ledger::is_calm(const Send& send) const {
  return !trouble_everywhere_ && send.from.run >= calm_from_run_[send.from.node] &&
         send.to.run >= calm_from_run_[send.to.node];
}

TimePoint Ledger::local_now(std::uint32_t node) const { return sim_.node(node).clock().now(); }

void Ledger::run_began(Place place) {
  auto& runs = books_[place.node];
  if (runs.size() <= place.run) runs.resize(place.run + 1);
  runs[place.run].alive = true;
  connections_changed(place.node);
}

void Ledger::run_over(Place place) {
  if (!alive(place)) return;
  RunBook& over = book(place);
  over.alive = false;
  for (const std::uint64_t open : over.open) {
    open_ -= open;
    lost_ += open;
  }
}

void Ledger::connections_changed(std::uint32_t node) { ++epochs_[node]; }

void Ledger::trouble(Place place) {
  std::uint32_t& from = calm_from_run_[place.node];
  from = std::max(from, place.run + 1);
}

void Ledger::paused(std::uint32_t node, Duration duration) { pauses_[node] += duration; }

std::uint64_t Ledger::begin(Send send) {
  const std::uint64_t id = sends_.size();
  send.epoch = epochs_[send.from.node];
  RunBook& mine = book(send.from);
  ++mine.began[ledger_detail::index(send.pattern)];
  ++mine.open[ledger_detail::index(send.pattern)];
  ++open_;
  due_.push({(sim_.now() + send.timeout + options_.slack).nanoseconds(), id});
  sends_.push_back(send);
  return id;
}

void Ledger::cancel_asked(std::uint64_t id) { sends_[id].cancel_asked = true; }

void Ledger::dropped(std::uint64_t id) {
  Send& send = sends_[id];
  if (send.ended || !alive(send.from)) return;
  send.dropped = true;
  RunBook& mine = book(send.from);
  --mine.open[ledger_detail::index(send.pattern)];
  ++mine.dropped[ledger_detail::index(send.pattern)];
  --open_;
}

void Ledger::check_order(const Send& send, std::uint64_t id) {
  if (send.unordered || send.from.node == send.to.node) return;
  LastSeen& last = last_seen_[send.from.node * books_.size() + send.to.node];
  const bool comparable = last.from == send.from && last.to == send.to && last.epoch == send.epoch;
  if (comparable && id < last.id) {
    fail(fmt::format("{} came after {}, which was sent later", describe(id), describe(last.id)));
  }
  // What was sent before the sender's connections changed may arrive at any time.
  const bool older = last.from == send.from && last.to == send.to && send.epoch < last.epoch;
  if (!older) last = LastSeen{send.from, send.to, send.epoch, id};
}

void Ledger::handler_began(const Ask& ask, Place here, Duration time_left, bool in_order) {
  ++handled_;
  ++book(here).handled;
  if (ask.id >= sends_.size()) return fail(fmt::format("a handler runs for unknown #{}", ask.id));
  Send& send = sends_[ask.id];
  if (!(ask.from == send.from) || !(ask.to == send.to)) {
    return fail(fmt::format("{} arrived with another's body", describe(ask.id)));
  }
  if (!(here == send.to)) {
    return fail(
        fmt::format("{} was handled by {}", describe(ask.id), ledger_detail::to_string(here)));
  }
  if (++send.runs > 1) return fail(fmt::format("{} was handled twice", describe(ask.id)));
  if (send.never_runs) {
    return fail(
        fmt::format("{} was handled after it had ended as never handled", describe(ask.id)));
  }
  if (time_left > send.timeout) {
    return fail(fmt::format("{} has {} ns left at its handler, but was sent with {} ns",
                            describe(ask.id), time_left.count(), send.timeout.count()));
  }
  if (in_order) check_order(send, ask.id);
}

void Ledger::ended(std::uint64_t id, const Error* error, std::optional<Answer> answer) {
  Send& send = sends_[id];
  if (send.ended) return fail(fmt::format("{} ended twice", describe(id)));
  if (send.dropped) return fail(fmt::format("{} ended after its Op was dropped", describe(id)));
  send.ended = true;
  const Fate fate = ledger_detail::fate_of(send.pattern, error);
  send.well = error == nullptr;
  if (error == nullptr) check_success(send, id, answer);
  if (!alive(send.from)) return;  // what a dead node's clean-up hears is as good as anything
  RunBook& mine = book(send.from);
  const std::size_t row = ledger_detail::index(send.pattern);
  --mine.open[row];
  --open_;
  ++mine.ends[row][static_cast<std::size_t>(fate)];
  ++fates_[static_cast<std::size_t>(fate)];
  if (error != nullptr) check_error(send, id, *error, fate);
  if (is_calm(send)) check_expected(send, id, error);
}

void Ledger::check_success(const Send& send, std::uint64_t id,
                           const std::optional<Answer>& answer) {
  if (send.route == Route::missing ||
      (send.pattern != Pattern::fire &&
       (send.route == Route::fails || send.route == Route::throws || send.route == Route::never ||
        send.route == Route::drops))) {
    return fail(fmt::format("{} succeeded, which its handler never does", describe(id)));
  }
  if (send.pattern == Pattern::fire) return;
  if (send.pattern == Pattern::unary) {
    if (!answer) return fail(fmt::format("{} got a damaged answer", describe(id)));
    if (answer->id != id) {
      return fail(fmt::format("{} got the answer to #{}", describe(id), answer->id));
    }
    if (!(answer->by == send.to)) {
      return fail(
          fmt::format("{} was answered by {}", describe(id), ledger_detail::to_string(answer->by)));
    }
  }
  if (send.runs != 1) {
    fail(fmt::format("{} succeeded and was handled {} times", describe(id), send.runs));
  }
}

void Ledger::check_error(Send& send, std::uint64_t id, const Error& error, Fate fate) {
  if (fate == Fate::rejected || ledger_detail::expired_unsent(error)) {
    send.never_runs = true;
    if (send.runs != 0) {
      fail(fmt::format("{} was handled, but ended as \"{}\"", describe(id), error.to_string()));
    }
  }
  if (fate == ledger_detail::well(send.pattern) && send.runs != 1) {
    fail(fmt::format("{} ended with its handler's error \"{}\", but was handled {} times",
                     describe(id), error.to_string(), send.runs));
  }
  if (fate == Fate::cancelled && !send.cancel_asked) {
    fail(fmt::format("{} was cancelled by nobody", describe(id)));
  }
  if (fate == Fate::expired && local_now(send.from.node) < send.deadline) {
    fail(fmt::format("{} expired {} ns before its deadline", describe(id),
                     (send.deadline - local_now(send.from.node)).count()));
  }
  if (error.code().room == Room::user && error.context() != std::to_string(id)) {
    fail(fmt::format("{} ended with another's error: \"{}\"", describe(id), error.to_string()));
  }
}

void Ledger::check_expected(const Send& send, std::uint64_t id, const Error* error) {
  using messenger::Errc;
  const bool fire = send.pattern == Pattern::fire;
  bool as_expected = error == nullptr;
  if (error != nullptr) {
    if (send.route == Route::missing) as_expected = error->is(Errc::unknown_handler);
    if (send.route == Route::fails && !fire) as_expected = error->code().room == Room::user;
    if (send.route == Route::throws && !fire) as_expected = error->is(Errc::handler_threw);
    if (send.route == Route::drops && !fire) as_expected = error->is(Errc::failed);
    // Its time is short, and may be over before a way is found.
    if (send.route == Route::never) as_expected = error->is(Errc::deadline_exceeded);
    if (send.cancel_asked && error->is(Errc::cancelled)) as_expected = true;
    if (send.tight && error->is(Errc::deadline_exceeded)) as_expected = true;
    if (options_.may_overload && (error->is(Errc::overloaded) || error->is(Errc::too_many_calls) ||
                                  error->is(Errc::deadline_exceeded))) {
      as_expected = true;
    }
  }
  if (as_expected) return;
  fail(fmt::format("nothing had gone wrong, but {} ended as \"{}\"", describe(id),
                   error == nullptr ? std::string("success") : error->to_string()));
}

void Ledger::check_deadlines() {
  while (!due_.empty() && due_.top().at <= sim_.now().nanoseconds()) {
    const std::uint64_t id = due_.top().id;
    due_.pop();
    const Send& send = sends_[id];
    if (send.ended || send.dropped || !alive(send.from)) continue;
    const Duration late = local_now(send.from.node) - send.deadline;
    const Duration allowed = options_.slack + pauses_[send.from.node];
    if (late > allowed) {
      return fail(
          fmt::format("{} is still open {} ns after its deadline", describe(id), late.count()));
    }
    const Duration again = std::max<Duration>(allowed - late, std::chrono::milliseconds(1));
    due_.push({(sim_.now() + again).nanoseconds(), id});
  }
}

void Ledger::check_books(Place place, const Books& books) {
  if (!books.balanced()) {
    return fail(fmt::format("the books of {} do not balance", ledger_detail::to_string(place)));
  }
  const RunBook& mine = book(place);
  const std::array<const PatternBooks*, 3> patterns{&books.fire, &books.sync, &books.unary};
  for (std::size_t row = 0; row < patterns.size(); ++row) {
    const PatternBooks& pattern = *patterns[row];
    const bool ends_agree = pattern.in_flight <= mine.open[row] + mine.dropped[row];
    if (pattern.sent == mine.began[row] && ends_agree) continue;
    return fail(fmt::format("the books of {} say {} sends ({}) and {} in flight; really {} and {}",
                            ledger_detail::to_string(place), pattern.sent,
                            ledger_detail::pattern_name(static_cast<Pattern>(row)),
                            pattern.in_flight, mine.began[row], mine.open[row]));
  }
}

void Ledger::check_final_books(Place place, const Books& books) {
  check_books(place, books);
  const RunBook& mine = book(place);
  const std::array<const PatternBooks*, 3> patterns{&books.fire, &books.sync, &books.unary};
  for (std::size_t row = 0; row < patterns.size(); ++row) {
    if (patterns[row]->in_flight != 0 || mine.open[row] != 0) {
      return fail(fmt::format("{} still has {} sends in flight ({} open) at the end",
                              ledger_detail::to_string(place), patterns[row]->in_flight,
                              mine.open[row]));
    }
    for (std::size_t i = 0; i < fate_count; ++i) {
      const std::uint64_t counted = patterns[row]->ends[i];
      const std::uint64_t heard = mine.ends[row][i];
      if (counted >= heard && counted <= heard + mine.dropped[row]) continue;
      return fail(fmt::format("the books of {} say that {} {} sends ended as {}; really {}",
                              ledger_detail::to_string(place), counted,
                              ledger_detail::pattern_name(static_cast<Pattern>(row)),
                              fate_name(static_cast<Fate>(i)), heard));
    }
  }
  const ReceivedBooks& received = books.received;
  if (received.running != 0 || received.malformed != 0) {
    return fail(fmt::format("{} has {} running and {} malformed requests at the end",
                            ledger_detail::to_string(place), received.running, received.malformed));
  }
  if (received.requests - received.rejected != mine.handled) {
    fail(fmt::format(
        "the books of {} say that {} of {} requests were rejected; but {} were handled",
        ledger_detail::to_string(place), received.rejected, received.requests, mine.handled));
  }
}

void Ledger::check_arrivals() {
  for (std::uint64_t id = 0; id < sends_.size(); ++id) {
    const Send& send = sends_[id];
    if (send.pattern != Pattern::fire || !send.well || send.runs == 1 || !is_calm(send)) continue;
    return fail(fmt::format("nothing had gone wrong, but {} was handled {} times", describe(id),
                            send.runs));
  }
}

}  // namespace velo::scenarios
