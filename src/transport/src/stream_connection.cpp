// SPDX-License-Identifier: Apache-2.0
// A stream connection's life: start, reading, ending.

#include "stream_connection.hpp"

#include <velo/transport/framing.hpp>
#include <velo/transport/transport.hpp>

#include <cerrno>
#include <system_error>
#include <utility>

namespace velo::transport {
namespace stream_connection_detail {

/// A connection with more to read than this lets the shard's other connections have their turn
/// first.
constexpr std::size_t read_turn_bytes_max = std::size_t{1} << 20;
/// While this many frames were handled, more have probably arrived: to look costs less than to be
/// woken for them, and what they are answered with goes out in the same write.
constexpr std::uint32_t burst_frames_min = 16;
/// After writing failed, this many turns are read for what the peer had sent before it went away.
constexpr int last_turns_max = 16;

static Error lost(const std::string& remote, int system_error) {
  // What was received cannot be what anybody sent: shared memory in disorder, a changed record.
  if (system_error == EBADMSG) {
    return make_error(Errc::malformed_frame, remote + " broke the stream");
  }
  return make_error(Errc::connection_lost,
                    remote + ": " + std::generic_category().message(system_error));
}

}  // namespace stream_connection_detail

ConnectionPtr StreamConnection::create(std::shared_ptr<StreamEnvironment> environment,
                                       std::unique_ptr<ByteStream> stream, SecurityPtr security,
                                       GatePass pass) {
  return ConnectionPtr::adopt(new StreamConnection(std::move(environment), std::move(stream),
                                                   std::move(security), std::move(pass)));
}

StreamConnection::StreamConnection(std::shared_ptr<StreamEnvironment> environment,
                                   std::unique_ptr<ByteStream> stream, SecurityPtr security,
                                   GatePass pass)
    : environment_(std::move(environment)),
      shard_(stream->shard()),
      scratch_(environment_->scratch(shard_)),
      remote_(stream->remote().to_string()),
      security_(std::move(security)),
      allowance_(environment_->budget),
      stream_(std::move(stream)),
      out_(environment_->blocks),
      reader_(environment_->budget),
      pass_(std::move(pass)) {
  environment_->connections.fetch_add(1, std::memory_order_relaxed);
}

StreamConnection::~StreamConnection() {
  if (stream_ == nullptr) return;
  environment_->connections.fetch_sub(1, std::memory_order_relaxed);
  if (shard_.on_this_thread()) return;
  post(shard_, [stream = std::move(stream_)]() mutable { stream.reset(); });
}

void StreamConnection::start(ConnectionEvents& events) {
  events_ = &events;
  retain();  // finish() releases it: a started connection lives until it is closed
  bool ended_before = false;
  {
    const std::lock_guard lock(mutex_);
    started_ = true;
    ended_before = ending_ != Ending::none;
    if (ended_before) {
      word_.fetch_or(held_bit, std::memory_order_acquire);
    } else {
      word_.fetch_and(~closed_bit, std::memory_order_release);
    }
  }
  stream_->attach(*this);
  if (ended_before) post_finish();
}

std::uint64_t StreamConnection::queued() const noexcept {
  const std::uint64_t left = left_unwritten_.load(std::memory_order_acquire);
  if (left != not_ended) return left;
  const std::uint64_t written = written_.load(std::memory_order_seq_cst);
  const std::uint64_t position = word_.load(std::memory_order_seq_cst) >> position_shift;
  return position > written ? position - written : 0;
}

void StreamConnection::on_readable() {
  if (finished_) return;
  in_read_ = true;
  const bool more = read_turn();
  in_read_ = false;
  if (corked_ && !turn_end_pending_) release_right(true);
  if (more) post_retained<&StreamConnection::resume_reading>();
}

bool StreamConnection::read_turn() {
  std::uint32_t frames = 0;
  const auto deliver = [this, &frames](const InFrame& frame) {
    ++frames;
    events_->on_frame(*this, frame);
    return !ended_.load(std::memory_order_relaxed);
  };
  std::size_t left = stream_connection_detail::read_turn_bytes_max;
  reader_.begin(scratch_.span());
  while (!ended_.load(std::memory_order_relaxed)) {
    const std::span<std::byte> space = reader_.space();
    frames = 0;
    const IoResult result = stream_->try_read(space);
    if (result.status != IoResult::Status::ok) {
      if (result.status == IoResult::Status::end) {
        end(make_error(Errc::connection_lost, remote_ + " closed the connection"), Ending::now);
      } else if (result.status == IoResult::Status::error) {
        end(stream_connection_detail::lost(remote_, result.system_error), Ending::now);
      }
      break;
    }
    const FrameFault fault = reader_.commit(result.bytes, deliver);
    if (fault != FrameFault::none) {
      end(make_error(fault), Ending::now);
      break;
    }
    if (result.bytes < space.size() && frames < stream_connection_detail::burst_frames_min) break;
    if (result.bytes >= left) {
      reader_.park();
      return true;
    }
    left -= result.bytes;
  }
  if (ended_.load(std::memory_order_relaxed)) {
    reader_.clear();
  } else {
    reader_.park();
  }
  return false;
}

void StreamConnection::read_to_the_end() noexcept {
  if (finished_) return;
  in_read_ = true;
  for (int turn = 0; turn < stream_connection_detail::last_turns_max && read_turn(); ++turn) {
  }
  in_read_ = false;
  end(make_error(Errc::connection_lost, remote_ + " no longer accepts data"), Ending::now);
  if (corked_ && !turn_end_pending_) release_right(true);
}

void StreamConnection::close(Error reason) noexcept { end(std::move(reason), Ending::now); }

void StreamConnection::close_after_flush(Error reason, Duration patience) noexcept {
  end(std::move(reason), Ending::after_flush);
  post(shard_, [self = ConnectionPtr::share(*this), patience] {
    static_cast<StreamConnection&>(*self).start_patience(patience);
  });
}

void StreamConnection::end(Error reason, Ending ending) noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (ending_ >= ending) return;
    ending_ = ending;
    if (!reason_) reason_ = std::move(reason);
    word_.fetch_or(closed_bit, std::memory_order_relaxed);
    if (ending == Ending::now) ended_.store(true, std::memory_order_relaxed);
    if (!started_ || !request_right()) return;
  }
  if (ending == Ending::now) return post_finish();
  draining_ = true;
  release_right(shard_.on_this_thread());
}

void StreamConnection::start_patience(Duration patience) {
  if (finished_ || patience_timer_) return;
  const Task0 task{[](void* argument) {
                     auto* self = static_cast<StreamConnection*>(argument);
                     self->patience_timer_.reset();
                     self->end(make_error(Errc::closed_locally), Ending::now);
                   },
                   this};
  patience_timer_ = shard_.start_timer(shard_.now() + patience, task);
}

void StreamConnection::post_finish() noexcept {
  shard_.post(
      Task0{[](void* argument) { static_cast<StreamConnection*>(argument)->finish(); }, this});
}

void StreamConnection::finish() noexcept {
  finished_ = true;
  if (patience_timer_) shard_.cancel_timer(*patience_timer_);
  patience_timer_.reset();
  stream_->close();
  stream_.reset();
  drop_out();
  reader_.clear();
  std::optional<Error> reason;
  {
    const std::lock_guard lock(mutex_);
    left_unwritten_.store(dropped_bytes_ + side_.bytes(), std::memory_order_release);
    side_.clear();
    reason = reason_;
  }
  allowance_.settle(0);
  environment_->connections.fetch_sub(1, std::memory_order_relaxed);
  pass_ = GatePass();
  events_->on_closed(*this, *reason);
  release();
}

}  // namespace velo::transport
