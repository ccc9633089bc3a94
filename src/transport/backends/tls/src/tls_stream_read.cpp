// SPDX-License-Identifier: Apache-2.0
// Reading from a TLS stream: records in, their content out.

#include "tls_stream.hpp"

#include <openssl/ssl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace velo::transport::tls {

void TlsStream::attach(StreamEvents& events) {
  events_ = &events;
  raw_->tell(this);
  // Something may have come behind the handshake, or with its last bytes.
  wake();
}

void TlsStream::on_readable() { events_->on_readable(); }

/// Reports once more that there is something to read, in a later turn.
void TlsStream::wake() noexcept {
  if (wake_ || closed_ || events_ == nullptr) return;
  wake_ = shard().start_timer(shard().now(), Task0{[](void* argument) {
                                                     auto* self = static_cast<TlsStream*>(argument);
                                                     self->wake_.reset();
                                                     self->events_->on_readable();
                                                   },
                                                   this});
}

IoResult TlsStream::outcome() const noexcept {
  if (failure_ != 0) return {IoResult::Status::error, 0, failure_};
  return {ended_ ? IoResult::Status::end : IoResult::Status::would_block, 0, 0};
}

void TlsStream::fail(int system_error, int alert) noexcept {
  if (failure_ == 0) {
    failure_ = system_error;
    alert_ = alert;
  }
}

IoResult TlsStream::try_read(std::span<std::byte> into) noexcept {
  if (into.empty()) return {IoResult::Status::would_block, 0, 0};
  Reading reading;
  reading.into = into;
  if (parked_bytes_ == 0 && over()) return outcome();
  reading.buffer = environment_->read_buffer(shard());
  take_parked(reading);
  for (;;) {
    open_records(reading);
    if (over() || reading.drained || reading.room().empty()) break;
    fill(reading);
  }
  park(reading);
  if (reading.filled == 0) return outcome();
  // The caller may stop at a short read; what ended reading is told the next time.
  if (over() && reading.filled < into.size()) wake();
  return {IoResult::Status::ok, reading.filled, 0};
}

/// What the last call left: its content goes to the caller, its ciphertext back to the buffer.
void TlsStream::take_parked(Reading& reading) {
  if (parked_bytes_ == 0) return;
  const std::size_t taken = std::min(parked_content_, reading.into.size());
  std::memcpy(reading.into.data(), parked_.get(), taken);
  reading.filled = taken;
  reading.end = parked_bytes_ - taken;
  std::memcpy(reading.buffer.data(), parked_.get() + taken, reading.end);
  parked_content_ -= taken;
  reading.begin = parked_content_;
  unpark();
}

void TlsStream::unpark() noexcept {
  parked_.reset();
  environment_->budget().give_back(std::exchange(parked_bytes_, 0));
}

void TlsStream::open_records(Reading& reading) {
  while (!over() && parked_content_ == 0 && !reading.room().empty()) {
    const auto window = reading.buffer.subspan(reading.begin, reading.end - reading.begin);
    if (window.size() < record_header_bytes) return;
    const auto size = record_bytes(window.first(record_header_bytes));
    if (!size) return fail(EPROTO, alert_of(size.error()));
    if (window.size() < *size) return;
    reading.begin += *size;
    open_one(reading, window.first(*size));
  }
}

void TlsStream::open_one(Reading& reading, ByteSpan record) {
  // Straight to the caller if it fits; otherwise in its own place.
  const bool direct = RecordOpener::target_bytes(record) <= reading.room().size();
  auto* const body = const_cast<std::byte*>(record.data()) + record_header_bytes;
  std::byte* const target = direct ? reading.room().data() : body;
  const auto opened = opener_.open(record, target);
  if (!opened) return fail(EBADMSG, alert_of(opened.error()));
  // A message that is cut across records has nothing else between its parts.
  if (messages_.is_within() && opened->type != ContentType::handshake) {
    return fail(EPROTO, SSL_AD_UNEXPECTED_MESSAGE);
  }
  if (opened->type == ContentType::application_data && opened->bytes != 0) {
    idle_records_ = 0;
    return took_content(reading, target, opened->bytes, !direct);
  }
  if (++idle_records_ > limits::tls_idle_records_max) {
    return fail(EPROTO, SSL_AD_UNEXPECTED_MESSAGE);
  }
  switch (opened->type) {
    case ContentType::application_data: return;
    case ContentType::alert: return took_alert({target, opened->bytes});
    case ContentType::handshake: return took_handshake({target, opened->bytes});
    default: return fail(EPROTO, SSL_AD_UNEXPECTED_MESSAGE);
  }
}

void TlsStream::took_content(Reading& reading, const std::byte* content, std::size_t bytes,
                             bool in_place) {
  if (!in_place) {
    reading.filled += bytes;
    return;
  }
  const std::size_t taken = std::min(bytes, reading.room().size());
  std::memcpy(reading.room().data(), content, taken);
  reading.filled += taken;
  parked_content_ = bytes - taken;
  if (parked_content_ == 0) return;
  // What is left stands just before the ciphertext that follows.
  reading.begin -= parked_content_;
  std::memmove(reading.buffer.data() + reading.begin, content + taken, parked_content_);
  reading.begin += parked_content_;
}

void TlsStream::took_handshake(ByteSpan content) {
  using Found = MessageReader::Found;
  switch (messages_.take(content)) {
    case Found::nothing: return;
    case Found::unexpected: return fail(EPROTO, SSL_AD_UNEXPECTED_MESSAGE);
    case Found::malformed: return fail(EPROTO, SSL_AD_DECODE_ERROR);
    case Found::bad_value: return fail(EPROTO, SSL_AD_ILLEGAL_PARAMETER);
    case Found::key_update_asks: key_update_asked_.store(true, std::memory_order_relaxed); break;
    case Found::key_update: break;
  }
  if (!opener_.update()) fail(EIO, SSL_AD_INTERNAL_ERROR);
}

void TlsStream::took_alert(ByteSpan alert) {
  if (alert.empty()) return fail(EPROTO, SSL_AD_UNEXPECTED_MESSAGE);
  if (alert.size() != 2) return fail(EPROTO, SSL_AD_DECODE_ERROR);
  const int description = std::to_integer<int>(alert[1]);
  if (description == SSL_AD_CLOSE_NOTIFY) {
    ended_ = true;
  } else if (description != SSL_AD_USER_CANCELLED) {
    fail(ECONNABORTED, 0);
  }
}

void TlsStream::fill(Reading& reading) {
  if (reading.begin == reading.end) {
    reading.begin = reading.end = 0;
  } else if (reading.begin != 0) {
    std::memmove(reading.buffer.data(), reading.buffer.data() + reading.begin,
                 reading.end - reading.begin);
    reading.end -= std::exchange(reading.begin, 0);
  }
  // Little more than the caller can take: what is too much has to be copied away.
  constexpr std::size_t one_more = record_body_bytes_max + record_header_bytes;
  const std::size_t wanted = reading.room().size() + reading.room().size() / 512 + one_more;
  const auto space = reading.buffer.subspan(reading.end);
  const auto asked = space.first(std::min(space.size(), wanted));
  const IoResult result = raw_->stream().try_read(asked);
  switch (result.status) {
    case IoResult::Status::ok:
      reading.end += result.bytes;
      reading.drained = result.bytes < asked.size();
      return;
    case IoResult::Status::would_block: reading.drained = true; return;
    // Whoever leaves without a goodbye may have been cut off.
    case IoResult::Status::end: return fail(ECONNRESET, 0);
    case IoResult::Status::error: return fail(result.system_error, 0);
  }
}

void TlsStream::park(const Reading& reading) {
  const std::size_t begin = reading.begin - parked_content_;
  if (over() && parked_content_ == 0) return;
  keep({reading.buffer.data() + begin, reading.end - begin});
}

void TlsStream::keep(ByteSpan bytes) {
  if (bytes.empty()) return;
  parked_bytes_ = bytes.size();
  parked_ = std::make_unique_for_overwrite<std::byte[]>(parked_bytes_);
  std::memcpy(parked_.get(), bytes.data(), parked_bytes_);
  // It has come, so that it may go over the limit.
  environment_->budget().take(parked_bytes_);
}

}  // namespace velo::transport::tls
