// SPDX-License-Identifier: Apache-2.0
// The series of one handler and of one transport.

#include "meters.hpp"

#include <utility>

namespace velo::messenger {
namespace meters_detail {

/// The first error stays.
class Series {
 public:
  explicit Series(metrics::Registry& registry) noexcept : registry_(registry) {}

  void add(metrics::Counter& to, const char* name, const char* help, metrics::Labels labels) {
    take(to, registry_.counter(name, help, std::move(labels)));
  }
  void add(metrics::Latency& to, const char* name, const char* help, metrics::Labels labels) {
    take(to, registry_.latency(name, help, std::move(labels)));
  }
  const Result<void>& result() const noexcept { return result_; }

 private:
  template <class T>
  void take(T& to, Result<T> made) {
    if (made) {
      to = *made;
    } else if (result_) {
      result_ = made.error();
    }
  }

  metrics::Registry& registry_;
  Result<void> result_;
};

constexpr std::array<const char*, FrameMeter::types> type_names = {"message", "response", "ack",
                                                                   "event", "shutting_down"};

static std::size_t index_of(transport::FrameType type) noexcept {
  return static_cast<std::size_t>(type) % FrameMeter::types;
}

}  // namespace meters_detail

Result<std::unique_ptr<HandlerMeter>> HandlerMeter::make(metrics::Registry& registry,
                                                         const Handler& handler) {
  auto meter = std::make_unique<HandlerMeter>();
  meters_detail::Series series(registry);
  const std::string& name = handler.name();
  const metrics::Labels labels = {{"handler", name}};
  const auto ended = [&](metrics::Counter& to, const char* outcome) {
    series.add(to, "velo_messenger_handler_requests_total", "Requests that a handler ended.",
               {{"handler", name}, {"outcome", outcome}});
  };
  ended(meter->succeeded, "success");
  ended(meter->failed, "error");
  series.add(meter->request_bytes, "velo_messenger_handler_request_bytes_total",
             "Payloads of a handler's requests.", labels);
  series.add(meter->response_bytes, "velo_messenger_handler_response_bytes_total",
             "Payloads that a handler answered with.", labels);
  series.add(meter->duration, "velo_messenger_handler_duration_seconds",
             "From a handler's beginning to its end.", labels);
  if (handler.queue() != nullptr) {
    series.add(meter->lane_wait, "velo_messenger_ordered_lane_wait_seconds",
               "From a request's arrival to its turn, where handlers are ordered or limited.",
               labels);
  }
  if (handler.order()) {
    series.add(
        meter->lanes_created, "velo_messenger_ordered_lanes_created_total",
        "Lanes of an ordered handler that began, first ones and after idle ones were forgotten.",
        labels);
  }
  if (!series.result()) return series.result().error();
  return meter;
}

void HandlerMeter::count(std::size_t bytes, const HandlerResult& result,
                         Duration took) const noexcept {
  (result ? succeeded : failed).add();
  request_bytes.add(bytes);
  if (result && *result) response_bytes.add((*result)->size());
  duration.record(took);
}

Result<std::unique_ptr<FrameMeter>> FrameMeter::make(metrics::Registry& registry,
                                                     const std::string& transport) {
  auto meter = std::make_unique<FrameMeter>();
  meters_detail::Series series(registry);
  for (std::size_t i = 0; i < types; ++i) {
    const auto frames = [&](metrics::Counter& to, const char* direction, const char* outcome) {
      series.add(to, "velo_transport_frames_total", "Frames, by direction and type.",
                 {{"transport", transport},
                  {"direction", direction},
                  {"message_type", meters_detail::type_names[i]},
                  {"outcome", outcome}});
    };
    frames(meter->received[i], "inbound", "success");
    frames(meter->sent[i], "outbound", "success");
    frames(meter->refused[i], "outbound", "error");
  }
  const auto bytes = [&](metrics::Counter& to, const char* direction) {
    series.add(to, "velo_transport_frame_bytes_total", "Headers and payloads of frames.",
               {{"transport", transport}, {"direction", direction}});
  };
  bytes(meter->received_bytes, "inbound");
  bytes(meter->sent_bytes, "outbound");
  series.add(meter->backpressure, "velo_transport_send_backpressure_total",
             "Frames for which the queue to a peer had no room.", {{"transport", transport}});
  const auto rejections = [&](metrics::Counter& to, const char* reason) {
    series.add(to, "velo_transport_rejections_total", "Frames that went nowhere, by why.",
               {{"transport", transport}, {"reason", reason}});
  };
  rejections(meter->unsent, "send_error");
  rejections(meter->drained, "drain_rejected");
  rejections(meter->unreadable, "decode_error");
  if (!series.result()) return series.result().error();
  return meter;
}

void FrameMeter::count(const transport::InFrame& frame) const noexcept {
  received[meters_detail::index_of(frame.type())].add();
  received_bytes.add(frame.header().size() + frame.payload().size());
}

void FrameMeter::count(const transport::OutFrame& frame,
                       transport::Admission admission) const noexcept {
  const std::size_t type = meters_detail::index_of(frame.type);
  if (admission == transport::Admission::accepted) {
    sent[type].add();
    sent_bytes.add(frame.header.size() + frame.payload.size());
    return;
  }
  refused[type].add();
  unsent.add();
  if (admission == transport::Admission::over_budget) backpressure.add();
}

}  // namespace velo::messenger
