// SPDX-License-Identifier: Apache-2.0
// What users ask of other machines' events at once: how one is, that it be completed, why it waits.

#include "network.hpp"

#include <utility>

namespace velo::events {

Op<EventStatus> Network::poll(const EventHandle& event) {
  auto promise = std::make_shared<Promise<EventStatus>>(engine_->world().pool());
  Op<EventStatus> op = promise->op();
  const auto out = messenger();
  if (out == nullptr) {
    promise->set(velo::make_error(velo::Errc::shutting_down));
    return op;
  }
  static constexpr auto unsupported = "the owner speaks the public protocol only: await the event";
  if (speaks_public(event.system())) {
    promise->set(velo::make_error(velo::Errc::unsupported, unsupported));
    return op;
  }
  ++messages_;
  protocol::Watch body;
  body.handle = event.to_u128();
  body.ask_only = true;
  messenger::system_unary(*out, protocol::watch_name)
      .raw_payload(protocol::encode(body))
      .worker(event.system())
      .send()
      .then(shard(), [promise](const Result<Bytes>& reply) {
        if (!reply) {
          const bool old = is_public_answer(reply.error());
          promise->set(old ? velo::make_error(velo::Errc::unsupported, unsupported)
                           : reply.error());
          return;
        }
        const auto answer = protocol::decode<protocol::Answer>(reply->span());
        if (!answer) {
          promise->set(answer.error());
        } else if (answer->pending) {
          promise->set(EventStatus::pending);
        } else if (const Outcome ended = protocol::outcome_of(*answer); ended.is_final()) {
          promise->set(ended.is_ready() ? EventStatus::ready : EventStatus::poisoned);
        } else {
          promise->set(ended.result().error());
        }
      });
  return op;
}

Op<void> Network::complete(const EventHandle& event, const Outcome& outcome,
                           const EventCapability& capability) {
  auto promise = std::make_shared<Promise<void>>(engine_->world().pool());
  Op<void> op = promise->op();
  const auto out = messenger();
  if (out == nullptr) {
    promise->set(velo::make_error(velo::Errc::shutting_down));
    return op;
  }
  if (speaks_public(event.system())) {
    complete_publicly(event, outcome, std::move(promise));
    return op;
  }
  ++messages_;
  protocol::Complete body;
  body.handle = event.to_u128();
  if (!outcome.is_ready()) body.poisoned = std::string(outcome.reason());
  if (capability.valid()) body.capability = capability.token();
  messenger::system_unary(*out, protocol::complete_name)
      .raw_payload(protocol::encode(body))
      .worker(event.system())
      .send()
      .then(shard(),
            [self = shared_from_this(), promise, event, outcome](const Result<Bytes>& reply) {
              if (!reply) {
                if (is_public_answer(reply.error())) {
                  self->note_public(event.system());
                  return self->complete_publicly(event, outcome, promise);
                }
                promise->set(reply.error());
                return;
              }
              const auto answer = protocol::decode<protocol::Answer>(reply->span());
              promise->set(answer ? protocol::outcome_of(*answer).result() : answer.error());
            });
  return op;
}

void Network::complete_publicly(const EventHandle& event, const Outcome& outcome,
                                std::shared_ptr<Promise<void>> promise) {
  const auto out = messenger();
  if (out == nullptr) {
    promise->set(velo::make_error(velo::Errc::shutting_down));
    return;
  }
  ++messages_;
  protocol::TriggerRequest body;
  body.handle = event.to_u128();
  body.requester_worker = engine_->system().value();
  body.requester_instance = self_;
  if (!outcome.is_ready()) body.poisoned = std::string(outcome.reason());
  messenger::system_fire(*out, protocol::request_name)
      .raw_payload(protocol::encode(body))
      .worker(event.system())
      .send()
      .then(shard(), [self = shared_from_this(), promise, event,
                      well = outcome.is_ready()](const Result<void>& sent) {
        if (!sent) {
          promise->set(sent.error());
          return;
        }
        // A request is not answered there; that the event is over is.
        self->engine_->await(event).then(self->shard(), [promise, event, well](Result<void> ended) {
          const bool poisoned = !ended && ended.error().is(Errc::poisoned);
          if (!ended && !poisoned) {
            promise->set(std::move(ended));
          } else if (well == poisoned) {
            promise->set(make_error(Errc::already_completed, event.to_string()));
          } else {
            promise->set({});
          }
        });
      });
}

Op<EventReport> Network::report(WorkerId whom, const EventHandle& event) {
  auto promise = std::make_shared<Promise<EventReport>>(engine_->world().pool());
  Op<EventReport> op = promise->op();
  const auto out = messenger();
  if (out == nullptr) {
    promise->set(velo::make_error(velo::Errc::shutting_down));
    return op;
  }
  ++messages_;
  protocol::OneEvent body;
  body.handle = event.to_u128();
  messenger::system_unary(*out, protocol::why_name)
      .raw_payload(protocol::encode(body))
      .worker(whom)
      .timeout(limits::answer_patience)
      .send()
      .then(shard(), [promise, event](const Result<Bytes>& reply) {
        if (!reply) {
          promise->set(reply.error());
          return;
        }
        const auto told = protocol::decode<protocol::Report>(reply->span());
        promise->set(told ? Result<EventReport>(protocol::report_of(event, *told)) : told.error());
      });
  return op;
}

}  // namespace velo::events
