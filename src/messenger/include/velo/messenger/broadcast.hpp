// SPDX-License-Identifier: Apache-2.0
// One message to many peers, and all their answers:
// `messenger.broadcast("name").raw_payload(bytes).to(ids).timeout(2s).send()` completes with one
// answer per target, in the order of the targets, each with its own end. The payload is encoded
// once and shared by all sends. Every target is a send of its own in the books.
// Threading: a builder belongs to one thread; what it returns is an Op.
#pragma once

#include <velo/messenger/call.hpp>
#include <velo/messenger/limits.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace velo {

/// What became of the send to one target.
template <class R>
struct Answer {
  InstanceId target;
  Result<R> result;
  SendStatus status;

  Answer(const InstanceId& t, Result<R> r, SendStatus s)
      : target(t), result(std::move(r)), status(s) {}
};

namespace messenger {

struct BroadcastSpec {
  CallSpec call;  ///< of each send; without target, stop token and handler name
  std::string handler;
  std::vector<InstanceId> targets;
  bool all_peers = false;
  bool only_with_handler = false;
  std::size_t enough = SIZE_MAX;
  std::size_t concurrent_max = limits::broadcast_concurrent_default;
  std::stop_token stop;
};

struct RawAnswer {
  InstanceId target;
  Reply reply;
};

/// Begins; the state's result is read with take_answers.
OpState& start_broadcast(BroadcastSpec spec);
Result<std::vector<RawAnswer>> take_answers(OpState& state);

template <class R>
Result<std::vector<Answer<R>>> decode_answers(OpState& state) {
  auto raw = take_answers(state);
  if (!raw) return std::move(raw.error());
  std::vector<Answer<R>> answers;
  answers.reserve(raw->size());
  for (RawAnswer& each : *raw) {
    const SendStatus status = status_of(each.reply);
    answers.emplace_back(each.target, decode_taken<R>(std::move(each.reply)), status);
  }
  return answers;
}

}  // namespace messenger

/// `R` is what each target answers with: void (fire, sync), Bytes (unary), or a described type.
template <class R>
class [[nodiscard]] Broadcast {
 public:
  Broadcast(messenger::Impl& impl, messenger::Pattern pattern, bool typed,
            std::string_view handler) {
    spec_.call.impl = &impl;
    spec_.call.pattern = pattern;
    spec_.call.typed = typed;
    spec_.handler = std::string(handler);
  }

  /// A described struct (or any codec type).
  template <class T>
  Broadcast& payload(const T& value) {
    spec_.call.payload = messenger::encode_body(value, false);
    spec_.call.typed = true;
    return *this;
  }
  Broadcast& raw_payload(Bytes bytes) {
    spec_.call.payload = std::move(bytes);
    return *this;
  }
  Broadcast& raw_payload(std::string_view text) { return raw_payload(Bytes::copy(text)); }
  Broadcast& header(std::string name, std::string value) {
    spec_.call.headers.insert_or_assign(std::move(name), std::move(value));
    return *this;
  }

  /// These; one that is named twice is sent to twice, and has two answers.
  Broadcast& to(std::span<const InstanceId> targets) {
    spec_.targets.assign(targets.begin(), targets.end());
    spec_.all_peers = false;
    return *this;
  }
  /// Every peer that is known when it is sent, in the order of their ids.
  Broadcast& to_all_peers() {
    spec_.all_peers = true;
    return *this;
  }
  /// Of the known peers those that have the handler: a peer whose handlers are not known is asked
  /// first. Those without it, and those that could not be asked, are not among the answers.
  Broadcast& to_peers_with_handler() {
    spec_.all_peers = true;
    spec_.only_with_handler = true;
    return *this;
  }

  /// For everything together, default 30 s: what has not ended then ends as expired, whether it was
  /// begun or not.
  Broadcast& timeout(Duration timeout) {
    spec_.call.timeout = timeout;
    return *this;
  }
  /// Once `successes` sends have ended well, the others are cancelled.
  Broadcast& enough_with(std::size_t successes) {
    spec_.enough = successes;
    return *this;
  }
  /// Sends in flight at once, at least 1; the next begins when one ended. Default 1,024.
  Broadcast& max_concurrent(std::size_t sends) {
    spec_.concurrent_max = sends;
    return *this;
  }
  /// Cancels all when stop is requested; the Op still completes with their ends.
  Broadcast& stop(std::stop_token token) {
    spec_.stop = std::move(token);
    return *this;
  }

  /// Completes when every send has ended; fails only with velo::Errc::overloaded, for more than
  /// limits::broadcast_targets_max targets, when nothing is sent. Dropping it cancels all sends.
  Op<std::vector<Answer<R>>> send() {
    return {messenger::start_broadcast(std::move(spec_)), &messenger::decode_answers<R>};
  }

 private:
  messenger::BroadcastSpec spec_;
};

}  // namespace velo
