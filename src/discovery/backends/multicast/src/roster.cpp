// SPDX-License-Identifier: Apache-2.0
// From a datagram to a row: rate, format, cluster, time, repetition, trust, signature, ownership,
// in the order of their cost.

#include "roster.hpp"

#include <algorithm>
#include <utility>

namespace velo::discovery::multicast {
namespace roster_detail {

constexpr std::uint64_t window = 64;  ///< statements that may overtake each other
constexpr Duration ask_pause = std::chrono::milliseconds(250);
constexpr std::size_t asked_max = 1024;  ///< beyond, questions are not held back
constexpr Duration lifetime_min = std::chrono::milliseconds(10);
constexpr Duration lifetime_max = std::chrono::minutes(10);
/// Checking a chain costs as much as this many signatures.
constexpr std::size_t chain_cost = 4;
constexpr Duration sweep_pause = std::chrono::seconds(1);
/// Percent of a row's lifetime after which its announcer is asked; at the end the row is over.
constexpr std::array<int, 3> ask_at{60, 75, 90};

static std::array<std::uint8_t, 16> source_of(const NetAddress& from) noexcept { return from.ip; }

}  // namespace roster_detail

Roster::Roster(const RosterOptions& options, const Signing& signing, Random& random)
    : options_(options),
      signing_(signing),
      random_(random),
      verifications_(limits::verifications_per_second_max, limits::verifications_per_second_max),
      others_(limits::source_datagrams_per_second_max,
              2 * limits::source_datagrams_per_second_max) {}

void Roster::receive(const NetAddress& from, ByteSpan datagram, const Now& now, RosterOut& out) {
  ++counters_.datagrams;
  const SourceId source = roster_detail::source_of(from);
  if (!within_rate(source, now)) {
    ++counters_.over_rate;
    return;
  }
  const Result<Received> received = decode(datagram);
  if (!received) {
    ++counters_.malformed;
  } else if (received->cluster != options_.cluster) {
    ++counters_.foreign;
  } else if (const auto* said = std::get_if<Statement>(&received->message)) {
    hear(*said, *received, source, now, out);
  } else if (const auto* question = std::get_if<Question>(&received->message)) {
    hear(*question, now, out);
  } else if (const auto* chain = std::get_if<Chain>(&received->message)) {
    hear(*chain, now, out);
  }
}

bool Roster::within_rate(const SourceId& source, const Now& now) {
  constexpr std::size_t rate = limits::source_datagrams_per_second_max;
  auto found = sources_.find(source);
  if (found == sources_.end()) {
    if (sources_.size() >= options_.sources_max && now.at - swept_ >= roster_detail::sweep_pause) {
      swept_ = now.at;
      std::erase_if(sources_, [&](const auto& one) {
        return one.second.announcers == 0 &&
               now.at - one.second.rate.used() > roster_detail::sweep_pause;
      });
    }
    if (sources_.size() >= options_.sources_max) return others_.take(now.at);
    found = sources_.try_emplace(source, Source{TokenBucket(rate, 2 * rate)}).first;
  }
  return found->second.rate.take(now.at);
}

// ---- statements ----

void Roster::hear(const Statement& said, const Received& received, const SourceId& source,
                  const Now& now, RosterOut& out) {
  if (said.announcer == options_.self) return;
  const std::int64_t difference = said.unix_milliseconds - now.unix_milliseconds();
  constexpr std::int64_t skew = limits::clock_skew_max.count() / 1'000'000;
  if (difference > skew || difference < -skew) {
    ++counters_.wrong_time;
    return;
  }
  const AnnouncerId id{said.key, said.announcer};
  const auto found = announcers_.find(id);
  if (found != announcers_.end() && repeated(found->second, said.sequence)) {
    ++counters_.repeated;
    return;
  }
  const bool needs_chain = options_.trust != nullptr && said.is_signed;
  if (needs_chain && !believer_.believes(said.key, said.announcer, now.at, out.ask)) {
    ++counters_.untrusted;
    return;
  }
  if (!authentic(said, received, found != announcers_.end(), now)) return;
  Known* known = found != announcers_.end() ? &found->second : admit(id, source);
  if (known == nullptr) {
    ++counters_.refused;
    return;
  }
  ++counters_.accepted;
  note(*known, said.sequence);
  const Duration lifetime =
      std::clamp<Duration>(std::chrono::milliseconds(said.lifetime_milliseconds), Duration::zero(),
                           roster_detail::lifetime_max);
  // As long as a copy of what it said could still pass for new.
  keep(id, *known, now.at + lifetime + 2 * limits::clock_skew_max);
  if (!said.goodbye) {
    for (const Row& row : said.rows) take(row, said, id, *known, now, out);
    return;
  }
  known->goodbye = std::max(known->goodbye, said.sequence);
  std::vector<Row::Key> gone;
  if (said.rows.empty()) gone.assign(known->rows.begin(), known->rows.end());
  for (const Row& row : said.rows) gone.push_back(row.key());
  for (const Row::Key& key : gone) {
    const auto held = rows_.find(key);
    if (held != rows_.end() && held->second.from == id && held->second.sequence < said.sequence) {
      drop(key, out);
    }
  }
}

bool Roster::authentic(const Statement& said, const Received& received, bool known,
                       const Now& now) {
  if (!said.is_signed) {
    if (options_.accept_unsigned && said.key == RawKey()) return true;
    ++counters_.forged;
    return false;
  }
  // Strangers leave half of the time for checking to those who are known.
  const std::size_t left = known ? 0 : limits::verifications_per_second_max / 2;
  if (!verifications_.take(now.at, 1, left)) {
    ++counters_.unchecked;
    return false;
  }
  if (signing_.verify(said.key, received.signed_part, received.signature)) return true;
  ++counters_.forged;
  return false;
}

bool Roster::repeated(const Known& known, std::uint64_t sequence) noexcept {
  if (sequence > known.highest) return false;
  const std::uint64_t behind = known.highest - sequence;
  return behind >= roster_detail::window || (known.seen >> behind & 1U) != 0;
}

void Roster::note(Known& known, std::uint64_t sequence) noexcept {
  if (sequence > known.highest) {
    const std::uint64_t ahead = sequence - known.highest;
    known.seen = ahead >= roster_detail::window ? 0 : known.seen << ahead;
    known.highest = sequence;
    known.seen |= 1;
  } else {
    known.seen |= std::uint64_t{1} << (known.highest - sequence);
  }
}

Roster::Known* Roster::admit(const AnnouncerId& id, const SourceId& source) {
  if (announcers_.size() >= options_.announcers_max) return nullptr;
  const auto from = sources_.find(source);
  if (from != sources_.end()) {
    if (from->second.announcers >= limits::announcers_per_source_max) return nullptr;
    ++from->second.announcers;
  }
  Known& known = announcers_[id];
  known.source = source;
  return &known;
}

void Roster::keep(const AnnouncerId& id, Known& known, TimePoint until) {
  if (until <= known.forget) return;
  forgetting_.erase({known.forget, id});
  known.forget = until;
  forgetting_.insert({until, id});
}

void Roster::forget_announcers(const Now& now) {
  while (!forgetting_.empty() && forgetting_.begin()->first <= now.at) {
    const AnnouncerId id = forgetting_.begin()->second;
    forgetting_.erase(forgetting_.begin());
    const auto known = announcers_.find(id);
    const auto from = sources_.find(known->second.source);
    if (from != sources_.end() && from->second.announcers > 0) --from->second.announcers;
    announcers_.erase(known);
  }
}

// ---- rows ----

/// How many rows came from its address; a source with announcers is never forgotten.
std::size_t* Roster::rows_of(const Known& known) {
  const auto source = sources_.find(known.source);
  return source == sources_.end() ? nullptr : &source->second.rows;
}

void Roster::take(const Row& row, const Statement& said, const AnnouncerId& id, Known& known,
                  const Now& now, RosterOut& out) {
  const Row::Key key = row.key();
  const auto owner = owners_.find(row.id);
  const bool others = owner != owners_.end() && owner->second.key != said.key;
  if (others || !may_own(said.key, row.id)) {
    ++counters_.usurped;
    return;
  }
  if (said.answers != 0) out.answers.emplace_back(said.answers, row);
  auto found = rows_.find(key);
  if (found == rows_.end()) {
    if (said.sequence < known.goodbye) return;  // overtaken by its own end
    std::size_t* of_source = rows_of(known);
    if (rows_.size() >= options_.rows_max ||
        (of_source != nullptr && *of_source >= limits::rows_per_source_max)) {
      ++counters_.refused;
      return;
    }
    if (of_source != nullptr) ++*of_source;
    found = rows_.try_emplace(key).first;
    found->second.row = row;
    if (row.service.empty()) workers_[row.id.worker_id()] = row.id;
    Owner& mine = owners_[row.id];
    mine.key = said.key;
    ++mine.rows;
    out.changes.push_back({true, row});
  } else {
    Held& held = found->second;
    if (held.from == id && said.sequence < held.sequence) return;
    if (!(held.from == id)) {
      const auto before = announcers_.find(held.from);
      if (before != announcers_.end()) {
        before->second.rows.erase(key);
        if (std::size_t* theirs = rows_of(before->second); theirs != nullptr) --*theirs;
      }
      if (std::size_t* ours = rows_of(known); ours != nullptr) ++*ours;
    }
    if (!(held.row == row)) {
      held.row = row;
      out.changes.push_back({true, row});
    }
  }
  Held& held = found->second;
  known.rows.insert(key);
  held.from = id;
  held.sequence = said.sequence;
  held.heard = now.at;
  held.lifetime = std::clamp<Duration>(std::chrono::milliseconds(said.lifetime_milliseconds),
                                       roster_detail::lifetime_min, roster_detail::lifetime_max);
  held.stage = 0;
  schedule(key, held, now);
}

/// A little later for some than for others, so that not everybody asks at once.
void Roster::schedule(const Row::Key& key, Held& held, const Now& now) {
  checks_.erase({held.check, key});
  const auto stage = static_cast<std::size_t>(held.stage);
  if (stage < roster_detail::ask_at.size()) {
    const auto tenth = static_cast<std::uint64_t>(held.lifetime.count() / 10);
    held.check = held.heard + held.lifetime * roster_detail::ask_at.at(stage) / 100 +
                 Duration(static_cast<std::int64_t>(random_.below(tenth + 1)));
  } else {
    held.check = held.heard + held.lifetime;
  }
  held.check = std::max(held.check, now.at + Duration(1));
  checks_.insert({held.check, key});
}

void Roster::drop(const Row::Key& key, RosterOut& out) {
  const auto found = rows_.find(key);
  checks_.erase({found->second.check, key});
  const auto known = announcers_.find(found->second.from);
  if (known != announcers_.end()) {
    known->second.rows.erase(key);
    if (std::size_t* theirs = rows_of(known->second); theirs != nullptr) --*theirs;
  }
  if (key.first.empty()) workers_.erase(key.second.worker_id());
  const auto owner = owners_.find(key.second);
  if (--owner->second.rows == 0) owners_.erase(owner);
  out.changes.push_back({false, Row{key.first, key.second, {}}});
  rows_.erase(found);
}

/// False when it has just been asked, by oneself or by somebody else.
bool Roster::note_asked(std::uint64_t announcer, const Now& now) {
  if (asked_.size() >= roster_detail::asked_max) {
    std::erase_if(asked_,
                  [&](const auto& one) { return now.at - one.second >= roster_detail::ask_pause; });
    if (asked_.size() >= roster_detail::asked_max) return true;
  }
  const auto [found, fresh] = asked_.try_emplace(announcer, now.at);
  if (!fresh && now.at - found->second < roster_detail::ask_pause) return false;
  found->second = now.at;
  return true;
}

void Roster::tick(const Now& now, RosterOut& out) {
  while (!checks_.empty() && checks_.begin()->first <= now.at) {
    const Row::Key key = checks_.begin()->second;
    Held& held = rows_.find(key)->second;
    if (static_cast<std::size_t>(held.stage) >= roster_detail::ask_at.size()) {
      drop(key, out);
      continue;
    }
    ++held.stage;
    const auto known = announcers_.find(held.from);
    if (known != announcers_.end() && note_asked(held.from.number, now)) {
      Question question;
      question.about = Question::About::announcer;
      question.id = held.from.number;
      out.ask.push_back(question);
    }
    schedule(key, held, now);
  }
  forget_announcers(now);
}

TimePoint Roster::wake() const noexcept {
  TimePoint at = TimePoint::never();
  if (!checks_.empty()) at = std::min(at, checks_.begin()->first);
  if (!forgetting_.empty()) at = std::min(at, forgetting_.begin()->first);
  return at;
}

// ---- questions and chains ----

void Roster::hear(const Question& question, const Now& now, RosterOut& out) {
  if (question.asker == options_.self) return;
  if (question.about == Question::About::announcer) note_asked(question.id, now);
  out.heard.push_back(question);
}

void Roster::hear(const Chain& chain, const Now& now, RosterOut& out) {
  // Only while somebody is waiting to be believed.
  if (options_.trust == nullptr || !believer_.wants_any()) return;
  const std::size_t left = limits::verifications_per_second_max / 2;
  if (!verifications_.take(now.at, roster_detail::chain_cost, left)) {
    ++counters_.unchecked;
    return;
  }
  const Result<BelievedKey> believed = options_.trust->judge(chain.certificates, now.wall);
  if (!believed) {
    ++counters_.untrusted;
    return;
  }
  const auto announcer = believer_.learn(*believed, now.at, now.wall);
  if (!announcer) return;
  Question question;
  question.about = Question::About::announcer;
  question.id = *announcer;
  out.ask.push_back(question);
}

// ---- what is known ----

const Row* Roster::find(const Row::Key& key) const {
  const auto found = rows_.find(key);
  return found == rows_.end() ? nullptr : &found->second.row;
}

const Row* Roster::find_peer(WorkerId id) const {
  const auto found = workers_.find(id);
  return found == workers_.end() ? nullptr : find({std::string(), found->second});
}

std::vector<Row> Roster::rows() const {
  std::vector<Row> all;
  all.reserve(rows_.size());
  for (const auto& [key, held] : rows_) all.push_back(held.row);
  return all;
}

Counters Roster::counters() const {
  Counters counted = counters_;
  counted.announcers = announcers_.size();
  counted.rows = rows_.size();
  counted.sources = sources_.size();
  counted.keys = believer_.size();
  return counted;
}

}  // namespace velo::discovery::multicast
