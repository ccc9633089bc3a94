// SPDX-License-Identifier: Apache-2.0
// The receiving side of events over a messenger: what others ask of events that are owned here, and
// what owners say of theirs.

#include "network.hpp"

#include <utility>

namespace velo::events {
namespace network_handlers_detail {

static Error unreadable(const Error& why) {
  return messenger::make_error(messenger::Errc::bad_request, why.to_string());
}

}  // namespace network_handlers_detail

std::vector<Handler> Network::handlers() {
  std::vector<Handler> all;
  const auto self = shared_from_this();
  const auto message = [&](std::string_view called, Result<void> (Network::*serve)(Context&)) {
    all.push_back(
        Handler::am_handler(std::string(called),
                            [self, serve](Context& context) { return ((*self).*serve)(context); })
            .inline_()
            .build());
  };
  const auto question = [&](std::string_view called, Result<Bytes> (Network::*serve)(Context&)) {
    all.push_back(Handler::unary_handler(
                      std::string(called),
                      [self, serve](Context& context) { return ((*self).*serve)(context); })
                      .inline_()
                      .build());
  };
  message(protocol::subscribe_name, &Network::on_subscribe);
  message(protocol::completion_name, &Network::on_completion);
  message(protocol::request_name, &Network::on_trigger_request);
  if (public_only_) return all;
  message(protocol::over_name, &Network::on_over);
  message(protocol::heard_name, &Network::on_heard);
  question(protocol::watch_name, &Network::on_watch);
  message(protocol::unwatch_name, &Network::on_unwatch);
  question(protocol::complete_name, &Network::on_complete);
  question(protocol::why_name, &Network::on_why);
  return all;
}

Result<EventHandle> Network::on_any_completion(Context& context) {
  const auto body = protocol::decode<protocol::Completion>(context.payload());
  if (!body) return network_handlers_detail::unreadable(body.error());
  const auto event = EventHandle::from_u128(body->handle);
  if (event.system() != context.sender_worker_id()) {
    return messenger::make_error(messenger::Errc::permission_denied,
                                 "only its owner says that an event is over");
  }
  remote_ended(event, protocol::outcome_of(body->poisoned));
  return event;
}

Result<void> Network::on_completion(Context& context) {
  const auto event = on_any_completion(context);
  if (!event) return event.error();
  return {};
}

Result<void> Network::on_over(Context& context) {
  const auto event = on_any_completion(context);
  if (!event) return event.error();
  acknowledge(*event);
  return {};
}

Result<void> Network::on_heard(Context& context) {
  const auto body = protocol::decode<protocol::Heard>(context.payload());
  if (!body) return network_handlers_detail::unreadable(body.error());
  engine_->step([&](Table&, Subscribers& subscribers, Effects&) {
    for (const codec::U128 handle : body->handles) {
      subscribers.told(context.sender_worker_id(), EventHandle::from_u128(handle));
    }
  });
  return {};
}

Result<void> Network::on_subscribe(Context& context) {
  const auto body = protocol::decode<protocol::Subscribe>(context.payload());
  if (!body) return network_handlers_detail::unreadable(body.error());
  const WorkerId who = context.sender_worker_id();
  if (body->subscriber_worker != who.value()) {
    return messenger::make_error(messenger::Errc::permission_denied, "it subscribes another");
  }
  const auto event = EventHandle::from_u128(body->handle);
  std::vector<Notice> at_once;
  auto added = engine_->step([&](Table& table, Subscribers& subscribers, Effects&) {
    Slot* slot = table.slots().pending(event);
    Outcome ended;
    if (slot == nullptr) {
      ended = table.slots().ended(event);
    } else if (auto noted = subscribers.add(event, who, true, now()); noted) {
      slot->watched = true;
      return noted;
    } else {
      ended = Outcome::failed(noted.error());
    }
    // This protocol can say nothing else than that it ended, well or not.
    if (!ended.is_final())
      ended = Outcome::poisoned(make_reason(ended.result().error().to_string()));
    at_once.push_back({event, who, true, ended});
    return Result<void>();
  });
  notify(std::move(at_once));
  return added;
}

Result<void> Network::on_trigger_request(Context& context) {
  const auto body = protocol::decode<protocol::TriggerRequest>(context.payload());
  if (!body) return network_handlers_detail::unreadable(body.error());
  auto done =
      complete_for_another(EventHandle::from_u128(body->handle), body->poisoned, EventCapability());
  if (body->response_id) {
    const MessageId call(WorkerId(codec::low_half(*body->response_id)),
                         codec::high_half(*body->response_id));
    messenger::acknowledge(context, call, done);
  }
  return done;
}

Result<void> Network::complete_for_another(const EventHandle& event,
                                           const std::optional<std::string>& poisoned,
                                           const EventCapability& capability) {
  if (event.local_only()) return make_error(Errc::foreign_event, event.to_string());
  return engine_->complete_own(event, protocol::outcome_of(poisoned), capability, false);
}

Result<Bytes> Network::on_watch(Context& context) {
  const auto body = protocol::decode<protocol::Watch>(context.payload());
  if (!body) return network_handlers_detail::unreadable(body.error());
  const auto event = EventHandle::from_u128(body->handle);
  protocol::Answer answer;
  engine_->step([&](Table& table, Subscribers& subscribers, Effects&) {
    Slot* slot = table.slots().pending(event);
    if (slot == nullptr) {
      answer = protocol::answer_of(table.slots().ended(event));
    } else if (event.local_only()) {
      answer = protocol::answer_of(Outcome::failed(Errc::foreign_event, event.to_string()));
    } else if (body->ask_only) {
      answer.pending = true;
    } else if (auto added = subscribers.add(event, context.sender_worker_id(), false, now());
               added) {
      slot->watched = true;
      answer.pending = true;
    } else {
      answer = protocol::answer_of(Outcome::failed(added.error()));
    }
  });
  if (answer.pending) arm();
  return protocol::encode(answer);
}

Result<void> Network::on_unwatch(Context& context) {
  const auto body = protocol::decode<protocol::OneEvent>(context.payload());
  if (!body) return network_handlers_detail::unreadable(body.error());
  engine_->step([&](Table&, Subscribers& subscribers, Effects&) {
    subscribers.remove(EventHandle::from_u128(body->handle), context.sender_worker_id());
  });
  return {};
}

Result<Bytes> Network::on_complete(Context& context) {
  const auto body = protocol::decode<protocol::Complete>(context.payload());
  if (!body) return network_handlers_detail::unreadable(body.error());
  const EventCapability capability(body->capability.value_or(0));
  const auto done =
      complete_for_another(EventHandle::from_u128(body->handle), body->poisoned, capability);
  return protocol::encode(
      protocol::answer_of(done ? Outcome::ready() : Outcome::failed(done.error())));
}

Result<Bytes> Network::on_why(Context& context) {
  const auto body = protocol::decode<protocol::OneEvent>(context.payload());
  if (!body) return network_handlers_detail::unreadable(body.error());
  return protocol::encode(protocol::body_of(engine_->report(EventHandle::from_u128(body->handle))));
}

}  // namespace velo::events
