// SPDX-License-Identifier: Apache-2.0
// Double entry: what nodes say they sent to each other against what they say they received. The
// books of the nodes come from Messenger::node_books() and books_of(); who is not among them is not
// judged.
// Threading: pure functions.
#pragma once

#include <velo/messenger/fates.hpp>

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace velo::messenger {

/// One direction between two nodes, by pattern: fire, sync, unary.
struct Flow {
  InstanceId sender;
  InstanceId receiver;
  std::array<PeerSends, 3> sends{};         ///< the sender's word
  std::array<std::uint64_t, 3> received{};  ///< the receiver's
  std::array<std::uint64_t, 3> at_least{};  ///< that must have arrived, from how sends ended
  std::uint64_t may_be_lost = 0;            ///< of fire
  bool unbroken = true;                     ///< none of their connections is over
  bool known = true;                        ///< false: one side counts the other among "others"
  std::uint64_t accepted() const noexcept {
    return sends[0].accepted + sends[1].accepted + sends[2].accepted;
  }
};

struct Balance {
  std::vector<Flow> flows;              ///< those with any traffic
  std::vector<std::string> complaints;  ///< sentences; empty: it adds up
  bool ok() const noexcept { return complaints.empty(); }
};

enum class Moving : std::uint8_t {
  maybe,  ///< sends may be under way: arrived is anything from `at_least` to what was taken
  no      ///< nothing is under way: what an unbroken connection took has arrived
};

/// Checks each node's own sums and each direction between two of them (a node to itself too).
/// `nodes` are of one instant, or nothing moves.
Balance compare(std::span<const NodeBooks> nodes, Moving moving = Moving::maybe);
/// For nodes at work: the books of the same nodes in the same order, three times, each time read
/// after the time before had been read in full. What moved meanwhile is no complaint.
Balance compare(std::span<const NodeBooks> before, std::span<const NodeBooks> now,
                std::span<const NodeBooks> after);

}  // namespace velo::messenger
