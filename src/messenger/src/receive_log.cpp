// SPDX-License-Identifier: Apache-2.0
// What came by a connection, and its answers.

#include "receive_log.hpp"

#include <velo/messenger/limits.hpp>

namespace velo::messenger {

namespace receive_log_detail {

constexpr std::uint64_t generation_mask = (std::uint64_t{1} << 48U) - 1;

/// Of two generations of a slot, which wrap around after 2^48.
static bool at_least(std::uint64_t a, std::uint64_t b) noexcept {
  return ((a - b) & generation_mask) < (std::uint64_t{1} << 47U);
}

}  // namespace receive_log_detail

ReceiveLog::Slot* ReceiveLog::find(std::uint16_t slot) noexcept {
  const auto& page = pages_[slot / page_slots];
  return page == nullptr ? nullptr : &(*page)[slot % page_slots];
}

void ReceiveLog::drop(std::uint16_t slot) {
  const auto found = replies_.find(slot);
  if (found == replies_.end()) return;
  bytes_ -= found->second.bytes();
  memory_.remove(found->second.bytes());
  replies_.erase(found);
}

void ReceiveLog::note(MessageId id) {
  const std::lock_guard lock(mutex_);
  auto& page = pages_[id.slot() / page_slots];
  if (page == nullptr) page = std::make_unique<Page>();
  (*page)[id.slot() % page_slots] = Slot{id.generation(), false};
  drop(id.slot());
}

std::shared_ptr<Link> ReceiveLog::keep(MessageId id, transport::FrameType type, ByteSpan header,
                                       const Bytes& payload) {
  const std::lock_guard lock(mutex_);
  Slot* slot = find(id.slot());
  if (slot == nullptr || slot->generation != id.generation()) return nullptr;
  slot->replied = true;
  Reply reply;
  reply.generation = id.generation();
  reply.type = type;
  reply.header = Bytes::copy(header);
  reply.payload = payload;
  const std::size_t size = reply.bytes();
  while (!order_.empty() && (replies_.size() >= limits::kept_replies_max ||
                             bytes_ + size > limits::kept_reply_bytes_max ||
                             order_.size() >= 2 * limits::kept_replies_max)) {
    const auto [oldest, generation] = order_.front();
    order_.pop_front();
    const auto found = replies_.find(oldest);
    if (found != replies_.end() && found->second.generation == generation) drop(oldest);
  }
  if (size > limits::kept_reply_bytes_max || !memory_.add(size, Lane::replies)) return successor_;
  bytes_ += size;
  order_.emplace_back(id.slot(), id.generation());
  replies_.insert_or_assign(id.slot(), std::move(reply));
  return successor_;
}

std::vector<ReceiveLog::Fate> ReceiveLog::resume(const std::vector<MessageId>& ids,
                                                 std::shared_ptr<Link> successor,
                                                 std::vector<Reply>& again) {
  std::vector<Fate> fates;
  fates.reserve(ids.size());
  const std::lock_guard lock(mutex_);
  successor_ = std::move(successor);
  for (const MessageId& id : ids) {
    const Slot* slot = find(id.slot());
    if (slot == nullptr || slot->generation == 0 ||
        !receive_log_detail::at_least(slot->generation, id.generation())) {
      fates.push_back(Fate::never_received);
      continue;
    }
    const auto kept = replies_.find(id.slot());
    const bool same = slot->generation == id.generation();
    if (same && slot->replied && kept == replies_.end()) {
      fates.push_back(Fate::reply_lost);
      continue;
    }
    fates.push_back(Fate::under_way);
    if (same && slot->replied) again.push_back(kept->second);
  }
  return fates;
}

bool ReceiveLog::resumed() {
  const std::lock_guard lock(mutex_);
  return successor_ != nullptr;
}

void ReceiveLog::forget() {
  const std::lock_guard lock(mutex_);
  replies_.clear();
  order_.clear();
  bytes_ = 0;
  memory_.clear();
}

}  // namespace velo::messenger
