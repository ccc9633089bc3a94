// SPDX-License-Identifier: Apache-2.0
// The table of requests.

#include "nats_requests.hpp"

#include <algorithm>
#include <charconv>

namespace velo::queue::nats {

std::optional<std::uint64_t> Requests::add(Request& request) {
  const std::size_t bytes = request.message.bytes();
  if (requests_.size() >= limits::nats_requests_max ||
      bytes_ + bytes > limits::nats_request_bytes_max) {
    return {};
  }
  bytes_ += bytes;
  requests_.emplace(next_, Kept{std::move(request)});
  return next_++;
}

Message Requests::prepared(std::uint64_t number, Kept& kept, TimePoint now) {
  const bool repeats = kept.request.repeat == Repeat::unanswered;
  kept.again = repeats ? now + limits::nats_repeat_every : TimePoint::never();
  Message message = kept.request.message;
  message.reply = prefix_ + std::to_string(number);
  return message;
}

std::optional<Message> Requests::send(std::uint64_t number, TimePoint now) {
  const auto found = requests_.find(number);
  if (found == requests_.end() || (!open_ && !found->second.request.first)) return {};
  return prepared(number, found->second, now);
}

std::vector<Message> Requests::send_all(TimePoint now) {
  std::vector<Message> messages;
  for (auto& [number, kept] : requests_) {
    if (open_ || kept.request.first) messages.push_back(prepared(number, kept, now));
  }
  return messages;
}

std::vector<Message> Requests::due(TimePoint now) {
  std::vector<Message> messages;
  for (auto& [number, kept] : requests_) {
    if (kept.again <= now) messages.push_back(prepared(number, kept, now));
  }
  return messages;
}

std::optional<std::uint64_t> Requests::number_of(std::string_view subject) const {
  if (!subject.starts_with(prefix_)) return {};
  subject.remove_prefix(prefix_.size());
  std::uint64_t number = 0;
  const auto [end, failed] =
      std::from_chars(subject.data(), subject.data() + subject.size(), number);
  if (failed != std::errc() || end != subject.data() + subject.size()) return {};
  return requests_.contains(number) ? std::optional(number) : std::nullopt;
}

const Requests::Request* Requests::asked(std::string_view subject) const {
  const auto number = number_of(subject);
  return number ? &requests_.find(*number)->second.request : nullptr;
}

std::optional<Requests::Done> Requests::answered(std::string_view subject) {
  const auto number = number_of(subject);
  if (!number) return {};
  auto node = requests_.extract(*number);
  bytes_ -= node.mapped().request.message.bytes();
  return std::move(node.mapped().request.done);
}

bool Requests::ask_again(std::string_view subject, TimePoint at) {
  const auto number = number_of(subject);
  if (!number) return false;
  Kept& kept = requests_.find(*number)->second;
  if (kept.request.repeat == Repeat::never) return false;
  kept.again = at;
  return true;
}

std::vector<Requests::Done> Requests::expired(TimePoint now) {
  std::vector<Done> over;
  for (auto at = requests_.begin(); at != requests_.end();) {
    if (at->second.request.until > now) {
      ++at;
      continue;
    }
    bytes_ -= at->second.request.message.bytes();
    over.push_back(std::move(at->second.request.done));
    at = requests_.erase(at);
  }
  return over;
}

std::vector<Requests::Done> Requests::take_all() {
  std::vector<Done> all;
  for (auto& [number, kept] : requests_) all.push_back(std::move(kept.request.done));
  requests_.clear();
  bytes_ = 0;
  return all;
}

std::vector<Requests::Done> Requests::take_items() {
  std::vector<Done> items;
  for (auto at = requests_.begin(); at != requests_.end();) {
    if (!at->second.request.item) {
      ++at;
      continue;
    }
    bytes_ -= at->second.request.message.bytes();
    items.push_back(std::move(at->second.request.done));
    at = requests_.erase(at);
  }
  return items;
}

TimePoint Requests::next_change() const noexcept {
  TimePoint next = TimePoint::never();
  for (const auto& [number, kept] : requests_) {
    next = std::min({next, kept.request.until, kept.again});
  }
  return next;
}

}  // namespace velo::queue::nats
