// SPDX-License-Identifier: Apache-2.0
// The active-message wire: request, response and acknowledgement headers, as bytes. Core: values
// in, values out. The bytes and their vectors stand in docs/protocols/messenger.md.
// Threading: pure functions.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>
#include <velo/messenger/headers.hpp>
#include <velo/messenger/message_id.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace velo::messenger::protocol {

enum class ResponseType : std::uint8_t { fire = 0, ack_nack = 1, unary = 2 };

constexpr std::size_t id_bytes = 16;
constexpr std::size_t request_fixed_bytes = 22;
constexpr std::size_t response_fixed_bytes = 19;
constexpr std::size_t ack_bytes = 17;
constexpr std::size_t timeout_bytes = 8;
constexpr std::uint8_t schema_1 = 1;
/// Schema 1 followed by `u64 timeout_us` (little endian, relative); only after the feature `hdr2`
/// was agreed on.
constexpr std::uint8_t schema_2 = 2;
constexpr std::size_t name_bytes_max = 65'535;
constexpr std::size_t header_value_bytes_max = 1'024;
constexpr std::size_t headers_bytes_max = 16'384;
/// The response header that carries a handler's error between our own nodes.
constexpr std::string_view error_header_name = "velo-error";

/// 1 to 65,535 bytes of UTF-8: what every peer accepts as the name of a handler.
bool valid_name(std::string_view name) noexcept;

/// The 16 bytes of an id as in every header: little endian, the requester's half first. Also the
/// payload of `_cancel`.
void encode_id(MessageId id, std::span<std::byte, id_bytes> out) noexcept;
/// Errc::malformed for any other length.
Result<MessageId> decode_id(ByteSpan bytes);

/// A request header in parsed form; name and headers are borrowed from the frame.
struct RequestHeader {
  ResponseType response_type = ResponseType::fire;
  MessageId id;
  std::string_view name;
  ByteSpan headers;                         ///< MessagePack map<str,str>, or empty
  std::optional<std::uint64_t> timeout_us;  ///< schema 2 only
};

inline std::size_t encoded_size(const RequestHeader& header) noexcept {
  return request_fixed_bytes + header.name.size() + header.headers.size() +
         (header.timeout_us ? timeout_bytes : 0);
}
/// Writes encoded_size(header) bytes; name and headers are within their limits. Returns the size.
std::size_t encode_request(const RequestHeader& header, std::span<std::byte> out) noexcept;
/// Errc::malformed for anything but exactly one well-formed header (schema 1 or 2, known type,
/// UTF-8 name, lengths that fit). The header map is not looked into.
Result<RequestHeader> decode_request(ByteSpan bytes);

struct ResponseHeader {
  MessageId id;
  std::uint8_t outcome =
      0;  ///< 0 ok; otherwise a Status, and 1 is any error of a peer without statuses
  ByteSpan headers;
};
inline std::size_t encoded_size(const ResponseHeader& header) noexcept {
  return response_fixed_bytes + header.headers.size();
}
std::size_t encode_response(const ResponseHeader& header, std::span<std::byte> out) noexcept;
/// Any outcome and any headers that fit: a reply is better judged late than lost.
Result<ResponseHeader> decode_response(ByteSpan bytes);

struct AckHeader {
  MessageId id;
  bool is_event = false;
  bool is_error = false;
};
std::size_t encode_ack(const AckHeader& header, std::span<std::byte> out) noexcept;
/// Unknown flag bits are refused.
Result<AckHeader> decode_ack(ByteSpan bytes);

/// MessagePack map<str,str>; empty Headers give no bytes. Errc::headers_too_large over the limits
/// above, and velo::Errc::invalid_argument for text that is not UTF-8.
Result<Bytes> encode_headers(const Headers& headers);
/// One non-string key or value refuses the whole map, as the public velo does. Errc::malformed,
/// also over the limits above.
Result<Headers> decode_headers(ByteSpan bytes);

/// The value of error_header_name: "room.value.retry", decimal.
std::string encode_error(const Error& error);
/// Nothing for any other form.
std::optional<Error> decode_error(std::string_view value, std::string context);

}  // namespace velo::messenger::protocol
