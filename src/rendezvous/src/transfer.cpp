// SPDX-License-Identifier: Apache-2.0
// The window of chunk requests.

#include "transfer.hpp"

#include <velo/messenger/error.hpp>
#include <velo/rendezvous/error.hpp>

#include <algorithm>

namespace velo::rendezvous {

bool worth_retrying(const Error& error) noexcept {
  using Of = messenger::Errc;
  if (error.is(Errc::no_room)) return true;
  const auto any = [&](auto... codes) { return (error.is(codes) || ...); };
  // What a broken, slow or full way to the owner looks like; everything else is an answer.
  return any(Of::not_sent, Of::connection_lost, Of::deadline_exceeded, Of::overloaded,
             Of::over_budget, Of::too_many_calls, velo::Errc::deadline_exceeded,
             velo::Errc::overloaded);
}

Transfer::Transfer(const wire::Grant& grant, TimePoint now, std::uint32_t window_max)
    : total_bytes_(grant.total_len),
      chunk_bytes_(grant.chunk_size),
      chunks_(grant.total_len == 0 ? 0 : grant.chunk_count),
      window_max_(std::max<std::uint32_t>(
          1, static_cast<std::uint32_t>(std::min<std::uint64_t>(
                 window_max, std::uint64_t{window_max} * limits::chunk_bytes / grant.chunk_size)))),
      window_(std::min(limits::window_chunks_first, window_max_)),
      not_before_(now),
      last_progress_(now) {}

std::size_t Transfer::bytes_of(std::uint32_t chunk) const noexcept {
  const std::uint64_t offset = std::uint64_t{chunk} * chunk_bytes_;
  return static_cast<std::size_t>(std::min<std::uint64_t>(chunk_bytes_, total_bytes_ - offset));
}

std::vector<Transfer::Asked>::iterator Transfer::asked_for(std::uint32_t chunk) noexcept {
  return std::ranges::find(asked_, chunk, &Asked::chunk);
}

std::optional<std::uint32_t> Transfer::next(TimePoint now) {
  if (outstanding_ >= window_ || now < not_before_) return std::nullopt;
  std::uint32_t chunk = next_;
  if (!again_.empty()) {
    chunk = *again_.begin();
    again_.erase(again_.begin());
  } else if (next_ < chunks_) {
    ++next_;
  } else {
    return std::nullopt;
  }
  ++outstanding_;
  asked_.push_back({chunk, false});
  return chunk;
}

TimePoint Transfer::pause_over() const noexcept {
  const bool more = !again_.empty() || next_ < chunks_;
  return more && outstanding_ < window_ ? not_before_ : TimePoint::never();
}

Result<std::optional<std::uint64_t>> Transfer::arrived(std::uint32_t chunk, std::size_t bytes,
                                                       TimePoint now) {
  const auto asked = asked_for(chunk);
  if (asked == asked_.end() || asked->arrived) return std::optional<std::uint64_t>();
  if (bytes != bytes_of(chunk)) {
    return make_error(Errc::bad_peer, "a chunk of " + std::to_string(bytes) + " bytes instead of " +
                                          std::to_string(bytes_of(chunk)));
  }
  asked->arrived = true;
  last_progress_ = now;
  pause_ = Duration::zero();
  return std::optional<std::uint64_t>(std::uint64_t{chunk} * chunk_bytes_);
}

void Transfer::stored(std::uint32_t chunk) {
  const auto asked = asked_for(chunk);
  if (asked == asked_.end()) return;
  asked_.erase(asked);
  --outstanding_;
  ++stored_;
  stored_bytes_ += bytes_of(chunk);
  window_ = std::min(window_ + 1, window_max_);
}

std::optional<Error> Transfer::failed(std::uint32_t chunk, const Error& error, TimePoint now) {
  const auto asked = asked_for(chunk);
  if (asked == asked_.end() || asked->arrived) return std::nullopt;
  if (!worth_retrying(error)) return error;
  asked_.erase(asked);
  --outstanding_;
  again_.insert(chunk);
  // Of all that fail together the first one counts.
  if (now >= not_before_) {
    pause_ = std::clamp(pause_ * 2, limits::retry_pause_first, limits::retry_pause_longest);
    not_before_ = now + pause_;
    window_ = std::max<std::uint32_t>(1, window_ / 2);
  }
  return std::nullopt;
}

}  // namespace velo::rendezvous
