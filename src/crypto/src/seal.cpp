// SPDX-License-Identifier: Apache-2.0
// Sealing and opening: header, derived key, ciphertext.

#include <velo/crypto/seal.hpp>

#include <velo/base/check.hpp>
#include <velo/crypto/error.hpp>
#include <velo/crypto/limits.hpp>

#include <algorithm>
#include <span>

#include "seal_format.hpp"
#include "system_random.hpp"
#include "wiped.hpp"

namespace velo::crypto {
namespace seal_detail {

constexpr std::string_view magic = "VSL1";
constexpr std::string_view key_info = "velo seal 1";

/// Wiped when it goes out of scope.
struct DerivedKey {
  SecretKey bytes{};

  DerivedKey() = default;
  DerivedKey(const DerivedKey&) = delete;
  DerivedKey& operator=(const DerivedKey&) = delete;
  ~DerivedKey() { wipe(bytes); }
  std::span<std::byte> span() noexcept { return std::as_writable_bytes(std::span(bytes)); }
};

static Result<void> derive(const SealHeader& header, std::string_view secret, DerivedKey& key) {
  const ByteSpan salt = std::as_bytes(std::span(header.salt));
  if (header.kind == SealHeader::Kind::passphrase) {
    return stretch(secret, salt, header.cost, key.span());
  }
  return expand_key(as_bytes(secret), salt, as_bytes(key_info), key.span());
}

static std::string_view text_of(const SecretKey& key) noexcept {
  return as_text(std::as_bytes(std::span(key)));
}

static Result<Bytes> seal_now(SealHeader header, std::string_view secret, ByteSpan plain,
                              std::string_view context) {
  if (auto drawn = fill_from_system(header.salt); !drawn.has_value()) return drawn.error();
  if (auto drawn = fill_from_system(header.nonce); !drawn.has_value()) return drawn.error();
  return seal_with_header(header, secret, plain, context);
}

static Result<Bytes> open_as(SealHeader::Kind kind, std::string_view secret, ByteSpan sealed,
                             std::string_view context) {
  if (context.size() > limits::seal_context_bytes_max) {
    return make_error(velo::Errc::invalid_argument, "the context of a seal is too long");
  }
  const auto header = read_header(sealed);
  if (!header.has_value()) return header.error();
  if (header->kind != kind) {
    return make_error(Errc::wrong_secret, "sealed by another kind of secret");
  }
  DerivedKey key;
  if (auto derived = derive(*header, secret, key); !derived.has_value()) return derived.error();
  const std::array<ByteSpan, 2> bound{sealed.first(seal_header_bytes), as_bytes(context)};
  const ByteSpan body = sealed.subspan(seal_header_bytes);
  const WipedBuffer plain(body.size() - seal_tag_bytes);
  auto opened = decrypt(key.bytes, header->nonce, bound, body, plain.span());
  if (!opened.has_value()) return opened.error();
  return plain.bytes();
}

}  // namespace seal_detail

std::array<std::byte, seal_header_bytes> write_header(const SealHeader& header) {
  std::array<std::byte, seal_header_bytes> bytes{};
  std::ranges::copy(as_bytes(seal_detail::magic), bytes.begin());
  bytes[4] = static_cast<std::byte>(header.kind);
  if (header.kind == SealHeader::Kind::passphrase) {
    bytes[5] = std::byte{header.cost.log_n};
    bytes[6] = std::byte{header.cost.r};
    bytes[7] = std::byte{header.cost.p};
  }
  std::ranges::copy(std::as_bytes(std::span(header.salt)), bytes.begin() + 8);
  std::ranges::copy(std::as_bytes(std::span(header.nonce)), bytes.begin() + 24);
  return bytes;
}

Result<SealHeader> read_header(ByteSpan sealed) {
  if (sealed.size() < seal_header_bytes + seal_tag_bytes ||
      sealed.size() > seal_header_bytes + limits::sealed_bytes_max + seal_tag_bytes ||
      !as_text(sealed).starts_with(seal_detail::magic)) {
    return make_error(Errc::malformed, "no seal");
  }
  SealHeader header;
  const auto at = [sealed](std::size_t index) {
    return std::to_integer<std::uint8_t>(sealed[index]);
  };
  const ScryptCost cost{at(5), at(6), at(7)};
  header.kind = static_cast<SealHeader::Kind>(at(4));
  header.cost = cost;
  switch (header.kind) {
    case SealHeader::Kind::key:
      if (cost.log_n == 0 && cost.r == 0 && cost.p == 0) break;
      return make_error(Errc::malformed, "a seal by key that has a cost");
    case SealHeader::Kind::passphrase:
      if (cost.log_n > 0 && cost.log_n <= limits::scrypt_log_n_max && cost.r > 0 &&
          cost.r <= limits::scrypt_r_max && cost.p > 0 && cost.p <= limits::scrypt_p_max) {
        break;
      }
      return make_error(Errc::malformed, "a seal of a cost that is not accepted");
    default: return make_error(Errc::malformed, "a seal of an unknown kind");
  }
  std::ranges::copy(sealed.subspan(8, header.salt.size()),
                    std::as_writable_bytes(std::span(header.salt)).begin());
  std::ranges::copy(sealed.subspan(24, header.nonce.size()),
                    std::as_writable_bytes(std::span(header.nonce)).begin());
  return header;
}

Result<Bytes> seal_with_header(const SealHeader& header, std::string_view secret, ByteSpan plain,
                               std::string_view context) {
  if (plain.size() > limits::sealed_bytes_max || context.size() > limits::seal_context_bytes_max) {
    return make_error(velo::Errc::invalid_argument, "too much to seal, or too long a context");
  }
  seal_detail::DerivedKey key;
  if (auto derived = seal_detail::derive(header, secret, key); !derived.has_value()) {
    return derived.error();
  }
  const auto head = write_header(header);
  const std::array<ByteSpan, 2> bound{head, as_bytes(context)};
  BytesBuilder builder(head.size() + plain.size() + seal_tag_bytes);
  std::ranges::copy(head, builder.free_space().begin());
  builder.commit(head.size());
  auto done = encrypt(key.bytes, header.nonce, bound, plain, builder.free_space());
  if (!done.has_value()) return done.error();
  builder.commit(plain.size() + seal_tag_bytes);
  return std::move(builder).take();
}

Result<Bytes> seal(const SecretKey& key, ByteSpan plain, std::string_view context) {
  SealHeader header;
  header.kind = SealHeader::Kind::key;
  return seal_detail::seal_now(header, seal_detail::text_of(key), plain, context);
}

Result<Bytes> open(const SecretKey& key, ByteSpan sealed, std::string_view context) {
  return seal_detail::open_as(SealHeader::Kind::key, seal_detail::text_of(key), sealed, context);
}

Result<Bytes> seal_with_passphrase(std::string_view passphrase, ByteSpan plain,
                                   std::string_view context) {
  SealHeader header;
  header.kind = SealHeader::Kind::passphrase;
  return seal_detail::seal_now(header, passphrase, plain, context);
}

Result<Bytes> open_with_passphrase(std::string_view passphrase, ByteSpan sealed,
                                   std::string_view context) {
  return seal_detail::open_as(SealHeader::Kind::passphrase, passphrase, sealed, context);
}

SecretKey derive_key(ByteSpan secret, ByteSpan salt, std::string_view info) {
  SecretKey key{};
  const auto done =
      expand_key(secret, salt, as_bytes(info), std::as_writable_bytes(std::span(key)));
  // Without memory there is no key, and none that could be made up instead.
  VELO_CHECK(done.has_value());
  return key;
}

}  // namespace velo::crypto
