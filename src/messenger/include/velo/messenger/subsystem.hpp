// SPDX-License-Identifier: Apache-2.0
// Subsystem: how a room above the messenger (events, streams, large payloads, queues) takes part in
// one: handlers with reserved names, sends of velo's own, word of peers that come and go, and a say
// in the drain. Applications have no use for it: their handlers and sends are on Messenger.
// Threading: attach() and system_send() from any thread; callbacks as said at each.
#pragma once

#include <velo/base/budget.hpp>
#include <velo/base/error.hpp>
#include <velo/base/ids.hpp>
#include <velo/messenger/call.hpp>
#include <velo/messenger/handler.hpp>
#include <velo/messenger/message_id.hpp>

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace velo {

class Messenger;

namespace metrics {
class Registry;
}

namespace messenger {

class Subsystem {
 public:
  virtual ~Subsystem() = default;

  /// "events": for logs and errors; of one name there is at most one on a messenger.
  virtual std::string_view name() const noexcept = 0;

  /// The first connection with the peer, whichever side made it, was greeted; and: the last one
  /// ended. On shard 0, one at a time and in this order for each peer. What they say may be over
  /// when it is heard, as when the peer is back by another path: a reason to look, not a verdict.
  /// A peer that died and started again is another instance, and this one never comes up again.
  virtual void on_peer_up(const InstanceId& peer) { static_cast<void>(peer); }
  virtual void on_peer_down(const InstanceId& peer, const Error& why) {
    static_cast<void>(peer);
    static_cast<void>(why);
  }

  /// Another instance answers at the peer's address, and no connection with the peer is left: that
  /// run of it is over, as far as can be known. On shard 0, after on_peer_down() if it was up;
  /// again at each further attempt to reach it.
  virtual void on_peer_replaced(const InstanceId& peer) { static_cast<void>(peer); }

  /// A drain began: new work is refused from here on, what runs goes on. Once, before the first
  /// unfinished(), on the thread that asked for the drain.
  virtual void on_drain() {}
  /// What a drain still has to wait for, 0 when it has not; asked every few milliseconds while it
  /// waits, from shard 0. Must not block.
  virtual std::uint64_t unfinished() const noexcept { return 0; }

  /// The end: whatever is left of this subsystem ends now, with `reason`. Once, before the
  /// connections are flushed and closed, so that a last message may still leave. Requests that
  /// arrive later are refused; one that arrived before may still reach a handler, beside or after
  /// this. Operations on the messenger end with velo::Errc::shutting_down from here on, and once it
  /// is destroyed the subsystem must not use it: it lives on where its handlers or its user hold
  /// it.
  virtual void on_stop(const Error& reason) { static_cast<void>(reason); }

  /// Messenger::publish_metrics(): registers its own series, labelled with the node's id. What is
  /// returned takes them back when it is destroyed, which is before the registry is; null: it has
  /// none. Once, on the thread that publishes, or attaches when that was before.
  virtual Result<std::shared_ptr<void>> publish_metrics(metrics::Registry& registry) {
    static_cast<void>(registry);
    return std::shared_ptr<void>();
  }
};

/// Makes the subsystem part of the messenger until that ends, which keeps it alive, and registers
/// its handlers, whose names start with `_`. All or nothing: velo::Errc::already_exists when there
/// is one of that name, the errors of Messenger::register_handler() for a handler,
/// velo::Errc::shutting_down after the end. Whom its handlers serve is decided as for all of velo's
/// own (access.hpp). A messenger without our additions to the wire (without_extensions()) takes
/// them, too.
Result<void> attach(Messenger& messenger, std::shared_ptr<Subsystem> subsystem,
                    std::vector<Handler> handlers);

/// The subsystem of that name, null when there is none.
std::shared_ptr<Subsystem> subsystem_of(const Messenger& messenger, std::string_view name);

/// The messenger for as long as the pointer is kept, as its subsystems use it beyond its end: sends
/// end with velo::Errc::shutting_down then. A subsystem keeps it weakly, or until on_stop().
std::shared_ptr<Messenger> share(Messenger& messenger);
/// What queued bytes are charged to.
const std::shared_ptr<MemoryBudget>& budget_of(Messenger& messenger) noexcept;

/// Acknowledges, well or with an error, another call of whoever sent this message: the public velo
/// names some of its calls in the body of a fire-and-forget message. Nothing happens unless the id
/// is the sender's.
void acknowledge(const Context& context, const MessageId& id, const Result<void>& how);

/// A send of velo's own: reserved names are allowed, it is not in the books, and no drain waits for
/// it. Otherwise as Messenger::am_send() (R void), am_sync() (void) and unary() (Bytes).
Send<void> system_fire(Messenger& messenger, std::string_view handler);
Send<void> system_sync(Messenger& messenger, std::string_view handler);
Send<Bytes> system_unary(Messenger& messenger, std::string_view handler);

}  // namespace messenger
}  // namespace velo
