// SPDX-License-Identifier: Apache-2.0
// One request being handled: what the Context shows of it, and its one reply. On the stack for
// inline handlers, counted on the heap for all others; a request whose last reference goes without
// a reply is answered with an error.
// Threading: the payload and headers are immutable; settle() may race with cancellation and is decided once.
#pragma once

#include "lane_set.hpp"
#include "ledger.hpp"
#include "link.hpp"
#include "protocol.hpp"
#include "tracer.hpp"

#include <velo/base/planted.hpp>
#include <velo/messenger/handler.hpp>

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>

namespace velo::messenger {

class InboundCall : public LaneItem {
 public:
  struct Request {
    MessageId id;
    protocol::ResponseType response_type = protocol::ResponseType::fire;
    TimePoint deadline = TimePoint::never();
    ByteSpan payload;
    std::size_t frame_bytes = 0;  ///< header and payload, as the window counts them
    Headers headers;
    std::string staged;  ///< names the payload, which is to be pulled; empty: it is here
    bool system = false;
    std::unique_ptr<RequestTrace> trace;  ///< null: it belongs to no trace
  };

  /// For inline handlers: borrows everything, `link` included.
  InboundCall(Impl& impl, Link& link, const Handler& handler, Request&& request,
              const transport::InFrame& frame);
  /// For all others: owns a copy (or a share) of the payload. Starts with one reference.
  static InboundCall* create(Impl& impl, Link& link, const Handler& handler, Request&& request,
                             const transport::InFrame& frame);
  InboundCall(const InboundCall&) = delete;
  InboundCall& operator=(const InboundCall&) = delete;
  ~InboundCall();

  void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  /// False when the last reference is already gone.
  bool try_retain() noexcept;
  void release() noexcept;

  const Request& request() const noexcept { return request_; }
  const Handler& handler() const noexcept { return handler_; }
  Impl& impl() const noexcept { return impl_; }
  Link& link() const noexcept { return link_; }
  const Agreement& agreement() const noexcept { return agreement_; }
  /// What it holds itself; a payload that shares a block is counted by the block.
  std::size_t held_bytes() const noexcept { return held_bytes_; }
  /// The link holds that much for it.
  void entered() noexcept { entered_ = true; }
  ByteSpan payload() const noexcept { return request_.payload; }
  Bytes payload_bytes() const;

  std::stop_token stop_token() const;
  /// Ends the request without a reply: the caller no longer waits. False if it had ended.
  bool abandon() noexcept;
  void set_response_header(std::string name, std::string value) {
    response_headers_.insert_or_assign(std::move(name), std::move(value));
  }

  // Of a request whose payload is pulled.
  void expect_payload() noexcept { payload_.store(Payload::expected, std::memory_order_relaxed); }
  /// False: it is not here, and whoever tells of its arrival runs the request.
  bool payload_is_here() noexcept {
    Payload expected = Payload::expected;
    return !payload_.compare_exchange_strong(expected, Payload::waited_for,
                                             std::memory_order_acq_rel);
  }
  void take_payload(Bytes payload) noexcept {
    owned_payload_ = std::move(payload);
    request_.payload = owned_payload_.span();
  }
  /// It is here, or will not come. True: the request waits to be run.
  bool payload_over() noexcept {
    return payload_.exchange(Payload::here, std::memory_order_acq_rel) == Payload::waited_for;
  }

  /// Of one on the heap, and of others that are timed; TimePoint() otherwise.
  TimePoint arrived() const noexcept { return arrived_; }

  bool settled() const noexcept { return settled_.load(std::memory_order_acquire); }
  /// The handler begins; while the stretch lives, what it does belongs to the request's trace.
  void begin_handler(std::optional<trace::Stretch>& stretch) {
    if (handler_.meter() != nullptr) [[unlikely]]
      note_begin();
    if (request_.trace == nullptr) [[likely]]
      return;
    stretch.emplace(request_.trace->begin_handler(handler_.name()));
  }
  /// The handler that ran for this request is over, whatever became of the request.
  void handler_over() noexcept;

  /// Ends a request that no handler saw.
  void reject(const Error& error) noexcept;
  /// Sends the reply that the pattern asks for; the first call wins, later ones do nothing.
  void settle(HandlerResult result) noexcept;

 private:
  InboundCall(std::shared_ptr<Impl> impl, std::shared_ptr<Link> link, const Handler& handler,
              Request&& request, const transport::InFrame& frame);
  /// Of the handler.
  void note_failure(const Error& error) noexcept;
  void ended(ReceivedEnd end) noexcept;
  void note_begin() noexcept;
  void trace_over(const Error* error) const noexcept {
    if (request_.trace != nullptr) [[unlikely]]
      request_.trace->over(error);
  }
  bool win() noexcept {
    VELO_PLANT(double_completion, return true);
    return !settled_.exchange(true, std::memory_order_acq_rel);
  }
  void send_reply(const HandlerResult& result, bool rejected) noexcept;

  std::shared_ptr<Impl> impl_owner_;  ///< null for inline calls
  std::shared_ptr<Link> link_owner_;
  Impl& impl_;
  Link& link_;
  const Handler& handler_;
  Request request_;
  const Agreement agreement_;
  Bytes owned_payload_;
  const transport::InFrame* frame_ = nullptr;
  std::size_t held_bytes_ = 0;
  bool entered_ = false;
  Headers response_headers_;
  TimePoint arrived_;
  TimePoint began_;  ///< of a handler that has a meter
  mutable std::mutex stop_mutex_;
  mutable std::optional<std::stop_source> stop_;
  bool stop_requested_ = false;
  enum class Payload : std::uint8_t { here, expected, waited_for };
  std::atomic<Payload> payload_{Payload::here};
  std::atomic<bool> settled_{false};
  std::atomic<std::uint32_t> references_{1};
};

}  // namespace velo::messenger
