// SPDX-License-Identifier: Apache-2.0
// Test support: both ends of a connection's streams as values, and what travels between them.
// Threading: the test's own thread.
#pragma once

#include "egress.hpp"
#include "ingress.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace velo::streaming::slots_testing {

inline const std::string& text_of(std::size_t size) {
  static std::map<std::size_t, std::string> texts;
  return texts.try_emplace(size, std::string(size, 'x')).first->second;
}

/// One sending and one receiving side, and what travels between them.
struct Pair {
  explicit Pair(std::uint64_t peer_bytes = limits::peer_bytes_max, std::size_t slots = 65'536)
      : egress(there, peer_bytes, slots), ingress(back, peer_bytes, slots) {
    there.restart(1);
    back.restart(2);
  }

  /// What the sender wrote reaches the receiver.
  void deliver() {
    while (auto batch = there.take()) {
      auto reader = BatchReader::open(*batch);
      ASSERT_TRUE(reader);
      ASSERT_EQ(ingress.on_batch(reader->header(), 2), Ingress::Arrival::next);
      for (Record record; reader->next(record);) {
        switch (record.type) {
          case RecordType::open_slot:
            ASSERT_TRUE(ingress.open(record.slot, record.session, terms));
            break;
          case RecordType::data:
            switch (ingress.on_data(record.slot, record.sequence, record.body.size())) {
              case Ingress::Verdict::accept:
                held[record.slot].emplace_back(as_text(record.body));
                break;
              case Ingress::Verdict::ignore: ++ignored; break;
              case Ingress::Verdict::violation: ++violations; break;
            }
            break;
          case RecordType::close_slot: ingress.on_close(record.slot, record.session); break;
          default: break;
        }
      }
    }
  }
  /// The consumer of the slot takes `count` frames.
  void consume(Slot slot, std::size_t count) {
    auto& frames = held[slot];
    for (; count > 0 && !frames.empty(); --count) {
      ingress.consumed(slot, 1, frames.front().size());
      taken[slot].push_back(frames.front());
      frames.erase(frames.begin());
    }
  }
  /// What the receiver wrote reaches the sender; the slots that left the queue for it.
  std::vector<Slot> answer() {
    ingress.write_credit();
    while (auto batch = back.take()) {
      auto reader = BatchReader::open(*batch);
      for (Record record; reader->next(record);) {
        if (record.type == RecordType::credit_update) {
          EXPECT_TRUE(egress.on_credit(record.slot, record.credit));
        } else {
          closed.push_back(egress.on_close(record.slot, record.reason, record.session));
        }
      }
    }
    return egress.admit_waiting();
  }
  std::size_t fill(Slot slot, std::size_t size, std::size_t most = 1'000'000) {
    std::size_t sent = 0;
    for (; sent < most && egress.admits(slot, size); ++sent) {
      egress.send(slot, as_bytes(text_of(size)));
    }
    return sent;
  }
  Slot open(std::uint64_t session = 7) { return *egress.open(1, session, terms); }

  StreamTerms terms;
  Batcher there;
  Batcher back;
  Egress egress;
  Ingress ingress;
  std::map<Slot, std::vector<std::string>> held;
  std::map<Slot, std::vector<std::string>> taken;
  std::vector<Egress::Closed> closed;
  int ignored = 0;
  int violations = 0;
};

}  // namespace velo::streaming::slots_testing
