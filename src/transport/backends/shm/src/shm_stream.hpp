// SPDX-License-Identifier: Apache-2.0
// Two rings of shared memory as a ByteStream, so that a stream connection carries frames over them
// as over a socket: write right, budget, order and ending are its.
// Threading: as ByteStream says.
#pragma once

#include <velo/base/budget.hpp>
#include <velo/base/network.hpp>
#include <velo/base/shared_memory.hpp>
#include <velo/base/world.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <span>

#include "ring.hpp"

namespace velo::transport {

class ShmStream final : public ByteStream, private SharedMemoryEvents, private PollSource {
 public:
  /// Null if the link's memory has no room for rings. `memory` is what the region is charged to.
  static std::unique_ptr<ByteStream> over(std::unique_ptr<SharedMemoryLink> link,
                                          Charge memory = Charge());
  ~ShmStream() override;

  void attach(StreamEvents& events) override;
  /// An index that cannot be is EBADMSG; both directions are then over.
  IoResult try_read(std::span<std::byte> into) noexcept override;
  IoResult try_write(std::span<const iovec> from) noexcept override;
  void want_write() noexcept override;
  void close() noexcept override;
  Shard& shard() noexcept override { return link_->shard(); }
  Endpoint remote() const override { return link_->remote(); }
  std::optional<PeerCredentials> peer_credentials() const override {
    return link_->peer_credentials();
  }

 private:
  /// Marks the stream as being told of something, and says afterwards whether it still exists.
  class Telling;

  ShmStream(std::unique_ptr<SharedMemoryLink> link, Charge memory, RingMemory in,
            RingMemory out) noexcept
      : memory_(std::move(memory)), link_(std::move(link)), reader_(in), writer_(out) {}

  void on_bell() override;
  void on_hangup() override;
  bool has_come() const noexcept override { return reader_.has_come(); }
  void take() override;
  bool before_sleep() noexcept override { return fall_asleep(); }
  void after_sleep() noexcept override { reader_.stay_awake(); }

  bool is_over() const noexcept { return hung_up_.load(std::memory_order_relaxed); }
  void tell_readable();
  void drained() noexcept;
  /// False if something has come meanwhile.
  bool fall_asleep() noexcept;

  const Charge memory_;
  const std::unique_ptr<SharedMemoryLink> link_;
  std::atomic<bool> broken_{false};
  std::atomic<bool> hung_up_{false};
  std::atomic<bool> wants_write_{false};

  // The shard's.
  StreamEvents* events_ = nullptr;
  RingReader reader_;
  bool is_polled_ = false;    ///< the shard looks by itself
  bool was_drained_ = false;  ///< since tell_readable() asked: the ring was found empty
  bool closed_ = false;
  Telling* telling_ = nullptr;

  RingWriter writer_;  ///< of the holder of the write right
};

}  // namespace velo::transport
