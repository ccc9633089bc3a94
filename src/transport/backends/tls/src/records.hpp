// SPDX-License-Identifier: Apache-2.0
// The record protection of TLS 1.3 (RFC 8446, sections 5.2 to 5.5 and 7.2), one direction each:
// RecordSealer makes records, RecordOpener opens them. They take over from OpenSSL's handshake with
// its traffic secrets, so that reading on the shard and writing on any thread share nothing, an
// idle connection holds no buffers, and each record's ciphertext is known to the byte. A core: no
// sockets, no clock.
// Threading: each object belongs to one thread at a time.
#pragma once

#include <velo/base/bytes.hpp>

#include <openssl/evp.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string_view>

struct iovec;

namespace velo::transport::tls {

enum class ContentType : std::uint8_t {
  change_cipher_spec = 20,
  alert = 21,
  handshake = 22,
  application_data = 23,
};

enum class Suite : std::uint8_t { aes_128_gcm_sha256, chacha20_poly1305_sha256 };

constexpr std::size_t record_header_bytes = 5;
constexpr std::size_t record_tag_bytes = 16;
/// What a record adds to its content: header, the content's type, tag.
constexpr std::size_t record_overhead_bytes = record_header_bytes + 1 + record_tag_bytes;
constexpr std::size_t record_content_bytes_max = std::size_t{1} << 14;
/// The longest that a peer may send behind a record's header: the standard leaves room for ciphers
/// that add up to 255 bytes. Ours add 16, so that what is behind them is found too long later.
constexpr std::size_t record_body_bytes_max = record_content_bytes_max + 256;
/// A key protects this many records at most, then the sealer goes on with the next (RFC 8446, 5.5,
/// allows 2^24.5 full ones).
constexpr std::uint64_t records_per_key_max = std::uint64_t{1} << 23;

using TrafficSecret = std::array<std::uint8_t, 32>;

struct DirectionSecret {
  Suite suite = Suite::aes_128_gcm_sha256;
  TrafficSecret secret{};
  std::uint64_t used = 0;  ///< records that its key has protected
};

/// What is wrong with a record; each ends the connection, with the alert that the standard names.
enum class RecordFault : std::uint8_t {
  unexpected,  ///< not protected, or of no type at all (5.1, 5.4)
  version,     ///< not of TLS 1.2, which all records of TLS 1.3 say they are (5.2)
  overflow,    ///< longer than any may be (5.2, 5.4)
  unopened,    ///< not made with this key, for this place, or not whole
};
/// Its number in an alert.
int alert_of(RecordFault fault) noexcept;

/// HKDF-Expand-Label with SHA-256, an empty context and at most 32 bytes (RFC 8446, 7.1).
void expand_label(const TrafficSecret& secret, std::string_view label,
                  std::span<std::uint8_t> out) noexcept;

/// The key of one direction, and how many records it has protected.
class RecordKey {
 public:
  RecordKey(const DirectionSecret& secret, bool seals);
  RecordKey(RecordKey&& other) noexcept = default;
  RecordKey& operator=(RecordKey&&) = delete;
  ~RecordKey();

  /// Goes on with the next key (7.2). False: the library failed, and nothing works any more.
  bool update() noexcept;
  std::uint64_t used() const noexcept { return sequence_; }
  bool broken() const noexcept { return context_ == nullptr; }

 protected:
  struct FreeContext {
    void operator()(EVP_CIPHER_CTX* context) const noexcept { EVP_CIPHER_CTX_free(context); }
  };

  bool set_key() noexcept;
  /// Begins the next record. False where the numbers end: none is ever used twice.
  bool begin(ByteSpan header) noexcept;

  std::unique_ptr<EVP_CIPHER_CTX, FreeContext> context_;

 private:
  Suite suite_;
  bool seals_;
  TrafficSecret secret_;
  std::array<std::uint8_t, 12> iv_{};
  std::uint64_t sequence_ = 0;
};

/// Goes through the vectors of a gathered write.
class Gather {
 public:
  explicit Gather(std::span<const iovec> vectors) noexcept;
  /// The next bytes that lie together, at most `most` of them; empty at the end.
  ByteSpan next(std::size_t most) noexcept;

 private:
  void skip_empty() noexcept;
  std::span<const iovec> vectors_;
  std::size_t offset_ = 0;
};

class RecordSealer : public RecordKey {
 public:
  explicit RecordSealer(const DirectionSecret& secret) : RecordKey(secret, true) {}

  /// Writes one record with the next `bytes` (at most record_content_bytes_max) of `from` to `out`,
  /// which has room for record_overhead_bytes more. False: the library failed.
  bool seal(ContentType type, Gather& from, std::size_t bytes, std::byte* out) noexcept;
  bool seal(ContentType type, ByteSpan content, std::byte* out) noexcept;
  /// A KeyUpdate message, and the next key for everything after it. `out` as above; its size.
  static constexpr std::size_t key_update_bytes = 5;
  bool seal_key_update(std::byte* out) noexcept;
};

/// The length of the record that begins with `header`, its header included; or why it cannot be an
/// encrypted record.
std::expected<std::size_t, RecordFault> record_bytes(std::span<const std::byte> header) noexcept;

struct OpenedRecord {
  ContentType type;
  std::size_t bytes;  ///< of content, at the beginning of the target
};

class RecordOpener : public RecordKey {
 public:
  explicit RecordOpener(const DirectionSecret& secret) : RecordKey(secret, false) {}

  /// How much room `record` needs to be opened: its content and what pads it.
  static std::size_t target_bytes(ByteSpan record) noexcept {
    return record.size() - record_header_bytes - record_tag_bytes;
  }
  /// `record` is whole, with its header; `target` has target_bytes() and may be the record's own
  /// body. After a fault what is in `target` means nothing.
  std::expected<OpenedRecord, RecordFault> open(ByteSpan record, std::byte* target) noexcept;
};

}  // namespace velo::transport::tls
