// SPDX-License-Identifier: Apache-2.0
// Streams: a messenger's part in streaming: makes anchors, attaches to those of others, and carries
// all streams to one peer in ordered batches of one connection.
// Threading: every function from any thread.
#pragma once

#include <velo/base/op.hpp>
#include <velo/messenger/messenger.hpp>
#include <velo/streaming/anchor.hpp>
#include <velo/streaming/options.hpp>
#include <velo/streaming/sender.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace velo {
namespace streaming {
class Hub;

/// What was counted, in all.
struct StreamCounts {
  std::uint64_t anchors = 0;         ///< that exist
  std::uint64_t streams_out = 0;     ///< attached to others' anchors, and not over
  std::uint64_t streams_in = 0;      ///< the same, of others to this node's
  std::uint64_t frames_out = 0;      ///< handed over to be sent
  std::uint64_t frames_in = 0;       ///< arrived
  std::uint64_t batches_out = 0;     ///< messages that carried them
  std::uint64_t batches_in = 0;      ///< the same, received
  std::uint64_t waited = 0;          ///< items that had to wait for their consumer
  std::uint64_t without_credit = 0;  ///< these, and items that try_send() refused for it
  std::uint64_t epochs_lost = 0;  ///< times that a connection's loss ended all streams with a peer
  std::uint64_t silences = 0;     ///< of those, because the peer gave no sign of life
  std::uint64_t gaps = 0;         ///< of those, because a batch was missing
  std::uint64_t violations = 0;   ///< records of peers that were against the rules
  std::uint64_t ignored = 0;      ///< frames of streams that were over already
  // Just now.
  std::uint64_t waiting = 0;            ///< items that wait for their consumer
  std::uint64_t outstanding_bytes = 0;  ///< sent, and not taken by their consumers
  std::uint64_t held_bytes = 0;         ///< arrived, and not taken

  StreamCounts() = default;
  /// What is counted from the beginning, not what is just now.
  void add_totals(const StreamCounts& other) noexcept;
};

}  // namespace streaming

class Streams {
 public:
  /// Streams of that messenger; the same ones when asked again, and then with the options of the
  /// first time. velo::Errc::shutting_down after the messenger's end.
  static Result<Streams> of(Messenger& messenger, StreamingOptions options = StreamingOptions());

  /// streaming::Errc::too_many_streams at limits::anchors_max, velo::Errc::shutting_down once the
  /// messenger drains.
  template <class T>
  Result<StreamAnchor<T>> create_anchor(StreamOptions options = StreamOptions()) {
    auto anchor = create(false, options);
    if (!anchor) return anchor.error();
    return StreamAnchor<T>(std::move(*anchor));
  }
  template <class T>
  Result<MpscStreamAnchor<T>> create_mpsc_anchor(StreamOptions options = StreamOptions()) {
    auto anchor = create(true, options);
    if (!anchor) return anchor.error();
    return MpscStreamAnchor<T>(std::move(*anchor));
  }

  /// Asks the anchor's owner, which has to be known or found by discovery. Errors:
  /// streaming::Errc "Attaching", and those of a call. What was sent to the owner before arrives
  /// before the stream opens, and items in the order of their sending; what is sent by other
  /// handlers later may overtake items.
  template <class T>
  Op<StreamSender<T>> attach_anchor(const StreamAnchorHandle& handle) {
    return typed<T>(attach(handle, false));
  }
  template <class T>
  Op<StreamSender<T>> attach_mpsc_anchor(const StreamAnchorHandle& handle) {
    return typed<T>(attach(handle, true));
  }

  /// With FlushPolicy::manual: what was sent until now leaves. The end of a step.
  void flush_batch();

  streaming::StreamCounts counts() const;
  Messenger& messenger() const noexcept;

 private:
  explicit Streams(std::shared_ptr<streaming::Hub> hub) noexcept : hub_(std::move(hub)) {}

  Result<std::shared_ptr<streaming::Anchor>> create(bool many, const StreamOptions& options);
  Op<streaming::SenderEnd> attach(const StreamAnchorHandle& handle, bool many);

  /// One that nobody takes is dropped with the operation.
  template <class T>
  static Op<StreamSender<T>> typed(Op<streaming::SenderEnd> op) {
    return Op<StreamSender<T>>(*op.release().first, [](OpState& state) -> Result<StreamSender<T>> {
      using State = base_detail::PromiseState<streaming::SenderEnd>;
      auto result = std::move(*static_cast<State&>(state).result);
      if (!result) return result.error();
      return StreamSender<T>(std::move(*result));
    });
  }

  std::shared_ptr<streaming::Hub> hub_;
};

}  // namespace velo
