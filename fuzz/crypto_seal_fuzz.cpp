// SPDX-License-Identifier: Apache-2.0
// Any bytes as a seal: none opens but what this key sealed; the header is written and read back the
// same, and no cost beyond the limits gets through. Any bytes are sealed and opened.

#include <velo/base/check.hpp>
#include <velo/crypto/limits.hpp>
#include <velo/crypto/seal.hpp>

#include <algorithm>
#include <string_view>

#include "seal_format.hpp"

namespace velo::crypto::seal_fuzz {

/// The key of docs/protocols/seal.md, whose seals are in the corpus.
static SecretKey page_key() {
  SecretKey key{};
  for (std::size_t i = 0; i < key.size(); ++i) key.at(i) = static_cast<std::uint8_t>(i);
  return key;
}

static void check_header(ByteSpan sealed) {
  const auto header = read_header(sealed);
  if (!header.has_value()) return;
  VELO_CHECK(std::ranges::equal(write_header(*header), sealed.first(seal_header_bytes)));
  if (header->kind == SealHeader::Kind::key) return;
  VELO_CHECK(header->cost.log_n <= limits::scrypt_log_n_max);
  VELO_CHECK(header->cost.r <= limits::scrypt_r_max && header->cost.p <= limits::scrypt_p_max);
  // What costs time is left to the tests.
  if (header->cost.log_n > 6) return;
  const auto opened = open_with_passphrase("correct horse battery staple", sealed, "example");
  VELO_CHECK(!opened.has_value() ||
             opened->size() + seal_header_bytes + seal_tag_bytes == sealed.size());
}

static void check_round(ByteSpan plain) {
  const SecretKey key = derive_key(plain, plain, "fuzz");
  const auto sealed = seal(key, plain, "context");
  VELO_CHECK(sealed.has_value());
  const auto opened = open(key, *sealed, "context");
  VELO_CHECK(opened.has_value() && std::ranges::equal(*opened, plain));
  VELO_CHECK(!open(key, *sealed, "other").has_value());
}

}  // namespace velo::crypto::seal_fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const velo::ByteSpan bytes(reinterpret_cast<const std::byte*>(data), size);
  namespace fuzzed = velo::crypto::seal_fuzz;
  fuzzed::check_header(bytes);
  const auto opened = velo::crypto::open(fuzzed::page_key(), bytes, "example");
  VELO_CHECK(!opened.has_value() || opened->text() == "attack at dawn");
  fuzzed::check_round(bytes);
  return 0;
}
