// SPDX-License-Identifier: Apache-2.0
// How a send can end other than well. The values up to 63 are also the status byte of a response on
// the wire, so that a caller sees the same code that the handler's side decided.
// Threading: value types.
#pragma once

#include <velo/base/error.hpp>

#include <cstdint>
#include <string>

namespace velo::messenger {

/// Never renumber: these cross the wire.
enum class Errc : std::uint16_t {
  failed = 1,  ///< the handler returned an error, or the peer has no status codes; see the context
  unknown_handler = 2,    ///< no handler of that name; nothing ran
  deadline_exceeded = 3,  ///< time ran out; the context says whether it may have been handled
  cancelled = 4,          ///< the caller cancelled or dropped the call; it may have been handled
  overloaded = 5,         ///< a limit of the peer or of this side is reached; nothing ran
  shutting_down = 6,      ///< that side is closing; nothing ran
  bad_request = 7,        ///< the handler's input could not be decoded
  handler_threw = 8,      ///< an exception left the handler
  wrong_kind = 9,         ///< an acknowledged-message handler was called as unary
  too_large = 10,         ///< the request or the reply is over the frame limit
  permission_denied = 11,
  malformed = 12,    ///< bytes that are no message of this protocol
  over_budget = 13,  ///< a memory budget (the context says which) has no room for it; nothing ran,
                     ///< unless its retry class is `never`: then the reply found no room
  not_authenticated = 14,  ///< who greets or answers did not prove to be the instance it says
  no_payload =
      15,  ///< the request's payload, which was to be pulled, is not to be had; nothing ran

  // Decided on the calling side only.
  not_sent = 64,  ///< never left this process; safe to send elsewhere
  connection_lost =
      65,  ///< the connection died after the request was written; it may have been handled
  unknown_peer = 66,    ///< not registered, and discovery does not know it
  no_route = 67,        ///< no transport of ours reaches the peer's addresses
  needs_listener = 68,  ///< the peer answers by dialling back, and this side does not listen
  bad_reply = 69,       ///< the reply could not be decoded as the expected type
  too_many_calls = 70,  ///< every call slot is taken, or the waiting list is full
  no_target = 71,       ///< the send names neither or both of instance and worker
  headers_too_large = 72,
  reserved_name = 73,  ///< handler names starting with "_" are velo's own
  duplicate_handler = 74,
};

ErrorCode error_code(Errc value) noexcept;
/// With the retry class that the code usually has.
Error make_error(Errc value, std::string context = {});

}  // namespace velo::messenger
