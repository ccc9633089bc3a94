// SPDX-License-Identifier: Apache-2.0
// A member's messenger and its handlers.

#include "send.hpp"

#include <velo/transport/backends/shm.hpp>
#include <velo/transport/backends/tcp.hpp>

#include <fmt/format.h>

#include <stdexcept>

namespace velo::scenarios {

namespace member_detail {

/// The same for every run of a node: who comes back is found at the address of its earlier run.
constexpr std::uint16_t port = 7000;

static void add_transports(MessengerBuilder& builder, const sim::SimNode& node,
                           const Media& media) {
  transport::TcpOptions tcp;
  tcp.allow_plaintext_beyond_loopback = true;
  if (media.empty()) {
    tcp.bind = node.endpoint(port);
    builder.add_transport(transport::make_tcp(std::move(tcp)));
    return;
  }
  // They share an address.
  tcp.bind = node.endpoint(static_cast<std::uint16_t>(port + node.index()));
  transport::ShmOptions shm;
  shm.path = "@" + std::string(node.name());
  const auto over = [&builder](std::unique_ptr<transport::Transport> inner, const auto& medium) {
    builder.add_transport(std::make_unique<transport::MediumTransport>(std::move(inner), medium));
  };
  over(transport::make_tcp(std::move(tcp)), media[0]);
  over(transport::make_shm(std::move(shm)), media[1]);
}

}  // namespace member_detail

Member::Member(Fleet& fleet, sim::SimNode& node) : fleet_(fleet), node_(node) {
  auto builder = Messenger::builder(node);
  member_detail::add_transports(builder, node, fleet.media());
  if (fleet.options().calls_max != 0) builder.calls_max(fleet.options().calls_max);
  // The books of a fleet are open to all of it.
  builder.access(AccessPolicy().allow("_books", Who::anyone()));
  auto built = builder.build();
  if (!built) {
    fleet_.ledger().fail("a node cannot start: " + built.error().to_string());
    return;
  }
  messenger_ = std::move(*built);
  add_plain_handlers();
  add_typed_handlers();
  add_asynchronous_handlers();
  fleet_.joined(*this);
}

Member::~Member() {
  fleet_.left(*this);
  close();
}

void Member::close() {
  messenger_ = nullptr;
  held_.clear();
}

void Member::add(Handler handler) {
  const std::string name = handler.name();
  const auto added = messenger_->register_handler(std::move(handler));
  if (!added) fleet_.ledger().fail(name + " is refused: " + added.error().to_string());
}

std::optional<Ask> Member::arrived(Context& context, bool in_order) {
  const auto ask = decode_ask(context.payload());
  if (!ask) {
    fleet_.ledger().fail(fmt::format("\"{}\" got a damaged question", context.handler()));
    return std::nullopt;
  }
  fleet_.ledger().handler_began(*ask, place(), context.time_left(), in_order);
  if (context.sender_worker_id() != fleet_.id_of(ask->from).worker_id()) {
    fleet_.ledger().fail(fleet_.ledger().describe(ask->id) + " names another sender");
  }
  return ask;
}

Bytes Member::answer(const Ask& ask) const {
  return encode(Answer{ask.id, place()}, ask.reply_bytes);
}

void Member::add_plain_handlers() {
  const auto note = [this](bool in_order) {
    return [this, in_order](Context& context) { (void)arrived(context, in_order); };
  };
  add(Handler::am_handler("note", note(true)).inline_().build());
  add(Handler::am_handler("note_spawn", note(false)).build());
  const auto echo = [this](bool in_order) {
    return [this, in_order](Context& context) -> Result<Bytes> {
      const auto ask = arrived(context, in_order);
      return ask ? answer(*ask) : Bytes();
    };
  };
  add(Handler::unary_handler("echo", echo(true)).inline_().build());
  add(Handler::unary_handler("echo_spawn", echo(false)).build());
  add(Handler::unary_handler("fails", [this](Context& context) -> Result<Bytes> {
        const auto ask = arrived(context, false);
        return Error(ErrorCode{Room::user, 7}, Retry::never, std::to_string(ask ? ask->id : 0));
      }).build());
  add(Handler::unary_handler("throws", [this](Context& context) -> Bytes {
        (void)arrived(context, false);
        throw std::runtime_error("as it always does");
      }).build());
}

void Member::add_typed_handlers() {
  const auto typed = [this](bool in_order) {
    return [this, in_order](TypedContext<TypedAsk>& context) -> TypedAnswer {
      const auto ask = from_typed(context.input);
      if (!ask) {
        fleet_.ledger().fail("a typed handler got a damaged question");
        return {};
      }
      fleet_.ledger().handler_began(*ask, place(), context.time_left(), in_order);
      return to_typed(Answer{ask->id, place()}, ask->reply_bytes);
    };
  };
  add(Handler::typed_unary("typed", typed(true)).inline_().build());
  add(Handler::typed_unary("typed_spawn", typed(false)).build());
}

void Member::add_asynchronous_handlers() {
  const auto async = [this](std::string name, auto body) {
    return Handler::Builder(std::move(name), HandlerKind::unary,
                            Handler::Async([this, body](Context context, HandlerDone done) {
                              const auto ask = arrived(context, false);
                              if (ask) body(*ask, std::move(context), std::move(done));
                            }));
  };
  add(async("late",
            [this](const Ask& ask, Context context, HandlerDone done) {
              after(node_, std::chrono::microseconds(ask.delay_us),
                    [reply = answer(ask), context = std::move(context),
                     done = std::move(done)]() mutable {
                      done(std::optional<Bytes>(std::move(reply)));
                    });
            })
          .inline_()
          .build());
  add(async("relay", [this](const Ask& ask, Context context, HandlerDone done) {
        relay(ask, std::move(context), std::move(done));
      }).build());
  add(async("never",
            [this](const Ask& /*ask*/, Context context, HandlerDone done) {
              std::stop_token stop = context.stop_token();
              held_.push_back(Held{std::move(context), std::move(done), std::move(stop)});
            })
          .inline_()
          .build());
  add(async("drops", [](const Ask& /*ask*/, const Context& /*context*/, HandlerDone /*done*/) {
      }).build());
}

void Member::relay(const Ask& ask, Context context, HandlerDone done) {
  Order order;
  order.to = fleet_.latest(ask.relay_to);
  order.timeout = context.time_left();
  order.tight = true;
  order.bytes = static_cast<std::uint32_t>(context.payload().size());
  send(fleet_, *this, order,
       [reply = answer(ask), context = std::move(context), done = std::move(done)](bool) mutable {
         done(std::optional<Bytes>(std::move(reply)));
       });
}

void Member::check_held() const {
  const TimePoint now = node_.clock().now();
  for (const Held& held : held_) {
    if (held.stop.stop_requested()) continue;
    if (now - held.context.deadline() <= fleet_.options().ledger.slack) continue;
    return fleet_.ledger().fail(
        fmt::format("a handler of n{}.{} was not told of its deadline", place().node, place().run));
  }
}

}  // namespace velo::scenarios
