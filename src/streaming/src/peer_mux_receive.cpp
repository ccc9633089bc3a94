// SPDX-License-Identifier: Apache-2.0
// The receiving side of a peer's streams, signs of life, and the end of all of them.

#include "hub.hpp"
#include "peer_mux.hpp"

#include <utility>

namespace velo::streaming {
namespace peer_mux_receive_detail {

static Error lost(const char* why) { return make_error(Errc::transport_error, why); }

}  // namespace peer_mux_receive_detail

void PeerMux::consumed(Slot slot, std::uint32_t frames, std::uint64_t bytes) {
  Outcome outcome;
  {
    const std::lock_guard lock(mutex_);
    ingress_.consumed(slot, frames, bytes);
    settle(outcome);
  }
  publish(outcome);
}

void PeerMux::finish(Slot slot) {
  Outcome outcome;
  {
    const std::lock_guard lock(mutex_);
    if (!ingress_.knows(slot)) return;
    ingress_.finish(slot);
    readers_[slot.index()] = {};
    sent(outcome, false);
    settle(outcome);
  }
  publish(outcome);
}

void PeerMux::refuse(Slot slot) {
  Outcome outcome;
  {
    const std::lock_guard lock(mutex_);
    if (!ingress_.knows(slot)) return;
    ingress_.refuse(slot, CloseReason::peer_gone);
    readers_[slot.index()] = {};
    sent(outcome, false);
    settle(outcome);
  }
  publish(outcome);
}

void PeerMux::on_batch(const Bytes& payload) {
  auto reader = BatchReader::open(payload);
  Outcome outcome;
  {
    const std::lock_guard lock(mutex_);
    if (!reader) {
      ++counts_.violations;
      return;
    }
    outcome.time = now();
    watch_.heard(outcome.time);
    unreachable_ = false;
    ++counts_.batches_in;
    const Ingress::Arrival arrival = ingress_.on_batch(reader->header(), batcher_.epoch());
    batcher_.set_heard(ingress_.heard());
    switch (arrival) {
      case Ingress::Arrival::stale:
        // The peer has not heard that its epoch is over.
        speak_ = true;
        outcome.flush = true;
        break;
      case Ingress::Arrival::gap:
        ++counts_.gaps;
        kill(peer_mux_receive_detail::lost("a batch was lost"), true, outcome);
        break;
      case Ingress::Arrival::restarted:
      case Ingress::Arrival::new_epoch:
        if (arrival == Ingress::Arrival::new_epoch) {
          kill(peer_mux_receive_detail::lost("the peer lost the connection"), false, outcome);
        } else {
          lose_incoming("the peer lost the connection", outcome);
        }
        [[fallthrough]];
      case Ingress::Arrival::next:
        for (Record record; reader->next(record);) take_record(record, payload, outcome);
        serve_waiting(outcome);
        outcome.flush = outcome.flush || !batcher_.empty();
        break;
    }
    settle(outcome);
  }
  publish(outcome);
}

void PeerMux::take_record(const Record& record, const Bytes& batch, Outcome& outcome) {
  switch (record.type) {
    case RecordType::data: return take_data(record, batch, outcome);
    case RecordType::open_slot: return take_open(record, outcome);
    case RecordType::close_slot: return take_close(record, outcome);
    case RecordType::hears: return;  // read with the header
    case RecordType::slot_heartbeat:
      // Whoever sends nothing else must hear it, too; with the next one if much is unsent.
      if (ingress_.knows(record.slot) || batcher_.has_full()) return;
      batcher_.close_slot(record.slot, CloseReason::unknown_slot, 0);
      return sent(outcome, false);
    case RecordType::credit_update:
      if (!egress_.on_credit(record.slot, record.credit)) ++counts_.violations;
      return;
  }
}

void PeerMux::take_open(const Record& record, Outcome& outcome) {
  const std::shared_ptr<Anchor> anchor = retired_ ? nullptr : hub_->find(record.anchor);
  std::shared_ptr<Attachment> attachment;
  if (anchor != nullptr) {
    const StreamOptions& options = anchor->options();
    if (ingress_.open(record.slot, record.session, StreamTerms(options.frames, options.bytes))) {
      attachment = anchor->bind(record.session, peer_, self_.lock(), record.slot);
      if (attachment == nullptr) ingress_.forget(record.slot);
    }
  }
  if (attachment == nullptr) {
    batcher_.close_slot(record.slot, CloseReason::unknown_slot, record.session);
    return sent(outcome, false);
  }
  if (readers_.size() <= record.slot.index()) readers_.resize(record.slot.index() + 1);
  readers_[record.slot.index()] = {anchor, std::move(attachment)};
  watch_.begin(outcome.time, anchor->options().heartbeat);
}

void PeerMux::take_data(const Record& record, const Bytes& batch, Outcome& outcome) {
  switch (ingress_.on_data(record.slot, record.sequence, record.body.size())) {
    case Ingress::Verdict::ignore: ++counts_.ignored; return;
    case Ingress::Verdict::violation: return violated(record, "more than was granted", outcome);
    case Ingress::Verdict::accept: break;
  }
  ++counts_.frames_in;
  const auto view = parse_frame(record.body);
  if (!view) return violated(record, "a frame that is none", outcome);
  const Reader& reader = readers_[record.slot.index()];
  if (view->kind == FrameKind::heartbeat) {
    return ingress_.consumed(record.slot, 1, record.body.size());
  }
  if (!reader.anchor->push(*reader.attachment, *view, batch, record.body.size(), outcome.time,
                           outcome.wakes)) {
    ingress_.refuse(record.slot, CloseReason::peer_gone);
    readers_[record.slot.index()] = {};
  }
}

void PeerMux::take_close(const Record& record, Outcome& outcome) {
  // A slot's number means the sender's end in one direction and the receiver's in the other: only
  // the sender says that all was sent, and only the receiver answers that, or anything else. Of a
  // node's stream to itself both ends are here, and the sender's word comes first.
  const bool terminal = record.reason == CloseReason::terminal_sent;
  const bool of_ours =
      egress_.knows(record.slot) &&
      !(terminal && ingress_.awaits_close(record.slot, record.session)) &&
      (egress_.session(record.slot) == record.session || (!terminal && record.session == 0));
  if (!of_ours && !terminal) return;
  if (!of_ours) {
    if (!ingress_.on_close(record.slot, record.session)) return sent(outcome, false);
    if (ingress_.knows(record.slot)) {
      Reader& reader = readers_[record.slot.index()];
      if (reader.anchor != nullptr) {
        reader.anchor->closed(*reader.attachment, outcome.time, outcome.wakes);
      }
    }
    return;
  }
  switch (egress_.on_close(record.slot, record.reason, record.session)) {
    case Egress::Closed::ignored: return;
    case Egress::Closed::taken: {
      std::shared_ptr<Sender>& sender = senders_[record.slot.index()];
      if (sender->ending_) {
        outcome.sends.operations.push_back({std::move(*sender->ending_), Result<void>()});
        sender->ending_.reset();
      }
      sender->over_ = make_error(Errc::channel_closed, "the stream was ended");
      sender.reset();
      return;
    }
    case Egress::Closed::refused:
    case Egress::Closed::unknown:
      end_sender(record.slot, make_error(Errc::channel_closed, "the consumer reads no more"),
                 outcome);
      if (!egress_.knows(record.slot)) senders_[record.slot.index()].reset();
      return sent(outcome, false);
  }
}

void PeerMux::violated(const Record& record, const char* why, Outcome& outcome) {
  ++counts_.violations;
  Reader& reader = readers_[record.slot.index()];
  if (reader.anchor != nullptr) {
    reader.anchor->lost(*reader.attachment, why, outcome.time, outcome.wakes);
  }
  reader = {};
  ingress_.refuse(record.slot, CloseReason::protocol_error);
  sent(outcome, false);
}

void PeerMux::kill(const Error& why, bool tell, Outcome& outcome) {
  const bool had_streams = egress_.live() + ingress_.live() > 0;
  if (had_streams) ++counts_.epochs_lost;
  for (const Slot slot : egress_.reset()) {
    end_sender(slot, make_error(Errc::channel_closed, why.context()), outcome);
    senders_[slot.index()].reset();
  }
  lose_incoming(why.context(), outcome);
  batcher_.restart(hub_->draw());
  speak_ = false;
  // Without streams there is nothing to give up, and whoever is gone is not told again and again.
  if (tell && had_streams) {
    ingress_.abandon_epoch();
    speak_ = true;
    outcome.flush = true;
  }
  batcher_.set_heard(ingress_.heard());
}

void PeerMux::lose_incoming(std::string_view why, Outcome& outcome) {
  for (const Slot slot : ingress_.reset()) {
    Reader reader = std::exchange(readers_[slot.index()], {});
    if (reader.anchor == nullptr) continue;
    reader.anchor->lost(*reader.attachment, why, now(), outcome.wakes);
  }
}

void PeerMux::on_alarm() {
  Outcome outcome;
  {
    const std::lock_guard lock(mutex_);
    const TimePoint time = now();
    if (ingress_.has_credit()) outcome.flush = true;
    if (watch_.is_dead(time)) {
      ++counts_.silences;
      kill(peer_mux_receive_detail::lost("the peer gives no sign of life"), true, outcome);
    } else if (watch_.must_speak(time)) {
      egress_.heartbeat();
      // Said, even if the connection is too full to take it: once an interval is enough.
      watch_.said(time);
      speak_ = true;
      outcome.flush = true;
    }
    sweep_asked_ = false;
    if (!outcome.flush) settle(outcome);
  }
  publish(outcome);
}

void PeerMux::on_up() {
  const std::lock_guard lock(mutex_);
  unreachable_ = false;
}

void PeerMux::on_down() {
  Outcome outcome;
  {
    const std::lock_guard lock(mutex_);
    unreachable_ = true;
    // Whatever was on the connection may be lost: a batch now shows whether it is.
    if (egress_.live() + ingress_.live() != 0) speak_ = true;
    outcome.flush = speak_ || !batcher_.empty();
    settle(outcome);
  }
  publish(outcome);
}

void PeerMux::stop(const Error& reason) {
  Outcome outcome;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& sender : senders_) {
      if (sender != nullptr) egress_.cut(sender->slot(), encode_ending(FrameKind::dropped));
    }
  }
  flush();
  {
    const std::lock_guard lock(mutex_);
    retired_ = true;
    kill(make_error(Errc::transport_error, reason.context()), false, outcome);
    outcome.flush = false;
    watch_.rest();
  }
  Alarm::stop(alarm_);
  outcome.look_at = TimePoint::never();
  publish(outcome);
}

std::uint64_t PeerMux::live() const {
  const std::lock_guard lock(mutex_);
  return egress_.live() + ingress_.live();
}

void PeerMux::count_streams(StreamCounts& counts) const {
  const std::lock_guard lock(mutex_);
  counts.streams_out += egress_.live();
  counts.streams_in += ingress_.live();
  counts.waiting += egress_.waiting();
  counts.outstanding_bytes += egress_.outstanding_bytes();
  counts.held_bytes += ingress_.held_bytes();
  counts.add_totals(counts_);
}

}  // namespace velo::streaming
