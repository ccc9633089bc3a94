// SPDX-License-Identifier: Apache-2.0
// Reading, writing and readiness of a stream over shared memory.

#include "shm_stream.hpp"

#include <velo/base/check.hpp>

#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace velo::transport {
namespace shm_stream_detail {

/// The reader learns of a long write in pieces of this length, so that both ends work at once.
constexpr std::size_t piece_bytes = std::size_t{32} << 10;
/// How often a reader that finds more when it is about to sleep is told within one event.
constexpr int readings_max = 4;

}  // namespace shm_stream_detail

class ShmStream::Telling {
 public:
  explicit Telling(ShmStream& stream) noexcept
      : stream_(&stream), outer_(std::exchange(stream.telling_, this)) {}
  Telling(const Telling&) = delete;
  Telling& operator=(const Telling&) = delete;
  ~Telling() {
    if (stream_ != nullptr) stream_->telling_ = outer_;
  }
  bool is_over() const noexcept { return stream_ == nullptr || stream_->closed_; }
  void gone() noexcept {
    stream_ = nullptr;
    if (outer_ != nullptr) outer_->gone();
  }

 private:
  ShmStream* stream_;
  Telling* outer_;
};

std::unique_ptr<ByteStream> ShmStream::over(std::unique_ptr<SharedMemoryLink> link, Charge memory) {
  const auto rings = split_region(link->memory());
  if (!rings.has_value()) return nullptr;
  const bool maker = link->is_maker();
  return std::unique_ptr<ByteStream>(new ShmStream(std::move(link), std::move(memory),
                                                   maker ? rings->to_maker : rings->from_maker,
                                                   maker ? rings->from_maker : rings->to_maker));
}

ShmStream::~ShmStream() {
  close();
  if (telling_ != nullptr) telling_->gone();
}

void ShmStream::attach(StreamEvents& events) {
  VELO_CHECK(events_ == nullptr);
  events_ = &events;
  link_->attach(*this);
  is_polled_ = link_->shard().add_poll_source(*this);
  // For what came before; and the first look is the one after which the other end has to ring.
  if (!is_polled_) link_->wake();
}

IoResult ShmStream::try_read(std::span<std::byte> into) noexcept {
  if (broken_.load(std::memory_order_relaxed)) return {IoResult::Status::error, 0, EBADMSG};
  // Asked before the ring: what was written before the end is read before it.
  const bool is_last = hung_up_.load(std::memory_order_acquire);
  const std::size_t count = reader_.take(into);
  if (reader_.broken()) {
    broken_.store(true, std::memory_order_relaxed);
    return {IoResult::Status::error, 0, EBADMSG};
  }
  if (count > 0) {
    // Who falls asleep afterwards looks again then, at no cost.
    if (is_polled_) reader_.settle();
    if (reader_.must_wake_writer()) link_->ring();
  }
  if (count < into.size() && (!is_last || count > 0)) drained();
  if (count > 0) return {IoResult::Status::ok, count, 0};
  return {is_last ? IoResult::Status::end : IoResult::Status::would_block, 0, 0};
}

/// The ring was found empty: who writes has to ring from now on. Whoever reads may stop here, and
/// wants to be told again.
void ShmStream::drained() noexcept {
  was_drained_ = true;
  // Within an event that is left for its end: until then nobody needs to ring.
  if (telling_ != nullptr) return;
  if (is_over() || (!is_polled_ && !fall_asleep())) link_->wake();
}

bool ShmStream::fall_asleep() noexcept {
  const bool is_asleep = reader_.fall_asleep();
  if (reader_.must_wake_writer()) link_->ring();
  return is_asleep;
}

IoResult ShmStream::try_write(std::span<const iovec> from) noexcept {
  if (broken_.load(std::memory_order_relaxed)) return {IoResult::Status::error, 0, EBADMSG};
  if (hung_up_.load(std::memory_order_relaxed)) return {IoResult::Status::error, 0, EPIPE};
  std::size_t total = 0;
  std::size_t unpublished = 0;
  bool is_full = false;
  const auto publish = [this, &unpublished] {
    unpublished = 0;
    if (writer_.publish()) link_->ring();
  };
  for (const iovec& part : from) {
    ByteSpan rest(static_cast<const std::byte*>(part.iov_base), part.iov_len);
    while (!rest.empty() && !is_full) {
      const std::size_t piece = shm_stream_detail::piece_bytes - unpublished;
      const ByteSpan next = rest.first(std::min(rest.size(), piece));
      const std::size_t count = writer_.put(next);
      is_full = count < next.size();
      rest = rest.subspan(count);
      total += count;
      unpublished += count;
      if (unpublished == shm_stream_detail::piece_bytes) publish();
    }
    if (is_full) break;
  }
  if (unpublished > 0) publish();
  if (writer_.broken()) {
    broken_.store(true, std::memory_order_relaxed);
    return {IoResult::Status::error, 0, EBADMSG};
  }
  if (total == 0) return {IoResult::Status::would_block, 0, 0};
  return {IoResult::Status::ok, total, 0};
}

void ShmStream::want_write() noexcept {
  wants_write_.store(true, std::memory_order_seq_cst);
  if (!writer_.wait_for_room()) link_->wake();
}

void ShmStream::close() noexcept {
  if (closed_) return;
  closed_ = true;
  if (is_polled_) link_->shard().remove_poll_source(*this);
  link_->close();
}

void ShmStream::on_bell() {
  const Telling telling(*this);
  // The reader clears its mark when it rings for room; as long as it stands, this ring was for the
  // other direction.
  if (wants_write_.load(std::memory_order_seq_cst) && !writer_.is_waiting() &&
      wants_write_.exchange(false, std::memory_order_seq_cst)) {
    events_->on_writable();
    if (telling.is_over()) return;
  }
  tell_readable();
}

void ShmStream::take() { tell_readable(); }

void ShmStream::on_hangup() {
  hung_up_.store(true, std::memory_order_release);
  tell_readable();
}

void ShmStream::tell_readable() {
  const Telling telling(*this);
  for (int i = 0; i < shm_stream_detail::readings_max; ++i) {
    was_drained_ = false;
    events_->on_readable();
    // Who did not read to the end comes back without being told.
    if (telling.is_over() || !was_drained_) return;
    // After the last bytes there is the end to be read.
    if (is_over()) continue;
    if (is_polled_ || fall_asleep()) return;
  }
  link_->wake();
}

}  // namespace velo::transport
