// SPDX-License-Identifier: Apache-2.0
// Delivery to oneself.

#include "loopback.hpp"

#include <velo/base/limits.hpp>
#include <velo/transport/transport.hpp>

#include <mutex>
#include <shared_mutex>

namespace velo::messenger {
namespace loopback_detail {

constexpr int nested_deliveries_max = 16;

static int& depth() noexcept {
  thread_local int value = 0;
  return value;
}

class Loopback final : public transport::Connection {
 public:
  Loopback(Shard& shard, std::shared_ptr<MemoryBudget> budget)
      : shard_(shard), budget_(std::move(budget)) {}

  void start(transport::ConnectionEvents& events) override {
    events_.store(&events, std::memory_order_release);
  }

  transport::SendResult send(const transport::OutFrame& frame) noexcept override {
    transport::SendResult result;
    if (frame.header.size() + frame.payload.size() > velo::limits::frame_bytes_max) {
      result.admission = transport::Admission::too_large;
      return result;
    }
    delivering_.fetch_add(1, std::memory_order_seq_cst);
    auto* events =
        closed_.load(std::memory_order_seq_cst) ? nullptr : events_.load(std::memory_order_acquire);
    if (events != nullptr) {
      result.admission = transport::Admission::accepted;
      result.end = written_.fetch_add(frame.header.size() + frame.payload.size() + 1,
                                      std::memory_order_seq_cst);
      if (depth() < nested_deliveries_max) {
        ++depth();
        events->on_frame(*this,
                         transport::InFrame(frame.type, frame.header, frame.payload, frame.owner));
        --depth();
      } else {
        result.admission = deliver_later(frame);
      }
    }
    delivered();
    return result;
  }

  std::uint64_t written() const noexcept override {
    return written_.load(std::memory_order_seq_cst);
  }
  std::uint64_t queued() const noexcept override { return 0; }

  void close(Error reason) noexcept override {
    if (closed_.exchange(true, std::memory_order_seq_cst)) return;
    reason_ = std::move(reason);
    retain();
    delivering_.fetch_add(1, std::memory_order_seq_cst);
    post(shard_, [this] { delivered(); });
  }
  void close_after_flush(Error reason, Duration /*patience*/) noexcept override {
    close(std::move(reason));
  }

  Shard& shard() noexcept override { return shard_; }
  std::string_view transport_key() const noexcept override { return loopback_key; }
  const transport::ConnectionSecurity& security() const noexcept override {
    static const transport::ConnectionSecurity within_this_process = [] {
      transport::ConnectionSecurity security;
      security.is_private = true;
      security.same_host = true;
      return security;
    }();
    return within_this_process;
  }
  std::string remote() const override { return "self"; }

 private:
  /// The last delivery that a closed connection waited for announces the end, on the shard.
  void delivered() noexcept {
    if (delivering_.fetch_sub(1, std::memory_order_seq_cst) != 1) return;
    if (!closed_.load(std::memory_order_seq_cst) || announced_.exchange(true)) return;
    auto announce = [this] {
      if (auto* events = events_.exchange(nullptr)) events->on_closed(*this, reason_);
      release();
    };
    if (shard_.on_this_thread()) return announce();
    post(shard_, announce);
  }

  transport::Admission deliver_later(const transport::OutFrame& frame) {
    const std::size_t bytes = frame.header.size() + frame.payload.size() + frame_overhead_bytes;
    const Lane lane = transport::lane_of(frame.type);
    // One's own replies are what makes room: they always fit.
    Charge charge = lane == Lane::requests ? Charge::try_take(budget_, bytes, lane)
                                           : Charge::take(budget_, bytes);
    if (!charge) return transport::Admission::over_budget;
    delivering_.fetch_add(1, std::memory_order_seq_cst);
    Bytes header = Bytes::copy(frame.header);
    Bytes payload = frame.owner != nullptr ? *frame.owner : Bytes::copy(frame.payload);
    post(shard_, [this, type = frame.type, header = std::move(header), payload = std::move(payload),
                  charge = std::move(charge)] {
      if (auto* events = events_.load(std::memory_order_acquire)) {
        events->on_frame(*this, transport::InFrame(type, header, payload, &payload));
      }
      delivered();
    });
    return transport::Admission::accepted;
  }

  static constexpr std::size_t frame_overhead_bytes = 256;

  Shard& shard_;
  const std::shared_ptr<MemoryBudget> budget_;
  std::atomic<transport::ConnectionEvents*> events_{nullptr};
  std::atomic<bool> closed_{false};
  std::atomic<bool> announced_{false};
  std::atomic<std::uint64_t> delivering_{0};
  std::atomic<std::uint64_t> written_{0};
  Error reason_ = transport::make_error(transport::Errc::closed_locally);
};

}  // namespace loopback_detail

transport::ConnectionPtr make_loopback(Shard& shard, std::shared_ptr<MemoryBudget> budget) {
  return transport::ConnectionPtr::adopt(new loopback_detail::Loopback(shard, std::move(budget)));
}

}  // namespace velo::messenger
