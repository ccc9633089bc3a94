// SPDX-License-Identifier: Apache-2.0
// MessageReader: the handshake messages that come after the handshake (RFC 8446, 4.6), whole, cut
// across records, or several in one. It holds a header and a number of bytes still to come, never
// a message. A core.
// Threading: one thread at a time.
#pragma once

#include <velo/base/bytes.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace velo::transport::tls {

/// The longest new session ticket that the standard can say: its fixed part, a nonce, a ticket and
/// extensions, each with the longest length that it may have.
constexpr std::size_t session_ticket_bytes_max = 4 + 4 + 1 + 255 + 2 + 65535 + 2 + 65534;

class MessageReader {
 public:
  enum class Found : std::uint8_t {
    nothing,          ///< to be answered: tickets, and what is not whole yet
    key_update,       ///< the next record has the next key
    key_update_asks,  ///< the same, and our records are to have it, too
    unexpected,       ///< a message that has no place here, or not this one
    malformed,        ///< a length that cannot be
    bad_value,        ///< a request that is neither of the two
  };

  /// The content of one handshake record. After anything but the first three the connection is
  /// over.
  Found take(ByteSpan content) noexcept;
  /// Whether a message is not whole: then nothing but its rest may come (5.1).
  bool is_within() const noexcept { return header_bytes_ != 0; }

 private:
  Found begin() noexcept;

  static constexpr std::size_t header_bytes = 4;
  std::array<std::byte, header_bytes> header_{};
  std::size_t header_bytes_ = 0;  ///< of the current message's; 0: there is none
  std::size_t missing_ = 0;       ///< of its body, once its header is whole
};

}  // namespace velo::transport::tls
