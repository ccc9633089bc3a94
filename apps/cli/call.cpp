// SPDX-License-Identifier: Apache-2.0
// `velo call`: one message to one handler, and its answer.

#include "client.hpp"
#include "commands.hpp"
#include "input_file.hpp"
#include "reply_text.hpp"

#include <velo/codec/json_value.hpp>
#include <velo/velo.hpp>

#include <fmt/format.h>

#include <cstdio>
#include <iterator>

namespace velo::cli {

struct CallShown {
  std::string handler;
  std::string peer;
  std::string kind;
  double elapsed_ms = 0;
  std::string reply_kind;  ///< empty, json, text, hex; "none" where the pattern has no reply
  JsonValue reply;
  Headers headers;
};
VELO_DESCRIBE(CallShown, handler, peer, kind, elapsed_ms, reply_kind, reply, headers);

namespace call_detail {

struct Payload {
  std::optional<JsonValue> typed;
  Bytes raw;
};

static int read_payload(const CallOptions& options, Payload& payload) {
  if (options.json) {
    auto value = JsonValue::parse(*options.json);
    if (!value) {
      return fail(exit_usage, fmt::format("--json: {}", value.error().to_string()),
                  R"(quote it for the shell, as in --json '{"a": 1, "b": 2}')");
    }
    payload.typed = std::move(*value);
  } else if (options.raw) {
    payload.raw = Bytes::copy(*options.raw);
  } else if (options.file) {
    auto contents = read_input(*options.file, velo::limits::frame_bytes_max);
    if (!contents) {
      return fail(exit_usage, contents.error().context(), "--file - reads standard input");
    }
    payload.raw = Bytes::own(std::move(*contents));
  }
  return exit_ok;
}

template <class R>
static Send<R> prepared(Send<R> send, const CallOptions& options, const PeerInfo& peer,
                        const Payload& payload) {
  if (payload.typed) {
    send.payload(*payload.typed);
  } else {
    send.raw_payload(payload.raw);
  }
  send.instance(peer.instance_id).timeout(options.timeout);
  return send;
}

/// The answer; without a payload and headers for the kinds that have none.
static Result<Response> call(Velo& node, const CallOptions& options, const PeerInfo& peer,
                             const Payload& payload) {
  if (options.kind == "unary") {
    return prepared(node.unary(options.handler), options, peer, payload).send_for_response().get();
  }
  Send<void> send =
      options.kind == "sync" ? node.am_sync(options.handler) : node.am_send(options.handler);
  auto ended = prepared(std::move(send), options, peer, payload).send().get();
  if (!ended) return ended.error();
  return Response();
}

static std::string_view kind_name(ReplyText::Kind kind) {
  switch (kind) {
    case ReplyText::Kind::empty: return "empty";
    case ReplyText::Kind::json: return "json";
    case ReplyText::Kind::text: return "text";
    case ReplyText::Kind::hex: return "hex";
  }
  return "empty";
}

static void print_json(CallShown shown, const ReplyText& text, Headers headers) {
  shown.headers = std::move(headers);
  if (shown.kind != "unary") {
    shown.reply_kind = "none";
  } else {
    shown.reply_kind = kind_name(text.kind);
    if (text.kind == ReplyText::Kind::json) {
      auto value = JsonValue::parse(text.content);
      if (value) shown.reply = std::move(*value);
    } else if (text.kind != ReplyText::Kind::empty) {
      shown.reply = JsonValue(text.content);
    }
  }
  print_line(to_json(shown));
}

}  // namespace call_detail

int run_call(const Globals& globals, const CallOptions& options) {
  call_detail::Payload payload;
  if (const int code = call_detail::read_payload(options, payload); code != exit_ok) return code;
  Client client(options.where, globals.node);
  if (const int code = client.join(); code != exit_ok) return code;
  PeerInfo peer;
  if (const int code = client.choose(options.peer, peer); code != exit_ok) return code;

  Clock& clock = client.node().world().clock();
  const TimePoint started = clock.now();
  auto response = call_detail::call(client.node(), options, peer, payload);
  const Duration elapsed = clock.now() - started;
  if (!response) return fail(fmt::format("'{}' failed", options.handler), response.error());

  const ReplyText text = reply_text(response->payload, payload.typed.has_value());
  if (globals.output == OutputFormat::json) {
    CallShown shown;
    shown.handler = options.handler;
    shown.peer = peer.instance_id.to_string();
    shown.kind = options.kind;
    shown.elapsed_ms = std::chrono::duration<double, std::milli>(elapsed).count();
    call_detail::print_json(std::move(shown), text, std::move(response->headers));
  } else if (options.kind == "unary") {
    print_line(text.content);
  } else {
    print_line(options.kind == "sync" ? "acknowledged" : "sent");
  }
  return exit_ok;
}

}  // namespace velo::cli
