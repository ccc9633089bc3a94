// SPDX-License-Identifier: Apache-2.0
// The other end's side: answering `_path`, and keeping what a dead connection leaves behind until
// its requester asks for it on another one, or time is up.

#include "impl.hpp"
#include "path_engine.hpp"
#include "receive_log.hpp"

#include <algorithm>
#include <array>
#include <unordered_set>
#include <utility>

namespace velo::messenger {

namespace path_service_detail {

static std::vector<ReceiveLog::Asked> decode_asked(const Bytes& ids, const Bytes& lanes) {
  std::vector<ReceiveLog::Asked> asked(ids.size() / protocol::id_bytes);
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const auto id =
        protocol::decode_id(ids.span().subspan(i * protocol::id_bytes, protocol::id_bytes));
    asked[i].id = id ? *id : MessageId();
    if (!lanes.empty()) asked[i].lane = static_cast<std::uint32_t>(lanes.span()[i]);
  }
  return asked;
}

/// Once each, and none that is gone.
static void carry_on(Link& link, const std::shared_ptr<Link>& dead) {
  std::erase_if(link.carries, [&](const std::weak_ptr<Link>& each) {
    const auto other = each.lock();
    return other == nullptr || other == dead;
  });
  link.carries.push_back(dead);
}

static MessageId id_of(transport::FrameType type, ByteSpan header) {
  if (type == transport::FrameType::ack) {
    const auto ack = protocol::decode_ack(header);
    return ack ? ack->id : MessageId();
  }
  const auto response = protocol::decode_response(header);
  return response ? response->id : MessageId();
}

}  // namespace path_service_detail

void PathEngine::serve(Link& link, const protocol::RequestHeader& header, ByteSpan payload) {
  auto message = decode_path_message(payload);
  const auto refuse = [&](std::string why) {
    impl_.reply_error(link, header, make_error(Errc::bad_request, std::move(why)));
  };
  if (!message) return refuse(message.error().context());
  if (!link.agreement.path || link.dialed() || !link.peer.valid()) {
    return refuse("no changes of path were agreed on");
  }
  PathAnswer answer;
  answer.epoch = message->epoch;
  if (message->op == "resume") {
    if (!link.agreement.resume) return refuse("no resuming was agreed on");
    return serve_resume(link, header.id, *message);
  }
  if (message->op == "open") {
    // Once: the name of a connection cannot change.
    if (link.token.empty() && !message->token.empty()) name(link, message->token);
  } else if (message->op != "barrier") {
    return refuse("_path: " + message->op);
  }
  answer_path(link, header.id, answer);
}

void PathEngine::answer_path(Link& link, MessageId id, const PathAnswer& answer) {
  const Bytes body = encode(answer);
  std::array<std::byte, protocol::response_fixed_bytes> stack;
  protocol::ResponseHeader reply;
  reply.id = id;
  const std::size_t size = protocol::encode_response(reply, stack);
  (void)impl_.send_reply_on(link, transport::FrameType::response, ByteSpan(stack).first(size),
                            body);
}

void PathEngine::name(Link& link, const Bytes& token) {
  link.token = token;
  if (!link.agreement.resume) return;
  link.received = std::make_unique<ReceiveLog>(impl_.memory_);
  const std::lock_guard lock(service_mutex_);
  named_.try_emplace(std::string(as_text(token.span()))).first->second.open = link.self();
}

void PathEngine::send_kept(Link& link, transport::FrameType type, ByteSpan header,
                           const Bytes& payload) noexcept {
  const MessageId id = path_service_detail::id_of(type, header);
  const LinkPtr successor = link.received->keep(id, type, header, payload);
  (void)impl_.send_reply_on(successor ? *successor : link, type, header, payload);
}

void PathEngine::serve_resume(Link& link, MessageId request, const PathMessage& message) {
  LinkPtr open;
  LinkPtr dead;
  {
    const std::lock_guard lock(service_mutex_);
    const auto found = named_.find(std::string(as_text(message.token.span())));
    if (found != named_.end()) {
      dead = found->second.dead;
      if (dead == nullptr) open = found->second.open.lock();
      // A name is a secret of the two ends; even so, nobody takes over another's calls.
      if (open != nullptr && open->peer == link.peer) {
        found->second.waiting.push_back({link.self(), request, message});
        path_service_detail::carry_on(link, open);
      }
      if (dead != nullptr && dead->peer == link.peer) path_service_detail::carry_on(link, dead);
    }
  }
  if (open != nullptr && open->peer == link.peer) {
    // Its end is told once nothing more comes by it.
    open->connection().close(transport::make_error(transport::Errc::connection_lost,
                                                   "the peer goes on by another path"));
    return;
  }
  if (dead == nullptr || dead->peer != link.peer) {
    PathAnswer unknown;
    unknown.epoch = message.epoch;
    return answer_path(link, request, unknown);
  }
  take_over(*dead, {link.self(), request, message});
}

void PathEngine::take_over(Link& dead, const Waiting& asked) {
  std::vector<ReceiveLog::Reply> again;
  const auto calls = path_service_detail::decode_asked(asked.ids, asked.lanes);
  const auto fates = dead.received->resume(calls, asked.by, again);
  // Whoever gave up while there was no connection could not say so.
  std::unordered_set<std::uint64_t> awaited;
  for (const ReceiveLog::Asked& each : calls) awaited.insert(each.id.local());
  dead.stop_inbound_but(awaited);
  std::vector<std::byte> bytes(fates.size());
  std::transform(fates.begin(), fates.end(), bytes.begin(),
                 [](ReceiveLog::Fate fate) { return static_cast<std::byte>(fate); });
  PathAnswer answer;
  answer.epoch = asked.epoch;
  answer.known = true;
  answer.fates = Bytes::copy(bytes);
  answer_path(*asked.by, asked.request, answer);
  for (const ReceiveLog::Reply& reply : again) {
    (void)impl_.send_reply_on(*asked.by, reply.type, reply.header.span(), reply.payload);
  }
}

void PathEngine::cancel_carried(Link& link, MessageId id) noexcept {
  std::vector<LinkPtr> dead;
  {
    const std::lock_guard lock(service_mutex_);
    for (const auto& each : link.carries) {
      if (auto other = each.lock()) dead.push_back(std::move(other));
    }
  }
  for (const LinkPtr& each : dead) {
    if (each->cancel_inbound(id)) return;
  }
}

bool PathEngine::outlive(Link& link) {
  if (link.received == nullptr || impl_.stopped_.load(std::memory_order_seq_cst)) return false;
  const std::string token(as_text(link.token.span()));
  std::vector<Waiting> waiting;
  LinkPtr given_up;
  {
    const std::lock_guard lock(service_mutex_);
    const auto found = named_.find(token);
    if (found == named_.end()) return false;
    found->second.dead = link.self();
    waiting = std::exchange(found->second.waiting, {});
    dead_.push_back(token);
    if (dead_.size() > limits::resumable_connections_max) given_up = take_dead(dead_.front());
  }
  if (given_up != nullptr) let_go(*given_up);
  for (const Waiting& asked : waiting) take_over(link, asked);
  look_at_dead(link.self());
  return true;
}

PathEngine::LinkPtr PathEngine::take_dead(const std::string& token) {
  const std::string name = token;
  std::erase(dead_, name);
  const auto found = named_.find(name);
  if (found == named_.end()) return nullptr;
  LinkPtr link = std::move(found->second.dead);
  named_.erase(found);
  return link;
}

void PathEngine::let_go(Link& link) {
  if (!link.received->resumed()) link.stop_all_inbound();
  link.received->forget();
}

void PathEngine::look_at_dead(const LinkPtr& link) {
  after(link, limits::resume_patience, [this, link] { patience_over(link); });
}

void PathEngine::patience_over(const LinkPtr& link) {
  // Calls that another connection carries on keep their deadlines.
  const TimePoint next = link->expire_inbound(impl_.world_.clock().now());
  if (link->received->resumed() && next != TimePoint::never() &&
      !impl_.stopped_.load(std::memory_order_acquire)) {
    return look_at_dead(link);
  }
  LinkPtr mine;
  {
    const std::lock_guard lock(service_mutex_);
    mine = take_dead(std::string(as_text(link->token.span())));
  }
  if (mine != nullptr) let_go(*mine);
}

PathEngine::LinkPtr PathEngine::successor_of(std::uint64_t serial) {
  LinkPtr dead;
  {
    const std::lock_guard lock(service_mutex_);
    for (const auto& [token, served] : named_) {
      if (served.dead != nullptr && served.dead->serial() == serial) dead = served.dead;
    }
  }
  return dead != nullptr ? dead->received->successor() : nullptr;
}

void PathEngine::stop_serving() {
  std::vector<LinkPtr> links;
  {
    const std::lock_guard lock(service_mutex_);
    for (const std::string& token : std::exchange(dead_, {})) {
      const auto found = named_.find(token);
      if (found != named_.end() && found->second.dead != nullptr) {
        links.push_back(found->second.dead);
      }
    }
    named_.clear();
  }
  for (const LinkPtr& link : links) {
    link->stop_all_inbound();
    link->received->forget();
  }
}

}  // namespace velo::messenger
