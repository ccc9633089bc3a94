// SPDX-License-Identifier: Apache-2.0
// Rows that were believed: whose they are, how much they take, and when they are over.

#include "roster.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace velo::discovery::multicast {
namespace roster_rows_detail {

constexpr Duration ask_pause = std::chrono::milliseconds(250);
constexpr std::size_t asked_max = 1024;  ///< beyond, questions are not held back
constexpr Duration lifetime_min = std::chrono::milliseconds(10);
constexpr Duration lifetime_max = std::chrono::minutes(10);
/// Percent of a row's lifetime after which its announcer is asked; at the end the row is over. A
/// question and its answer get through in two of three cases when a fifth of all is lost.
constexpr std::array<int, 6> ask_at{50, 60, 70, 80, 87, 94};
/// As many percent later for some than for others.
constexpr int ask_spread = 5;
/// A row in parts is heard with any of them; further ones of the same time need no checking.
constexpr int heard_lately_divisor = 8;

}  // namespace roster_rows_detail

/// Its address; one with announcers is never forgotten.
Roster::Source* Roster::source_of(const Known& known) {
  const auto source = sources_.find(known.source);
  return source == sources_.end() ? nullptr : &source->second;
}

bool Roster::has_room(Source* source, std::size_t rows, std::size_t bytes) const {
  const auto fits = [&](std::size_t has, std::size_t most, std::size_t own, std::size_t own_most) {
    return has <= most && (source == nullptr || own <= own_most);
  };
  const Source none{TokenBucket(1, 1)};
  const Source& of = source != nullptr ? *source : none;
  return fits(rows_.size() + rows, options_.rows_max, of.rows + rows,
              limits::rows_per_source_max) &&
         fits(rows_bytes_ + bytes, options_.rows_bytes_max, of.bytes + bytes,
              options_.rows_bytes_per_source_max);
}

void Roster::count(const Known& known, std::ptrdiff_t rows, std::ptrdiff_t bytes) {
  if (Source* source = source_of(known); source != nullptr) {
    source->rows += static_cast<std::size_t>(rows);
    source->bytes += static_cast<std::size_t>(bytes);
  }
}

bool Roster::is_others(const RawKey& key, const InstanceId& id) const {
  const auto owner = owners_.find(id);
  return (owner != owners_.end() && owner->second.key != key) || !may_own(key, id);
}

bool Roster::heard_lately(const Part& part, const AnnouncerId& id, const Now& now) const {
  const auto found = rows_.find(part.row);
  if (found == rows_.end()) return false;
  const Held& held = found->second;
  return held.from == id && held.digest == part.digest &&
         now.at - held.heard < held.lifetime / roster_rows_detail::heard_lately_divisor;
}

void Roster::take_part(const Statement& said, const AnnouncerId& id, Known& known, const Now& now,
                       RosterOut& out) {
  const Part& part = *said.part;
  if (is_others(said.key, part.row.second)) {
    ++counters_.usurped;
    return;
  }
  const auto found = rows_.find(part.row);
  if (found != rows_.end() && found->second.from == id && found->second.digest == part.digest) {
    const Row again = found->second.row;
    return take(again, said, id, known, now, out);
  }
  Row row;
  switch (parts_.take(id, known.source, said, now.at, row)) {
    case Assembler::Outcome::whole: return take(row, said, id, known, now, out);
    case Assembler::Outcome::refused: ++counters_.refused; return;
    case Assembler::Outcome::broken: ++counters_.broken; return;
    case Assembler::Outcome::incomplete:
    case Assembler::Outcome::late: return;
  }
}

void Roster::take(const Row& row, const Statement& said, const AnnouncerId& id, Known& known,
                  const Now& now, RosterOut& out) {
  const Row::Key key = row.key();
  if (is_others(said.key, row.id)) {
    ++counters_.usurped;
    return;
  }
  if (said.answers != 0) out.answers.emplace_back(said.answers, row);
  const std::size_t bytes = encoded_bytes(row);
  auto found = rows_.find(key);
  if (found == rows_.end()) {
    if (said.sequence < known.goodbye) return;  // overtaken by its own end
    if (!has_room(source_of(known), 1, bytes)) {
      ++counters_.refused;
      return;
    }
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
    const std::size_t more = bytes > held.bytes ? bytes - held.bytes : 0;
    if (more != 0 && !has_room(source_of(known), 0, more)) {
      ++counters_.refused;
      return;
    }
    const auto before = announcers_.find(held.from);
    if (before != announcers_.end()) {
      before->second.rows.erase(key);
      count(before->second, -1, -static_cast<std::ptrdiff_t>(held.bytes));
    }
    if (!(held.row == row)) {
      held.row = row;
      out.changes.push_back({true, row});
    }
  }
  Held& held = found->second;
  rows_bytes_ += bytes - held.bytes;
  held.bytes = bytes;
  count(known, 1, static_cast<std::ptrdiff_t>(bytes));
  known.rows.insert(key);
  held.from = id;
  held.digest = said.part ? said.part->digest : 0;
  held.sequence = said.sequence;
  held.heard = now.at;
  held.lifetime =
      std::clamp<Duration>(std::chrono::milliseconds(said.lifetime_milliseconds),
                           roster_rows_detail::lifetime_min, roster_rows_detail::lifetime_max);
  held.stage = 0;
  schedule(key, held, now);
}

/// A little later for some than for others, so that not everybody asks at once.
void Roster::schedule(const Row::Key& key, Held& held, const Now& now) {
  checks_.erase({held.check, key});
  const auto stage = static_cast<std::size_t>(held.stage);
  if (stage < roster_rows_detail::ask_at.size()) {
    const auto spread =
        static_cast<std::uint64_t>((held.lifetime * roster_rows_detail::ask_spread / 100).count());
    held.check = held.heard + held.lifetime * roster_rows_detail::ask_at.at(stage) / 100 +
                 Duration(static_cast<std::int64_t>(random_.below(spread + 1)));
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
    count(known->second, -1, -static_cast<std::ptrdiff_t>(found->second.bytes));
  }
  rows_bytes_ -= found->second.bytes;
  if (key.first.empty()) workers_.erase(key.second.worker_id());
  const auto owner = owners_.find(key.second);
  if (--owner->second.rows == 0) owners_.erase(owner);
  out.changes.push_back({false, Row{key.first, key.second, {}}});
  rows_.erase(found);
}

/// False when it has just been asked, by oneself or by somebody else.
bool Roster::note_asked(std::uint64_t announcer, const Now& now) {
  if (asked_.size() >= roster_rows_detail::asked_max) {
    std::erase_if(asked_, [&](const auto& one) {
      return now.at - one.second >= roster_rows_detail::ask_pause;
    });
    if (asked_.size() >= roster_rows_detail::asked_max) return true;
  }
  const auto [found, fresh] = asked_.try_emplace(announcer, now.at);
  if (!fresh && now.at - found->second < roster_rows_detail::ask_pause) return false;
  found->second = now.at;
  return true;
}

void Roster::tick(const Now& now, RosterOut& out) {
  while (!checks_.empty() && checks_.begin()->first <= now.at) {
    const Row::Key key = checks_.begin()->second;
    Held& held = rows_.find(key)->second;
    if (static_cast<std::size_t>(held.stage) >= roster_rows_detail::ask_at.size()) {
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
  parts_.expire(now.at);
  forget_announcers(now);
}

TimePoint Roster::wake() const noexcept {
  TimePoint at = parts_.wake();
  if (!checks_.empty()) at = std::min(at, checks_.begin()->first);
  if (!forgetting_.empty()) at = std::min(at, forgetting_.begin()->first);
  return at;
}

}  // namespace velo::discovery::multicast
