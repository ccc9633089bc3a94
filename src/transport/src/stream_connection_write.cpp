// SPDX-License-Identifier: Apache-2.0
// Sending on a stream connection, and the write right that orders it.

#include "stream_connection.hpp"

#include <velo/base/planted.hpp>
#include <velo/transport/framing.hpp>
#include <velo/transport/transport.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace velo::transport {
namespace stream_connection_write_detail {

constexpr std::size_t vectors_max = 64;
/// A corked connection writes before the end of the event once a quarter of what the burst before
/// this one had is ready, so that the peer works on the beginning of a burst while its end is being
/// made. Never less than the first (a write costs more than a few small frames do), never more than
/// the second.
constexpr std::uint64_t corked_bytes_min = std::uint64_t{4} << 10;
constexpr std::uint64_t corked_bytes_max = std::uint64_t{64} << 10;
constexpr std::uint64_t parts_of_a_burst = 4;
/// Stream positions that a corked shard takes ahead at a time.
constexpr std::uint64_t reserved_bytes = std::uint64_t{32} << 10;
/// A sender's thread writes for other senders this often before it leaves the rest to the shard.
constexpr unsigned rounds_max = 8;

}  // namespace stream_connection_write_detail

namespace writing = stream_connection_write_detail;

/// What is accepted up to `position` and not yet written.
std::uint64_t StreamConnection::backlog(std::uint64_t position) const noexcept {
  // Another thread may have written past the position of an old word.
  const auto bytes = static_cast<std::int64_t>(position - written_.load(std::memory_order_relaxed));
  return bytes > 0 ? static_cast<std::uint64_t>(bytes) : 0;
}

SendResult StreamConnection::refused(Admission admission, FrameType type,
                                     std::size_t size) noexcept {
  if (admission == Admission::over_budget && refusal_blames_peer(type, size, queued())) {
    close(make_error(Errc::peer_too_slow, remote_ + " does not read its replies"));
    admission = Admission::closed;
  }
  return {admission, 0};
}

SendResult StreamConnection::send(const OutFrame& frame) noexcept {
  if (check_lengths(frame.header.size(), frame.payload.size()) != FrameFault::none) {
    return {Admission::too_large, 0};
  }
  const std::size_t size = encoded_bytes(frame);
  const bool on_shard = shard_.on_this_thread();
  if (on_shard && corked_) return send_corked(frame, size);
  std::uint64_t word = word_.load(std::memory_order_relaxed);
  for (;;) {
    if ((word & closed_bit) != 0) return {Admission::closed, 0};
    if (!fits(word >> position_shift, frame.type, size)) {
      return refused(Admission::over_budget, frame.type, size);
    }
    if ((word & held_bit) != 0) {
      if (const auto result = send_aside(frame, size)) return *result;
      word = word_.load(std::memory_order_relaxed);
      continue;
    }
    const std::uint64_t taken = (word + (std::uint64_t{size} << position_shift)) | held_bit;
    if (word_.compare_exchange_weak(word, taken, std::memory_order_acquire,
                                    std::memory_order_relaxed)) {
      break;
    }
  }
  reserved_end_ = out_position_ + size;
  append(frame, size);
  // Read before the right is given up: afterwards out_position_ is another's.
  const std::uint64_t end = out_position_;
  if (on_shard) {
    cork();
  } else {
    release_right(false);
  }
  return {Admission::accepted, end};
}

SendResult StreamConnection::send_corked(const OutFrame& frame, std::size_t size) noexcept {
  Admission admission = reserve_corked(frame.type, size);
  if (admission == Admission::over_budget && !flushing_ && !blocked_ && !out_.empty()) {
    // What only waits for the end of the event is no reason to refuse.
    flush();
    admission = reserve_corked(frame.type, size);
  }
  if (admission != Admission::accepted) return refused(admission, frame.type, size);
  append(frame, size);
  // flush() may let others send: the end is this frame's only now.
  const std::uint64_t end = out_position_;
  if (out_.bytes() >= corked_bytes_) flush();
  return {Admission::accepted, end};
}

Admission StreamConnection::reserve_corked(FrameType type, std::size_t size) noexcept {
  // Whoever came meanwhile, to send or to close, changed the word; and if that happened before this
  // send began, it is seen here, without a locked instruction.
  const std::uint64_t undisturbed = (reserved_end_ << position_shift) | held_bit;
  if (word_.load(std::memory_order_relaxed) == undisturbed &&
      size <= reserved_end_ - out_position_) {
    return fits(out_position_, type, size) ? Admission::accepted : Admission::over_budget;
  }
  return reserve(type, size);
}

/// Makes room for `size` between out_position_ and reserved_end_, behind everything accepted so
/// far.
Admission StreamConnection::reserve(FrameType type, std::size_t size) noexcept {
  std::uint64_t word = word_.load(std::memory_order_relaxed);
  std::uint64_t position = 0;
  std::uint64_t more = 0;
  do {
    if ((word & closed_bit) != 0) return Admission::closed;
    position = word >> position_shift;
    const std::uint64_t unused = position == reserved_end_ ? position - out_position_ : 0;
    if (!fits(position - unused, type, size)) return Admission::over_budget;
    // Only `attention` is new, and that waits until the right is let go.
    if (size <= unused) return Admission::accepted;
    const std::uint64_t needed = size - unused;
    // Others count what is reserved as queued: near the limit it must not be in their way.
    const bool near_limit =
        backlog(position) + writing::reserved_bytes > allowance_.reach(Lane::requests);
    more = near_limit ? needed : std::max<std::uint64_t>(needed, writing::reserved_bytes);
  } while (!word_.compare_exchange_weak(word, word + (more << position_shift),
                                        std::memory_order_relaxed));
  if (position != reserved_end_) {
    const std::lock_guard lock(mutex_);
    take_side_up_to(position, side_);
    if (side_.empty() && !writable_ && ending_ == Ending::none) {
      word_.fetch_and(~attention_bit, std::memory_order_relaxed);
    }
  }
  reserved_end_ = position + more;
  return Admission::accepted;
}

/// Moves what others have accepted behind the reservation to out_; the unused rest of it becomes a
/// gap.
void StreamConnection::take_side_up_to(std::uint64_t position, SideQueue& side) noexcept {
  if (const std::uint64_t unused = reserved_end_ - out_position_; unused != 0) {
    gaps_.push_back(Gap{out_position_ - gap_bytes_, unused});
    gap_bytes_ += unused;
  }
  side.move_to(out_, position - reserved_end_);
  out_position_ = position;
  reserved_end_ = position;
}

std::optional<SendResult> StreamConnection::send_aside(const OutFrame& frame,
                                                       std::size_t size) noexcept {
  Bytes shared;
  if (frame.payload.size() >= limits::shared_payload_bytes_min) {
    shared = OutQueue::share_payload(frame);
  }
  {
    const std::lock_guard lock(mutex_);
    std::uint64_t word = word_.load(std::memory_order_relaxed);
    for (;;) {
      if ((word & closed_bit) != 0) return SendResult{Admission::closed, 0};
      if (!fits(word >> position_shift, frame.type, size)) break;
      if ((word & held_bit) == 0) return std::nullopt;
      const std::uint64_t next = (word + (std::uint64_t{size} << position_shift)) | attention_bit;
      if (word_.compare_exchange_weak(word, next, std::memory_order_relaxed)) {
        side_.push(frame, std::move(shared));
        return SendResult{Admission::accepted, (word >> position_shift) + size};
      }
    }
  }
  return refused(Admission::over_budget, frame.type, size);
}

void StreamConnection::append(const OutFrame& frame, std::size_t size) noexcept {
  out_.append(frame);
  out_position_ += size;
}

void StreamConnection::cork() noexcept {
  corked_ = true;
  burst_begin_ = out_position_;
  if (in_read_ || turn_end_pending_) return;
  turn_end_pending_ = true;
  // Nobody closes a connection whose write right is held, so it still exists when the task runs.
  shard_.at_turn_end(
      Task0{[](void* argument) { static_cast<StreamConnection*>(argument)->turn_ended(); }, this});
}

void StreamConnection::turn_ended() noexcept {
  turn_end_pending_ = false;
  if (corked_) release_right(true);
}

/// Under mutex_: takes the right if it is free, or else makes its holder look.
bool StreamConnection::request_right() noexcept {
  std::uint64_t word = word_.load(std::memory_order_relaxed);
  for (;;) {
    const bool is_free = (word & held_bit) == 0;
    const std::uint64_t next = word | (is_free ? held_bit : attention_bit);
    if (word_.compare_exchange_weak(word, next, std::memory_order_acquire,
                                    std::memory_order_relaxed)) {
      return is_free;
    }
  }
}

void StreamConnection::release_right(bool on_shard) noexcept {
  if (corked_) {
    corked_bytes_ = std::clamp((out_position_ - burst_begin_) / writing::parts_of_a_burst,
                               writing::corked_bytes_min, writing::corked_bytes_max);
  }
  for (unsigned round = 0;; ++round) {
    // What on_written() sends meanwhile is appended directly.
    if (on_shard) corked_ = true;
    flush();
    if (on_shard) corked_ = false;
    if (allowance_.unsettled(out_.bytes())) allowance_.settle(out_.bytes());
    std::uint64_t word = word_.load(std::memory_order_relaxed);
    if ((word & attention_bit) == 0) {
      if (draining_ && out_.empty()) return post_finish();
      // What was reserved and not used goes back; nobody has come behind it, or this fails.
      const std::uint64_t reserved_end = std::exchange(reserved_end_, out_position_);
      const std::uint64_t released = (out_position_ << position_shift) | (word & closed_bit);
      if (word_.compare_exchange_strong(word, released, std::memory_order_release,
                                        std::memory_order_relaxed)) {
        return;
      }
      reserved_end_ = reserved_end;
      continue;
    }
    if (!take_side()) return post_finish();
    if (!on_shard && round >= writing::rounds_max) {
      return post_retained<&StreamConnection::continue_on_shard>();
    }
  }
}

/// False: the connection is to be closed now, and the right goes to the task that does it.
bool StreamConnection::take_side() noexcept {
  Ending ending = Ending::none;
  {
    const std::lock_guard lock(mutex_);
    word_.fetch_and(~attention_bit, std::memory_order_relaxed);
    taken_.swap(side_);
    ending = ending_;
    if (std::exchange(writable_, false)) blocked_ = false;
  }
  if (!taken_.empty()) take_side_up_to(reserved_end_ + taken_.bytes(), taken_);
  if (ending == Ending::after_flush) draining_ = true;
  return ending != Ending::now;
}

void StreamConnection::flush() noexcept {
  if (flushing_ || blocked_) return;
  if (write_failed_) return drop_out();
  flushing_ = true;
  while (!out_.empty()) {
    std::array<iovec, writing::vectors_max> vectors;
    const std::size_t count = out_.gather(vectors);
    const IoResult result = stream_->try_write(std::span(vectors).first(count));
    if (result.status == IoResult::Status::ok) {
      out_.consume(result.bytes);
      written_bytes_ += result.bytes;
      if (!gaps_.empty()) pass_gaps();
      written_.store(written_bytes_ + gaps_passed_, std::memory_order_seq_cst);
      events_->on_written(*this);
      continue;
    }
    if (result.status == IoResult::Status::would_block) {
      blocked_ = true;
      stream_->want_write();
    } else {
      fail_writing();
    }
    break;
  }
  flushing_ = false;
}

void StreamConnection::pass_gaps() noexcept {
  const auto behind = std::find_if(gaps_.begin(), gaps_.end(),
                                   [this](const Gap& gap) { return gap.at > written_bytes_; });
  for (auto gap = gaps_.begin(); gap != behind; ++gap) gaps_passed_ += gap->size;
  gaps_.erase(gaps_.begin(), behind);
}

void StreamConnection::fail_writing() noexcept {
  write_failed_ = true;
  drop_out();
  word_.fetch_or(closed_bit, std::memory_order_relaxed);
  post_retained<&StreamConnection::read_to_the_end>();
}

void StreamConnection::on_writable() {
  if (finished_) return;
  VELO_PLANT(lost_wake_up, return);
  if (corked_) {
    blocked_ = false;
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    if (!request_right()) {
      writable_ = true;
      return;
    }
  }
  blocked_ = false;
  release_right(true);
}

}  // namespace velo::transport
