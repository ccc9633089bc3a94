// SPDX-License-Identifier: Apache-2.0
// ReceiveLog: which requests came by one connection, and what they were answered with, so that a
// requester whose connection died can learn what became of them. Exact about what came: a slot of
// the requester has one call at a time, its generations grow, and a lane keeps its order, so the
// newest generation of each slot in each lane says it all. Replies are kept until the slot is used
// again, and bounded by limits::kept_replies_max and limits::kept_reply_bytes_max; all of it is
// charged to the memory budget.
// Threading: any thread.
#pragma once

#include "lanes.hpp"

#include <velo/base/budget.hpp>
#include <velo/base/bytes.hpp>
#include <velo/messenger/message_id.hpp>
#include <velo/transport/frame.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

namespace velo::messenger {

class Link;

class ReceiveLog {
 public:
  struct Reply {
    std::uint64_t generation = 0;
    transport::FrameType type = transport::FrameType::response;
    Bytes header;
    Bytes payload;

    Reply() = default;
    std::size_t bytes() const noexcept { return sizeof(Reply) + header.size() + payload.size(); }
  };
  enum class Fate : std::uint8_t {
    never_received = 0,
    under_way = 1,  ///< it runs, or its reply is among those that were asked for
    reply_lost = 2,
  };

  /// A request that is asked about, and the lane that it was sent in.
  struct Asked {
    MessageId id;
    std::uint32_t lane = 0;

    Asked() = default;
    Asked(MessageId i, std::uint32_t l) noexcept : id(i), lane(l) {}
  };

  explicit ReceiveLog(std::shared_ptr<MemoryBudget> memory) noexcept : memory_(std::move(memory)) {}

  /// A request arrived in this lane. False: there is no room to remember that, and it must not run.
  bool note(MessageId id, std::uint32_t lane);
  /// Before its reply is sent: keeps it, and says by which connection it goes now (null: the one
  /// that brought the request). Replies to what was not noted are not kept.
  std::shared_ptr<Link> keep(MessageId id, transport::FrameType type, ByteSpan header,
                             const Bytes& payload);
  /// Replies go by `successor` from here on; those that were sent before are in `again`.
  std::vector<Fate> resume(const std::vector<Asked>& asked, std::shared_ptr<Link> successor,
                           std::vector<Reply>& again);
  /// Nothing is resumed any longer. What still runs is answered as before.
  void forget();
  bool resumed();
  std::shared_ptr<Link> successor();

 private:
  struct Slot {
    std::uint64_t generation = 0;  ///< the newest; 0: none
    bool replied = false;
  };
  static constexpr std::size_t page_slots = 256;
  using Page = std::array<Slot, page_slots>;
  using Pages = std::array<std::unique_ptr<Page>, 256>;  ///< by the slot, of one lane

  Slot* find(std::uint16_t slot, std::uint32_t lane) noexcept;
  /// Null: no room.
  Slot* make(std::uint16_t slot, std::uint32_t lane);
  Slot* find_exact(MessageId id) noexcept;
  void drop(std::uint16_t slot);

  std::mutex mutex_;
  std::array<std::unique_ptr<Pages>, request_lanes + 1> lanes_;
  std::unordered_map<std::uint16_t, Reply> replies_;
  /// Oldest first; entries whose slot was used again are stale.
  std::deque<std::pair<std::uint16_t, std::uint64_t>> order_;
  std::size_t bytes_ = 0;  ///< of replies_
  bool forgotten_ = false;
  Holding memory_;
  std::shared_ptr<Link> successor_;
};

}  // namespace velo::messenger
