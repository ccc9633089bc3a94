// SPDX-License-Identifier: Apache-2.0
// Request windows: what does not fit into the other end's window waits here, in order, and goes
// when answers and cancellations made room.

#include "impl.hpp"
#include "no_room.hpp"
#include "request_window.hpp"
#include "sent_log.hpp"

#include <array>
#include <utility>

namespace velo::messenger {

Impl::Transmitted Impl::hold_back(Link& link, MessageId id, const Outgoing& outgoing) {
  PendingSend send;
  send.id = id;
  send.pattern = outgoing.pattern;
  send.typed = outgoing.typed;
  send.handler = std::string(outgoing.handler);
  send.headers = Bytes::copy(outgoing.headers);
  send.payload = *outgoing.payload;
  send.may_be_lost = outgoing.may_be_lost;
  switch (link.window->hold(std::move(send))) {
    case RequestWindow::Held::first: pump_later(link); break;
    case RequestWindow::Held::behind_others: break;
    case RequestWindow::Held::full:
      end_call(id, make_error(Errc::overloaded, "too much waits for the peer's request window"));
      break;
    case RequestWindow::Held::over_budget:
      end_call(id,
               no_room(*memory_, link.window->held_bytes(), "what waits for the request window"));
      break;
    case RequestWindow::Held::closed: return Transmitted::link_closed;
  }
  return Transmitted::done;
}

void Impl::pump_later(Link& link) {
  post(link.connection().shard(),
       [impl = shared_from_this(), held = link.self()] { impl->pump_window(*held); });
}

void Impl::give_window(Link& link, std::uint64_t charge) {
  link.window->give(charge);
  if (!link.window->holds()) return;
  if (link.connection().shard().on_this_thread()) return pump_window(link);
  pump_later(link);
}

void Impl::pump_window(Link& link) {
  // A reply may arrive inside send(), over inproc: the loop below takes what it frees.
  if (std::exchange(link.window->pumping, true)) return;
  while (std::optional<PendingSend> send = link.window->pop()) {
    CallSlot* slot = calls_->find(send->id.slot());
    if (slot == nullptr || slot->live_generation() != send->id.generation()) continue;
    Outgoing outgoing;
    outgoing.pattern = send->pattern;
    outgoing.typed = send->typed;
    outgoing.handler = send->handler;
    outgoing.headers = send->headers;
    outgoing.payload = &send->payload;
    outgoing.may_be_lost = send->may_be_lost;
    outgoing.held_back = true;
    const Transmitted sent = transmit(link, *slot, send->id, outgoing, SlotHold::loose);
    if (sent == Transmitted::window_full) {
      link.window->put_back(std::move(*send));
      break;
    }
    if (sent == Transmitted::link_closed && link.agreement.path) {
      // Its end is about to be told, and another path takes over what waits.
      link.window->put_back(std::move(*send));
      break;
    }
    if (sent == Transmitted::link_closed) {
      calls_->ledger().incidents.count(Incident::connection_gone);
      end_call(send->id, make_error(Errc::not_sent, "the connection closed before it was used"));
    }
  }
  link.window->pumping = false;
}

bool Impl::send_cancel(Link& link, MessageId id, std::uint32_t lane) noexcept {
  std::array<std::byte, 64> header_bytes;
  protocol::RequestHeader header;
  header.id = MessageId(worker_, 0);
  header.name = "_cancel";
  const std::size_t size = protocol::encode_request(header, header_bytes);
  std::array<std::byte, 16> body;
  protocol::encode_id(id, body);
  transport::OutFrame frame(transport::FrameType::message, ByteSpan(header_bytes).first(size),
                            ByteSpan(body));
  frame.lane = lane;
  const auto sent = link.send(frame);
  return sent.admission != transport::Admission::over_budget;
}

void Impl::settle_owed(Link& link) {
  link.owes_cancels.store(false, std::memory_order_relaxed);
  for (const RequestWindow::Owed& owed : link.window->take_owed()) {
    if (send_cancel(link, owed.id, owed.lane)) {
      give_window(link, owed.charge);
    } else {
      link.window->owe(owed);
      link.owes_cancels.store(true, std::memory_order_relaxed);
    }
  }
}

void Impl::end_by_peer(Link& link, MessageId id, std::optional<Error> error) {
  CallSlot* slot = answerable(link, id);
  if (slot == nullptr || !slot->claim(id.generation())) return;
  if (link.stranger()) link.stranger_made_sense();
  if (link.sent_log != nullptr) link.sent_log->remove(id);
  const std::uint64_t charge = slot->charge();
  slot->end(std::move(error));
  if (charge != 0) give_window(link, charge);
}

}  // namespace velo::messenger
