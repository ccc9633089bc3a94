// SPDX-License-Identifier: Apache-2.0
// Link rules, and when what leaves now arrives.

#include "links.hpp"

#include "node_impl.hpp"

#include <algorithm>

namespace velo::sim::detail {

namespace links_detail {

static std::uint64_t key(std::uint32_t from, std::uint32_t to) noexcept {
  return (static_cast<std::uint64_t>(from) << 32) | to;
}

}  // namespace links_detail

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
    return rule.effect == Effect::block && rule.concerns(from, to);
  });
}

std::uint32_t Links::extra_loss(const NodeImpl& from, const NodeImpl& to) const noexcept {
  if (rules_.empty() || &from.machine() == &to.machine()) return 0;
  std::int64_t loss = 0;
  for (const Rule& rule : rules_) {
    if (rule.effect == Effect::loss && rule.concerns(from, to)) {
      loss = std::min<std::int64_t>(loss + rule.amount, 1'000'000);
    }
  }
  return static_cast<std::uint32_t>(loss);
}

std::uint64_t Links::bandwidth(const NodeImpl& from, const NodeImpl& to,
                               std::uint64_t of_the_link) const noexcept {
  if (rules_.empty() || &from.machine() == &to.machine()) return of_the_link;
  std::uint64_t least = of_the_link;
  for (const Rule& rule : rules_) {
    if (rule.effect != Effect::bandwidth || !rule.concerns(from, to)) continue;
    const auto amount = static_cast<std::uint64_t>(rule.amount);
    least = least == 0 ? amount : std::min(least, amount);
  }
  return least;
}

std::int64_t Links::arrival(const NodeImpl& from, const NodeImpl& to, std::size_t bytes,
                            std::int64_t now, SimRandom& random) {
  const LinkOptions& link = find(from, to);
  std::int64_t start = now;
  if (const std::uint64_t rate = bandwidth(from, to, link.bytes_per_second); rate != 0) {
    std::int64_t& busy_until = busy_until_[links_detail::key(from.index(), to.index())];
    start = std::max(now, busy_until);
    start +=
        static_cast<std::int64_t>(static_cast<unsigned __int128>(bytes) * 1'000'000'000 / rate);
    busy_until = start;
  }
  start += sample(link.latency, random);
  for (const Rule& rule : rules_) {
    if (rule.effect == Effect::delay && rule.concerns(from, to)) start += rule.amount;
  }
  return start;
}

Links::RuleId Links::add_rule(NodeRange from, NodeRange to, Effect effect, std::int64_t amount) {
  rules_.push_back(Rule{next_rule_, from, to, effect, amount});
  return next_rule_++;
}

bool Links::Rule::concerns(const NodeImpl& sender, const NodeImpl& receiver) const noexcept {
  return from.has(sender.index()) && to.has(receiver.index());
}

bool Links::remove_rule(RuleId id) noexcept {
  return std::erase_if(rules_, [&](const Rule& rule) { return rule.id == id; }) != 0;
}

}  // namespace velo::sim::detail
