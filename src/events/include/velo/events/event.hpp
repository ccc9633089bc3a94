// SPDX-License-Identifier: Apache-2.0
// Event: a one-shot completion, owned by who made it: triggered or poisoned once, and poisoned when
// it is dropped. EventAwaiter: what waits for one. Events are made and awaited through an
// EventManager.
// Threading: an Event belongs to one thread at a time; the functions of the rest from any thread.
#pragma once

#include <velo/base/error.hpp>
#include <velo/base/op.hpp>
#include <velo/events/error.hpp>
#include <velo/events/handle.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace velo {

namespace events {
class Engine;
}

/// Ends when the event does: well when it was triggered; as events::Errc::poisoned, with the
/// reason, when it was poisoned; as events::Errc::owner_lost when its owner is gone. Others of
/// events::Errc: there is no such event, or a limit is reached. Dropping it stops waiting.
using EventAwaiter = Op<void>;

enum class EventStatus : std::uint8_t { pending, ready, poisoned };
std::string_view to_string(EventStatus status) noexcept;

/// Why an awaiter ended badly.
struct EventPoison {
  std::string reason;
  bool owner_lost = false;  ///< nobody poisoned it: its owner is gone

  /// Nullopt when the error says something else than that the event was poisoned.
  static std::optional<EventPoison> of(const Error& error);
};

/// What gives the right to complete an event that was made `guarded`.
class EventCapability {
 public:
  constexpr EventCapability() noexcept = default;
  constexpr explicit EventCapability(codec::U128 token) noexcept : token_(token) {}
  constexpr bool valid() const noexcept { return token_ != 0; }
  constexpr codec::U128 token() const noexcept { return token_; }
  /// 32 hexadecimal digits. A secret: for handing over, not for logs.
  std::string to_string() const;
  static Result<EventCapability> parse(std::string_view text);
  friend constexpr bool operator==(const EventCapability&,
                                   const EventCapability&) noexcept = default;

 private:
  codec::U128 token_ = 0;
};

/// What a person should know of an event, for `velo why`.
struct EventNote {
  std::string text;
  /// Events that have to complete before this one will be: edges of the wait-for graph that only
  /// the application knows.
  std::vector<EventHandle> waits_for;

  EventNote() = default;
};

/// Completes once. Dropping one that was not completed poisons it with "event dropped without being
/// triggered".
class [[nodiscard]] Event {
 public:
  /// For the manager.
  Event(std::shared_ptr<events::Engine> engine, EventHandle handle) noexcept
      : engine_(std::move(engine)), handle_(handle) {}
  Event(Event&&) noexcept = default;
  Event& operator=(Event&& other) noexcept {
    std::swap(engine_, other.engine_);
    std::swap(handle_, other.handle_);
    return *this;
  }
  Event(const Event&) = delete;
  ~Event() {
    if (engine_ != nullptr) drop();
  }

  EventHandle handle() const noexcept { return handle_; }
  EventAwaiter awaiter() const;
  /// Of a guarded event; otherwise not valid().
  EventCapability capability() const;

  /// Wakes everybody who waits. events::Errc::already_completed when somebody else completed it.
  Result<void> trigger() &&;
  /// The same, badly. Nothing happens to one that is poisoned already.
  Result<void> poison(std::string_view reason) &&;
  /// From here on it is completed through its handle only; nobody is reminded if nobody does.
  EventHandle into_handle() && noexcept;

 private:
  void drop() noexcept;

  std::shared_ptr<events::Engine> engine_;
  EventHandle handle_;
};

}  // namespace velo
