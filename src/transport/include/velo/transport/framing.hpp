// SPDX-License-Identifier: Apache-2.0
// The bytes of a frame on a stream: an 11-byte preamble [u16 BE version = 1][u8 type][u32 BE header
// length] [u32 BE payload length], then the header, then the payload. Wire of the public velo. Not
// the meaning of the header (see the messenger's protocol) and no I/O: values in, values out.
// Threading: value types; functions are thread-safe.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>
#include <velo/transport/frame.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

namespace velo::transport {

constexpr std::size_t preamble_bytes = 11;
constexpr std::uint16_t framing_version = 1;

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
FrameFault check_lengths(std::size_t header_bytes, std::size_t payload_bytes) noexcept;

/// Writes the preamble alone. The lengths have passed check_lengths().
void encode_preamble(std::span<std::byte, preamble_bytes> out, FrameType type,
                     std::size_t header_bytes, std::size_t payload_bytes) noexcept;

/// Writes preamble, header and payload to `out`, which has at least encoded_bytes(frame); returns
/// how many were written.
std::size_t encode_frame(std::span<std::byte> out, const OutFrame& frame) noexcept;

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

}  // namespace velo::transport
