// SPDX-License-Identifier: Apache-2.0
// A Connection over a ByteStream: frames in, frames out, no policy beyond the limits of the
// contract.
//
// The write right. One atomic word holds the stream position up to which everything is accepted or
// reserved, and three bits: `held` (somebody has the write right, and with it out_, blocked_ and
// the stream's writing side), `attention` (the holder must look under the mutex before it lets go)
// and `closed` (nothing more is accepted). A sender that finds the right free takes it and its
// stream position in one step, writes, and lets go. A sender that finds it held reserves its
// position under the mutex, leaves the frame in side_, and sets `attention`; the holder moves them
// to out_ in order. On the shard the right is kept ("corked") until the end of the event or of the
// turn, so that replies go out in one write. A corked shard reserves positions ahead, since a
// locked instruction for each frame costs more than all the rest: as long as the word is what it
// left, nobody came, and it appends with plain stores. What it did not use it gives back when it
// lets go; if others have taken positions behind, it becomes a gap, which written_ steps over.
// Closing takes the right for good: the stream is closed by the task that received it, never under
// a writer.
//
// What waits is charged. A sender compares its place in the queue with what the allowance was
// granted, and only asks the budget for more when that is too little; the holder of the right gives
// back what a queue that was written no longer needs, before it lets go. A sender that compared
// just before that may slip in uncharged; the holder then takes what is missing.
//
// written_ is stored sequentially consistent before on_written() is called. So: whoever adds itself
// to a list of waiters (sequentially consistent, or under a lock that on_written() takes) and then
// still finds written() < end is seen by the on_written() that follows the write.
// Threading: as Connection says. Members below are marked by what guards them.
#pragma once

#include <velo/transport/frame_reader.hpp>
#include "out_queue.hpp"
#include "side_queue.hpp"
#include "stream_environment.hpp"

#include <velo/base/network.hpp>
#include <velo/base/world.hpp>
#include <velo/transport/connection.hpp>
#include <velo/transport/gatekeeper.hpp>
#include <velo/transport/stream_transport.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace velo::transport {

class StreamConnection final : public Connection, private StreamEvents {
 public:
  /// On the stream's shard.
  static ConnectionPtr create(std::shared_ptr<StreamEnvironment> environment,
                              std::unique_ptr<ByteStream> stream, SecurityPtr security,
                              GatePass pass);

  void start(ConnectionEvents& events) override;
  SendResult send(const OutFrame& frame) noexcept override;
  std::uint64_t written() const noexcept override {
    return written_.load(std::memory_order_seq_cst);
  }
  std::uint64_t queued() const noexcept override;
  void close(Error reason) noexcept override;
  void close_after_flush(Error reason, Duration patience) noexcept override;
  const ConnectionSecurity& security() const noexcept override { return *security_; }
  Shard& shard() noexcept override { return shard_; }
  std::string_view transport_key() const noexcept override { return environment_->key; }
  std::string remote() const override { return remote_; }

 private:
  // The word: position << position_shift | bits.
  static constexpr std::uint64_t held_bit = 1;
  static constexpr std::uint64_t attention_bit = 2;
  static constexpr std::uint64_t closed_bit = 4;
  static constexpr unsigned position_shift = 3;

  /// Positions that no frame has: `size` of them behind the first `at` bytes of the stream.
  struct Gap {
    std::uint64_t at;
    std::uint64_t size;
  };

  enum class Ending : std::uint8_t { none, after_flush, now };

  StreamConnection(std::shared_ptr<StreamEnvironment> environment,
                   std::unique_ptr<ByteStream> stream, SecurityPtr security, GatePass pass);
  ~StreamConnection() override;

  // Sending, and the write right (stream_connection_write.cpp).
  std::uint64_t backlog(std::uint64_t position) const noexcept;
  bool fits(std::uint64_t position, FrameType type, std::size_t size) noexcept {
    return allowance_.admits(backlog(position) + size, lane_of(type));
  }
  SendResult refused(Admission admission, FrameType type, std::size_t size) noexcept;
  SendResult send_corked(const OutFrame& frame, std::size_t size) noexcept;
  std::optional<SendResult> send_aside(const OutFrame& frame, std::size_t size) noexcept;
  Admission reserve_corked(FrameType type, std::size_t size) noexcept;
  Admission reserve(FrameType type, std::size_t size) noexcept;
  void append(const OutFrame& frame, std::size_t size) noexcept;
  void take_side_up_to(std::uint64_t position, SideQueue& side) noexcept;
  void cork() noexcept;
  void turn_ended() noexcept;
  bool request_right() noexcept;
  void release_right(bool on_shard) noexcept;
  void continue_on_shard() noexcept { release_right(true); }
  bool take_side() noexcept;
  void flush() noexcept;
  void pass_gaps() noexcept;
  void fail_writing() noexcept;
  /// What is in out_ will never be written.
  void drop_out() noexcept {
    dropped_bytes_ += out_.bytes();
    out_.clear();
  }
  void on_writable() override;

  // Life, reading, ending (stream_connection.cpp).
  void on_readable() override;
  void resume_reading() noexcept { on_readable(); }
  bool read_turn();
  void read_to_the_end() noexcept;
  void end(Error reason, Ending ending) noexcept;
  void start_patience(Duration patience);
  void post_finish() noexcept;
  void finish() noexcept;
  template <void (StreamConnection::*Method)() noexcept>
  void post_retained() noexcept {
    retain();
    shard_.post(Task0{[](void* argument) {
                        auto* self = static_cast<StreamConnection*>(argument);
                        (self->*Method)();
                        self->release();
                      },
                      this});
  }

  const std::shared_ptr<StreamEnvironment> environment_;
  Shard& shard_;
  ScratchBuffer& scratch_;
  const std::string remote_;
  const SecurityPtr security_;
  ConnectionEvents* events_ = nullptr;  ///< set by start(), before anyone else knows the connection

  std::atomic<std::uint64_t> word_{closed_bit};
  std::atomic<std::uint64_t> written_{0};
  static constexpr std::uint64_t not_ended = UINT64_MAX;
  std::atomic<std::uint64_t> left_unwritten_{not_ended};  ///< what was dropped, once it is over
  Allowance allowance_;             ///< for what is accepted and not yet written
  std::atomic<bool> ended_{false};  ///< Ending::now was asked for: deliver no more frames

  // Owned by the holder of the write right.
  std::unique_ptr<ByteStream> stream_;  ///< reading and closing it belong to the shard
  OutQueue out_;
  SideQueue taken_;
  std::uint64_t out_position_ = 0;  ///< stream position behind out_
  std::uint64_t reserved_end_ = 0;  ///< positions up to here are the holder's to use
  std::uint64_t written_bytes_ = 0;
  std::uint64_t dropped_bytes_ = 0;
  std::uint64_t gap_bytes_ = 0;    ///< positions that gaps skipped, up to out_position_
  std::uint64_t gaps_passed_ = 0;  ///< of these, those before what is written
  std::vector<Gap> gaps_;          ///< the others, in order
  bool blocked_ = false;           ///< on_writable() will come
  bool flushing_ = false;
  bool draining_ = false;  ///< close once out_ is empty
  bool write_failed_ = false;

  // Owned by the shard.
  FrameReader reader_;
  bool corked_ = false;
  std::uint64_t burst_begin_ = 0;  ///< out_position_ when it was corked
  std::uint64_t corked_bytes_ = std::uint64_t{16}
                                << 10;  ///< written earlier than corked beyond this
  bool in_read_ = false;
  bool turn_end_pending_ = false;
  bool finished_ = false;
  GatePass pass_;  ///< its place among what the listener let in; given up at the end
  std::optional<Shard::TimerId> patience_timer_;

  // Guarded by mutex_.
  std::mutex mutex_;
  SideQueue side_;
  Ending ending_ = Ending::none;
  bool started_ = false;
  bool writable_ = false;  ///< on_writable() came while another thread held the right
  std::optional<Error> reason_;
};

}  // namespace velo::transport
