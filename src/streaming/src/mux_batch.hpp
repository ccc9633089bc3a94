// SPDX-License-Identifier: Apache-2.0
// The payload of `_stream_batch` (messenger-mux-v1): a header of 16 bytes, then records of 13 bytes
// and a body, all big endian. Reading checks everything before the first record is handed out.
// Threading: a Batcher belongs to one thread at a time; reading is pure.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>
#include <velo/streaming/limits.hpp>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

namespace velo::streaming {

enum class RecordType : std::uint8_t {
  data = 0,
  open_slot = 1,
  close_slot = 2,
  credit_update = 3,
  slot_heartbeat = 4,
  hears = 5,  ///< the first of its batch, or none
};

enum class CloseReason : std::uint8_t {
  terminal_sent = 0,   ///< from the sender: that was all; from the receiver: and it was taken
  peer_gone = 1,       ///< from the receiver: nobody reads on
  unknown_slot = 2,    ///< from the receiver: no such stream
  protocol_error = 3,  ///< from the receiver: against the rules
};

/// A stream on one connection's way: an index, and a generation that tells its users apart.
class Slot {
 public:
  constexpr Slot() noexcept = default;
  constexpr explicit Slot(std::uint32_t wire) noexcept : wire_(wire) {}
  constexpr Slot(std::uint32_t index, std::uint8_t generation) noexcept
      : wire_(index << 8U | generation) {}
  constexpr std::uint32_t wire() const noexcept { return wire_; }
  constexpr std::uint32_t index() const noexcept { return wire_ >> 8U; }
  constexpr std::uint8_t generation() const noexcept {
    return static_cast<std::uint8_t>(wire_ & 0xffU);
  }
  friend constexpr auto operator<=>(Slot, Slot) noexcept = default;

 private:
  std::uint32_t wire_ = 0;
};

/// The last epoch that a side has heard of the other.
struct HeardEpoch {
  std::uint64_t epoch = 0;
  bool alive = false;  ///< what comes of it is taken

  friend bool operator==(const HeardEpoch&, const HeardEpoch&) = default;
};

struct BatchHeader {
  std::uint16_t records = 0;
  std::uint64_t epoch = 0;
  std::uint32_t sequence = 0;
  std::optional<HeardEpoch> hears;  ///< of the receiver; empty: of nothing
};

struct Record {
  RecordType type = RecordType::data;
  Slot slot;
  std::uint32_t sequence = 0;  ///< of data within its slot
  ByteSpan body;
  // Of open_slot.
  std::uint64_t anchor = 0;
  std::uint64_t session = 0;  ///< of close_slot too, 0 where it was not said
  CloseReason reason = CloseReason::terminal_sent;
  std::uint32_t credit = 0;
};

class BatchReader {
 public:
  static constexpr std::size_t header_bytes = 16;
  static constexpr std::size_t record_bytes = 13;
  static constexpr std::uint8_t version = 1;

  /// velo::Errc::invalid_argument for anything that is not a whole batch. The bytes outlive it.
  static Result<BatchReader> open(ByteSpan payload);

  const BatchHeader& header() const noexcept { return header_; }
  /// False at the end.
  bool next(Record& record) noexcept;

 private:
  BatchReader(BatchHeader header, ByteSpan records) noexcept : header_(header), rest_(records) {}

  BatchHeader header_;
  ByteSpan rest_;
};

/// Collects records into batches of one epoch, numbered in the order of their closing.
class Batcher {
 public:
  explicit Batcher(std::size_t bytes_max = limits::batch_bytes_max) noexcept
      : bytes_max_(bytes_max) {}

  /// Drops what was not taken; the next batch is the first of `epoch`.
  void restart(std::uint64_t epoch) noexcept;
  /// Said in each batch that begins from now on.
  void set_heard(std::optional<HeardEpoch> heard) noexcept { heard_ = heard; }
  std::uint64_t epoch() const noexcept { return epoch_; }

  void data(Slot slot, std::uint32_t sequence, ByteSpan frame);
  void open_slot(Slot slot, std::uint64_t anchor, std::uint64_t session);
  void close_slot(Slot slot, CloseReason reason, std::uint64_t session);
  void credit_update(Slot slot, std::uint32_t frames);
  void heartbeat(Slot slot);

  bool empty() const noexcept { return records_ == 0 && closed_.empty(); }
  /// A batch is full, whatever comes next.
  bool has_full() const noexcept { return !closed_.empty(); }
  /// Bytes that were not taken.
  std::size_t bytes() const noexcept { return closed_bytes_ + open_.size(); }
  /// The oldest; what is open is closed for it when there is no other. Nullopt: nothing was added.
  std::optional<Bytes> take();
  /// A batch without records: a sign of life. Only while empty().
  Bytes take_empty();

 private:
  void begin(RecordType type, Slot slot, std::uint32_t sequence, std::size_t body);
  void add(RecordType type, Slot slot, std::uint32_t sequence, std::size_t body);
  void begin_batch();
  void close();

  std::size_t bytes_max_;
  std::uint64_t epoch_ = 0;
  std::optional<HeardEpoch> heard_;
  std::uint32_t next_sequence_ = 0;
  std::size_t records_ = 0;
  std::vector<std::byte> open_;
  std::deque<Bytes> closed_;
  std::size_t closed_bytes_ = 0;
};

}  // namespace velo::streaming
