// SPDX-License-Identifier: Apache-2.0
// Words for a memory budget that is used up.

#include "no_room.hpp"

#include <velo/messenger/error.hpp>

#include <fmt/format.h>

#include <string>

namespace velo::messenger {

Error no_room(const MemoryBudget& memory, std::uint64_t held, std::string_view what) {
  // Half of it is more than a peer gets while others use up the budget.
  if (held > memory.peer_request_bytes_max() / 2) {
    return make_error(
        Errc::over_budget,
        fmt::format("the peer's part of the memory budget is used up: {} has {} of {} "
                    "bytes",
                    what, held, memory.peer_bytes_max()));
  }
  return make_error(Errc::over_budget,
                    fmt::format("the node's memory budget is used up: {} of {} bytes; {} has {}",
                                memory.used(), memory.bytes_max(), what, held));
}

Error no_room_for_reply(std::string_view context) {
  return {error_code(Errc::over_budget), Retry::never, std::string(context)};
}

}  // namespace velo::messenger
