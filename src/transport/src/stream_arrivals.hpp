// SPDX-License-Identifier: Apache-2.0
// What comes to the listener of a stream transport: past the gate, through the guard, and then to
// the AcceptHandler. Holds the streams that are being made secure.
// Threading: the listener's shard.
#pragma once

#include "stream_environment.hpp"

#include <velo/base/network.hpp>
#include <velo/transport/gatekeeper.hpp>
#include <velo/transport/stream_transport.hpp>

#include <list>
#include <memory>

namespace velo::transport {

// why: a stream that is being made secure must not hold this, and its handler must not find it gone.
class StreamArrivals : public std::enable_shared_from_this<StreamArrivals> {
 public:
  StreamArrivals(std::shared_ptr<StreamEnvironment> environment, std::shared_ptr<Gatekeeper> keeper,
                 std::shared_ptr<const StreamGuard> guard, AcceptHandler& accepts)
      : environment_(std::move(environment)),
        keeper_(std::move(keeper)),
        guard_(std::move(guard)),
        accepts_(&accepts) {}

  void arrive(std::unique_ptr<ByteStream> stream);
  /// Counts and logs somebody who was not let in.
  void refuse(const StreamRefusal& refusal);
  /// Nobody is accepted any more; what is not secure yet is dropped.
  void close() noexcept {
    accepts_ = nullptr;
    pending_.clear();
  }

 private:
  using Pending = std::list<std::unique_ptr<Securing>>;

  void secure(std::unique_ptr<ByteStream> stream, GatePass pass);
  void secured(std::expected<SecuredStream, StreamRefusal> outcome, GatePass pass);

  const std::shared_ptr<StreamEnvironment> environment_;
  const std::shared_ptr<Gatekeeper> keeper_;
  const std::shared_ptr<const StreamGuard> guard_;
  AcceptHandler* accepts_;
  Pending pending_;
};

}  // namespace velo::transport
