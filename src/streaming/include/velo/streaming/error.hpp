// SPDX-License-Identifier: Apache-2.0
// How attaching to a stream, sending into it and reading from it can end other than well.
// Threading: value types.
#pragma once

#include <velo/base/error.hpp>

#include <cstdint>
#include <string>

namespace velo::streaming {

/// Never renumber: those of attaching cross the wire.
enum class Errc : std::uint16_t {
  // Attaching.
  anchor_not_found = 1,     ///< no such anchor at its owner, or it is over
  already_attached = 2,     ///< another sender has it
  max_senders_reached = 3,  ///< as many senders as the many-to-one anchor takes
  wrong_handle_kind = 4,    ///< one-to-one was meant for many-to-one, or the other way round
  no_transport = 5,         ///< both sides have no streaming transport in common
  too_many_streams = 6,     ///< a limit of either side is reached

  // Reading.
  sender_error = 16,     ///< the sender said so with send_err(); the stream goes on
  sender_dropped = 17,   ///< the sender went away without an ending; the end
  transport_error = 18,  ///< what lies between was lost, or the sender's node is dead; the end
  undecodable = 19,      ///< an item is not of the expected type; the stream goes on
  nobody_attached = 20,  ///< nobody attached within the time given; the end
  stream_over = 21,      ///< read on after the end
  busy = 22,             ///< only one next(), and one send(), at a time

  // Sending.
  channel_closed = 32,  ///< the consumer cancelled or is gone, or this side has ended the stream
  too_large = 33,       ///< the item is over limits::item_bytes_max
  no_credit = 34,       ///< try_send() would have to wait
};

ErrorCode error_code(Errc value) noexcept;
/// With the retry class that the code usually has.
Error make_error(Errc value, std::string context = {});

}  // namespace velo::streaming
