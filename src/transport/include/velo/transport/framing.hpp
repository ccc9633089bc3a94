// SPDX-License-Identifier: Apache-2.0
// The bytes of a frame on a stream: an 11-byte preamble [u16 BE version = 1][u8 type][u32 BE header
// length] [u32 BE payload length], then the header, then the payload. Wire of the public velo. Not
// the meaning of the header (see the messenger's protocol) and no I/O: values in, values out.
// Threading: value types; functions are thread-safe.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>
#include <velo/transport/frame.hpp>
#include <velo/transport/limits.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace velo::transport {

static_assert(std::endian::native == std::endian::little, "big-endian hosts are not supported");

constexpr std::size_t preamble_bytes = 11;
constexpr std::uint16_t framing_version = 1;

namespace framing_detail {

inline void put_u16(std::byte* out, std::uint16_t value) noexcept {
  value = __builtin_bswap16(value);
  std::memcpy(out, &value, sizeof value);
}

inline void put_u32(std::byte* out, std::uint32_t value) noexcept {
  value = __builtin_bswap32(value);
  std::memcpy(out, &value, sizeof value);
}

inline std::uint16_t get_u16(const std::byte* from) noexcept {
  std::uint16_t value = 0;
  std::memcpy(&value, from, sizeof value);
  return __builtin_bswap16(value);
}

inline std::uint32_t get_u32(const std::byte* from) noexcept {
  std::uint32_t value = 0;
  std::memcpy(&value, from, sizeof value);
  return __builtin_bswap32(value);
}

}  // namespace framing_detail

/// Why bytes cannot be frames. Found as soon as the bytes that show it are there.
enum class FrameFault : std::uint8_t {
  none,
  version,        ///< not framing_version
  type,           ///< no FrameType has this number
  header_length,  ///< limits::header_bytes_max or more
  frame_length,   ///< header + payload over limits::frame_bytes_max
};

/// Errc::malformed_frame or Errc::frame_too_large; `fault` is not none.
Error make_error(FrameFault fault);

/// Bytes of the whole frame on the stream.
constexpr std::size_t encoded_bytes(const OutFrame& frame) noexcept {
  return preamble_bytes + frame.header.size() + frame.payload.size();
}

/// Whether a peer would accept the frame's lengths; FrameFault::none if so.
inline FrameFault check_lengths(std::size_t header_bytes, std::size_t payload_bytes) noexcept {
  if (header_bytes >= limits::header_bytes_max) return FrameFault::header_length;
  if (payload_bytes > velo::limits::frame_bytes_max ||
      header_bytes + payload_bytes > velo::limits::frame_bytes_max) {
    return FrameFault::frame_length;
  }
  return FrameFault::none;
}

/// Writes the preamble alone. The lengths have passed check_lengths().
inline void encode_preamble(std::span<std::byte, preamble_bytes> out, FrameType type,
                            std::size_t header_bytes, std::size_t payload_bytes) noexcept {
  framing_detail::put_u16(out.data(), framing_version);
  out[2] = static_cast<std::byte>(type);
  framing_detail::put_u32(out.data() + 3, static_cast<std::uint32_t>(header_bytes));
  framing_detail::put_u32(out.data() + 7, static_cast<std::uint32_t>(payload_bytes));
}

/// Writes preamble, header and payload to `out`, which has at least encoded_bytes(frame); returns
/// how many were written.
inline std::size_t encode_frame(std::span<std::byte> out, const OutFrame& frame) noexcept {
  std::byte* at = out.data();
  encode_preamble(std::span<std::byte, preamble_bytes>(at, preamble_bytes), frame.type,
                  frame.header.size(), frame.payload.size());
  at += preamble_bytes;
  if (!frame.header.empty()) std::memcpy(at, frame.header.data(), frame.header.size());
  at += frame.header.size();
  if (!frame.payload.empty()) std::memcpy(at, frame.payload.data(), frame.payload.size());
  return encoded_bytes(frame);
}

/// Walks the frames of a buffer in place:
///   for (FrameParser p(buffer); p.next() == FrameParser::Status::frame;) use(p.type(), p.header(),
///   p.payload());
class FrameParser {
 public:
  enum class Status : std::uint8_t {
    frame,       ///< type(), header() and payload() describe it
    incomplete,  ///< rest() is the beginning of a frame, or empty; missing_bytes() more are needed
    malformed,   ///< fault() says why; nothing after it can be parsed
  };

  explicit FrameParser(ByteSpan buffer) noexcept : rest_(buffer) {}

  /// Steps over the frame it stands on, and parses the next.
  Status next() noexcept;

  FrameType type() const noexcept { return type_; }
  ByteSpan header() const noexcept { return rest_.subspan(preamble_bytes, header_bytes_); }
  ByteSpan payload() const noexcept {
    return rest_.subspan(preamble_bytes + header_bytes_, payload_bytes_);
  }

  /// From the frame that next() found (or did not find whole) to the end of the buffer.
  ByteSpan rest() const noexcept { return rest_; }
  /// Bytes of the frame that next() found, whole or not; 0 while its preamble is incomplete.
  std::size_t frame_bytes() const noexcept { return frame_bytes_; }
  /// Of these, the ones before the payload.
  std::size_t bytes_before_payload() const noexcept { return preamble_bytes + header_bytes_; }
  /// After incomplete: bytes until the frame is whole; while the preamble is incomplete, until that
  /// is.
  std::size_t missing_bytes() const noexcept {
    return (frame_bytes_ == 0 ? preamble_bytes : frame_bytes_) - rest_.size();
  }
  FrameFault fault() const noexcept { return fault_; }

 private:
  Status parse_preamble() noexcept;

  ByteSpan rest_;
  std::size_t frame_bytes_ = 0;
  std::uint32_t header_bytes_ = 0;
  std::uint32_t payload_bytes_ = 0;
  FrameType type_ = FrameType::message;
  FrameFault fault_ = FrameFault::none;
  bool on_frame_ = false;
};

inline FrameParser::Status FrameParser::parse_preamble() noexcept {
  const std::byte* at = rest_.data();
  const std::size_t have = rest_.size();
  auto refuse = [this](FrameFault fault) {
    fault_ = fault;
    return Status::malformed;
  };
  // A wrong byte is told at once, not after the whole preamble: a peer that speaks another protocol
  // may send less.
  if (have >= 1 && at[0] != std::byte{0}) return refuse(FrameFault::version);
  if (have >= 2 && framing_detail::get_u16(at) != framing_version) {
    return refuse(FrameFault::version);
  }
  if (have >= 3 && std::to_integer<std::uint8_t>(at[2]) >= frame_type_count) {
    return refuse(FrameFault::type);
  }
  if (have < preamble_bytes) return Status::incomplete;
  header_bytes_ = framing_detail::get_u32(at + 3);
  payload_bytes_ = framing_detail::get_u32(at + 7);
  const FrameFault fault = check_lengths(header_bytes_, payload_bytes_);
  if (fault != FrameFault::none) return refuse(fault);
  type_ = static_cast<FrameType>(at[2]);
  frame_bytes_ = preamble_bytes + header_bytes_ + payload_bytes_;
  return have < frame_bytes_ ? Status::incomplete : Status::frame;
}

inline FrameParser::Status FrameParser::next() noexcept {
  if (fault_ != FrameFault::none) return Status::malformed;
  if (on_frame_) rest_ = rest_.subspan(frame_bytes_);
  frame_bytes_ = 0;
  const Status status = parse_preamble();
  on_frame_ = status == Status::frame;
  return status;
}

}  // namespace velo::transport
