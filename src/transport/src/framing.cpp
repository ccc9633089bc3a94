// SPDX-License-Identifier: Apache-2.0
// What is said of bytes that are no frames.

#include <velo/transport/framing.hpp>

#include <velo/transport/transport.hpp>

namespace velo::transport {
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

}  // namespace velo::transport
