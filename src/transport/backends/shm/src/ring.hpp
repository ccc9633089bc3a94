// SPDX-License-Identifier: Apache-2.0
// A ring of bytes between two processes, in memory that both have mapped: one writes, one reads.
// Nothing in that memory is believed: each end keeps its own position to itself, and checks the
// other's whenever it reads it; what is read was copied out before anybody looks at it. Not the
// waking of who sleeps: it says when that is due. Layout: docs/protocols/shm.md.
// Threading: a writer and a reader, each one thread at a time.
#pragma once

#include <velo/base/bytes.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace velo::transport {

namespace ring_layout {

/// Offsets within the control part of a ring, each on two cache lines of its own.
constexpr std::size_t written = 0;          ///< u64, by the writer: bytes written since the start
constexpr std::size_t read = 128;           ///< u64, by the reader: bytes read since the start
constexpr std::size_t reader_sleeps = 256;  ///< u32: set by the reader, cleared by who wakes it
constexpr std::size_t writer_waits = 384;   ///< u32: set by the writer, cleared by who wakes it
constexpr std::size_t control_bytes = 512;
/// Of the region: the control parts of both rings, then their data.
constexpr std::size_t header_bytes = 4096;

}  // namespace ring_layout

/// One ring, as it lies in memory.
struct RingMemory {
  std::byte* control = nullptr;
  std::span<std::byte> data;  ///< a power of two long
};

/// Both rings of a region.
struct RingPair {
  RingMemory from_maker;
  RingMemory to_maker;
};

constexpr std::size_t region_bytes(std::size_t ring_bytes) noexcept {
  return ring_layout::header_bytes + 2 * ring_bytes;
}

/// The longest rings that fit; nothing if the region has no room for the shortest.
std::optional<RingPair> split_region(std::span<std::byte> region) noexcept;

class RingWriter {
 public:
  explicit RingWriter(RingMemory memory) noexcept : memory_(memory) {}

  /// Copies as much as fits behind what was copied before; the reader sees nothing of it yet.
  std::size_t put(ByteSpan bytes) noexcept;
  /// Shows the reader what was put. True if it sleeps and has to be woken.
  bool publish() noexcept;
  /// After put() took less than it was given. False if there is room already; otherwise the reader
  /// will see that somebody waits.
  bool wait_for_room() noexcept;
  /// Whether the reader still knows that somebody waits.
  bool is_waiting() const noexcept;
  /// The reader's position was none that it can have. Nothing more is written.
  bool broken() const noexcept { return broken_; }

 private:
  std::size_t room() const noexcept { return memory_.data.size() - (written_ - read_); }
  void look() noexcept;

  RingMemory memory_;
  std::uint64_t written_ = 0;
  std::uint64_t read_ = 0;  ///< as far as it is known
  bool broken_ = false;
};

class RingReader {
 public:
  explicit RingReader(RingMemory memory) noexcept : memory_(memory) {}

  /// Copies out what there is, as far as it fits.
  std::size_t take(std::span<std::byte> into) noexcept;
  /// Whether the writer waits and there is room enough to wake it. To be asked after take(), when
  /// it may miss one that has begun to wait just then, and after settle() or fall_asleep(), when it
  /// does not.
  bool must_wake_writer() noexcept;
  /// Shows what was taken to a writer that is about to wait.
  void settle() noexcept;
  /// Whether there is something to take, or the ring is broken in a way that was not seen yet.
  bool has_come() const noexcept;
  /// From now on the writer wakes this end. False if something has come meanwhile; then it does
  /// not.
  bool fall_asleep() noexcept;
  void stay_awake() noexcept;
  /// The writer's position was none that it can have. Nothing more is read.
  bool broken() const noexcept { return broken_; }

 private:
  void look() noexcept;

  RingMemory memory_;
  std::uint64_t written_ = 0;  ///< as far as it is known
  std::uint64_t read_ = 0;
  bool broken_ = false;
};

}  // namespace velo::transport
