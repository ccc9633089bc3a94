// SPDX-License-Identifier: Apache-2.0
// What a handler knows of the message it handles: payload, headers, sender, time left, whether the
// caller gave up, and the messenger itself (`ctx.msg()`), so that a handler may call, query peers
// and register handlers.
// Threading: a Context belongs to the handler's invocation; only stop_token() may be shared.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/ids.hpp>
#include <velo/base/time.hpp>
#include <velo/base/trace.hpp>
#include <velo/messenger/headers.hpp>
#include <velo/messenger/identity.hpp>
#include <velo/messenger/message_id.hpp>

#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

namespace velo {

class Messenger;

namespace messenger {
class InboundCall;
}

class Context {
 public:
  /// For the dispatcher. `owned` says whether the context holds a reference that it gives back.
  Context(messenger::InboundCall& call, bool owned) noexcept : call_(&call), owned_(owned) {}
  Context(Context&& other) noexcept
      : call_(std::exchange(other.call_, nullptr)), owned_(std::exchange(other.owned_, false)) {}
  Context& operator=(Context&& other) noexcept {
    std::swap(call_, other.call_);
    std::swap(owned_, other.owned_);
    return *this;
  }
  Context(const Context&) = delete;
  ~Context();

  const MessageId& message_id() const noexcept;
  std::string_view handler() const noexcept;
  /// Borrowed: valid as long as this context, and no longer.
  ByteSpan payload() const noexcept;
  /// For keeping: shares the block of a large payload, copies a small one.
  Bytes payload_bytes() const;
  const Headers& headers() const noexcept;
  /// Empty when there is no such header.
  std::string_view header(std::string_view name) const noexcept;

  WorkerId sender_worker_id() const noexcept { return message_id().requester(); }
  /// Empty while the sender is not a registered peer, and of an id that has to be proven and was
  /// not on this connection. Otherwise a claim, unless peer_identity() says that it is proven.
  std::optional<InstanceId> sender_instance_id() const;

  /// Who is at the other end of the connection that brought the message. Borrowed: valid as long as
  /// this context.
  const ConnectionIdentity& peer_identity() const noexcept;

  /// The caller's deadline on this World's clock; never() when it named none.
  TimePoint deadline() const noexcept;
  /// Zero when it has passed.
  Duration time_left() const noexcept;
  /// Stops when the caller cancels or disappears, and when the deadline passes. An inline handler
  /// sees it only as already stopped.
  std::stop_token stop_token() const;

  /// Sent with the reply to callers that understand response headers; others never see it. Limits:
  /// see Headers.
  void set_response_header(std::string name, std::string value);

  /// What this handler works for; null when its request belongs to no trace. Sends that the
  /// handler makes, also after it was suspended and in callbacks it attached, are children of it by
  /// themselves. Valid as long as this context.
  const trace::TraceContext* trace() const noexcept;

  /// The messenger that received this message. Valid as long as this context.
  Messenger& msg() const noexcept;

  /// Whether typed bodies of this exchange are JSON (a peer of the public velo) rather than
  /// MessagePack.
  bool typed_bodies_are_json() const noexcept;

  /// For <velo/messenger/subsystem.hpp>.
  messenger::InboundCall& call() const noexcept { return *call_; }

 private:
  messenger::InboundCall* call_;
  bool owned_;
};

/// A Context whose payload was decoded.
template <class T>
class TypedContext : public Context {
 public:
  TypedContext(Context&& context, T&& decoded)
      : Context(std::move(context)), input(std::move(decoded)) {}

  T input;
};

}  // namespace velo
