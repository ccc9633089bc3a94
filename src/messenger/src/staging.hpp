// SPDX-License-Identifier: Apache-2.0
// Staging: payloads that do not travel in their messages (payload_resolver.hpp): staged before a
// message is sent, pulled before one is handled. What a call staged is dropped with the call,
// whichever way that ends; what nobody waits for lives for a while.
// Threading: any thread; nothing is called out with the lock held.
#pragma once

#include "inbound_call.hpp"
#include "outgoing.hpp"

#include <velo/messenger/payload_resolver.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <unordered_map>

namespace velo::messenger {

class Impl;
class Link;

class Staging {
 public:
  Staging(Impl& impl, std::shared_ptr<PayloadResolver> resolver) noexcept
      : impl_(impl),
        resolver_(std::move(resolver)),
        stage_bytes_(resolver_ == nullptr ? SIZE_MAX : resolver_->stage_bytes()) {}

  bool on() const noexcept { return resolver_ != nullptr; }
  bool is_large(std::size_t bytes) const noexcept { return bytes >= stage_bytes_; }

  /// Whether a body of that size is staged.
  bool wants(const Link& link, const Outgoing& outgoing, std::size_t bytes) const noexcept {
    return is_large(bytes) && !outgoing.may_be_lost && outgoing.handler.front() != '_' &&
           reaches(link, bytes);
  }
  /// Impl::transmit() of the request without its body, which is staged.
  Transmitted transmit(Link& link, CallSlot& slot, MessageId id, const Outgoing& outgoing,
                       const Bytes& body, SlotHold hold);
  /// The reference to send instead of a reply's payload; nullopt: it travels as it is.
  std::optional<std::string> stage_reply(const Link& link, const Agreement& agreement,
                                         const Bytes& payload, TimePoint deadline);
  /// Impl::transmit() by CallSpec::connection, or by the one that goes on for it. False: both are
  /// closed.
  bool send_back(const CallSpec& spec, CallSlot& slot, const Outgoing& outgoing);
  /// A call that was marked so has ended.
  void call_over(MessageId id) noexcept;

  /// To the request, without what names a payload that is to be pulled.
  void give_headers(InboundCall::Request& request, Headers headers) const;
  /// The request runs when its payload is here. Takes over the caller's reference.
  void pull_request(InboundCall* call);
  /// False: the reply has its payload with it.
  bool pull_reply(Link& link, CallSlot& slot, const protocol::ResponseHeader& header);

 private:
  /// Of a call whose request was staged, or whose reply is being pulled.
  struct Call {
    std::uint64_t ticket = 0;  ///< 0: nothing was staged
    std::optional<std::stop_source> pull;
  };

  bool reaches(const Link& link, std::size_t bytes) const noexcept;
  void request_pulled(InboundCall* call, Result<Bytes> payload);
  void reply_pulled(Link& link, MessageId id, const Bytes& headers, Result<Bytes> payload);

  Impl& impl_;
  const std::shared_ptr<PayloadResolver> resolver_;
  const std::size_t stage_bytes_;
  std::mutex mutex_;
  std::unordered_map<std::uint64_t, Call> calls_;  ///< by the id's local part
};

}  // namespace velo::messenger
