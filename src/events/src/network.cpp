// SPDX-License-Identifier: Apache-2.0
// The sending side of events over a messenger: questions, completions, and when to repeat them.

#include "network.hpp"

#include "event_metrics.hpp"

#include <velo/base/planted.hpp>
#include <velo/events/attach.hpp>

#include <algorithm>
#include <utility>

namespace velo::events {
namespace network_detail {

/// Asking again would be answered the same.
static bool is_refusal(const Error& error) noexcept {
  return error.is(messenger::Errc::permission_denied) ||
         error.is(messenger::Errc::unknown_handler) || error.is(messenger::Errc::bad_request);
}

}  // namespace network_detail

Network::Network(Messenger& messenger, std::shared_ptr<Engine> engine, const EventOptions& options)
    : engine_(std::move(engine)),
      public_only_(options.public_protocol),
      self_(messenger.instance_id()),
      messenger_(messenger::share(messenger)) {}

bool Network::is_public_answer(const Error& error) noexcept {
  return error.is(messenger::Errc::unknown_handler) || error.is(messenger::Errc::failed);
}

std::shared_ptr<Messenger> Network::messenger() const {
  const std::lock_guard lock(mutex_);
  return messenger_;
}

bool Network::speaks_public(WorkerId peer) const {
  if (public_only_) return true;
  const std::lock_guard lock(mutex_);
  return public_peers_.contains(peer);
}

void Network::note_public(WorkerId peer) {
  const std::lock_guard lock(mutex_);
  if (public_peers_.size() >= limits::public_peers_max) public_peers_.clear();
  public_peers_.insert(peer);
}

void Network::ask(const Ask& ask) {
  const auto out = messenger();
  if (out == nullptr) return;
  if (speaks_public(ask.event.system())) return ask_publicly(ask);
  ++messages_;
  protocol::Watch body;
  body.handle = ask.event.to_u128();
  messenger::system_unary(*out, protocol::watch_name)
      .raw_payload(protocol::encode(body))
      .worker(ask.event.system())
      .timeout(ask.patience)
      .send()
      .then(shard(), [self = shared_from_this(), ask](Result<Bytes> reply) {
        self->answered(ask, std::move(reply));
      });
}

void Network::answered(const Ask& ask, Result<Bytes> reply) {
  if (!reply) {
    if (is_public_answer(reply.error())) {
      note_public(ask.event.system());
      return ask_publicly(ask);
    }
    if (network_detail::is_refusal(reply.error())) {
      return remote_ended(ask.event, Outcome::failed(reply.error()));
    }
    return unanswered(ask);
  }
  const auto answer = protocol::decode<protocol::Answer>(reply->span());
  if (!answer) return unanswered(ask);
  if (!answer->pending) return remote_ended(ask.event, protocol::outcome_of(*answer));
  engine_->step([&](Table& table, Subscribers&, Effects& effects) {
    table.remotes().subscribed(ask, now(), effects.asks);
  });
  arm();
}

void Network::unanswered(const Ask& ask) {
  if (messenger() == nullptr) return;  // the end has come, and ends what waits
  const std::uint64_t draw = engine_->world().random().next();
  engine_->step([&](Table& table, Subscribers&, Effects& effects) {
    std::vector<Ended> over;
    table.remotes().unanswered(ask, now(), draw, effects.asks, over);
    for (const Ended& one : over) table.remote_ended(one.event, one.outcome, now(), effects);
  });
  arm();
}

void Network::ask_publicly(const Ask& ask) {
  const auto out = messenger();
  if (out == nullptr) return;
  ++messages_;
  protocol::Subscribe body;
  body.handle = ask.event.to_u128();
  body.subscriber_worker = engine_->system().value();
  body.subscriber_instance = self_;
  messenger::system_fire(*out, protocol::subscribe_name)
      .raw_payload(protocol::encode(body))
      .worker(ask.event.system())
      .timeout(ask.patience)
      .send()
      .then(shard(), [self = shared_from_this(), ask](const Result<void>& sent) {
        if (!sent) {
          if (!network_detail::is_refusal(sent.error())) return self->unanswered(ask);
          return self->remote_ended(ask.event, Outcome::failed(sent.error()));
        }
        self->engine_->step([&](Table& table, Subscribers&, Effects& effects) {
          table.remotes().subscribed(ask, self->now(), effects.asks);
        });
        self->arm();
      });
}

void Network::remote_ended(const EventHandle& event, const Outcome& outcome) {
  bool is_public = speaks_public(event.system());
  VELO_PLANT(older_is_ready, is_public = true);
  const TimePoint at = now();
  engine_->step([&](Table& table, Subscribers&, Effects& effects) {
    // The public protocol says no more of the older generations than that they are over.
    if (is_public) {
      for (const EventHandle& older : table.remotes().older_waits(event)) {
        table.remote_ended(older, Outcome::ready(), at, effects);
      }
    }
    table.remote_ended(event, outcome, at, effects);
  });
}

void Network::unsubscribe(const EventHandle& event) {
  const auto out = messenger();
  // The public protocol has no such message: its completion will find nobody.
  if (out == nullptr || speaks_public(event.system())) return;
  ++messages_;
  protocol::OneEvent body;
  body.handle = event.to_u128();
  // If it is lost, the lease ends what it should have ended.
  messenger::system_fire(*out, protocol::unwatch_name)
      .raw_payload(protocol::encode(body))
      .worker(event.system())
      .timeout(limits::answer_patience)
      .send()
      .then(shard(), [](const Result<void>&) {});
}

void Network::notify(std::vector<Notice> notices) {
  const auto out = messenger();
  if (out == nullptr || notices.empty()) return;
  // Those of one event, in a row, share its body.
  Bytes body;
  for (std::size_t i = 0; i < notices.size(); ++i) {
    if (i == 0 || notices[i].event != notices[i - 1].event) {
      body = protocol::completion(notices[i].event, notices[i].outcome);
    }
    send_notice(*out, notices[i], body);
  }
  arm();
}

void Network::send_notice(Messenger& out, const Notice& notice, const Bytes& body) {
  ++messages_;
  const auto name = notice.is_public ? protocol::completion_name : protocol::over_name;
  Op<void> send = messenger::system_fire(out, name)
                      .raw_payload(body)
                      .worker(notice.to)
                      .timeout(limits::answer_patience)
                      .send();
  // The usual case: it is written, and nothing has to be changed but of a public one.
  if (send.done() && !notice.is_public) {
    if (const auto sent = std::move(send).get(); !sent) notice_ended(notice, sent);
    return;
  }
  under_way_.fetch_add(1);
  engine_->step([&](Table&, Subscribers& subscribers, Effects&) { subscribers.leaving(notice); });
  std::move(send).then(shard(), [self = shared_from_this(), notice](const Result<void>& sent) {
    self->under_way_.fetch_sub(1);
    self->notice_ended(notice, sent);
  });
}

void Network::notice_ended(const Notice& notice, const Result<void>& sent) {
  const bool refused =
      !sent && (is_public_answer(sent.error()) || network_detail::is_refusal(sent.error()));
  const std::uint64_t draw = sent || refused ? 0 : engine_->world().random().next();
  engine_->step([&](Table&, Subscribers& subscribers, Effects&) {
    if (sent) {
      subscribers.left(notice, now());
    } else if (refused) {
      subscribers.told(notice.to, notice.event);
    } else {
      subscribers.untold(notice, now(), draw);
    }
  });
  arm();
}

void Network::on_peer_up(const InstanceId& peer) {
  engine_->step([&](Table& table, Subscribers& subscribers, Effects& effects) {
    table.remotes().peer_up(peer.worker_id(), now(), effects.asks);
    subscribers.peer_up(peer.worker_id(), now());
  });
  arm();
}

void Network::on_peer_down(const InstanceId& peer, const Error& /*why*/) {
  engine_->step([&](Table& table, Subscribers& subscribers, Effects& effects) {
    table.remotes().peer_down(peer.worker_id(), now(), effects.asks);
    if (!subscribers.expects(peer.worker_id())) return;
    const std::uint64_t draw = engine_->world().random().next();
    subscribers.peer_down(peer.worker_id(), now(), draw);
  });
  arm();
}

void Network::on_peer_replaced(const InstanceId& peer) {
  engine_->step([&](Table& table, Subscribers&, Effects& effects) {
    std::vector<Ended> over;
    table.remotes().gone(peer.worker_id(), "the owner of the event was started again", over);
    for (const Ended& one : over) table.remote_ended(one.event, one.outcome, now(), effects);
  });
}

void Network::on_drain() {
  const auto out = messenger();
  if (out == nullptr || public_only_) return;
  const std::vector<WorkerId> all = engine_->step(
      [](Table&, Subscribers& subscribers, Effects&) { return subscribers.everybody(); });
  // What is pending is poisoned at the very end, when no connection can be made any more: one to
  // each subscriber has to be there by then.
  protocol::OneEvent nothing;
  const Bytes body = protocol::encode(nothing);
  for (const WorkerId who : all) {
    ++messages_;
    under_way_.fetch_add(1);
    messenger::system_sync(*out, protocol::unwatch_name)
        .raw_payload(body)
        .worker(who)
        .timeout(limits::farewell_patience)
        .send()
        .then(shard(),
              [self = shared_from_this()](const Result<void>&) { self->under_way_.fetch_sub(1); });
  }
}

std::uint64_t Network::unfinished() const noexcept {
  const std::size_t expected = engine_->step(
      [](Table&, Subscribers& subscribers, Effects&) { return subscribers.expected_count(); });
  const std::lock_guard lock(receipts_mutex_);
  return under_way_.load() + expected + receipts_.size();
}

void Network::on_stop(const Error& reason) {
  if (const auto out = messenger(); out != nullptr) stop_receipts(*out);
  engine_->shut_down(
      Outcome::poisoned(make_reason("the owner of the event is shutting down")),
      Outcome::failed(velo::make_error(velo::Errc::shutting_down, reason.to_string())));
  {
    const std::lock_guard lock(mutex_);
    messenger_.reset();
    stopped_ = true;
  }
  engine_->set_carrier(nullptr);
  post(shard(), [self = shared_from_this()] { self->set_timer(); });
}

Result<std::shared_ptr<void>> Network::publish_metrics(metrics::Registry& registry) {
  auto made = std::make_shared<EventMetrics>(self_.to_string(),
                                             [engine = engine_] { return engine->counts(); });
  if (auto added = made->add_to(registry); !added) return added.error();
  return std::shared_ptr<void>(std::move(made));
}

void Network::arm() {
  const TimePoint next = engine_->step([](Table& table, Subscribers& subscribers, Effects&) {
    return std::min(table.remotes().next_due(), subscribers.next_due());
  });
  {
    const std::lock_guard lock(mutex_);
    if (stopped_ || next >= armed_) return;
    armed_ = next;
  }
  post(shard(), [self = shared_from_this()] { self->set_timer(); });
}

void Network::set_timer() {
  std::shared_ptr<Network> kept;  // let go of without the lock
  const std::lock_guard lock(mutex_);
  if (timer_) shard().cancel_timer(*timer_);
  timer_.reset();
  kept = std::move(kept_by_timer_);
  if (stopped_ || armed_ == TimePoint::never()) return;
  kept_by_timer_ = shared_from_this();
  timer_ = shard().start_timer(
      armed_, Task0{[](void* network) { static_cast<Network*>(network)->due(); }, this});
}

void Network::due() {
  std::shared_ptr<Network> kept;
  {
    const std::lock_guard lock(mutex_);
    timer_.reset();
    armed_ = TimePoint::never();
    kept = std::move(kept_by_timer_);
  }
  std::vector<Notice> notices;
  engine_->step([&](Table& table, Subscribers& subscribers, Effects& effects) {
    table.remotes().sweep(now(), effects.asks);
    notices = subscribers.sweep(now());
  });
  notify(std::move(notices));
  arm();
}

}  // namespace velo::events

namespace velo {

Result<EventManager> attach_events(Messenger& messenger, const EventOptions& options) {
  auto engine =
      std::make_shared<events::Engine>(messenger.world(), messenger.worker_id(), options, false);
  auto network = std::make_shared<events::Network>(messenger, engine, options);
  engine->set_carrier(network);
  auto attached = messenger::attach(messenger, network, network->handlers());
  if (!attached) {
    network->on_stop(attached.error());
    return attached.error();
  }
  return EventManager(std::move(engine), nullptr);
}

}  // namespace velo
