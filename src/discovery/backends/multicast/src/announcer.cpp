// SPDX-License-Identifier: Apache-2.0
// When what is said, in how many datagrams.

#include "announcer.hpp"

#include <velo/discovery/backends/multicast/limits.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace velo::discovery::multicast {
namespace announcer_detail {

constexpr int goodbyes = 3;
constexpr Duration chain_pause = std::chrono::milliseconds(250);
constexpr Duration refresh_spread = std::chrono::milliseconds(40);

static std::uint64_t fresh_number(Random& random) {
  std::uint64_t number = random.next();
  while (number == 0) number = random.next();
  return number;
}

}  // namespace announcer_detail

Announcer::Announcer(AnnouncerOptions options, const Signing& signing, Random& random)
    : options_(std::move(options)),
      signing_(signing),
      random_(random),
      number_(announcer_detail::fresh_number(random)),
      interval_(options_.interval_min),
      answers_(limits::answers_per_second_max, limits::answers_per_second_max) {}

const Row* Announcer::find(const Row::Key& key) const {
  const auto found = rows_.find(key);
  return found == rows_.end() ? nullptr : &found->second;
}

const Row* Announcer::find_peer(WorkerId id) const {
  const auto found = workers_.find(id);
  return found == workers_.end() ? nullptr : find({std::string(), found->second});
}

Result<void> Announcer::put(Row row) {
  const std::size_t bytes = encoded_bytes(row);
  if (bytes > limits::large_row_bytes_max) {
    return velo::make_error(
        velo::Errc::invalid_argument,
        fmt::format("an announcement of {} bytes; {} are the most", std::min(bytes, SIZE_MAX / 2),
                    limits::large_row_bytes_max));
  }
  const Row::Key key = row.key();
  const bool is_large = bytes > row_bytes_max();
  if ((rows_.size() >= limits::own_rows_max && !rows_.contains(key)) ||
      (is_large && large_.size() >= limits::own_large_rows_max && !large_.contains(key))) {
    return velo::make_error(velo::Errc::overloaded, "too many announcements of one object");
  }
  if (is_large) {
    large_.insert(key);
  } else {
    large_.erase(key);
  }
  if (row.service.empty()) workers_[row.id.worker_id()] = row.id;
  rows_.insert_or_assign(key, std::move(row));
  changed_.insert(key);
  departed_.erase(key);
  return {};
}

void Announcer::remove(const Row::Key& key) {
  if (rows_.erase(key) == 0) return;
  large_.erase(key);
  if (key.first.empty()) workers_.erase(key.second.worker_id());
  changed_.erase(key);
  departed_[key] = announcer_detail::goodbyes;
}

Duration Announcer::jitter(Duration around) {
  const auto half = static_cast<std::uint64_t>(around.count() / 2);
  return around * 3 / 4 + Duration(static_cast<std::int64_t>(random_.below(half + 1)));
}

/// The three next times may be missed.
std::uint32_t Announcer::lifetime(const Now& now) const {
  const Duration later = interval_ + std::min(2 * interval_, options_.interval_max);
  const Duration next = next_ == TimePoint::never() ? options_.interval_max : next_ - now.at;
  const Duration whole = std::max(next, Duration::zero()) + later * 5 / 4;
  return static_cast<std::uint32_t>(whole.count() / 1'000'000);
}

void Announcer::soon(const Now& now) {
  const TimePoint first = now.at + jitter(options_.interval_min);
  next_ = std::min(next_, first);
  interval_ = std::min(2 * options_.interval_min, options_.interval_max);
}

void Announcer::greet(const Now& now) {
  if (rows_.empty()) return;
  for (const auto& [key, row] : rows_) changed_.insert(key);
  soon(now);
}

void Announcer::flush(const Now& now, Datagrams& out) {
  if (!changed_.empty()) {
    soon(now);
    std::vector<const Row*> rows;
    for (const Row::Key& key : changed_) {
      if (const Row* row = find(key); row != nullptr) rows.push_back(row);
    }
    changed_.clear();
    if (!options_.chain.empty() && sequence_ == 0) out.push_back(options_.chain);
    say(rows, now, 0, out);
  }
  const bool fresh = std::ranges::any_of(
      departed_, [](const auto& one) { return one.second == announcer_detail::goodbyes; });
  if (!fresh) return;
  soon(now);
  say_goodbye(now, out);
}

void Announcer::say_all(const Now& now, Datagrams& out) {
  say_goodbye(now, out);
  std::vector<const Row*> rows;
  rows.reserve(rows_.size());
  for (const auto& [key, row] : rows_) rows.push_back(&row);
  changed_.clear();
  say(rows, now, 0, out);
}

void Announcer::say(const std::vector<const Row*>& rows, const Now& now, std::uint64_t answers,
                    Datagrams& out) {
  Statement said;
  std::size_t bytes = 0;
  const auto send_page = [&] {
    if (said.rows.empty()) return;
    said.answers = answers;
    said.lifetime_milliseconds = lifetime(now);
    send(std::exchange(said, Statement()), now, out);
    bytes = 0;
  };
  for (const Row* row : rows) {
    const std::size_t more = encoded_bytes(*row);
    if (more > row_bytes_max()) {
      say_parts(*row, now, answers, out);
      continue;
    }
    if (bytes + more > row_bytes_max()) send_page();
    said.rows.push_back(*row);
    bytes += more;
  }
  send_page();
}

void Announcer::say_parts(const Row& row, const Now& now, std::uint64_t answers, Datagrams& out) {
  for (Part& part : parts_of(row)) {
    Statement said;
    said.answers = answers;
    said.lifetime_milliseconds = lifetime(now);
    said.part = std::move(part);
    send(std::move(said), now, out);
  }
}

void Announcer::say_goodbye(const Now& now, Datagrams& out) {
  Statement said;
  std::size_t bytes = 0;
  const auto send_page = [&] {
    if (said.rows.empty()) return;
    said.goodbye = true;
    send(std::exchange(said, Statement()), now, out);
    bytes = 0;
  };
  for (auto& [key, left] : departed_) {
    --left;
    Row row{key.first, key.second, {}};
    const std::size_t more = encoded_bytes(row);
    if (bytes + more > row_bytes_max()) send_page();
    said.rows.push_back(std::move(row));
    bytes += more;
  }
  send_page();
  std::erase_if(departed_, [](const auto& one) { return one.second <= 0; });
}

void Announcer::leave(const Now& now, Datagrams& out) {
  if (sequence_ == 0) return;
  rows_.clear();
  large_.clear();
  workers_.clear();
  changed_.clear();
  departed_.clear();
  next_ = answer_ = TimePoint::never();
  Statement said;
  said.goodbye = true;
  send(std::move(said), now, out);
}

void Announcer::send(Statement said, const Now& now, Datagrams& out) {
  said.announcer = number_;
  said.sequence = ++sequence_;
  said.unix_milliseconds = now.unix_milliseconds();
  said.is_signed = options_.is_signed;
  if (said.is_signed) said.key = signing_.key();
  std::vector<std::byte> bytes = encode(options_.cluster, said);
  if (said.is_signed) {
    const Result<Signature> signature = signing_.sign(bytes);
    if (!signature) return;  // unsigned it would be ignored anyway
    const auto raw = std::as_bytes(std::span(*signature));
    bytes.insert(bytes.end(), raw.begin(), raw.end());
  }
  out.push_back(std::move(bytes));
}

void Announcer::hear(const Question& question, const Now& now, Datagrams& out) {
  const auto answer_within = [&](Duration spread) {
    if (rows_.empty()) return;
    const TimePoint at = now.at + Duration(static_cast<std::int64_t>(random_.below(
                                      static_cast<std::uint64_t>(spread.count()) + 1)));
    answer_ = std::min(answer_, at);
  };
  const Row* row = nullptr;
  switch (question.about) {
    case Question::About::everything:
      if (answer_ == TimePoint::never()) answer_within(options_.answer_spread);
      return;
    case Question::About::announcer:
      if (question.id != number_ || answer_ != TimePoint::never()) return;
      if (answers_.take(now.at)) answer_within(announcer_detail::refresh_spread);
      return;
    case Question::About::certificates:
      if (options_.chain.empty() || question.key != signing_.key()) return;
      if (chain_said_ != TimePoint() && now.at - chain_said_ < announcer_detail::chain_pause) {
        return;
      }
      chain_said_ = now.at;
      out.push_back(options_.chain);
      return;
    case Question::About::instance: row = find({std::string(), question.instance}); break;
    case Question::About::worker: row = find_peer(WorkerId(question.id)); break;
  }
  if (row == nullptr) return;
  // A short question is not to make much more traffic than others do.
  const std::size_t datagrams = encoded_bytes(*row) / row_bytes_max() + 1;
  if (answers_.take(now.at, datagrams)) say({row}, now, question.number, out);
}

void Announcer::tick(const Now& now, Datagrams& out) {
  const bool due = next_ <= now.at;
  if (!due && answer_ > now.at) return;
  answer_ = TimePoint::never();
  if (due) {
    next_ = now.at + jitter(interval_);
    interval_ = std::min(2 * interval_, options_.interval_max);
  }
  say_all(now, out);
  if (rows_.empty() && departed_.empty()) next_ = TimePoint::never();
}

TimePoint Announcer::wake() const noexcept { return std::min(next_, answer_); }

}  // namespace velo::discovery::multicast
