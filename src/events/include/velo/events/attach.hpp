// SPDX-License-Identifier: Apache-2.0
// Events over a messenger: attach_events() makes the manager whose events other machines can await,
// trigger and poison. Velo::event_manager() has done that already.
// Threading: any thread.
#pragma once

#include <velo/base/error.hpp>
#include <velo/events/event_manager.hpp>
#include <velo/messenger/messenger.hpp>

namespace velo {

/// Once for each messenger: velo::Errc::already_exists, and other errors of messenger::attach().
/// When the messenger ends, its pending events are poisoned, subscribers are told so, and awaiters
/// here end with velo::Errc::shutting_down. The messenger outlives the use of the manager's Ops
/// that wait for others, as its own; the manager itself may live longer.
Result<EventManager> attach_events(Messenger& messenger,
                                   const EventOptions& options = EventOptions());

}  // namespace velo
