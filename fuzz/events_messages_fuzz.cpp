// SPDX-License-Identifier: Apache-2.0
// What a peer sends of events: bodies that are read survive writing, and whatever their order, the
// owner's tables stay within what they promise. The input is a row of [u8 which][u16 size][body].

#include "event_messages.hpp"
#include "subscribers.hpp"
#include "table.hpp"

#include <velo/base/check.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace velo::events::events_messages_fuzz {

constexpr WorkerId us(1);
constexpr std::uint32_t first_generation = 7;

/// What is read, after it was written and read once more.
template <class T>
static Result<T> read(ByteSpan body) {
  auto message = protocol::decode<T>(body);
  if (!message) return message;
  const Bytes written = protocol::encode(*message);
  // Escapes may make it longer than what is read.
  auto again = codec::from_json<T>(as_text(written.span()));
  VELO_CHECK(again.has_value());
  VELO_CHECK(as_text(protocol::encode(*again).span()) == as_text(written.span()));
  return again;
}

struct Awaiter final : AwaiterNode {};

/// An owner with three events that also awaits one of each of its peers.
class Machine {
 public:
  Machine() {
    for (int i = 0; i < 3; ++i) (void)table_.slots().create(i == 2);
    for (std::uint64_t peer = 2; peer < 4; ++peer) {
      Effects effects;
      VELO_CHECK(
          !table_.wait(awaiters_[peer - 2], EventHandle(WorkerId(peer), 0, 1), at_, effects));
    }
  }
  ~Machine() {
    Effects effects;
    table_.shut_down(Outcome::poisoned(make_reason("over")), Outcome::ready(), at_, effects);
    VELO_CHECK(table_.remotes().wait_count() == 0 && table_.slots().pending_count() == 0);
  }
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  void take(std::uint8_t which, WorkerId from, ByteSpan body) {
    switch (which % 8) {
      case 0:
        if (const auto message = read<protocol::Subscribe>(body))
          watch(message->handle, from, true);
        break;
      case 1:
        if (const auto message = read<protocol::Completion>(body)) {
          const auto event = EventHandle::from_u128(message->handle);
          if (event.system() == us) return;
          Effects effects;
          table_.remote_ended(event, protocol::outcome_of(message->poisoned), at_, effects);
        }
        break;
      case 2:
        if (const auto message = read<protocol::TriggerRequest>(body)) {
          complete(message->handle, message->poisoned);
        }
        break;
      case 3:
        if (const auto message = read<protocol::Watch>(body)) watch(message->handle, from, false);
        break;
      case 4:
        if (const auto message = read<protocol::Complete>(body)) {
          complete(message->handle, message->poisoned);
        }
        break;
      case 5:
        if (const auto message = read<protocol::OneEvent>(body)) {
          subscribers_.remove(EventHandle::from_u128(message->handle), from);
        } else if (const auto several = read<protocol::Heard>(body)) {
          heard(*several, from);
        }
        break;
      case 6: answer(body); break;
      default: report(body); break;
    }
    VELO_CHECK(subscribers_.subscription_count() <= table_.slots().pending_count() * 256);
    VELO_CHECK(table_.slots().pending_count() <= 3);
  }

 private:
  void watch(codec::U128 handle, WorkerId from, bool is_public) {
    const auto event = EventHandle::from_u128(handle);
    if (table_.slots().pending(event) != nullptr) {
      VELO_CHECK(subscribers_.add(event, from, is_public, at_).has_value());
    } else {
      check(table_.slots().ended(event));
    }
  }

  void complete(codec::U128 handle, const std::optional<std::string>& poisoned) {
    const auto event = EventHandle::from_u128(handle);
    const Outcome outcome = protocol::outcome_of(poisoned);
    Effects effects;
    if (Slot* slot = table_.slots().pending(event)) {
      table_.complete(*slot, outcome, effects);
      for (const Notice& notice : subscribers_.completed(event, outcome, at_)) {
        VELO_CHECK(notice.event == event);
        told_.push_back(notice);
      }
      const auto end =
          protocol::decode<protocol::Completion>(protocol::completion(event, outcome).span());
      VELO_CHECK(end && protocol::outcome_of(end->poisoned).reason() == outcome.reason());
    } else {
      VELO_CHECK(!table_.complete(event, outcome, effects) || outcome.is_poison());
    }
  }

  static void check(const Outcome& outcome) {
    const auto again = protocol::outcome_of(protocol::answer_of(outcome));
    VELO_CHECK(again.code == outcome.code && again.reason() == outcome.reason());
  }

  /// Acknowledges what was told to that peer, and nothing else.
  void heard(const protocol::Heard& message, WorkerId from) {
    for (const codec::U128 handle : message.handles) {
      const auto event = EventHandle::from_u128(handle);
      subscribers_.told(from, event);
      std::erase_if(told_, [&](const Notice& one) { return one.to == from && one.event == event; });
    }
    VELO_CHECK(subscribers_.unacknowledged_count() == told_.size());
    VELO_CHECK(subscribers_.expected_count() <= told_.size());
  }

  static void answer(ByteSpan body) {
    const auto message = read<protocol::Answer>(body);
    if (!message) return;
    const Outcome outcome = protocol::outcome_of(*message);
    VELO_CHECK(outcome.is_ready() == (message->code == 0));
    VELO_CHECK(outcome.reason().size() <= limits::reason_bytes_max);
    check(outcome);
  }

  static void report(ByteSpan body) {
    const auto message = read<protocol::Report>(body);
    if (!message) return;
    const EventHandle event(us, 1, 1);
    const auto again = protocol::body_of(protocol::report_of(event, *message));
    VELO_CHECK(as_text(protocol::encode(again).span()) ==
               as_text(protocol::encode(*message).span()));
  }

  const TimePoint at_;
  Awaiter awaiters_[2];
  Table table_{us, first_generation, [] {
                 Table::Options options;
                 options.alone = false;
                 return options;
               }()};
  Subscribers subscribers_;
  std::vector<Notice> told_;
};

static void check(ByteSpan input) {
  Machine machine;
  while (input.size() >= 3) {
    const auto which = std::to_integer<std::uint8_t>(input[0]);
    const std::size_t wanted =
        std::to_integer<std::size_t>(input[1]) << 8U | std::to_integer<std::size_t>(input[2]);
    const ByteSpan body = input.subspan(3, std::min(wanted, input.size() - 3));
    input = input.subspan(3 + body.size());
    machine.take(which, WorkerId(2 + which / 8U), body);
  }
}

}  // namespace velo::events::events_messages_fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  velo::events::events_messages_fuzz::check({reinterpret_cast<const std::byte*>(data), size});
  return 0;
}
