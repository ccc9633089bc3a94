// SPDX-License-Identifier: Apache-2.0
// PayloadResolver: how the messenger gets rid of large payloads, and at them. What is too large to
// travel in its message is staged at the sender, the message names it in a header, and the receiver
// pulls it before its handler runs, or its caller sees the reply. The room rendezvous implements
// it; the messenger knows only this.
// Threading: any thread.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>
#include <velo/base/ids.hpp>
#include <velo/base/op.hpp>
#include <velo/base/time.hpp>

#include <cstddef>
#include <cstdint>
#include <stop_token>
#include <string>
#include <string_view>

namespace velo::messenger {

/// The header whose value names a staged payload.
constexpr std::string_view staged_header_name = "_rv";

struct StagedPayload {
  std::string reference;     ///< for the header
  std::uint64_t ticket = 0;  ///< for drop(); never 0

  StagedPayload() = default;
};

/// Who staged a payload, and the connection that said so.
struct PayloadOrigin {
  WorkerId from;
  std::uint64_t connection = 0;  ///< for Send::by(); 0: `from` has to be dialled

  PayloadOrigin(WorkerId worker, std::uint64_t by) noexcept : from(worker), connection(by) {}
};

class PayloadResolver {
 public:
  virtual ~PayloadResolver() = default;

  /// Payloads of this many bytes or more are staged. Asked once.
  virtual std::size_t stage_bytes() const noexcept = 0;
  /// Keeps the payload for this reader (not valid: for whoever is told of it), at most for `lives`.
  /// An error ends the send (or becomes the reply).
  virtual Result<StagedPayload> stage(const Bytes& payload, const InstanceId& reader,
                                      Duration lives) = 0;
  /// It is not wanted any longer. Of one that is gone, nothing.
  virtual void drop(std::uint64_t ticket) noexcept = 0;
  /// Reads what was staged there and lets it go, however that ends: with the payload, an error, or
  /// because of `timeout` or `stop`. The payload's block holds a charge of the memory budget.
  virtual Op<Bytes> resolve(std::string_view reference, const PayloadOrigin& origin,
                            Duration timeout, std::stop_token stop) = 0;
};

}  // namespace velo::messenger
