// SPDX-License-Identifier: Apache-2.0
// The public face of the hub.

#include <velo/streaming/streams.hpp>

#include "hub.hpp"

#include <array>
#include <cstdint>

namespace velo {

void streaming::StreamCounts::add_totals(const StreamCounts& other) noexcept {
  using Number = std::uint64_t StreamCounts::*;
  constexpr std::array<Number, 11> totals = {
      &StreamCounts::frames_out,  &StreamCounts::frames_in, &StreamCounts::batches_out,
      &StreamCounts::batches_in,  &StreamCounts::waited,    &StreamCounts::without_credit,
      &StreamCounts::epochs_lost, &StreamCounts::silences,  &StreamCounts::gaps,
      &StreamCounts::violations,  &StreamCounts::ignored,
  };
  for (const Number number : totals) this->*number += other.*number;
}

Result<Streams> Streams::of(Messenger& messenger, StreamingOptions options) {
  auto hub = streaming::Hub::attach_to(messenger, options);
  if (!hub) return hub.error();
  return Streams(std::move(*hub));
}

Result<std::shared_ptr<streaming::Anchor>> Streams::create(bool many,
                                                           const StreamOptions& options) {
  return hub_->create(many, options);
}

Op<streaming::SenderEnd> Streams::attach(const StreamAnchorHandle& handle, bool many) {
  return streaming::Hub::attach(hub_, handle, many);
}

void Streams::flush_batch() { hub_->flush_all(); }
streaming::StreamCounts Streams::counts() const { return hub_->counts(); }
Messenger& Streams::messenger() const noexcept { return hub_->messenger(); }

}  // namespace velo
