// SPDX-License-Identifier: Apache-2.0
// Bodies of questions and answers.

#include "ask.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <vector>

namespace velo::scenarios {

namespace ask_detail {

/// Bodies up to this long are compared as a whole, longer ones at every so many bytes.
constexpr std::size_t whole_bytes_max = 512;
constexpr std::size_t sample_step = 509;

static char letter(std::uint64_t id, std::size_t at) noexcept {
  return static_cast<char>('a' + (id * 7 + at) % 26);
}

static void fill(std::uint64_t id, std::span<char> out) {
  const std::size_t period = std::min<std::size_t>(out.size(), 26);
  for (std::size_t i = 0; i < period; ++i) out[i] = letter(id, i);
  // Doubling what is there, a whole number of periods at a time.
  for (std::size_t done = period; done < out.size();) {
    const std::size_t more = std::min(done, out.size() - done);
    std::memcpy(out.data() + done, out.data(), more);
    done += more;
  }
}

static bool is_filled(std::uint64_t id, std::string_view text) noexcept {
  const std::size_t step = text.size() <= whole_bytes_max ? 1 : sample_step;
  for (std::size_t i = 0; i < text.size(); i += step) {
    if (text[i] != letter(id, i)) return false;
  }
  return text.empty() || text.back() == letter(id, text.size() - 1);
}

template <std::size_t Words>
static Bytes pack(const std::array<std::uint64_t, Words>& words, std::size_t bytes) {
  std::vector<std::byte> body(std::max(bytes, sizeof(words)));
  std::memcpy(body.data(), words.data(), sizeof(words));
  auto* text = reinterpret_cast<char*>(body.data()) + sizeof(words);
  fill(words[0], std::span(text, body.size() - sizeof(words)));
  return Bytes::own(std::move(body));
}

template <std::size_t Words>
static std::optional<std::array<std::uint64_t, Words>> unpack(ByteSpan body) {
  std::array<std::uint64_t, Words> words;
  if (body.size() < sizeof(words)) return std::nullopt;
  std::memcpy(words.data(), body.data(), sizeof(words));
  if (!is_filled(words[0], as_text(body.subspan(sizeof(words))))) return std::nullopt;
  return words;
}

static std::uint64_t join(std::uint32_t high, std::uint32_t low) noexcept {
  return std::uint64_t{high} << 32U | low;
}
static Place place(std::uint64_t word) noexcept {
  return {static_cast<std::uint32_t>(word >> 32U), static_cast<std::uint32_t>(word)};
}

static std::string filler(std::uint64_t id, std::size_t bytes) {
  std::string text(bytes, ' ');
  fill(id, text);
  return text;
}

}  // namespace ask_detail

std::string_view route_name(Route route) noexcept {
  constexpr std::array<std::string_view, route_count> names{
      "note",  "note_spawn", "echo",   "echo_spawn", "typed", "typed_spawn", "late",
      "relay", "fails",      "throws", "never",      "drops", "missing"};
  return names[static_cast<std::size_t>(route)];
}

Bytes encode(const Ask& ask, std::size_t bytes) {
  using ask_detail::join;
  return ask_detail::pack<5>(
      {ask.id, join(ask.from.node, ask.from.run), join(ask.to.node, ask.to.run),
       join(ask.delay_us, ask.reply_bytes), ask.relay_to},
      bytes);
}

std::optional<Ask> decode_ask(ByteSpan body) {
  const auto words = ask_detail::unpack<5>(body);
  if (!words) return std::nullopt;
  Ask ask;
  ask.id = (*words)[0];
  ask.from = ask_detail::place((*words)[1]);
  ask.to = ask_detail::place((*words)[2]);
  ask.delay_us = static_cast<std::uint32_t>((*words)[3] >> 32U);
  ask.reply_bytes = static_cast<std::uint32_t>((*words)[3]);
  ask.relay_to = static_cast<std::uint32_t>((*words)[4]);
  return ask;
}

Bytes encode(const Answer& answer, std::size_t bytes) {
  return ask_detail::pack<2>({answer.id, ask_detail::join(answer.by.node, answer.by.run)}, bytes);
}

std::optional<Answer> decode_answer(ByteSpan body) {
  const auto words = ask_detail::unpack<2>(body);
  if (!words) return std::nullopt;
  return Answer{(*words)[0], ask_detail::place((*words)[1])};
}

TypedAsk to_typed(const Ask& ask, std::size_t bytes) {
  return {ask.id,
          ask.from.node,
          ask.from.run,
          ask.to.node,
          ask.to.run,
          ask.reply_bytes,
          ask_detail::filler(ask.id, bytes)};
}

TypedAnswer to_typed(const Answer& answer, std::size_t bytes) {
  return {answer.id, answer.by.node, answer.by.run, ask_detail::filler(answer.id, bytes)};
}

std::optional<Ask> from_typed(const TypedAsk& typed) {
  if (!ask_detail::is_filled(typed.id, typed.filler)) return std::nullopt;
  Ask ask;
  ask.id = typed.id;
  ask.from = {typed.from_node, typed.from_run};
  ask.to = {typed.to_node, typed.to_run};
  ask.reply_bytes = typed.reply_bytes;
  return ask;
}

std::optional<Answer> from_typed(const TypedAnswer& typed) {
  if (!ask_detail::is_filled(typed.id, typed.filler)) return std::nullopt;
  return Answer{typed.id, {typed.node, typed.run}};
}

}  // namespace velo::scenarios
