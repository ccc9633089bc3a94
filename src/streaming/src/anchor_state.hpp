// SPDX-License-Identifier: Apache-2.0
// Anchor: the shared state behind a StreamAnchor: who is attached, what has arrived and was not
// taken, who waits for it, and how it ends. It knows connections only as something that is told
// what was taken.
// Threading: any thread; its mutex is taken after a connection's, never before.
#pragma once

#include <velo/base/ids.hpp>
#include <velo/base/op.hpp>
#include <velo/base/time.hpp>
#include <velo/streaming/frame.hpp>
#include <velo/streaming/handle.hpp>
#include <velo/streaming/options.hpp>

#include "mux_batch.hpp"
#include "tally.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace velo::streaming {

class Anchor;

/// The connection's side of an attached sender.
class Source {
 public:
  virtual ~Source() = default;
  /// The consumer took so much.
  virtual void consumed(Slot slot, std::uint32_t frames, std::uint64_t bytes) = 0;
  /// The consumer took the ending.
  virtual void finish(Slot slot) = 0;
  /// Nobody reads on.
  virtual void refuse(Slot slot) = 0;
};

/// One sender of an anchor, from the owner's answer to the end that the consumer takes.
struct Attachment {
  enum class Phase : std::uint8_t {
    reserved,  ///< the owner said yes; the stream was not opened yet
    open,
    ended,  ///< its ending arrived; nothing comes any more
  };
  SenderId id = 0;
  std::uint64_t session = 0;
  InstanceId peer;
  Phase phase = Phase::reserved;
  TimePoint since;
  std::shared_ptr<Source> source;
  Slot slot;
  std::uint32_t queued = 0;        ///< arrived and not taken
  std::uint32_t taken_frames = 0;  ///< and not told
  std::uint64_t taken_bytes = 0;
};

/// A reader to wake once no lock is held.
struct Wake {
  Promise<std::shared_ptr<Anchor>> promise;
  Result<std::shared_ptr<Anchor>> result;

  void operator()() { promise.set(std::move(result)); }
};

class Anchor {
 public:
  Anchor(Executor& callbacks, StreamAnchorHandle handle, StreamOptions options, TimePoint now,
         std::shared_ptr<Tally> tally);

  const StreamAnchorHandle& handle() const noexcept { return handle_; }
  const StreamOptions& options() const noexcept { return options_; }
  std::size_t senders() const;
  /// Called when the anchor is over; set once, before it is used.
  void on_over(std::move_only_function<void()> forget) { forget_ = std::move(forget); }
  /// Called under the lock with the time at which expire() has something to do; set once.
  void on_unattached(std::move_only_function<void(TimePoint)> look_at) {
    look_at_ = std::move(look_at);
  }

  // The consumer.
  static OpState& start_next(const std::shared_ptr<Anchor>& anchor);
  std::optional<Result<RawFrame>> take(bool for_op);
  void cancel() noexcept;
  /// The node ends: what has arrived can still be read, and then `why`.
  void stop(const Error& why);

  /// The request that the stream was to answer is over, well or not: nobody else will attach. Ends
  /// the stream when nobody has, and when who was let in does not open it in time.
  void call_over(const Result<void>& answered);

  // Attaching: streaming::Errc already_attached, max_senders_reached, anchor_not_found.
  Result<void> reserve(std::uint64_t session, const InstanceId& peer, TimePoint now);
  /// Null: no such reservation.
  std::shared_ptr<Attachment> bind(std::uint64_t session, const InstanceId& peer,
                                   std::shared_ptr<Source> source, Slot slot);
  /// Drops reservations that were not used, and the anchor itself when nobody came; when to look
  /// again.
  TimePoint expire(TimePoint now, std::vector<Wake>& wakes);

  // What arrives, under the connection's lock.
  /// `frame` is borrowed from `batch`. False: nobody reads on.
  bool push(Attachment& from, const FrameView& frame, const Bytes& batch, std::size_t size,
            TimePoint now, std::vector<Wake>& wakes);
  /// The sender has closed; without an ending before, it was dropped.
  void closed(Attachment& from, TimePoint now, std::vector<Wake>& wakes);
  /// The way is lost, with everything that has not arrived.
  void lost(Attachment& from, std::string_view why, TimePoint now, std::vector<Wake>& wakes);

 private:
  struct Entry {
    FrameKind kind;
    std::uint32_t size;
    Attachment* from;
    Bytes body;
  };
  /// Who waits; it keeps the anchor.
  struct Reader {
    Promise<std::shared_ptr<Anchor>> promise;
    std::shared_ptr<Anchor> self;

    Reader(Promise<std::shared_ptr<Anchor>> p, std::shared_ptr<Anchor> s) noexcept
        : promise(std::move(p)), self(std::move(s)) {}
  };
  /// What the source has to be told, once no lock is held.
  struct Report {
    std::shared_ptr<Source> source;
    Slot slot;
    std::uint32_t frames = 0;
    std::uint64_t bytes = 0;
    bool finish = false;
  };

  bool many() const noexcept { return handle_.many_to_one(); }
  bool takes_senders() const noexcept { return !over_ && !ending_; }
  void add(Attachment& from, FrameKind kind, Bytes body, std::size_t size, TimePoint now);
  void wake_reader(std::vector<Wake>& wakes);
  void cancel_next() noexcept;
  void nobody_reads(Attachment& attachment) noexcept;
  Report account(const Entry& entry);

  Executor& callbacks_;
  const StreamAnchorHandle handle_;
  const StreamOptions options_;
  const std::shared_ptr<Tally> tally_;
  std::move_only_function<void()> forget_;
  std::move_only_function<void(TimePoint)> look_at_;

  mutable std::mutex mutex_;
  std::deque<Entry> queue_;
  std::map<SenderId, std::shared_ptr<Attachment>> attachments_;
  std::size_t attached_ = 0;  ///< reserved or open
  SenderId next_sender_ = 1;
  TimePoint unattached_since_;
  std::optional<Reader> reader_;
  bool ending_ = false;        ///< the end has arrived
  bool over_ = false;          ///< and was taken, or nobody reads on
  std::optional<Error> last_;  ///< said once when the queue is empty
  bool opened_ = false;        ///< by anybody, ever
  /// What the stream ends with when the last reservation lapses: its request is over.
  std::optional<Error> without_opening_;
};

}  // namespace velo::streaming
