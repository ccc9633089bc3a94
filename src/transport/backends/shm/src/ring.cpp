// SPDX-License-Identifier: Apache-2.0
// Positions, copies and flags of a ring in shared memory.

#include "ring.hpp"

#include <velo/transport/limits.hpp>

#include <algorithm>
#include <bit>
#include <cstring>

namespace velo::transport {
namespace ring_detail {

/// The other end learns of long reads and writes in pieces of this length, so that both work at
/// once.
constexpr std::size_t piece_bytes = std::size_t{32} << 10;
/// A writer that waits is woken when this part of the ring is free.
constexpr std::size_t room_part = 4;

// Positions and flags are sequentially consistent where one end sets its own and then asks for the
// other's: at least one of both sees what the other did, and no wake is lost.
static std::atomic_ref<std::uint64_t> position(const RingMemory& memory, std::size_t at) noexcept {
  return std::atomic_ref<std::uint64_t>(*reinterpret_cast<std::uint64_t*>(memory.control + at));
}
static std::atomic_ref<std::uint32_t> flag(const RingMemory& memory, std::size_t at) noexcept {
  return std::atomic_ref<std::uint32_t>(*reinterpret_cast<std::uint32_t*>(memory.control + at));
}

/// Whether whoever set the flag is to be woken, which is then up to the caller. Whoever sets it
/// again meanwhile is woken, too: that comes after.
static bool answer(const RingMemory& memory, std::size_t at) noexcept {
  const auto asked = flag(memory, at);
  if (asked.load(std::memory_order_seq_cst) == 0) return false;
  asked.store(0, std::memory_order_relaxed);
  return true;
}

}  // namespace ring_detail

using namespace ring_detail;  // NOLINT(google-build-using-namespace)

std::optional<RingPair> split_region(std::span<std::byte> region) noexcept {
  if (region.size() < region_bytes(limits::shm_ring_bytes_min)) return std::nullopt;
  const std::size_t ring = std::bit_floor((region.size() - ring_layout::header_bytes) / 2);
  RingPair pair;
  pair.from_maker.control = region.data();
  pair.to_maker.control = region.data() + ring_layout::control_bytes;
  pair.from_maker.data = region.subspan(ring_layout::header_bytes, ring);
  pair.to_maker.data = region.subspan(ring_layout::header_bytes + ring, ring);
  return pair;
}

void RingWriter::look() noexcept {
  const std::uint64_t read = position(memory_, ring_layout::read).load(std::memory_order_seq_cst);
  // It only grows, and never beyond what was written.
  if (read - read_ > written_ - read_) {
    broken_ = true;
  } else {
    read_ = read;
  }
}

std::size_t RingWriter::put(ByteSpan bytes) noexcept {
  if (broken_) return 0;
  if (room() < bytes.size()) look();
  if (broken_) return 0;
  const std::size_t size = memory_.data.size();
  const std::size_t count = std::min(bytes.size(), room());
  const std::size_t at = written_ & (size - 1);
  const std::size_t first = std::min(count, size - at);
  if (first > 0) std::memcpy(memory_.data.data() + at, bytes.data(), first);
  if (count > first) std::memcpy(memory_.data.data(), bytes.data() + first, count - first);
  written_ += count;
  return count;
}

bool RingWriter::publish() noexcept {
  position(memory_, ring_layout::written).store(written_, std::memory_order_seq_cst);
  return answer(memory_, ring_layout::reader_sleeps);
}

bool RingWriter::wait_for_room() noexcept {
  flag(memory_, ring_layout::writer_waits).store(1, std::memory_order_seq_cst);
  look();
  if (!broken_ && room() < memory_.data.size() / room_part) return true;
  flag(memory_, ring_layout::writer_waits).store(0, std::memory_order_relaxed);
  return false;
}

bool RingWriter::is_waiting() const noexcept {
  return flag(memory_, ring_layout::writer_waits).load(std::memory_order_seq_cst) != 0;
}

void RingReader::look() noexcept {
  const std::uint64_t written =
      position(memory_, ring_layout::written).load(std::memory_order_seq_cst);
  // It only grows, and never beyond the room that the writer knows of.
  if (written - read_ > memory_.data.size() || written - read_ < written_ - read_) {
    broken_ = true;
  } else {
    written_ = written;
  }
}

std::size_t RingReader::take(std::span<std::byte> into) noexcept {
  std::size_t taken = 0;
  const std::size_t size = memory_.data.size();
  while (!broken_ && taken < into.size()) {
    if (written_ == read_) look();
    const std::size_t available = written_ - read_;
    if (broken_ || available == 0) break;
    const std::size_t at = read_ & (size - 1);
    const std::size_t count =
        std::min({available, into.size() - taken, size - at, ring_detail::piece_bytes});
    std::memcpy(into.data() + taken, memory_.data.data() + at, count);
    taken += count;
    read_ += count;
    position(memory_, ring_layout::read).store(read_, std::memory_order_release);
  }
  return taken;
}

void RingReader::settle() noexcept {
  // Stored again: this time in one order with the writer's mark.
  position(memory_, ring_layout::read).store(read_, std::memory_order_seq_cst);
}

bool RingReader::must_wake_writer() noexcept {
  if (flag(memory_, ring_layout::writer_waits).load(std::memory_order_seq_cst) == 0) return false;
  const std::uint64_t written =
      position(memory_, ring_layout::written).load(std::memory_order_relaxed);
  // What is left will be read, too, and then there is room.
  if (memory_.data.size() - (written - read_) < memory_.data.size() / room_part) return false;
  return answer(memory_, ring_layout::writer_waits);
}

bool RingReader::has_come() const noexcept {
  return !broken_ &&
         position(memory_, ring_layout::written).load(std::memory_order_relaxed) != read_;
}

bool RingReader::fall_asleep() noexcept {
  if (broken_) return true;
  // Also orders what was taken before the look at the writer's mark that follows.
  flag(memory_, ring_layout::reader_sleeps).store(1, std::memory_order_seq_cst);
  if (position(memory_, ring_layout::written).load(std::memory_order_seq_cst) == read_) return true;
  stay_awake();
  return false;
}

void RingReader::stay_awake() noexcept {
  flag(memory_, ring_layout::reader_sleeps).store(0, std::memory_order_relaxed);
}

}  // namespace velo::transport
