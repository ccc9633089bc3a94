// SPDX-License-Identifier: Apache-2.0
// TlsGuard: makes streams secure before they carry frames. TlsSecuring: one stream whose handshake
// runs, bounded in time, bytes and memory.
// Threading: TlsGuard from any thread; TlsSecuring on its stream's shard.
#pragma once

#include "context.hpp"
#include "environment.hpp"
#include "handshake.hpp"
#include "raw_end.hpp"

#include <velo/base/budget.hpp>
#include <velo/base/world.hpp>
#include <velo/transport/stream_transport.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace velo::transport::tls {

/// What the handshakes of one transport share.
struct GuardParts {
  World& world;
  std::shared_ptr<MemoryBudget> budget;
  std::shared_ptr<ContextCache> contexts;
  std::shared_ptr<Environment> environment;
  std::size_t handshake_bytes_max;
};

class TlsGuard final : public StreamGuard {
 public:
  explicit TlsGuard(GuardParts parts)
      : parts_(std::make_shared<const GuardParts>(std::move(parts))) {}

  Result<SecurityPtr> inspect(const ByteStream& stream) const override;
  bool secures() const noexcept override { return true; }
  std::unique_ptr<Securing> secure(std::unique_ptr<ByteStream> stream, StreamRole role,
                                   TimePoint deadline, SecuredHandler done) const override;

 private:
  const std::shared_ptr<const GuardParts> parts_;
};

class TlsSecuring final : public Securing, private StreamEvents {
 public:
  TlsSecuring(std::shared_ptr<const GuardParts> parts, std::unique_ptr<ByteStream> stream,
              StreamRole role, TimePoint deadline, SecuredHandler done);
  TlsSecuring(const TlsSecuring&) = delete;
  TlsSecuring& operator=(const TlsSecuring&) = delete;
  ~TlsSecuring() override;

 private:
  void begin();
  void on_readable() override;
  void on_writable() override;
  void on_time() noexcept;
  void react(Handshake::State state);
  /// Writes what the handshake wants to say; false: there is no room just now.
  bool flush() noexcept;
  void succeed();
  void fail(StreamRefusal refusal);
  /// Takes what has come and nobody wants: a stream that is closed over it is reset, and what was
  /// said last is lost with it.
  void drain() noexcept;
  void stop_timer() noexcept;
  Shard& shard() noexcept { return shard_; }

  const std::shared_ptr<const GuardParts> parts_;
  Shard& shard_;
  const StreamRole role_;
  const TimePoint deadline_;
  SecuredHandler done_;
  std::unique_ptr<RawEnd> raw_;
  Charge charge_;
  std::optional<Handshake> handshake_;
  std::vector<std::byte> out_;
  std::size_t out_sent_ = 0;
  bool established_ = false;  ///< all that is missing is to send the last bytes
  std::optional<Shard::TimerId> timer_;
};

}  // namespace velo::transport::tls
