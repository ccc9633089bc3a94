// SPDX-License-Identifier: Apache-2.0
// Encoding and decoding of the active-message headers.

#include "protocol.hpp"

#include <velo/base/check.hpp>
#include <velo/codec/msgpack.hpp>
#include <velo/messenger/error.hpp>

#include <bit>
#include <charconv>
#include <cstring>
#include <utility>

namespace velo::messenger::protocol {
namespace protocol_detail {

template <class T>
static T little_endian(T value) noexcept {
  if constexpr (std::endian::native == std::endian::little || sizeof(T) == 1) {
    return value;
  } else if constexpr (sizeof(T) == 2) {
    return __builtin_bswap16(value);
  } else {
    static_assert(sizeof(T) == 8);
    return __builtin_bswap64(value);
  }
}

/// Writes fields one after the other; the caller made sure that they fit.
class Writer {
 public:
  explicit Writer(std::byte* out) noexcept : begin_(out), pos_(out) {}

  template <class T>
  void put(T value) noexcept {
    value = little_endian(value);
    std::memcpy(pos_, &value, sizeof value);
    pos_ += sizeof value;
  }
  void put(MessageId id) noexcept {
    put(id.requester().value());
    put(id.local());
  }
  void put(ByteSpan bytes) noexcept {
    if (!bytes.empty()) std::memcpy(pos_, bytes.data(), bytes.size());
    pos_ += bytes.size();
  }
  std::size_t size() const noexcept { return static_cast<std::size_t>(pos_ - begin_); }

 private:
  std::byte* begin_;
  std::byte* pos_;
};

/// Reads fields one after the other; the caller checks left() first.
class Reader {
 public:
  explicit Reader(ByteSpan bytes) noexcept
      : pos_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  std::size_t left() const noexcept { return static_cast<std::size_t>(end_ - pos_); }
  template <class T>
  T get() noexcept {
    T value;
    std::memcpy(&value, pos_, sizeof value);
    pos_ += sizeof value;
    return little_endian(value);
  }
  MessageId get_id() noexcept {
    const auto requester = get<std::uint64_t>();
    const auto local = get<std::uint64_t>();
    return {WorkerId(requester), local};
  }
  ByteSpan get_bytes(std::size_t count) noexcept {
    const ByteSpan bytes(pos_, count);
    pos_ += count;
    return bytes;
  }

 private:
  const std::byte* pos_;
  const std::byte* end_;
};

static Error malformed(const char* what) { return make_error(Errc::malformed, what); }

static unsigned byte_at(std::string_view text, std::size_t at) noexcept {
  return static_cast<unsigned char>(text[at]);
}

/// The length of the well-formed sequence at `at` that starts with a byte over 0x7f, or 0.
static std::size_t sequence_length(std::string_view text, std::size_t at) noexcept {
  const unsigned lead = byte_at(text, at);
  std::size_t length = 2;
  unsigned second_min = 0x80;
  unsigned second_max = 0xbf;
  if (lead >= 0xf0 && lead <= 0xf4) {
    length = 4;
    if (lead == 0xf0) second_min = 0x90;  // shorter forms exist
    if (lead == 0xf4) second_max = 0x8f;  // beyond U+10FFFF
  } else if (lead >= 0xe0 && lead <= 0xef) {
    length = 3;
    if (lead == 0xe0) second_min = 0xa0;
    if (lead == 0xed) second_max = 0x9f;  // surrogates
  } else if (lead < 0xc2 || lead > 0xdf) {
    return 0;
  }
  if (text.size() - at < length) return 0;
  const unsigned second = byte_at(text, at + 1);
  if (second < second_min || second > second_max) return 0;
  for (std::size_t i = 2; i < length; ++i) {
    if ((byte_at(text, at + i) & 0xc0U) != 0x80) return 0;
  }
  return length;
}

static bool valid_utf8(std::string_view text) noexcept {
  constexpr std::uint64_t high_bits = 0x8080808080808080ULL;
  std::size_t at = 0;
  while (at < text.size()) {
    std::uint64_t eight = 0;
    if (text.size() - at >= sizeof eight) {
      std::memcpy(&eight, text.data() + at, sizeof eight);
      if ((eight & high_bits) == 0) {
        at += sizeof eight;
        continue;
      }
    }
    if (byte_at(text, at) < 0x80) {
      ++at;
      continue;
    }
    const std::size_t length = sequence_length(text, at);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

static bool read_headers(codec::msgpack::Reader& reader, Headers& headers) {
  codec::Sequence sequence;
  if (!reader.enter_map(sequence)) return false;
  std::string_view name;
  std::string_view value;
  while (reader.next_key(sequence, name)) {
    if (!reader.read_string(value)) return false;
    if (value.size() > header_value_bytes_max) {
      return reader.fail(codec::Errc::too_large, "a header value has over 1,024 bytes");
    }
    if (!valid_utf8(name) || !valid_utf8(value)) {
      return reader.fail(codec::Errc::malformed, "a header is not UTF-8");
    }
    headers.insert_or_assign(std::string(name), std::string(value));
  }
  return !reader.failed() && reader.finish();
}

/// Takes the decimal number at the start of `text`, and the dot after it unless it is the last.
template <class T>
static bool take_number(std::string_view& text, T& value, bool last) noexcept {
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const auto [stop, code] = std::from_chars(begin, end, value);
  if (code != std::errc() || (last ? stop != end : stop == end || *stop != '.')) return false;
  text.remove_prefix(static_cast<std::size_t>(stop - begin) + (last ? 0U : 1U));
  return true;
}

}  // namespace protocol_detail

bool valid_name(std::string_view name) noexcept {
  return !name.empty() && name.size() <= name_bytes_max && protocol_detail::valid_utf8(name);
}

void encode_id(MessageId id, std::span<std::byte, id_bytes> out) noexcept {
  protocol_detail::Writer(out.data()).put(id);
}

Result<MessageId> decode_id(ByteSpan bytes) {
  if (bytes.size() != id_bytes) return protocol_detail::malformed("a message id has 16 bytes");
  return protocol_detail::Reader(bytes).get_id();
}

std::size_t encode_request(const RequestHeader& header, std::span<std::byte> out) noexcept {
  VELO_DCHECK(out.size() >= encoded_size(header));
  VELO_DCHECK(!header.name.empty() && header.name.size() <= name_bytes_max);
  VELO_DCHECK(header.headers.size() <= headers_bytes_max);
  protocol_detail::Writer writer(out.data());
  writer.put(header.timeout_us ? schema_2 : schema_1);
  writer.put(static_cast<std::uint8_t>(header.response_type));
  writer.put(header.id);
  writer.put(static_cast<std::uint16_t>(header.name.size()));
  writer.put(as_bytes(header.name));
  writer.put(static_cast<std::uint16_t>(header.headers.size()));
  writer.put(header.headers);
  if (header.timeout_us) writer.put(*header.timeout_us);
  return writer.size();
}

Result<RequestHeader> decode_request(ByteSpan bytes) {
  using protocol_detail::malformed;
  if (bytes.size() < request_fixed_bytes) return malformed("request header under 22 bytes");
  protocol_detail::Reader reader(bytes);
  const auto schema = reader.get<std::uint8_t>();
  if (schema != schema_1 && schema != schema_2) return malformed("unknown request schema");
  const auto type = reader.get<std::uint8_t>();
  if (type > static_cast<std::uint8_t>(ResponseType::unary)) {
    return malformed("unknown response type");
  }
  RequestHeader header;
  header.response_type = static_cast<ResponseType>(type);
  header.id = reader.get_id();
  const std::size_t name_bytes = reader.get<std::uint16_t>();
  if (name_bytes == 0) return malformed("request without a handler name");
  if (reader.left() < name_bytes + 2) return malformed("handler name beyond the header's end");
  header.name = as_text(reader.get_bytes(name_bytes));
  const std::size_t headers_bytes = reader.get<std::uint16_t>();
  if (headers_bytes > headers_bytes_max) return malformed("request headers over 16,384 bytes");
  const std::size_t tail_bytes = schema == schema_2 ? timeout_bytes : 0;
  if (reader.left() != headers_bytes + tail_bytes) {
    return malformed("request header of another length than it says");
  }
  header.headers = reader.get_bytes(headers_bytes);
  if (schema == schema_2) header.timeout_us = reader.get<std::uint64_t>();
  if (!protocol_detail::valid_utf8(header.name)) return malformed("handler name is not UTF-8");
  return header;
}

std::size_t encode_response(const ResponseHeader& header, std::span<std::byte> out) noexcept {
  VELO_DCHECK(out.size() >= encoded_size(header));
  VELO_DCHECK(header.headers.size() <= headers_bytes_max);
  protocol_detail::Writer writer(out.data());
  writer.put(header.id);
  writer.put(header.outcome);
  writer.put(static_cast<std::uint16_t>(header.headers.size()));
  writer.put(header.headers);
  return writer.size();
}

Result<ResponseHeader> decode_response(ByteSpan bytes) {
  using protocol_detail::malformed;
  if (bytes.size() < response_fixed_bytes) return malformed("response header under 19 bytes");
  protocol_detail::Reader reader(bytes);
  ResponseHeader header;
  header.id = reader.get_id();
  header.outcome = reader.get<std::uint8_t>();
  const std::size_t headers_bytes = reader.get<std::uint16_t>();
  if (reader.left() != headers_bytes) {
    return malformed("response header of another length than it says");
  }
  header.headers = reader.get_bytes(headers_bytes);
  return header;
}

std::size_t encode_ack(const AckHeader& header, std::span<std::byte> out) noexcept {
  VELO_DCHECK(out.size() >= ack_bytes);
  const unsigned flags = (header.is_event ? 1U : 0U) | (header.is_error ? 2U : 0U);
  protocol_detail::Writer writer(out.data());
  writer.put(static_cast<std::uint8_t>(flags));
  writer.put(header.id);
  return writer.size();
}

Result<AckHeader> decode_ack(ByteSpan bytes) {
  using protocol_detail::malformed;
  if (bytes.size() != ack_bytes) return malformed("an acknowledgement header has 17 bytes");
  protocol_detail::Reader reader(bytes);
  const auto flags = reader.get<std::uint8_t>();
  if ((flags & ~3U) != 0) return malformed("unknown acknowledgement flags");
  AckHeader header;
  header.id = reader.get_id();
  header.is_event = (flags & 1U) != 0;
  header.is_error = (flags & 2U) != 0;
  return header;
}

Result<Bytes> encode_headers(const Headers& headers) {
  if (headers.empty()) return Bytes();
  std::size_t bytes = 0;
  for (const auto& [name, value] : headers) {
    bytes += name.size() + value.size();
    if (value.size() > header_value_bytes_max || bytes > headers_bytes_max) {
      return make_error(Errc::headers_too_large, "header " + name.substr(0, 64));
    }
    if (!protocol_detail::valid_utf8(name) || !protocol_detail::valid_utf8(value)) {
      return make_error(velo::Errc::invalid_argument, "a header is not UTF-8");
    }
  }
  codec::msgpack::Writer writer;
  codec::to_msgpack(writer, headers);
  if (writer.size() > headers_bytes_max) {
    return make_error(Errc::headers_too_large, "over 16,384 bytes in all");
  }
  return std::move(writer).take();
}

Result<Headers> decode_headers(ByteSpan bytes) {
  Result<Headers> headers{Headers()};
  if (bytes.empty()) return headers;
  if (bytes.size() > headers_bytes_max) {
    return protocol_detail::malformed("headers over 16,384 bytes");
  }
  codec::msgpack::Reader reader(bytes);
  if (!protocol_detail::read_headers(reader, *headers)) {
    headers = make_error(Errc::malformed, "headers: " + reader.error().context());
  }
  return headers;
}

std::string encode_error(const Error& error) {
  std::string text = std::to_string(static_cast<unsigned>(error.code().room));
  text += '.';
  text += std::to_string(error.code().value);
  text += '.';
  text += std::to_string(static_cast<unsigned>(error.retry()));
  return text;
}

std::optional<Error> decode_error(std::string_view value, std::string context) {
  std::uint8_t room = 0;
  std::uint16_t number = 0;
  std::uint8_t retry = 0;
  if (!protocol_detail::take_number(value, room, false) ||
      !protocol_detail::take_number(value, number, false) ||
      !protocol_detail::take_number(value, retry, true) ||
      retry > static_cast<std::uint8_t>(Retry::elsewhere)) {
    return std::nullopt;
  }
  return Error({static_cast<Room>(room), number}, static_cast<Retry>(retry), std::move(context));
}

}  // namespace velo::messenger::protocol
