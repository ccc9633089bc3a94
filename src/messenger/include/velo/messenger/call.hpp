// SPDX-License-Identifier: Apache-2.0
// The sending side: one builder for the four patterns.
// `messenger.unary("name").raw_payload(bytes).instance(peer).send()`. A mistake in building (no
// target, headers too large, name too long) ends the returned Op with an error; nothing is sent.
// Threading: a builder belongs to one thread; what it returns is an Op.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/ids.hpp>
#include <velo/base/limits.hpp>
#include <velo/base/op.hpp>
#include <velo/base/time.hpp>
#include <velo/base/trace.hpp>
#include <velo/messenger/error.hpp>
#include <velo/messenger/fates.hpp>
#include <velo/messenger/headers.hpp>
#include <velo/messenger/typed_body.hpp>

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

namespace velo {

/// A reply with the headers that the handler set.
struct Response {
  Bytes payload;
  Headers headers;
};

/// How a send ended, with what the sender's books say of it.
template <class R>
struct Outcome {
  Result<R> result;
  SendStatus status;

  Outcome(Result<R> r, SendStatus s) : result(std::move(r)), status(s) {}
};

namespace messenger {

class Impl;
class OpenSpan;

enum class Pattern : std::uint8_t { fire = 0, sync = 1, unary = 2 };

/// What a builder collects.
struct CallSpec {
  Impl* impl = nullptr;
  Pattern pattern = Pattern::fire;
  bool typed = false;  ///< the payload is a MessagePack body, to be JSON towards peers that want it
  bool await_capacity = false;
  bool has_instance = false;
  bool has_worker = false;
  bool may_be_lost = false;  ///< fire only
  bool system = false;       ///< velo's own traffic: reserved names allowed, not in the fates
  std::string_view handler;  ///< borrowed until start()
  Bytes payload;
  InstanceId instance;
  WorkerId worker;
  std::uint64_t connection = 0;  ///< one that will do, beside our own to the target
  Duration timeout = velo::limits::call_deadline_default;
  Headers headers;
  std::stop_token stop;
  std::shared_ptr<OpenSpan> span;  ///< of a send that is traced
};

/// How a call ended. `error` empty: well.
struct Reply {
  std::optional<Error> error;
  Bytes payload;
  Bytes headers;  ///< MessagePack map<str,str>, or empty
  bool json = false;
  Fate fate = Fate::rejected;
  bool left = false;  ///< a connection took it
};

/// Starts the call; the state's result is read with take_reply. Never fails otherwise than through
/// the state.
OpState& start(CallSpec& spec);
Reply take_reply(OpState& state);
SendStatus status_of(const Reply& ended) noexcept;
/// Nullopt when the state is not one of a send.
std::optional<SendStatus> status_of(const OpState& state);
Headers reply_headers(const Reply& reply);

template <class R>
Result<R> decode_taken(Reply reply) {
  if (reply.error) return std::move(*reply.error);
  if constexpr (std::is_void_v<R>) {
    return {};
  } else if constexpr (std::is_same_v<R, Bytes>) {
    return std::move(reply.payload);
  } else if constexpr (std::is_same_v<R, Response>) {
    Headers headers = reply_headers(reply);
    return Response{std::move(reply.payload), std::move(headers)};
  } else {
    auto value = decode_body<R>(reply.payload, reply.json);
    if (!value) return make_error(Errc::bad_reply, value.error().to_string());
    return std::move(*value);
  }
}

template <class R>
Result<R> decode_reply(OpState& state) {
  return decode_taken<R>(take_reply(state));
}

template <class R>
Result<Outcome<R>> decode_outcome(OpState& state) {
  Reply reply = take_reply(state);
  const SendStatus status = status_of(reply);
  return Outcome<R>(decode_taken<R>(std::move(reply)), status);
}

}  // namespace messenger

/// Where a send that was not consumed yet is: asked of the call's slot now, so that it costs
/// nothing until then. Nullopt for an Op that no Send returned, and for a consumed one.
template <class R>
std::optional<SendStatus> send_status(const Op<R>& op) {
  const OpState* state = op.state();
  return state == nullptr ? std::nullopt : messenger::status_of(*state);
}

/// Whether what the failed send asked for may have been done; false: certainly not, and sending it
/// again, anywhere, is safe.
inline bool may_have_been_handled(const Error& error) noexcept { return !error.without_effect(); }

/// `R` is what the Op yields: void (fire, sync), Bytes (unary), or a described type (typed unary).
template <class R>
class [[nodiscard]] Send {
 public:
  Send(messenger::Impl& impl, messenger::Pattern pattern, bool typed, std::string_view handler) {
    spec_.impl = &impl;
    spec_.pattern = pattern;
    spec_.typed = typed;
    spec_.handler = handler;
  }

  /// A described struct (or any codec type), as MessagePack or JSON, whichever the peer reads.
  template <class T>
  Send& payload(const T& value) {
    spec_.payload = messenger::encode_body(value, false);
    spec_.typed = true;
    return *this;
  }
  Send& raw_payload(Bytes bytes) {
    spec_.payload = std::move(bytes);
    return *this;
  }
  Send& raw_payload(std::string_view text) { return raw_payload(Bytes::copy(text)); }

  /// The target: exactly one of instance and worker. One's own id is allowed.
  Send& instance(const InstanceId& id) {
    spec_.instance = id;
    spec_.has_instance = true;
    return *this;
  }
  Send& worker(WorkerId id) {
    spec_.worker = id;
    spec_.has_worker = true;
    return *this;
  }

  Send& header(std::string name, std::string value) {
    spec_.headers.insert_or_assign(std::move(name), std::move(value));
    return *this;
  }
  Send& headers(Headers all) {
    spec_.headers = std::move(all);
    return *this;
  }

  /// Makes the send a child of `context` instead of what the calling code works for
  /// (trace::current()); for work that a handler hands to others: `.traced(*context.trace())`.
  Send& traced(const trace::TraceContext& context) {
    header(std::string(trace::parent_header), trace::to_traceparent(context));
    if (context.state.empty()) return *this;
    return header(std::string(trace::state_header), context.state);
  }

  /// Time to the end of the call, and for the handler to see; default 30 s, clamped to 24 h.
  Send& timeout(Duration timeout) {
    spec_.timeout = timeout;
    return *this;
  }
  /// Cancels the call when stop is requested.
  Send& stop(std::stop_token token) {
    spec_.stop = std::move(token);
    return *this;
  }
  /// Fire-and-forget that need not arrive: where the transport can, it is dropped on the way rather
  /// than sent again (QUIC datagrams, of about a kibibyte), and it keeps no order with other sends.
  /// It completes when it was written, like any other. Acknowledged and unary sends end with
  /// velo::Errc::invalid_argument.
  Send& may_be_lost() {
    spec_.may_be_lost = true;
    return *this;
  }
  /// Waits for a call slot instead of failing when all are taken. The deadline runs meanwhile.
  /// Such a send gives its slot back when it ends; any other keeps it until its Op was consumed.
  Send& await_capacity() {
    spec_.await_capacity = true;
    return *this;
  }

  /// Sends of one thread to one handler of a peer arrive in the order of their sending; those to
  /// different handlers, too, but over QUIC, where none waits for the others.
  /// Fire completes when written to the operating system, sync when the handler ended, unary with
  /// its reply. The Op's drop cancels, except for fire, which it only forgets.
  Op<R> send() { return {messenger::start(spec_), &messenger::decode_reply<R>}; }
  Op<R> send_to(const InstanceId& id) { return instance(id).send(); }

  /// As send(), and completes with how the send ended as well; the Op itself does not fail.
  Op<Outcome<R>> send_for_outcome() {
    return {messenger::start(spec_), &messenger::decode_outcome<R>};
  }

  /// As send(), with the response headers.
  Op<Response> send_for_response()
    requires std::is_same_v<R, Bytes>
  {
    return {messenger::start(spec_), &messenger::decode_reply<Response>};
  }

  /// For velo's own traffic: without a connection of our own to the target it goes by this one,
  /// which the target made (PayloadOrigin), and only when that is closed, too, the target is
  /// dialled.
  Send& by(std::uint64_t connection) {
    spec_.connection = connection;
    return *this;
  }
  /// For <velo/messenger/subsystem.hpp>: velo's own traffic.
  Send&& system() && {
    spec_.system = true;
    return std::move(*this);
  }

 private:
  messenger::CallSpec spec_;
};

}  // namespace velo
