// SPDX-License-Identifier: Apache-2.0
// PeerMux: all streams to and from one peer: it ties the pure ends (egress, ingress, watch) to
// senders, anchors, the messenger and a shard. When a batch is lost either way, or the peer is
// silent for too long, all of them end, and a new epoch begins.
// Threading: any thread; one mutex, before those of anchors. Nothing is published or sent under it.
#pragma once

#include "alarm.hpp"
#include "anchor_state.hpp"
#include "egress.hpp"
#include "ingress.hpp"
#include "peer_watch.hpp"
#include "sender_state.hpp"

#include <velo/base/budget.hpp>
#include <velo/streaming/streams.hpp>

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

namespace velo::streaming {

class Hub;

class PeerMux final : public Source {
 public:
  static std::shared_ptr<PeerMux> make(std::shared_ptr<Hub> hub, const InstanceId& peer,
                                       Shard& shard);

  /// Null: this one is over, and another one has to be made. too_many_streams, overloaded.
  static Result<std::shared_ptr<Sender>> open(const std::shared_ptr<PeerMux>& mux,
                                              const StreamAnchorHandle& handle,
                                              std::uint64_t session, StreamTerms terms,
                                              Duration heartbeat);

  // Senders.
  Op<void> send(const std::shared_ptr<Sender>& sender, ByteSpan frame);
  Result<void> try_send(Sender& sender, ByteSpan frame);
  Op<void> end(Sender& sender, FrameKind kind);
  void drop(Sender& sender) noexcept;

  // Anchors.
  void consumed(Slot slot, std::uint32_t frames, std::uint64_t bytes) override;
  void finish(Slot slot) override;
  void refuse(Slot slot) override;

  // The messenger.
  void on_batch(const Bytes& payload);
  void flush();
  /// Whatever is there leaves with the end of the turn.
  void flush_soon() { schedule_flush(); }
  /// The peer is connected (again).
  void on_up();
  /// Its last connection is gone: a sign of life is due now. Unless it comes back, this one is over
  /// once all streams have ended.
  void on_down();
  /// The node ends: everything that is open says so, and leaves.
  void stop(const Error& reason);

  std::uint64_t live() const;
  void count_streams(StreamCounts& counts) const;

 private:
  struct Reader {
    std::shared_ptr<Anchor> anchor;
    std::shared_ptr<Attachment> attachment;
  };
  /// What is to be done once the lock is given back.
  struct Outcome {
    EndedSends sends;
    std::vector<Wake> wakes;
    bool flush = false;
    bool full = false;  ///< something need not wait for the turn's end
    bool over = false;  ///< nothing will begin here any more
    TimePoint time;     ///< of what arrived
    TimePoint look_at = TimePoint::never();
  };

  PeerMux(std::shared_ptr<Hub> hub, const InstanceId& peer, Shard& shard);

  // All under the lock.
  TimePoint now() const noexcept;
  std::optional<Error> refuse_send(const Sender& sender, std::size_t size);
  void sent(Outcome& outcome, bool data);
  void take_record(const Record& record, const Bytes& batch, Outcome& outcome);
  void take_open(const Record& record, Outcome& outcome);
  void take_data(const Record& record, const Bytes& batch, Outcome& outcome);
  void take_close(const Record& record, Outcome& outcome);
  void violated(const Record& record, const char* why, Outcome& outcome);
  void serve_waiting(Outcome& outcome);
  /// The peer's streams end.
  void lose_incoming(std::string_view why, Outcome& outcome);
  /// Everything ends; `tell`: the peer does not know yet.
  void kill(const Error& why, bool tell, Outcome& outcome);
  void end_sender(Slot slot, const Error& why, Outcome& outcome);
  void settle(Outcome& outcome);

  void publish(Outcome& outcome);
  void leave(const Outcome& outcome);
  void schedule_flush();
  /// What need not wait for the end of the turn.
  void flush_full();
  void on_alarm();
  void on_written(std::uint64_t epoch, Result<void> written);
  /// Under the lock, which it gives back while it sends.
  void send_all(std::unique_lock<std::mutex>& lock, bool full_only);
  void send_batches(std::unique_lock<std::mutex>& lock, bool full_only);

  const std::shared_ptr<Hub> hub_;
  const InstanceId peer_;
  Shard& shard_;
  std::weak_ptr<PeerMux> self_;
  std::shared_ptr<Alarm> alarm_;

  mutable std::mutex mutex_;
  Batcher batcher_;
  Egress egress_{batcher_};
  Ingress ingress_{batcher_};
  PeerWatch watch_;
  Holding memory_;
  std::vector<std::shared_ptr<Sender>> senders_;  ///< by slot index
  std::vector<Reader> readers_;                   ///< by slot index
  bool sweep_asked_ = false;
  bool speak_ = false;        ///< a batch has to leave, even an empty one
  bool unreachable_ = false;  ///< as far as is known
  bool retired_ = false;
  bool sending_ = false;
  bool send_again_ = false;
  std::size_t in_flight_ = 0;
  StreamCounts counts_;
  std::atomic<bool> flush_scheduled_{false};
};

}  // namespace velo::streaming
