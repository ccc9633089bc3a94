// SPDX-License-Identifier: Apache-2.0
// Sending in each pattern and manner.

#include "send.hpp"

namespace velo::scenarios {

namespace send_detail {

using Then = std::move_only_function<void(bool well)>;

static std::optional<Answer> answer_of(const Result<Bytes>& reply) {
  return reply ? decode_answer(reply->span()) : std::nullopt;
}
static std::optional<Answer> answer_of(const Result<TypedAnswer>& reply) {
  return reply ? from_typed(*reply) : std::nullopt;
}
static std::optional<Answer> answer_of(const Result<void>& /*done*/) { return std::nullopt; }

/// Keeps the Op for a while; the one place where a dropped handle can be entered.
template <class T>
struct Kept {
  Fleet& fleet;
  std::uint64_t id;
  Op<T> op;
  Kept(Fleet& f, std::uint64_t i, Op<T> o) : fleet(f), id(i), op(std::move(o)) {}
};

template <class T>
static void consume(Fleet& fleet, Member& from, const Order& order, std::uint64_t id, Op<T> op,
                    Then then) {
  if (order.manner == Manner::drops) {
    auto kept = std::make_unique<Kept<T>>(fleet, id, std::move(op));
    after(from.node(), order.patience, [kept = std::move(kept)]() mutable {
      kept->fleet.ledger().cancel_asked(kept->id);
      kept->fleet.ledger().dropped(kept->id);
      kept.reset();
    });
    return;
  }
  auto end = [&ledger = fleet.ledger(), id, then = std::move(then)](Result<T> result) mutable {
    ledger.ended(id, result ? nullptr : &result.error(), answer_of(result));
    if (then) then(result.has_value());
  };
  if (order.manner == Manner::waits_on_pool) {
    std::move(op).then(from.node().pool(), std::move(end));
  } else if (Executor::current() == nullptr) {
    std::move(op).then(from.node().shard(0), std::move(end));
  } else {
    std::move(op).then(std::move(end));
  }
}

template <class R>
static void start(Fleet& fleet, Member& from, const Order& order, const Ask& ask,
                  velo::Send<R> builder, Then then) {
  builder.instance(fleet.id_of(order.to)).timeout(order.timeout);
  if constexpr (std::is_same_v<R, TypedAnswer>) {
    builder.payload(to_typed(ask, order.bytes));
  } else {
    builder.raw_payload(encode(ask, order.bytes));
  }
  if (order.await_capacity) builder.await_capacity();
  if (order.manner == Manner::cancels) {
    std::stop_source source;
    builder.stop(source.get_token());
    after(from.node(), order.patience, [&fleet, id = ask.id, source]() mutable {
      fleet.ledger().cancel_asked(id);
      source.request_stop();
    });
  }
  consume(fleet, from, order, ask.id, builder.send(), std::move(then));
}

}  // namespace send_detail

void send(Fleet& fleet, Member& from, const Order& order, send_detail::Then then) {
  Send entry;
  entry.from = from.place();
  entry.to = order.to;
  entry.timeout = order.timeout;
  entry.deadline = from.node().clock().now() + order.timeout;
  entry.pattern = order.pattern;
  entry.route = order.route;
  entry.tight = order.tight;
  entry.unordered = order.await_capacity;
  Ask ask;
  ask.id = fleet.ledger().begin(entry);
  ask.from = entry.from;
  ask.to = order.to;
  ask.delay_us = order.delay_us;
  ask.reply_bytes = order.reply_bytes;
  ask.relay_to = order.relay_to;
  Messenger& messenger = from.messenger();
  const std::string_view name = route_name(order.route);
  if (order.pattern == Pattern::fire) {
    return send_detail::start(fleet, from, order, ask, messenger.am_send(name), std::move(then));
  }
  if (order.pattern == Pattern::sync) {
    return send_detail::start(fleet, from, order, ask, messenger.am_sync(name), std::move(then));
  }
  if (order.route == Route::typed || order.route == Route::typed_spawn) {
    return send_detail::start(fleet, from, order, ask, messenger.typed_unary<TypedAnswer>(name),
                              std::move(then));
  }
  send_detail::start(fleet, from, order, ask, messenger.unary(name), std::move(then));
}

}  // namespace velo::scenarios
