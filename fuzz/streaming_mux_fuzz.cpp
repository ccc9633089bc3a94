// SPDX-License-Identifier: Apache-2.0
// A peer's batches: what is read is what writing gives, and no order of records makes a receiving
// or a sending end hold more than was granted. The input is a row of [u16 size][batch].

#include <velo/base/check.hpp>
#include <velo/streaming/frame.hpp>

#include "egress.hpp"
#include "ingress.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace velo::streaming::streaming_mux_fuzz {

/// Streams to it are opened, and then nobody wants them.
constexpr std::uint64_t nobodys_anchor = 13;

static void write_again(const Record& record, Batcher& out) {
  switch (record.type) {
    case RecordType::data: out.data(record.slot, record.sequence, record.body); break;
    case RecordType::open_slot: out.open_slot(record.slot, record.anchor, record.session); break;
    case RecordType::close_slot: out.close_slot(record.slot, record.reason, record.session); break;
    case RecordType::credit_update: out.credit_update(record.slot, record.credit); break;
    case RecordType::slot_heartbeat: out.heartbeat(record.slot); break;
    case RecordType::hears: break;
  }
}

/// Both ends of one peer, as the room has them.
struct Ends {
  Ends() {
    back.restart(1);
    for (std::uint64_t i = 0; i < 3; ++i) {
      const auto slot = egress.open(1, i + 1, StreamTerms(4, 4'000));
      egress.send(*slot, as_bytes("sent"));
    }
    egress.wait(Slot(1, 0), Bytes::of_static("waits"));
  }

  void take(const Record& record) {
    switch (record.type) {
      case RecordType::open_slot:
        if (!ingress.open(record.slot, record.session, StreamTerms(4, 4'000))) {
          back.close_slot(record.slot, CloseReason::unknown_slot, record.session);
        } else if (record.anchor == nobodys_anchor) {
          ingress.forget(record.slot);
        }
        break;
      case RecordType::data: take_data(record); break;
      case RecordType::close_slot:
        if (record.reason == CloseReason::terminal_sent && !egress.knows(record.slot)) {
          ingress.on_close(record.slot, record.session);
          ingress.finish(record.slot);
        } else {
          egress.on_close(record.slot, record.reason, record.session);
        }
        break;
      case RecordType::credit_update:
        if (!egress.on_credit(record.slot, record.credit)) egress.reset();
        egress.admit_waiting();
        break;
      case RecordType::slot_heartbeat: ingress.write_credit(); break;
      case RecordType::hears: break;
    }
  }

  void take_data(const Record& record) {
    const auto verdict = ingress.on_data(record.slot, record.sequence, record.body.size());
    if (verdict == Ingress::Verdict::violation) {
      ingress.refuse(record.slot, CloseReason::protocol_error);
    }
    if (verdict != Ingress::Verdict::accept) return;
    const auto view = parse_frame(record.body);
    if (view && view->kind == FrameKind::item) {
      VELO_CHECK(view->item.size() < record.body.size());
      ingress.consumed(record.slot, 1, record.body.size());
    }
    if (view && view->kind != FrameKind::item) {
      VELO_CHECK(parse_frame(encode_ending(view->kind, view->text))->kind == view->kind);
      VELO_CHECK(!error_of(RawFrame(view->kind, 0, Bytes::copy(view->text))).to_string().empty());
    }
  }

  void check() const {
    VELO_CHECK(ingress.held_bytes() <= 8'000 + 2 * limits::item_bytes_max);
    VELO_CHECK(egress.outstanding_bytes() <= 8'000);
    VELO_CHECK(ingress.live() <= 8);
  }

  Batcher back;
  Egress egress{back, 8'000, 8};
  Ingress ingress{back, 8'000, 8};
};

static void check(ByteSpan input) {
  Ends ends;
  while (input.size() >= 2) {
    const std::size_t wanted =
        std::to_integer<std::size_t>(input[0]) << 8U | std::to_integer<std::size_t>(input[1]);
    const ByteSpan batch = input.subspan(2, std::min(wanted, input.size() - 2));
    input = input.subspan(2 + batch.size());
    auto reader = BatchReader::open(batch);
    if (!reader) continue;
    const auto arrival = ends.ingress.on_batch(reader->header(), 7);
    const bool begins =
        arrival == Ingress::Arrival::new_epoch || arrival == Ingress::Arrival::restarted;
    if (arrival == Ingress::Arrival::gap || begins) {
      if (arrival == Ingress::Arrival::gap) ends.ingress.abandon_epoch();
      ends.ingress.reset();
      VELO_CHECK(ends.ingress.held_bytes() == 0 && ends.ingress.live() == 0);
    }
    Batcher again;
    again.restart(reader->header().epoch);
    again.set_heard(reader->header().hears);
    std::size_t records = 0;
    bool canonical = batch[1] == std::byte{0} && batch.size() <= limits::batch_bytes_max;
    for (Record record; reader->next(record); ++records) {
      write_again(record, again);
      // A close without its session is written with one; sequences of the others are written as 0.
      canonical = canonical && (record.type != RecordType::close_slot || record.body.size() == 9) &&
                  (record.type == RecordType::data || record.sequence == 0) &&
                  (record.type != RecordType::hears || record.slot == Slot());
      if (arrival == Ingress::Arrival::next || begins) ends.take(record);
      ends.check();
    }
    VELO_CHECK(records == reader->header().records);
    const bool empty = again.empty();
    if (empty) VELO_CHECK(BatchReader::open(again.take_empty()).has_value());
    if (canonical && !empty && reader->header().sequence == 0) {
      VELO_CHECK(as_text(again.take()->span()) == as_text(batch));
    }
  }
}

}  // namespace velo::streaming::streaming_mux_fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  velo::streaming::streaming_mux_fuzz::check({reinterpret_cast<const std::byte*>(data), size});
  return 0;
}
