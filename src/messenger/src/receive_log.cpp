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

ReceiveLog::Slot* ReceiveLog::find(std::uint16_t slot, std::uint32_t lane) noexcept {
  if (lane >= lanes_.size() || lanes_[lane] == nullptr) return nullptr;
  const auto& page = (*lanes_[lane])[slot / page_slots];
  return page == nullptr ? nullptr : &(*page)[slot % page_slots];
}

ReceiveLog::Slot* ReceiveLog::make(std::uint16_t slot, std::uint32_t lane) {
  auto& pages = lanes_[lane];
  if (pages == nullptr) {
    if (!memory_.add(sizeof(Pages), velo::Lane::requests)) return nullptr;
    pages = std::make_unique<Pages>();
  }
  auto& page = (*pages)[slot / page_slots];
  if (page == nullptr) {
    if (!memory_.add(sizeof(Page), velo::Lane::requests)) return nullptr;
    page = std::make_unique<Page>();
  }
  return &(*page)[slot % page_slots];
}

ReceiveLog::Slot* ReceiveLog::find_exact(MessageId id) noexcept {
  for (std::uint32_t lane = 0; lane < lanes_.size(); ++lane) {
    Slot* slot = find(id.slot(), lane);
    if (slot != nullptr && slot->generation == id.generation()) return slot;
  }
  return nullptr;
}

void ReceiveLog::drop(std::uint16_t slot) {
  const auto found = replies_.find(slot);
  if (found == replies_.end()) return;
  bytes_ -= found->second.bytes();
  memory_.remove(found->second.bytes());
  replies_.erase(found);
}

bool ReceiveLog::note(MessageId id, std::uint32_t lane) {
  using receive_log_detail::at_least;
  const std::lock_guard lock(mutex_);
  Slot* slot = find(id.slot(), lane);
  if (slot == nullptr) slot = make(id.slot(), lane);
  if (slot == nullptr) return false;
  *slot = Slot{id.generation(), false};
  // What a later call of the slot was answered with stays, if that came before by another lane.
  const auto reply = replies_.find(id.slot());
  if (reply != replies_.end() && at_least(id.generation(), reply->second.generation)) {
    drop(id.slot());
  }
  return true;
}

std::shared_ptr<Link> ReceiveLog::keep(MessageId id, transport::FrameType type, ByteSpan header,
                                       const Bytes& payload) {
  using receive_log_detail::at_least;
  const std::lock_guard lock(mutex_);
  if (forgotten_) return successor_;
  Slot* slot = find_exact(id);
  if (slot == nullptr) return nullptr;
  slot->replied = true;
  const auto newer = replies_.find(id.slot());
  if (newer != replies_.end() && !at_least(id.generation(), newer->second.generation)) {
    return successor_;
  }
  drop(id.slot());
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
  if (size > limits::kept_reply_bytes_max || !memory_.add(size, velo::Lane::replies)) {
    return successor_;
  }
  bytes_ += size;
  order_.emplace_back(id.slot(), id.generation());
  replies_.insert_or_assign(id.slot(), std::move(reply));
  return successor_;
}

std::vector<ReceiveLog::Fate> ReceiveLog::resume(const std::vector<Asked>& asked,
                                                 std::shared_ptr<Link> successor,
                                                 std::vector<Reply>& again) {
  std::vector<Fate> fates;
  fates.reserve(asked.size());
  const std::lock_guard lock(mutex_);
  successor_ = std::move(successor);
  for (const auto& [id, lane] : asked) {
    const Slot* slot = find(id.slot(), lane);
    if (slot == nullptr || slot->generation == 0 ||
        !receive_log_detail::at_least(slot->generation, id.generation())) {
      fates.push_back(Fate::never_received);
      continue;
    }
    const auto kept = replies_.find(id.slot());
    const bool has_reply = kept != replies_.end() && kept->second.generation == id.generation();
    const bool same = slot->generation == id.generation();
    if (same && slot->replied && !has_reply) {
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

std::shared_ptr<Link> ReceiveLog::successor() {
  const std::lock_guard lock(mutex_);
  return successor_;
}

void ReceiveLog::forget() {
  const std::lock_guard lock(mutex_);
  forgotten_ = true;
  for (auto& lane : lanes_) lane.reset();
  replies_.clear();
  order_.clear();
  bytes_ = 0;
  memory_.clear();
}

}  // namespace velo::messenger
