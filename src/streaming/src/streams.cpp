// SPDX-License-Identifier: Apache-2.0
// The public face of the hub.

#include <velo/streaming/streams.hpp>

#include "hub.hpp"

namespace velo {

Result<Streams> Streams::of(Messenger& messenger, StreamingOptions options) {
  auto hub = streaming::Hub::attach_to(messenger, options);
  if (!hub) return hub.error();
  return Streams(std::move(*hub));
}

Result<std::shared_ptr<streaming::Anchor>> Streams::create(bool many,
                                                           const StreamOptions& options) {
  return hub_->create(many, options);
}

Op<std::shared_ptr<streaming::Sender>> Streams::attach(const StreamAnchorHandle& handle,
                                                       bool many) {
  return streaming::Hub::attach(hub_, handle, many);
}

void Streams::flush_batch() { hub_->flush_all(); }
streaming::StreamCounts Streams::counts() const { return hub_->counts(); }
Messenger& Streams::messenger() const noexcept { return hub_->messenger(); }

}  // namespace velo
