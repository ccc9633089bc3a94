// SPDX-License-Identifier: Apache-2.0
// What becomes of unanswered requests when their connection dies and the peer can be reached in
// another way. The requester asks, for the dead connection, about each of them in the order in
// which they were sent: what never arrived is sent again before anything newer, what runs or was
// answered is answered on the new connection, and what can no longer be known ends as
// connection_lost. At the other end the handlers of a dead connection run on for a while, and its
// last replies are kept.

#include "impl.hpp"
#include "path_engine.hpp"
#include "sent_log.hpp"

#include <velo/base/log.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <unordered_set>
#include <utility>

namespace velo::messenger {

namespace path_resume_detail {

static Bytes encode_ids(const std::vector<SentLog::Kept>& kept) {
  std::vector<std::byte> ids(kept.size() * protocol::id_bytes);
  for (std::size_t i = 0; i < kept.size(); ++i) {
    protocol::encode_id(kept[i].send.id,
                        std::span<std::byte, protocol::id_bytes>(
                            ids.data() + i * protocol::id_bytes, protocol::id_bytes));
  }
  return Bytes::copy(ids);
}

static Bytes encode_lanes(const std::vector<SentLog::Kept>& kept) {
  std::vector<std::byte> lanes(kept.size());
  std::transform(kept.begin(), kept.end(), lanes.begin(),
                 [](const SentLog::Kept& each) { return static_cast<std::byte>(each.lane); });
  const bool any =
      std::any_of(lanes.begin(), lanes.end(), [](std::byte lane) { return lane != std::byte{0}; });
  return any ? Bytes::copy(lanes) : Bytes();
}

static std::uint32_t lane_on(const Link& link, std::string_view handler) {
  return link.keeps_order() ? 0 : lane_of(handler);
}

}  // namespace path_resume_detail

bool PathEngine::alive(MessageId id) const {
  const CallSlot* slot = impl_.calls_->find(id.slot());
  return slot != nullptr && slot->live_generation() == id.generation();
}

void PathEngine::keep(Link& link, MessageId id, const Outgoing& outgoing) {
  PendingSend send;
  send.id = id;
  send.pattern = outgoing.pattern;
  send.typed = outgoing.typed;
  send.handler = std::string(outgoing.handler);
  send.headers = Bytes::copy(outgoing.headers);
  send.payload = *outgoing.payload;
  if (const CallSlot* slot = impl_.calls_->find(id.slot())) {
    send.deadline = TimePoint(Duration(slot->deadline_ns.load(std::memory_order_relaxed)));
  }
  link.sent_log->prune([this](MessageId each) { return alive(each); });
  const std::uint32_t lane = path_resume_detail::lane_on(link, outgoing.handler);
  link.sent_log->add(std::move(send), lane);
}

void PathEngine::kept_was_sent(Link& link, MessageId id, Pattern pattern, std::uint32_t lane) {
  if (link.sent_log->sent(id, pattern, lane)) confirm(link);
}

void PathEngine::confirm(Link& link) {
  const PeerPtr peer = impl_.find_peer(link.peer);
  if (peer == nullptr) return;
  const std::uint32_t lanes = link.sent_log->begin_confirmation();
  PathMessage message;
  message.op = "barrier";
  struct Answers {
    std::size_t left;
    bool all = true;
    explicit Answers(std::size_t count) : left(count) {}
  };
  // All of them on the peer's shard.
  const auto answers = std::make_shared<Answers>(static_cast<std::size_t>(std::popcount(lanes)));
  for (std::uint32_t lane = 0; lane <= request_lanes; ++lane) {
    if ((lanes >> lane & 1U) == 0) continue;
    ask(peer, link.self(), message, lane,
        [impl = impl_.shared_from_this(), held = link.self(), answers](Result<PathAnswer> answer,
                                                                       Duration /*took*/) {
          if (!answer) answers->all = false;
          if (--answers->left != 0) return;
          if (!answers->all) return held->sent_log->confirmation_failed();
          if (held->sent_log->confirmed()) impl->paths_->confirm(*held);
        });
  }
}

void PathEngine::collect(Peer& peer, Link& link) {
  if (link.sent_log == nullptr) return;
  auto all = link.sent_log->take_all();
  count(counts_.lost, link.sent_log->take_unkept());
  const std::lock_guard lock(peer.mutex);
  PeerPaths& paths = of(peer);
  for (SentLog::Kept& kept : all) {
    const Bytes origin = kept.origin.empty() ? link.token : kept.origin;
    // One list for each: the peer stops what is not in it.
    auto group = std::find_if(
        paths.unresolved.begin(), paths.unresolved.end(),
        [&](const auto& each) { return as_text(each.token.span()) == as_text(origin.span()); });
    if (group == paths.unresolved.end()) {
      group = paths.unresolved.emplace(group);
      group->token = origin;
    }
    // Of a call that was given up nothing is asked; that its connection is named tells the peer.
    if (kept.send.pattern != Pattern::fire && !alive(kept.send.id)) continue;
    group->kept.push_back(std::move(kept));
  }
}

std::unordered_set<std::uint64_t> PathEngine::unresolved_ids(Peer& peer) {
  const std::lock_guard lock(peer.mutex);
  std::unordered_set<std::uint64_t> ids;
  for (const PeerPaths::Unresolved& each : of(peer).unresolved) {
    for (const SentLog::Kept& kept : each.kept) ids.insert(kept.send.id.local());
  }
  return ids;
}

void PathEngine::end_as_lost(const PendingSend& send, const std::string& why) {
  const bool ended = impl_.end_call(send.id, make_error(Errc::connection_lost, why));
  // Fire-and-forget has ended as written already.
  if (ended || send.pattern == Pattern::fire) count(counts_.lost);
}

void PathEngine::give_up(Peer& peer, const Error& error) {
  std::vector<PeerPaths::Unresolved> left;
  {
    const std::lock_guard lock(peer.mutex);
    if (peer.paths != nullptr) left = std::exchange(peer.paths->unresolved, {});
  }
  for (const auto& each : left) {
    for (const SentLog::Kept& kept : each.kept) {
      end_as_lost(kept.send, "no other path: " + error.to_string());
    }
  }
}

void PathEngine::prepare(Link& link) {
  if (link.agreement.resume && link.sent_log == nullptr) {
    link.sent_log = std::make_unique<SentLog>(impl_.memory_);
  }
}

void PathEngine::greeted(const PeerPtr& peer, const LinkPtr& link) {
  {
    const std::lock_guard lock(peer->mutex);
    (void)of(*peer);
  }
  prepare(*link);
  if (!link->agreement.path || !link->token.empty()) return take_up(peer, link);
  // Nothing goes before the peer knows its name: of a connection that dies at once, nobody could
  // say what it had carried.
  open(peer, link, [this, alive = impl_.shared_from_this(), peer, link](Duration /*took*/) {
    if (!link->death) take_up(peer, link);
  });
}

void PathEngine::take_up(const PeerPtr& peer, const LinkPtr& link) {
  std::vector<PeerPaths::Unresolved> left;
  {
    const std::lock_guard lock(peer->mutex);
    left = std::exchange(of(*peer).unresolved, {});
  }
  if (!left.empty() && link->agreement.resume) {
    peer->paths->resuming = true;
    return resume(peer, link, std::move(left));
  }
  for (const auto& each : left) {
    for (const auto& kept : each.kept) end_as_lost(kept.send, "the peer resumes nothing");
  }
  settle_on(peer, link);
}

void PathEngine::resume(const PeerPtr& peer, const LinkPtr& link,
                        std::vector<PeerPaths::Unresolved> unresolved) {
  auto waiting = std::make_shared<std::vector<PeerPaths::Unresolved>>(std::move(unresolved));
  auto left = std::make_shared<std::size_t>(waiting->size());
  auto answers = std::make_shared<std::vector<Result<PathAnswer>>>(waiting->size(), PathAnswer());
  for (std::size_t group = 0; group < waiting->size(); ++group) {
    PeerPaths::Unresolved& each = (*waiting)[group];
    for (const SentLog::Kept& kept : each.kept) adopt(*link, kept, each.token);
    PathMessage message;
    message.op = "resume";
    message.token = each.token;
    message.ids = path_resume_detail::encode_ids(each.kept);
    message.lanes = path_resume_detail::encode_lanes(each.kept);
    ask(peer, link, std::move(message), 0,
        [impl = impl_.shared_from_this(), peer, link, waiting, left, answers, group](
            Result<PathAnswer> answer, Duration /*took*/) {
          (*answers)[group] = std::move(answer);
          // If the link is dead, all of it is in its own log, for the next one.
          if (--*left != 0 || link->death) return;
          std::deque<PendingSend> again;
          for (std::size_t i = 0; i < waiting->size(); ++i) {
            impl->paths_->resolve(*peer, *link, (*waiting)[i], (*answers)[i], again);
          }
          impl->paths_->resend(peer, link, std::move(again));
        });
  }
}

void PathEngine::adopt(Link& link, const SentLog::Kept& kept, const Bytes& origin) {
  link.sent_log->add(kept.send, kept.lane, origin);
  CallSlot* slot = impl_.calls_->find(kept.send.id.slot());
  const std::uint64_t generation = kept.send.id.generation();
  if (slot == nullptr || slot->live_generation() != generation) return;
  // The dead connection's window is nobody's, and the new one counts what comes by it.
  (void)slot->unmark_charged(generation);
  (void)slot->window_charge.change(generation, slot->window_charge.value(), 0);
  const std::uint64_t before = slot->travels_on.value();
  (void)slot->travels_on.change(generation, before, link.mark(0));
}

void PathEngine::resolve(Peer& peer, Link& link, const PeerPaths::Unresolved& asked,
                         const Result<PathAnswer>& answer, std::deque<PendingSend>& again) {
  using Fate = ReceiveLog::Fate;
  const bool known = answer && answer->known && answer->fates.size() == asked.kept.size();
  std::uint64_t again_before = again.size();
  std::uint64_t arrived = 0;
  std::uint64_t answered = 0;
  for (std::size_t i = 0; i < asked.kept.size(); ++i) {
    const PendingSend& send = asked.kept[i].send;
    const bool fire = send.pattern == Pattern::fire;
    const Fate fate = known ? static_cast<Fate>(answer->fates.span()[i]) : Fate::reply_lost;
    if (fate == Fate::never_received) {
      link.sent_log->remove(send.id);
      if (!fire && !alive(send.id)) continue;
      CallSlot* slot = impl_.calls_->find(send.id.slot());
      const bool live = slot != nullptr && slot->live_generation() == send.id.generation();
      if (live) (void)slot->travels_on.change(send.id.generation(), link.mark(0), 0);
      again.push_back(send);
      again.back().again = live ? PendingSend::Again::call : PendingSend::Again::ended;
    } else if (fire && known) {
      link.sent_log->remove(send.id);
      impl_.end_call(send.id, std::nullopt);
      ++arrived;
    } else if (!fire && fate == Fate::under_way) {
      ++answered;
    } else {
      link.sent_log->remove(send.id);
      end_as_lost(send, known ? "its reply is no longer to be had" : "the peer does not remember");
    }
  }
  const std::uint64_t resumed = again.size() - again_before;
  count(counts_.resumed, resumed);
  count(counts_.deduplicated, arrived + answered);
  const std::lock_guard lock(peer.mutex);
  peer.paths->resumed += resumed + answered;
}

void PathEngine::resend(const PeerPtr& peer, const LinkPtr& link, std::deque<PendingSend> again) {
  const bool first = std::exchange(peer->paths->resuming, false);
  LinkPtr by = first ? link : nullptr;
  std::vector<PeerPaths::Unresolved> left;
  {
    const std::lock_guard lock(peer->mutex);
    for (auto send = again.rbegin(); send != again.rend(); ++send) {
      peer->pending_memory.take(send->bytes());
      peer->pending.push_front(std::move(*send));
    }
    // What a connection left that had been given up for another waits for nobody; if something of
    // it has to go again, it goes by the path in use.
    if (!first && !again.empty() && peer->state == Peer::State::ready) by = peer->link;
    if (first) left = std::exchange(peer->paths->unresolved, {});
  }
  if (by != nullptr) settle_on(peer, by);
  if (!left.empty()) resume(peer, link, std::move(left));
}

bool PathEngine::send_ended(Link& link, const PendingSend& send) {
  // Its call is long over, and its slot another's: only the frame goes again.
  protocol::RequestHeader header;
  header.response_type = protocol::ResponseType::fire;
  header.id = send.id;
  header.name = send.handler;
  header.headers = send.headers;
  if (link.agreement.hdr2) {
    const Duration left = send.deadline - link.connection().shard().now();
    header.timeout_us = static_cast<std::uint64_t>(std::max(left, Duration::zero()).count() / 1000);
  }
  std::vector<std::byte> bytes(protocol::encoded_size(header));
  protocol::encode_request(header, bytes);
  transport::OutFrame frame(transport::FrameType::message, bytes, send.payload);
  frame.lane = link.take_lane(send.handler);
  if (link.sent_log != nullptr) link.sent_log->add(send, frame.lane);
  const transport::SendResult sent = link.send(frame);
  if (sent.admission == transport::Admission::accepted) {
    if (link.sent_log != nullptr) kept_was_sent(link, send.id, send.pattern, frame.lane);
    return true;
  }
  if (link.sent_log != nullptr) link.sent_log->remove(send.id);
  if (sent.admission == transport::Admission::closed) return false;
  count(counts_.lost);  // no room for it
  return true;
}

}  // namespace velo::messenger
