// SPDX-License-Identifier: Apache-2.0
// Gathers what an event waits for across machines. Not what one machine knows: Engine::report().
// Threading: any thread.
#pragma once

#include "engine.hpp"

#include <velo/events/why.hpp>

#include <memory>
#include <vector>

namespace velo::events {

Op<EventWhy> walk_why(std::shared_ptr<Engine> engine, const EventHandle& event);

/// Each circle once, from the event of it that comes first. Core.
std::vector<std::vector<EventHandle>> find_cycles(const std::vector<EventReport>& events);

}  // namespace velo::events
