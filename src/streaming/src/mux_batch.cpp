// SPDX-License-Identifier: Apache-2.0
// Batches of stream records, written and read.

#include "mux_batch.hpp"

#include <array>
#include <bit>
#include <cstring>
#include <utility>

namespace velo::streaming {
namespace mux_batch_detail {

constexpr std::size_t small_batch_bytes = std::size_t{16} << 10;
constexpr std::size_t heard_bytes = 9;
/// What a batch may have before its first record of a stream.
constexpr std::size_t prefix_bytes =
    BatchReader::header_bytes + BatchReader::record_bytes + heard_bytes;

template <class T>
static T read(const std::byte* at) noexcept {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value = static_cast<T>(value << 8U) | std::to_integer<T>(at[i]);
  }
  return value;
}

template <class T>
static void write(std::byte* at, T value) noexcept {
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    at[i] = static_cast<std::byte>(value >> (8 * (sizeof(T) - 1 - i)));
  }
}

static Error malformed(const char* why) {
  return velo::make_error(velo::Errc::invalid_argument, why);
}

static bool body_fits(std::uint8_t type, ByteSpan body) noexcept {
  switch (static_cast<RecordType>(type)) {
    case RecordType::data: return true;
    case RecordType::open_slot: return body.size() == 16;
    case RecordType::close_slot:
      return (body.size() == 1 || body.size() == 9) && std::to_integer<int>(body[0]) <= 3;
    case RecordType::credit_update: return body.size() == 4;
    case RecordType::slot_heartbeat: return body.empty();
    case RecordType::hears: return body.size() == heard_bytes && std::to_integer<int>(body[0]) <= 1;
  }
  return false;
}

}  // namespace mux_batch_detail

Result<BatchReader> BatchReader::open(ByteSpan payload) {
  using namespace mux_batch_detail;  // NOLINT(google-build-using-namespace)
  if (payload.size() < header_bytes) return malformed("a batch without its header");
  if (std::to_integer<std::uint8_t>(payload[0]) != version) {
    return malformed("a batch of another version");
  }
  BatchHeader header;
  header.records = read<std::uint16_t>(payload.data() + 2);
  header.epoch = read<std::uint64_t>(payload.data() + 4);
  header.sequence = read<std::uint32_t>(payload.data() + 12);
  const ByteSpan records = payload.subspan(header_bytes);
  ByteSpan rest = records;
  for (std::size_t i = 0; i < header.records; ++i) {
    if (rest.size() < record_bytes) return malformed("a record is cut off");
    const auto type = std::to_integer<std::uint8_t>(rest[0]);
    const auto size = read<std::uint32_t>(rest.data() + 9);
    rest = rest.subspan(record_bytes);
    if (rest.size() < size) return malformed("a record is longer than its batch");
    if (!body_fits(type, rest.first(size))) return malformed("a record that is none");
    if (static_cast<RecordType>(type) == RecordType::hears) {
      if (i != 0) return malformed("what is heard comes first");
      header.hears = {read<std::uint64_t>(rest.data() + 1), rest[0] == std::byte{1}};
    }
    rest = rest.subspan(size);
  }
  if (!rest.empty()) return malformed("bytes after the last record");
  return BatchReader(header, records);
}

bool BatchReader::next(Record& record) noexcept {
  using mux_batch_detail::read;
  if (rest_.empty()) return false;
  record.type = static_cast<RecordType>(rest_[0]);
  record.slot = Slot(read<std::uint32_t>(rest_.data() + 1));
  record.sequence = read<std::uint32_t>(rest_.data() + 5);
  const auto size = read<std::uint32_t>(rest_.data() + 9);
  record.body = rest_.subspan(record_bytes, size);
  rest_ = rest_.subspan(record_bytes + size);
  const std::byte* body = record.body.data();
  record.session = 0;
  switch (record.type) {
    case RecordType::open_slot:
      record.anchor = read<std::uint64_t>(body);
      record.session = read<std::uint64_t>(body + 8);
      break;
    case RecordType::close_slot:
      record.reason = static_cast<CloseReason>(record.body[0]);
      if (size == 9) record.session = read<std::uint64_t>(body + 1);
      break;
    case RecordType::credit_update: record.credit = read<std::uint32_t>(body); break;
    default: break;
  }
  return true;
}

void Batcher::restart(std::uint64_t epoch) noexcept {
  epoch_ = epoch;
  next_sequence_ = 0;
  records_ = 0;
  open_.clear();
  closed_.clear();
  closed_bytes_ = 0;
}

void Batcher::begin_batch() {
  open_.resize(BatchReader::header_bytes);
  if (!heard_) return;
  std::array<std::byte, mux_batch_detail::heard_bytes> body;
  body[0] = std::byte{heard_->alive};
  mux_batch_detail::write(body.data() + 1, heard_->epoch);
  add(RecordType::hears, Slot(), 0, body.size());
  open_.insert(open_.end(), body.begin(), body.end());
}

void Batcher::begin(RecordType type, Slot slot, std::uint32_t sequence, std::size_t body) {
  constexpr std::size_t prefix = mux_batch_detail::prefix_bytes;
  const std::size_t needed = BatchReader::record_bytes + body;
  if (records_ != 0 && (open_.size() + needed > BatchReader::header_bytes + bytes_max_ ||
                        records_ == limits::batch_records_max)) {
    close();
  }
  if (open_.empty()) {
    if (open_.capacity() < prefix) open_.reserve(needed > 512 ? prefix + bytes_max_ : 1024);
    begin_batch();
  }
  add(type, slot, sequence, body);
}

void Batcher::add(RecordType type, Slot slot, std::uint32_t sequence, std::size_t body) {
  std::array<std::byte, BatchReader::record_bytes> head;
  head[0] = static_cast<std::byte>(type);
  mux_batch_detail::write(head.data() + 1, slot.wire());
  mux_batch_detail::write(head.data() + 5, sequence);
  mux_batch_detail::write(head.data() + 9, static_cast<std::uint32_t>(body));
  open_.insert(open_.end(), head.begin(), head.end());
  ++records_;
}

void Batcher::data(Slot slot, std::uint32_t sequence, ByteSpan frame) {
  begin(RecordType::data, slot, sequence, frame.size());
  open_.insert(open_.end(), frame.begin(), frame.end());
}

void Batcher::open_slot(Slot slot, std::uint64_t anchor, std::uint64_t session) {
  std::array<std::byte, 16> body;
  mux_batch_detail::write(body.data(), anchor);
  mux_batch_detail::write(body.data() + 8, session);
  begin(RecordType::open_slot, slot, 0, body.size());
  open_.insert(open_.end(), body.begin(), body.end());
}

void Batcher::close_slot(Slot slot, CloseReason reason, std::uint64_t session) {
  std::array<std::byte, 9> body;
  body[0] = static_cast<std::byte>(reason);
  mux_batch_detail::write(body.data() + 1, session);
  begin(RecordType::close_slot, slot, 0, body.size());
  open_.insert(open_.end(), body.begin(), body.end());
}

void Batcher::credit_update(Slot slot, std::uint32_t frames) {
  std::array<std::byte, 4> body;
  mux_batch_detail::write(body.data(), frames);
  begin(RecordType::credit_update, slot, 0, body.size());
  open_.insert(open_.end(), body.begin(), body.end());
}

void Batcher::heartbeat(Slot slot) { begin(RecordType::slot_heartbeat, slot, 0, 0); }

void Batcher::close() {
  if (open_.empty()) begin_batch();
  open_[0] = std::byte{BatchReader::version};
  open_[1] = std::byte{0};
  mux_batch_detail::write(open_.data() + 2, static_cast<std::uint16_t>(records_));
  mux_batch_detail::write(open_.data() + 4, epoch_);
  mux_batch_detail::write(open_.data() + 12, next_sequence_++);
  records_ = 0;
  closed_bytes_ += open_.size();
  // A small batch is copied, so that its buffer serves the next one.
  if (open_.size() <= mux_batch_detail::small_batch_bytes) {
    closed_.push_back(Bytes::copy(ByteSpan(open_)));
    open_.clear();
    return;
  }
  const std::size_t size = open_.size();
  closed_.push_back(Bytes::own(std::exchange(open_, {})));
  open_.reserve(size > bytes_max_ / 2 ? mux_batch_detail::prefix_bytes + bytes_max_ : size);
}

std::optional<Bytes> Batcher::take() {
  if (closed_.empty()) {
    if (records_ == 0) return std::nullopt;
    close();
  }
  Bytes oldest = std::move(closed_.front());
  closed_.pop_front();
  closed_bytes_ -= oldest.size();
  return oldest;
}

Bytes Batcher::take_empty() {
  close();
  return *take();
}

}  // namespace velo::streaming
