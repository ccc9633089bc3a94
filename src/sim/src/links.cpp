// SPDX-License-Identifier: Apache-2.0
// Latency tables and link rules.

#include "links.hpp"

#include "node_impl.hpp"

#include <algorithm>
#include <array>

namespace velo::sim::detail {

namespace links_detail {

/// Cumulative positions between min (0) and max (1000); each interval is drawn equally often.
constexpr std::array<std::uint16_t, 17> long_tail_table{0,  2,  5,  8,   12,  17,  23,  30,  40,
                                                        52, 68, 90, 120, 165, 240, 480, 1000};

static std::uint64_t key(std::uint32_t from, std::uint32_t to) noexcept {
  return (static_cast<std::uint64_t>(from) << 32) | to;
}

}  // namespace links_detail

std::int64_t sample(const Latency& latency, SimRandom& random) noexcept {
  const std::int64_t low = std::max<std::int64_t>(latency.min.count(), 0);
  const std::int64_t span = latency.max.count() - low;
  if (span <= 0) return low;
  if (latency.shape == Latency::Shape::uniform) {
    return low + static_cast<std::int64_t>(random.pick(static_cast<std::uint64_t>(span) + 1));
  }
  const auto& table = links_detail::long_tail_table;
  const std::uint64_t draw = random.next();
  const std::size_t interval = draw >> 60;
  const std::uint64_t fraction = (draw >> 12) & 0xffff;
  const std::uint64_t from = table[interval];
  const std::uint64_t position = (from << 16) + (table[interval + 1] - from) * fraction;
  return low + static_cast<std::int64_t>((static_cast<unsigned __int128>(span) * position) /
                                         (std::uint64_t{1000} << 16));
}

const LinkOptions& Links::find(const NodeImpl& from, const NodeImpl& to) const noexcept {
  if (&from.machine() == &to.machine()) return local_;
  if (!overrides_.empty()) {
    const auto found = overrides_.find(links_detail::key(from.index(), to.index()));
    if (found != overrides_.end()) return found->second;
  }
  return between_;
}

void Links::set(std::uint32_t from, std::uint32_t to, const LinkOptions& link) {
  overrides_.insert_or_assign(links_detail::key(from, to), link);
}

bool Links::blocked(const NodeImpl& from, const NodeImpl& to) const noexcept {
  if (rules_.empty() || &from.machine() == &to.machine()) return false;
  return std::any_of(rules_.begin(), rules_.end(), [&](const Rule& rule) {
    return rule.delay < 0 && rule.from.has(from.index()) && rule.to.has(to.index());
  });
}

std::int64_t Links::arrival(const NodeImpl& from, const NodeImpl& to, std::size_t bytes,
                            std::int64_t now, SimRandom& random) {
  const LinkOptions& link = find(from, to);
  std::int64_t start = now;
  if (link.bytes_per_second != 0) {
    std::int64_t& busy_until = busy_until_[links_detail::key(from.index(), to.index())];
    start = std::max(now, busy_until);
    start += static_cast<std::int64_t>(static_cast<unsigned __int128>(bytes) * 1'000'000'000 /
                                       link.bytes_per_second);
    busy_until = start;
  }
  start += sample(link.latency, random);
  for (const Rule& rule : rules_) {
    if (rule.delay > 0 && rule.from.has(from.index()) && rule.to.has(to.index()))
      start += rule.delay;
  }
  return start;
}

Links::RuleId Links::add_rule(NodeRange from, NodeRange to, std::int64_t delay) {
  rules_.push_back(Rule{next_rule_, from, to, delay});
  return next_rule_++;
}

bool Links::remove_rule(RuleId id) noexcept {
  return std::erase_if(rules_, [&](const Rule& rule) { return rule.id == id; }) != 0;
}

}  // namespace velo::sim::detail
