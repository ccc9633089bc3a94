// SPDX-License-Identifier: Apache-2.0
// What the simulated nodes say to each other: a question that carries its own unique id, who asks
// whom, and what the handler is to do; an answer that carries the question's id and who answered.
// The rest of a body is a pattern that depends on the id, so that mixed-up bytes are noticed.
// Threading: value types and pure functions.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/codec/describe.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace velo::scenarios {

/// Which handler a send is for, and thereby how it should end.
enum class Route : std::uint8_t {
  note,         ///< inline, returns nothing
  note_spawn,   ///< on the pool, returns nothing
  echo,         ///< inline
  echo_spawn,   ///< on the pool
  typed,        ///< inline, described structs
  typed_spawn,  ///< on the pool, described structs
  late,         ///< asynchronous, answers after the delay that the question names
  relay,        ///< asynchronous, asks a third node before it answers
  fails,        ///< answers with an error of its own
  throws,
  never,    ///< holds the question and never answers
  drops,    ///< forgets the question without an answer
  missing,  ///< no such handler
};
constexpr std::size_t route_count = 13;
std::string_view route_name(Route route) noexcept;

/// A place in the run: a node and its incarnation.
struct Place {
  std::uint32_t node = 0;
  std::uint32_t run = 0;
  friend bool operator==(const Place&, const Place&) = default;
};

struct Ask {
  std::uint64_t id = 0;
  Place from;
  Place to;
  std::uint32_t delay_us = 0;
  std::uint32_t reply_bytes = 0;
  std::uint32_t relay_to = 0;
};

struct Answer {
  std::uint64_t id = 0;
  Place by;
};

/// At least as long as the fixed part. A damaged body decodes to nothing.
Bytes encode(const Ask& ask, std::size_t bytes);
Bytes encode(const Answer& answer, std::size_t bytes);
std::optional<Ask> decode_ask(ByteSpan body);
std::optional<Answer> decode_answer(ByteSpan body);

/// The same for typed handlers.
struct TypedAsk {
  std::uint64_t id = 0;
  std::uint32_t from_node = 0;
  std::uint32_t from_run = 0;
  std::uint32_t to_node = 0;
  std::uint32_t to_run = 0;
  std::uint32_t reply_bytes = 0;
  std::string filler;
};
VELO_DESCRIBE(TypedAsk, id, from_node, from_run, to_node, to_run, reply_bytes, filler);

struct TypedAnswer {
  std::uint64_t id = 0;
  std::uint32_t node = 0;
  std::uint32_t run = 0;
  std::string filler;
};
VELO_DESCRIBE(TypedAnswer, id, node, run, filler);

TypedAsk to_typed(const Ask& ask, std::size_t bytes);
TypedAnswer to_typed(const Answer& answer, std::size_t bytes);
std::optional<Ask> from_typed(const TypedAsk& ask);
std::optional<Answer> from_typed(const TypedAnswer& answer);

}  // namespace velo::scenarios
