// SPDX-License-Identifier: Apache-2.0
// The error of what found no room in the memory budget: says which part of it is used up.
// Threading: any thread.
#pragma once

#include <velo/base/budget.hpp>
#include <velo/base/error.hpp>

#include <cstdint>
#include <string_view>

namespace velo::messenger {

/// Errc::over_budget. `held` is what one peer has of what is called `what`.
Error no_room(const MemoryBudget& memory, std::uint64_t held, std::string_view what);

/// The same for a request that was handled and whose reply found no room: another attempt would run
/// it again, so its retry class is `never`.
Error no_room_for_reply(std::string_view context);

}  // namespace velo::messenger
