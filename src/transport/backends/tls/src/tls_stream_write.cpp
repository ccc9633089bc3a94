// SPDX-License-Identifier: Apache-2.0
// Writing to a TLS stream, and its life.

#include "tls_stream.hpp"

#include <velo/base/check.hpp>

#include <openssl/ssl.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace velo::transport::tls {

TlsStream::TlsStream(std::unique_ptr<RawEnd> raw, Established established,
                     std::shared_ptr<Environment> environment)
    : raw_(std::move(raw)),
      environment_(std::move(environment)),
      opener_(std::move(established.opener)),
      sealer_(std::move(established.sealer)) {
  raw_->tell(nullptr);
  keep(established.rest);
}

TlsStream::~TlsStream() {
  close();
  unpark();
}

void TlsStream::on_writable() { events_->on_writable(); }

IoResult TlsStream::try_write(std::span<const iovec> from) noexcept {
  if (out_used_ == 0 && !make_records(from)) return {IoResult::Status::error, 0, EIO};
  return push();
}

/// Turns what comes first into records; at most a batch.
bool TlsStream::make_records(std::span<const iovec> from) {
  std::size_t total = 0;
  for (const iovec& each : from) total += each.iov_len;
  total = std::min(total, batch_content_bytes);
  const bool updates = key_update_asked_.load(std::memory_order_relaxed) ||
                       sealer_.used() + batch_records > records_per_key_max;
  if (total + record_overhead_bytes > small_.size()) block_ = environment_->take_block();
  if (updates && !make_key_update()) return false;
  // Without a block, because there is no memory or no need, as much as fits beside it.
  if (!block_) total = std::min(total, small_.size() - out_used_ - record_overhead_bytes);
  Gather gather(from);
  made_count_ = 0;
  told_ = 0;
  for (std::size_t done = 0; done < total;) {
    const std::size_t count = std::min(total - done, record_content_bytes_max);
    if (!sealer_.seal(ContentType::application_data, gather, count, out_end())) return false;
    out_used_ += count + record_overhead_bytes;
    done += count;
    made_[made_count_++] = {out_used_, done};
  }
  return true;
}

bool TlsStream::make_key_update() {
  key_update_asked_.store(false, std::memory_order_relaxed);
  if (!sealer_.seal_key_update(out_end())) return false;
  out_used_ += RecordSealer::key_update_bytes + record_overhead_bytes;
  return true;
}

/// Writes what is left of the ciphertext; says how much content that completed.
IoResult TlsStream::push() noexcept {
  const iovec rest{out() + out_sent_, out_used_ - out_sent_};
  const IoResult result = raw_->stream().try_write(std::span(&rest, 1));
  if (result.status != IoResult::Status::ok) return result;
  out_sent_ += result.bytes;
  std::size_t complete = 0;
  for (std::size_t i = 0; i < made_count_ && made_[i].ciphertext_end <= out_sent_; ++i) {
    complete = made_[i].content_end;
  }
  const std::size_t newly = complete - told_;
  told_ = complete;
  if (out_sent_ == out_used_) {
    out_sent_ = out_used_ = 0;
    if (block_) environment_->give_back(std::move(block_));
  }
  if (newly == 0) return {IoResult::Status::would_block, 0, 0};
  return {IoResult::Status::ok, newly, 0};
}

/// Tells the other end that nothing more comes, or why; once, as far as there is room.
void TlsStream::say_goodbye() noexcept {
  const std::array<std::byte, 2> alert{
      std::byte{alert_ == 0 ? std::uint8_t{SSL3_AL_WARNING} : std::uint8_t{SSL3_AL_FATAL}},
      static_cast<std::byte>(alert_)};
  std::array<std::byte, 2 + record_overhead_bytes> record;
  if (!sealer_.seal(ContentType::alert, alert, record.data())) return;
  // Behind the rest of a record that is not all out, or it would make no sense.
  const std::array<iovec, 2> vectors{iovec{out() + out_sent_, out_used_ - out_sent_},
                                     iovec{record.data(), record.size()}};
  const std::size_t first = out_sent_ == out_used_ ? 1 : 0;
  static_cast<void>(raw_->stream().try_write(std::span(vectors).subspan(first)));
}

void TlsStream::close() noexcept {
  if (std::exchange(closed_, true)) return;
  if (wake_) shard().cancel_timer(*std::exchange(wake_, std::nullopt));
  raw_->tell(nullptr);
  say_goodbye();
  raw_->stream().close();
  if (block_) environment_->give_back(std::move(block_));
}

}  // namespace velo::transport::tls
