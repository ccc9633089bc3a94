// SPDX-License-Identifier: Apache-2.0
// From a datagram to a row: rate, format, cluster, time, repetition, trust, signature, ownership,
// in the order of their cost.

#include "roster.hpp"

#include <algorithm>
#include <utility>

namespace velo::discovery::multicast {
namespace roster_detail {

constexpr std::uint64_t window = 64;  ///< statements that may overtake each other
constexpr Duration lifetime_max = std::chrono::minutes(10);
/// Checking a chain costs as much as this many signatures.
constexpr std::size_t chain_cost = 4;
constexpr Duration sweep_pause = std::chrono::seconds(1);

static SourceId source_of(const NetAddress& from) noexcept { return from.ip; }

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
  if (said.part && said.answers == 0 && heard_lately(*said.part, id, now)) {
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
  if (said.part) return take_part(said, id, *known, now, out);
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
  counted.rows_bytes = rows_bytes_;
  counted.parts_bytes = parts_.bytes();
  counted.sources = sources_.size();
  counted.keys = believer_.size();
  return counted;
}

}  // namespace velo::discovery::multicast
