// SPDX-License-Identifier: Apache-2.0
// Keys, nonces, and the two directions of record protection.

#include "records.hpp"

#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/ssl.h>
#include <sys/uio.h>

#include <algorithm>
#include <cstring>

namespace velo::transport::tls {
namespace records_detail {

static const EVP_CIPHER* cipher_of(Suite suite) noexcept {
  return suite == Suite::aes_128_gcm_sha256 ? EVP_aes_128_gcm() : EVP_chacha20_poly1305();
}

static std::size_t key_bytes_of(Suite suite) noexcept {
  return suite == Suite::aes_128_gcm_sha256 ? 16 : 32;
}

static unsigned char* bytes_of(std::byte* data) noexcept {
  return reinterpret_cast<unsigned char*>(data);
}
static const unsigned char* bytes_of(const std::byte* data) noexcept {
  return reinterpret_cast<const unsigned char*>(data);
}

/// Shorter pieces are copied together first: each call of the cipher costs as much as copying a few
/// hundred bytes.
constexpr std::size_t encrypted_in_place_max = 1024;

static void write_header(std::byte* out, std::size_t body) noexcept {
  out[0] = std::byte{23};
  out[1] = std::byte{3};
  out[2] = std::byte{3};
  out[3] = static_cast<std::byte>(body >> 8);
  out[4] = static_cast<std::byte>(body);
}

}  // namespace records_detail

void expand_label(const TrafficSecret& secret, std::string_view label,
                  std::span<std::uint8_t> out) noexcept {
  constexpr std::string_view prefix = "tls13 ";
  std::array<std::uint8_t, 64> info{};
  std::size_t used = 0;
  const auto add = [&](std::uint8_t byte) { info.at(used++) = byte; };
  add(static_cast<std::uint8_t>(out.size() >> 8));
  add(static_cast<std::uint8_t>(out.size()));
  add(static_cast<std::uint8_t>(prefix.size() + label.size()));
  for (const char c : prefix) add(static_cast<std::uint8_t>(c));
  for (const char c : label) add(static_cast<std::uint8_t>(c));
  add(0);  // no context
  add(1);  // the first block, which is all that is needed
  std::array<std::uint8_t, EVP_MAX_MD_SIZE> block{};
  unsigned size = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()), info.data(), used,
       block.data(), &size);
  std::copy_n(block.begin(), out.size(), out.begin());
  OPENSSL_cleanse(block.data(), block.size());
}

RecordKey::RecordKey(const DirectionSecret& secret, bool seals)
    : context_(EVP_CIPHER_CTX_new()), suite_(secret.suite), seals_(seals), secret_(secret.secret) {
  if (context_ == nullptr) return;
  const auto init = seals_ ? EVP_EncryptInit_ex : EVP_DecryptInit_ex;
  const EVP_CIPHER* cipher = records_detail::cipher_of(suite_);
  if (init(context_.get(), cipher, nullptr, nullptr, nullptr) != 1 || !set_key()) context_.reset();
  sequence_ = secret.used;
}

RecordKey::~RecordKey() {
  OPENSSL_cleanse(secret_.data(), secret_.size());
  OPENSSL_cleanse(iv_.data(), iv_.size());
}

bool RecordKey::set_key() noexcept {
  std::array<std::uint8_t, 32> key{};
  const std::span<std::uint8_t> used = std::span(key).first(records_detail::key_bytes_of(suite_));
  expand_label(secret_, "key", used);
  expand_label(secret_, "iv", iv_);
  sequence_ = 0;
  const auto init = seals_ ? EVP_EncryptInit_ex : EVP_DecryptInit_ex;
  const bool done = init(context_.get(), nullptr, nullptr, key.data(), nullptr) == 1;
  OPENSSL_cleanse(key.data(), key.size());
  return done;
}

bool RecordKey::update() noexcept {
  if (broken()) return false;
  TrafficSecret next{};
  expand_label(secret_, "traffic upd", next);
  secret_ = next;
  OPENSSL_cleanse(next.data(), next.size());
  if (!set_key()) context_.reset();
  return !broken();
}

bool RecordKey::begin(ByteSpan header) noexcept {
  // 5.3: a number that comes round would be a nonce used twice.
  if (broken() || sequence_ == UINT64_MAX) return false;
  std::array<std::uint8_t, 12> nonce = iv_;
  for (std::size_t i = 0; i < 8; ++i) {
    nonce[nonce.size() - 1 - i] ^= static_cast<std::uint8_t>(sequence_ >> (8 * i));
  }
  ++sequence_;
  int written = 0;
  const auto init = seals_ ? EVP_EncryptInit_ex : EVP_DecryptInit_ex;
  const auto update = seals_ ? EVP_EncryptUpdate : EVP_DecryptUpdate;
  return init(context_.get(), nullptr, nullptr, nullptr, nonce.data()) == 1 &&
         update(context_.get(), nullptr, &written, records_detail::bytes_of(header.data()),
                static_cast<int>(header.size())) == 1;
}

Gather::Gather(std::span<const iovec> vectors) noexcept : vectors_(vectors) { skip_empty(); }

void Gather::skip_empty() noexcept {
  while (!vectors_.empty() && vectors_.front().iov_len == offset_) {
    vectors_ = vectors_.subspan(1);
    offset_ = 0;
  }
}

ByteSpan Gather::next(std::size_t most) noexcept {
  if (vectors_.empty()) return {};
  const iovec& first = vectors_.front();
  const std::size_t count = std::min(most, first.iov_len - offset_);
  const ByteSpan piece(static_cast<const std::byte*>(first.iov_base) + offset_, count);
  offset_ += count;
  skip_empty();
  return piece;
}

bool RecordSealer::seal(ContentType type, Gather& from, std::size_t bytes,
                        std::byte* out) noexcept {
  records_detail::write_header(out, bytes + 1 + record_tag_bytes);
  if (!begin({out, record_header_bytes})) return false;
  std::byte* const body = out + record_header_bytes;
  int written = 0;
  std::size_t encrypted = 0;
  std::size_t copied = 0;  // behind what is encrypted
  const auto encrypt = [&](const std::byte* data, std::size_t count) {
    return EVP_EncryptUpdate(context_.get(), records_detail::bytes_of(body + encrypted), &written,
                             records_detail::bytes_of(data), static_cast<int>(count)) == 1;
  };
  const auto encrypt_copied = [&] {
    if (copied == 0) return true;
    if (!encrypt(body + encrypted, copied)) return false;
    encrypted += copied;
    copied = 0;
    return true;
  };
  while (encrypted + copied < bytes) {
    const ByteSpan piece = from.next(bytes - encrypted - copied);
    if (piece.size() <= records_detail::encrypted_in_place_max) {
      std::memcpy(body + encrypted + copied, piece.data(), piece.size());
      copied += piece.size();
      continue;
    }
    if (!encrypt_copied() || !encrypt(piece.data(), piece.size())) return false;
    encrypted += piece.size();
  }
  body[bytes] = static_cast<std::byte>(type);
  ++copied;
  return encrypt_copied() &&
         EVP_EncryptFinal_ex(context_.get(), records_detail::bytes_of(body + bytes + 1),
                             &written) == 1 &&
         EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_GET_TAG, record_tag_bytes,
                             body + bytes + 1) == 1;
}

bool RecordSealer::seal(ContentType type, ByteSpan content, std::byte* out) noexcept {
  const iovec vector{const_cast<std::byte*>(content.data()), content.size()};
  Gather from(std::span(&vector, 1));
  return seal(type, from, content.size(), out);
}

bool RecordSealer::seal_key_update(std::byte* out) noexcept {
  // KeyUpdate, three bytes of length, update_not_requested.
  constexpr std::array<std::byte, key_update_bytes> message{
      std::byte{24}, std::byte{0}, std::byte{0}, std::byte{1}, std::byte{0}};
  return seal(ContentType::handshake, message, out) && update();
}

int alert_of(RecordFault fault) noexcept {
  switch (fault) {
    case RecordFault::unexpected: return SSL_AD_UNEXPECTED_MESSAGE;
    case RecordFault::version: return SSL_AD_PROTOCOL_VERSION;
    case RecordFault::overflow: return SSL_AD_RECORD_OVERFLOW;
    case RecordFault::unopened: break;
  }
  return SSL_AD_BAD_RECORD_MAC;
}

std::expected<std::size_t, RecordFault> record_bytes(std::span<const std::byte> header) noexcept {
  const auto at = [&](std::size_t i) { return std::to_integer<std::size_t>(header[i]); };
  if (at(0) != static_cast<std::size_t>(ContentType::application_data)) {
    return std::unexpected(RecordFault::unexpected);
  }
  if (at(1) != 3 || at(2) != 3) return std::unexpected(RecordFault::version);
  const std::size_t body = at(3) << 8 | at(4);
  if (body > record_body_bytes_max) return std::unexpected(RecordFault::overflow);
  // Not even a type and a tag.
  if (body < 1 + record_tag_bytes) return std::unexpected(RecordFault::unopened);
  return record_header_bytes + body;
}

std::expected<OpenedRecord, RecordFault> RecordOpener::open(ByteSpan record,
                                                            std::byte* target) noexcept {
  const std::size_t size = target_bytes(record);
  const std::byte* const body = record.data() + record_header_bytes;
  int written = 0;
  // OpenSSL copies the tag out of what it does not declare const.
  std::array<std::byte, record_tag_bytes> tag;
  std::memcpy(tag.data(), body + size, tag.size());
  if (!begin(record.first(record_header_bytes)) ||
      EVP_DecryptUpdate(context_.get(), records_detail::bytes_of(target), &written,
                        records_detail::bytes_of(body), static_cast<int>(size)) != 1 ||
      EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_SET_TAG, record_tag_bytes, tag.data()) !=
          1 ||
      EVP_DecryptFinal_ex(context_.get(), records_detail::bytes_of(target + size), &written) != 1) {
    return std::unexpected(RecordFault::unopened);
  }
  // Content, type and padding together: padding makes no record longer than a full one.
  if (size > record_content_bytes_max + 1) return std::unexpected(RecordFault::overflow);
  std::size_t content = size;
  while (content != 0 && target[content - 1] == std::byte{0}) --content;
  if (content == 0) return std::unexpected(RecordFault::unexpected);
  const auto type = std::to_integer<std::uint8_t>(target[content - 1]);
  return OpenedRecord{static_cast<ContentType>(type), content - 1};
}

}  // namespace velo::transport::tls
