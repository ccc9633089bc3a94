// SPDX-License-Identifier: Apache-2.0
// A peer that says anything in well-formed frames to a whole simulated messenger, greeted or not:
// requests, replies, acknowledgements, `_hello`, `_cancel`, statuses, forged ids. Whatever comes,
// the calls of others end well, every operation ends, and the books balance.
// The input is [how it greets] and then frames: [kind][local id][u8 header bytes][u8 payload bytes]
// [header][payload]. Bits of the kind put an id where the header has one, which no fuzzer would
// guess.

#include "testing/cluster.hpp"
#include "testing/raw_peer.hpp"

#include <velo/base/check.hpp>
#include <velo/base/log.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace velo::messenger::testing::messenger_wire_fuzz {

/// Takes bytes off the input; zeros once it is empty.
class Input {
 public:
  explicit Input(ByteSpan bytes) : bytes_(bytes) {}
  bool empty() const { return bytes_.empty(); }
  std::uint8_t take() {
    if (bytes_.empty()) return 0;
    const auto value = std::to_integer<std::uint8_t>(bytes_.front());
    bytes_ = bytes_.subspan(1);
    return value;
  }
  Bytes take(std::size_t count) {
    const ByteSpan taken = bytes_.first(std::min(count, bytes_.size()));
    bytes_ = bytes_.subspan(taken.size());
    return Bytes::copy(taken);
  }

 private:
  ByteSpan bytes_;
};

class Attack {
 public:
  Attack() : cluster_(2), raw_(cluster_), end_(raw_.dial(cluster_[1])) {
    VELO_CHECK(cluster_[1].register_handler(gated("hold", gate_)).has_value());
    VELO_CHECK(cluster_[1].register_handler(gated("wait", gate_)).has_value());
    VELO_CHECK(cluster_[1].register_handler(echo("echo")).has_value());
    VELO_CHECK(
        cluster_[1].register_handler(throwing("inline throw").inline_().build()).has_value());
    VELO_CHECK(cluster_[1].register_handler(throwing("throw").build()).has_value());
    const auto noted =
        cluster_[1].register_handler(Handler::am_handler("note", [](Context&) {}).build());
    VELO_CHECK(noted.has_value());
    held_.emplace(cluster_[0].unary("hold").raw_payload("mine").instance(cluster_.id(1)).send());
    VELO_CHECK(cluster_.until([this] { return gate_.waiting == 1; }));
  }

  void run(ByteSpan bytes) {
    Input input(bytes);
    greet(input.take());
    std::size_t frames = 0;
    while (!input.empty() && frames++ < frames_max) send_frame(input);
    cluster_.sim.run_for(std::chrono::seconds(2));
    expect_others_unaffected();
  }

 private:
  static constexpr std::size_t frames_max = 64;

  void greet(std::uint8_t how) {
    if (how % 4 == 0) return;
    end_.greet(raw_.info, how % 4 == 1 ? std::nullopt : std::optional(local_offer(7)));
    cluster_.sim.run_for(std::chrono::milliseconds(10));
    if (how % 4 == 3) be_asked((how & 4U) != 0);
  }

  /// The messenger calls the peer, which it greets for that on a connection of its own. The calls
  /// may never be answered; they end by their deadlines.
  void be_asked(bool as_legacy) {
    const auto peer = raw_.info.instance_id;
    const auto patience = std::chrono::milliseconds(500);
    for (int i = 0; i < 3; ++i) {
      asked_.push_back(cluster_[1].unary("any").instance(peer).timeout(patience).send());
    }
    asked_sync_ = cluster_[1].am_sync("any").instance(peer).timeout(patience).send();
    cluster_.sim.run_for(std::chrono::milliseconds(10));
    if (raw_.accepted.empty() || raw_.accepted[0]->frames.empty()) return;
    RawEnd& dialled = *raw_.accepted[0];
    dialled.answer_greeting(dialled.take(), {"any"},
                            as_legacy ? std::nullopt : std::optional(local_offer(7)));
    cluster_.sim.run_for(std::chrono::milliseconds(10));
    for (const RawFrame& frame : dialled.frames) {
      if (frame.type == transport::FrameType::message) calls_.push_back(frame.request().id);
    }
  }

  static Handler::Builder throwing(std::string name) {
    return Handler::unary_handler(std::move(name), [](Context&) -> Result<Bytes> {
      throw std::runtime_error("as users do");
    });
  }

  void send_frame(Input& input) {
    const std::uint8_t kind = input.take();
    const std::uint8_t local = input.take();
    const std::size_t header_bytes = input.take();
    const std::size_t payload_bytes = input.take();
    std::string header = input.take(header_bytes).to_string();
    std::string payload = input.take(payload_bytes).to_string();
    const auto type = static_cast<transport::FrameType>(kind % 5);
    if ((kind & 0x10U) != 0) {
      const bool request =
          type == transport::FrameType::message || type == transport::FrameType::shutting_down;
      put_id(header,
             request                                  ? 2
             : type == transport::FrameType::response ? 0
                                                      : 1,
             id_of((kind & 0x20U) != 0, local));
    }
    if ((kind & 0x40U) != 0) put_id(payload, 0, id_of((kind & 0x80U) != 0, local));
    const bool on_dialled = (local & 0x80U) != 0 && !raw_.accepted.empty();
    RawEnd& end = on_dialled ? *raw_.accepted[0] : end_;
    end.send(type, as_bytes(header), as_bytes(payload));
    if (local % 4 == 3) cluster_.sim.run_for(std::chrono::milliseconds(1));
  }

  MessageId id_of(bool victim, std::uint8_t local) const {
    if (!victim) return raw_.id(local);
    if (!calls_.empty() && (local & 0x40U) == 0) return calls_[local % calls_.size()];
    return MessageId::of_slot(cluster_.messengers[1]->worker_id(),
                              static_cast<std::uint16_t>(local % 4), local / 4U);
  }

  static void put_id(std::string& into, std::size_t at, MessageId id) {
    std::array<std::byte, protocol::id_bytes> bytes;
    protocol::encode_id(id, bytes);
    if (into.size() >= at + bytes.size()) into.replace(at, bytes.size(), as_text(bytes));
  }

  void expect_others_unaffected() {
    VELO_CHECK(!held_->done());
    gate_.open();
    const auto reply = cluster_.wait(std::move(*held_));
    VELO_CHECK(reply.has_value() && reply->text() == "mine");
    const auto echoed = cluster_.wait(
        cluster_[0].unary("echo").raw_payload("more").instance(cluster_.id(1)).send());
    VELO_CHECK(echoed.has_value() && echoed->text() == "more");
    for (Op<Bytes>& asked : asked_) static_cast<void>(cluster_.wait(std::move(asked)));
    if (asked_sync_) static_cast<void>(cluster_.wait(std::move(*asked_sync_)));
    cluster_.sim.run_until_quiet(std::chrono::minutes(1));
    for (std::size_t i = 0; i < 2; ++i) {
      const Books books = cluster_[i].books();
      VELO_CHECK(books.balanced());
      VELO_CHECK(books.unary.in_flight + books.sync.in_flight + books.fire.in_flight == 0);
    }
  }

  Gate gate_;
  Cluster cluster_;
  RawPeer raw_;
  RawEnd& end_;
  std::optional<Op<Bytes>> held_;
  std::vector<Op<Bytes>> asked_;
  std::optional<Op<void>> asked_sync_;
  std::vector<MessageId> calls_;  ///< what the messenger asked the peer
};

}  // namespace velo::messenger::testing::messenger_wire_fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // What a test would expect must stop the fuzzer.
  GTEST_FLAG_SET(break_on_failure, true);
  static const bool quiet = velo::log::configure("off").has_value();
  VELO_CHECK(quiet);
  velo::messenger::testing::messenger_wire_fuzz::Attack().run(
      {reinterpret_cast<const std::byte*>(data), size});
  return 0;
}
