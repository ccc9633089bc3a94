// SPDX-License-Identifier: Apache-2.0
// Names and retry classes of error codes.

#include <velo/base/error.hpp>

#include <array>
#include <atomic>

namespace velo {
namespace error_detail {

constexpr std::size_t rooms_max = 64;

static std::array<std::atomic<ErrorNames>, rooms_max>& names() noexcept {
  static std::array<std::atomic<ErrorNames>, rooms_max> table{};
  return table;
}

static std::string_view base_name(std::uint16_t value) noexcept {
  switch (static_cast<Errc>(value)) {
    case Errc::invalid_argument: return "invalid_argument";
    case Errc::not_found: return "not_found";
    case Errc::already_exists: return "already_exists";
    case Errc::cancelled: return "cancelled";
    case Errc::deadline_exceeded: return "deadline_exceeded";
    case Errc::would_deadlock: return "would_deadlock";
    case Errc::overloaded: return "overloaded";
    case Errc::shutting_down: return "shutting_down";
    case Errc::unsupported: return "unsupported";
    case Errc::internal: return "internal";
    case Errc::io: return "io";
    case Errc::permission_denied: return "permission_denied";
  }
  return {};
}

}  // namespace error_detail

Error make_error(Errc value, std::string context) {
  Retry retry = Retry::never;
  if (value == Errc::overloaded || value == Errc::deadline_exceeded) retry = Retry::later;
  if (value == Errc::shutting_down || value == Errc::io) retry = Retry::elsewhere;
  return {error_code(value), retry, std::move(context)};
}

void register_error_names(Room room, ErrorNames names) noexcept {
  const auto index = static_cast<std::size_t>(room);
  if (index < error_detail::rooms_max) {
    error_detail::names()[index].store(names, std::memory_order_release);
  }
}

std::string_view room_name(Room room) noexcept {
  switch (room) {
    case Room::base: return "base";
    case Room::codec: return "codec";
    case Room::runtime: return "runtime";
    case Room::transport: return "transport";
    case Room::discovery: return "discovery";
    case Room::messenger: return "messenger";
    case Room::events: return "events";
    case Room::streaming: return "streaming";
    case Room::rendezvous: return "rendezvous";
    case Room::queue: return "queue";
    case Room::bus: return "bus";
    case Room::store: return "store";
    case Room::node: return "node";
    case Room::p2p: return "p2p";
    case Room::crypto: return "crypto";
    case Room::sim: return "sim";
    case Room::user: return "user";
  }
  return "unknown";
}

std::string error_code_name(ErrorCode code) {
  std::string_view name;
  const auto index = static_cast<std::size_t>(code.room);
  if (code.room == Room::base) {
    name = error_detail::base_name(code.value);
  } else if (index < error_detail::rooms_max) {
    if (auto names = error_detail::names()[index].load(std::memory_order_acquire)) {
      name = names(code.value);
    }
  }
  std::string text(room_name(code.room));
  text += '.';
  text += name.empty() ? std::to_string(code.value) : std::string(name);
  return text;
}

std::string Error::to_string() const {
  std::string text = error_code_name(code_);
  if (!context_.empty()) {
    text += ": ";
    text += context_;
  }
  return text;
}

}  // namespace velo
