// SPDX-License-Identifier: Apache-2.0
// The network between nodes: latency, bandwidth and loss of each direction, and the rules that
// block or worsen it for a time.
// Threading: one thread.
#pragma once

#include <velo/sim/faults.hpp>
#include <velo/sim/options.hpp>

#include "rng.hpp"

#include <cstdint>
#include <map>
#include <vector>

namespace velo::sim::detail {

class NodeImpl;

std::int64_t sample(const Latency& latency, SimRandom& random) noexcept;

struct NodeRange {
  std::uint32_t first = 0;
  std::uint32_t last = any_node;
  static NodeRange of(std::uint32_t node) noexcept {
    return node == any_node ? NodeRange{} : NodeRange{node, node};
  }
  bool has(std::uint32_t node) const noexcept { return node >= first && node <= last; }
};

class Links {
 public:
  explicit Links(const SimOptions& options) : between_(options.link), local_(options.local) {}

  const LinkOptions& find(const NodeImpl& from, const NodeImpl& to) const noexcept;
  void set(std::uint32_t from, std::uint32_t to, const LinkOptions& link);

  bool blocked(const NodeImpl& from, const NodeImpl& to) const noexcept;
  /// Of a million segments, or datagrams, that rules cost on top of what the link itself does.
  std::uint32_t extra_loss(const NodeImpl& from, const NodeImpl& to) const noexcept;
  /// When what leaves now arrives: queueing for bandwidth, latency and injected delay.
  std::int64_t arrival(const NodeImpl& from, const NodeImpl& to, std::size_t bytes,
                       std::int64_t now, SimRandom& random);

  enum class Effect : std::uint8_t {
    block,
    delay,      ///< amount: nanoseconds
    loss,       ///< amount: of a million
    bandwidth,  ///< amount: bytes per second
  };
  using RuleId = std::uint64_t;
  /// From `from` to `to`.
  RuleId add_rule(NodeRange from, NodeRange to, Effect effect, std::int64_t amount);
  /// False if it is gone.
  bool remove_rule(RuleId id) noexcept;
  void clear_rules() noexcept { rules_.clear(); }

 private:
  struct Rule {
    RuleId id;
    NodeRange from;
    NodeRange to;
    Effect effect;
    std::int64_t amount;
    bool concerns(const NodeImpl& sender, const NodeImpl& receiver) const noexcept;
  };
  /// What rules leave of the link's bandwidth; 0: no limit.
  std::uint64_t bandwidth(const NodeImpl& from, const NodeImpl& to,
                          std::uint64_t of_the_link) const noexcept;

  LinkOptions between_;
  LinkOptions local_;
  std::map<std::uint64_t, LinkOptions> overrides_;
  std::map<std::uint64_t, std::int64_t> busy_until_;
  std::vector<Rule> rules_;
  RuleId next_rule_ = 1;
};

}  // namespace velo::sim::detail
