// SPDX-License-Identifier: Apache-2.0
// TlsStream: an established TLS connection as a ByteStream of what it carries.
//
// Reading and writing share nothing but two flags. What was read and not yet opened or taken is
// kept between calls only if there is something; an idle stream holds its keys and a small buffer.
// Written means: the record that holds the byte was taken by the stream below as a whole. A record
// that was made is never made again: until the rest of its ciphertext is out, try_write() goes on
// with that and does not look at what it is given, which begins with the same bytes.
// Threading: as ByteStream says; members are marked by what they belong to.
#pragma once

#include "environment.hpp"
#include "handshake.hpp"
#include "messages.hpp"
#include "raw_end.hpp"

#include <velo/base/network.hpp>
#include <velo/base/world.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace velo::transport::tls {

class TlsStream final : public ByteStream, private StreamEvents {
 public:
  /// On the stream's shard.
  TlsStream(std::unique_ptr<RawEnd> raw, Established established,
            std::shared_ptr<Environment> environment);
  ~TlsStream() override;

  void attach(StreamEvents& events) override;
  IoResult try_read(std::span<std::byte> into) noexcept override;
  IoResult try_write(std::span<const iovec> from) noexcept override;
  void want_write() noexcept override { raw_->stream().want_write(); }
  void close() noexcept override;
  Shard& shard() noexcept override { return raw_->stream().shard(); }
  Endpoint remote() const override { return raw_->stream().remote(); }

 private:
  /// What the bytes of one try_read() are doing.
  struct Reading {
    std::span<std::byte> into;
    std::size_t filled = 0;
    std::span<std::byte> buffer;  ///< the shard's
    std::size_t begin = 0;        ///< what is in it
    std::size_t end = 0;
    bool drained = false;  ///< the stream below has no more just now

    std::span<std::byte> room() const noexcept { return into.subspan(filled); }
  };
  /// A record that was made, and where its ciphertext and its content end.
  struct Made {
    std::size_t ciphertext_end;
    std::size_t content_end;
  };

  // Reading: the shard's.
  void on_readable() override;
  void take_parked(Reading& reading);
  void open_records(Reading& reading);
  void open_one(Reading& reading, ByteSpan record);
  void took_content(Reading& reading, const std::byte* content, std::size_t bytes, bool in_place);
  void took_handshake(ByteSpan content);
  void took_alert(ByteSpan alert);
  void fill(Reading& reading);
  void park(const Reading& reading);
  void keep(ByteSpan bytes);
  void unpark() noexcept;
  void fail(int system_error, int alert) noexcept;
  IoResult outcome() const noexcept;
  void wake() noexcept;
  bool over() const noexcept { return ended_ || failure_ != 0; }

  // Writing: the holder of the connection's write right.
  void on_writable() override;
  bool make_records(std::span<const iovec> from);
  bool make_key_update();
  std::byte* out_end() noexcept { return out() + out_used_; }
  std::byte* out() noexcept { return block_ ? block_.get() : small_.data(); }
  IoResult push() noexcept;
  void say_goodbye() noexcept;

  const std::unique_ptr<RawEnd> raw_;
  const std::shared_ptr<Environment> environment_;

  // The shard's.
  RecordOpener opener_;
  MessageReader messages_;
  StreamEvents* events_ = nullptr;
  std::unique_ptr<std::byte[]> parked_;  ///< content that was not taken, then ciphertext
  std::size_t parked_content_ = 0;
  std::size_t parked_bytes_ = 0;
  unsigned idle_records_ = 0;  ///< in a row, that carried nothing
  bool ended_ = false;         ///< the other end said goodbye
  bool closed_ = false;
  int failure_ = 0;  ///< errno that ended reading
  int alert_ = 0;    ///< what the other end is to be told about it; 0: goodbye
  std::optional<Shard::TimerId> wake_;

  std::atomic<bool> key_update_asked_{false};  ///< set on the shard, met by the next write

  // The writer's.
  static constexpr std::size_t small_bytes = 768;
  RecordSealer sealer_;
  std::array<std::byte, small_bytes> small_;
  Block block_;  ///< instead of small_, while more is on its way
  std::size_t out_used_ = 0;
  std::size_t out_sent_ = 0;
  std::array<Made, batch_records> made_{};
  std::size_t made_count_ = 0;
  std::size_t told_ = 0;  ///< of the content in made_: reported as written
};

}  // namespace velo::transport::tls
