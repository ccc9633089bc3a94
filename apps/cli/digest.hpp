// SPDX-License-Identifier: Apache-2.0
// What the demo computes of a file: SHA-256, lines and words as `sha256sum` and `wc` count them.
// Not a cryptography room: OpenSSL does the hashing.
// Threading: a Digester belongs to one thread at a time.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/codec/describe.hpp>

#include <cstdint>
#include <memory>
#include <string>

namespace velo::cli {

struct Digest {
  std::string sha256;  ///< lower-case hexadecimal
  std::uint64_t lines = 0;
  std::uint64_t words = 0;
  std::uint64_t bytes = 0;

  friend bool operator==(const Digest&, const Digest&) = default;
};
VELO_DESCRIBE(Digest, sha256, lines, words, bytes);

/// Takes contents in parts.
class Digester {
 public:
  Digester();
  Digester(Digester&&) noexcept;
  Digester& operator=(Digester&&) noexcept;
  ~Digester();

  void update(ByteSpan part);
  std::uint64_t bytes() const noexcept { return bytes_; }
  /// Once.
  Digest finish();

 private:
  struct Hash;
  std::unique_ptr<Hash> hash_;
  std::uint64_t lines_ = 0;
  std::uint64_t words_ = 0;
  std::uint64_t bytes_ = 0;
  bool in_word_ = false;
};

Digest digest_of(ByteSpan contents);

}  // namespace velo::cli
