// SPDX-License-Identifier: Apache-2.0
// Encoding and checking of frames on a stream.

#include <velo/transport/framing.hpp>

#include <velo/transport/limits.hpp>
#include <velo/transport/transport.hpp>

#include <bit>
#include <cstring>

namespace velo::transport {
namespace framing_detail {

static_assert(std::endian::native == std::endian::little, "big-endian hosts are not supported");

static void put_u16(std::byte* out, std::uint16_t value) noexcept {
  value = __builtin_bswap16(value);
  std::memcpy(out, &value, sizeof value);
}

static void put_u32(std::byte* out, std::uint32_t value) noexcept {
  value = __builtin_bswap32(value);
  std::memcpy(out, &value, sizeof value);
}

static std::uint16_t get_u16(const std::byte* from) noexcept {
  std::uint16_t value = 0;
  std::memcpy(&value, from, sizeof value);
  return __builtin_bswap16(value);
}

static std::uint32_t get_u32(const std::byte* from) noexcept {
  std::uint32_t value = 0;
  std::memcpy(&value, from, sizeof value);
  return __builtin_bswap32(value);
}

}  // namespace framing_detail

Error make_error(FrameFault fault) {
  switch (fault) {
    case FrameFault::version: return make_error(Errc::malformed_frame, "unknown framing version");
    case FrameFault::type: return make_error(Errc::malformed_frame, "unknown frame type");
    case FrameFault::header_length: return make_error(Errc::malformed_frame, "header too long");
    case FrameFault::frame_length: return make_error(Errc::frame_too_large, "frame over 16 MiB");
    case FrameFault::none: break;
  }
  return make_error(Errc::malformed_frame);
}

FrameFault check_lengths(std::size_t header_bytes, std::size_t payload_bytes) noexcept {
  if (header_bytes >= limits::header_bytes_max) return FrameFault::header_length;
  if (payload_bytes > velo::limits::frame_bytes_max ||
      header_bytes + payload_bytes > velo::limits::frame_bytes_max) {
    return FrameFault::frame_length;
  }
  return FrameFault::none;
}

void encode_preamble(std::span<std::byte, preamble_bytes> out, FrameType type,
                     std::size_t header_bytes, std::size_t payload_bytes) noexcept {
  framing_detail::put_u16(out.data(), framing_version);
  out[2] = static_cast<std::byte>(type);
  framing_detail::put_u32(out.data() + 3, static_cast<std::uint32_t>(header_bytes));
  framing_detail::put_u32(out.data() + 7, static_cast<std::uint32_t>(payload_bytes));
}

std::size_t encode_frame(std::span<std::byte> out, const OutFrame& frame) noexcept {
  std::byte* at = out.data();
  encode_preamble(std::span<std::byte, preamble_bytes>(at, preamble_bytes), frame.type,
                  frame.header.size(), frame.payload.size());
  at += preamble_bytes;
  if (!frame.header.empty()) std::memcpy(at, frame.header.data(), frame.header.size());
  at += frame.header.size();
  if (!frame.payload.empty()) std::memcpy(at, frame.payload.data(), frame.payload.size());
  return encoded_bytes(frame);
}

FrameParser::Status FrameParser::parse_preamble() noexcept {
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

FrameParser::Status FrameParser::next() noexcept {
  if (fault_ != FrameFault::none) return Status::malformed;
  if (on_frame_) rest_ = rest_.subspan(frame_bytes_);
  frame_bytes_ = 0;
  const Status status = parse_preamble();
  on_frame_ = status == Status::frame;
  return status;
}

}  // namespace velo::transport
