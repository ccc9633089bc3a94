// SPDX-License-Identifier: Apache-2.0
// SHA-256 through OpenSSL's EVP, and counting.

#include "digest.hpp"

#include <velo/base/check.hpp>
#include <velo/codec/hex.hpp>

#include <openssl/evp.h>

#include <array>

namespace velo::cli {

struct Digester::Hash {
  EVP_MD_CTX* context = EVP_MD_CTX_new();

  Hash() {
    VELO_CHECK(context != nullptr && EVP_DigestInit_ex(context, EVP_sha256(), nullptr) == 1);
  }
  Hash(const Hash&) = delete;
  Hash& operator=(const Hash&) = delete;
  ~Hash() { EVP_MD_CTX_free(context); }
};

namespace digest_detail {

static constexpr std::array<bool, 256> make_spaces() {
  std::array<bool, 256> is_space{};
  for (const char c : {' ', '\t', '\n', '\v', '\f', '\r'}) {
    is_space[static_cast<unsigned char>(c)] = true;
  }
  return is_space;
}

static constexpr std::array<bool, 256> spaces = make_spaces();

}  // namespace digest_detail

Digester::Digester() : hash_(std::make_unique<Hash>()) {}
Digester::Digester(Digester&&) noexcept = default;
Digester& Digester::operator=(Digester&&) noexcept = default;
Digester::~Digester() = default;

void Digester::update(ByteSpan part) {
  VELO_CHECK(EVP_DigestUpdate(hash_->context, part.data(), part.size()) == 1);
  bytes_ += part.size();
  std::uint64_t lines = 0;
  std::uint64_t words = 0;
  bool in_word = in_word_;
  for (const std::byte each : part) {
    const bool space = digest_detail::spaces[static_cast<unsigned char>(each)];
    lines += each == std::byte{'\n'} ? 1 : 0;
    words += !space && !in_word ? 1 : 0;
    in_word = !space;
  }
  lines_ += lines;
  words_ += words;
  in_word_ = in_word;
}

Digest Digester::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned size = 0;
  VELO_CHECK(EVP_DigestFinal_ex(hash_->context, bytes.data(), &size) == 1);
  Digest digest;
  digest.sha256 = codec::to_hex(std::as_bytes(std::span(bytes).first(size)));
  digest.lines = lines_;
  digest.words = words_;
  digest.bytes = bytes_;
  return digest;
}

Digest digest_of(ByteSpan contents) {
  Digester digester;
  digester.update(contents);
  return digester.finish();
}

}  // namespace velo::cli
