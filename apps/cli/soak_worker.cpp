// SPDX-License-Identifier: Apache-2.0
// A worker of a soak: a thread for each kind of operation, which begins one after the other and
// writes down what it was told.

#include "soak_node.hpp"

#include <fmt/format.h>

#include <atomic>
#include <charconv>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace velo::cli {

namespace soak_worker_detail {

constexpr Duration call_timeout = std::chrono::seconds(5);
/// Between two rounds of one thread: a soak is to be long, not hard.
constexpr Duration pause = std::chrono::milliseconds(25);
constexpr std::size_t calls_at_once = 8;
constexpr std::size_t streams_at_once = 3;
constexpr std::uint64_t items_a_stream = 200;
constexpr std::size_t filler_bytes_max = 4096;
constexpr std::size_t offer_bytes_max = std::size_t{3} << 20;
constexpr std::size_t batch = 16;

class Worker final : public SoakPart {
 public:
  Worker(Velo& node, const SoakLog& log, const InstanceId& hub, std::uint64_t number)
      : node_(node),
        log_(log),
        hub_(hub),
        first_(number << 40U),
        queue_(queue::make_remote_queue(node.messenger(), hub, soak_queue)) {
    for (auto round : {&Worker::call, &Worker::acknowledge, &Worker::await_events, &Worker::stream,
                       &Worker::transfer, &Worker::send_items}) {
      threads_.emplace_back([this, round] {
        while (goes_on()) (this->*round)();
      });
    }
    consumer_ = std::thread([this] {
      while (!stop_.stop_requested()) take_items();
    });
  }
  Worker(const Worker&) = delete;
  ~Worker() override { leave(); }

  void become_quiet() override {
    {
      const std::lock_guard lock(mutex_);
      quiet_ = true;
    }
    changed_.notify_all();
    for (std::thread& each : threads_) each.join();
    threads_.clear();
  }
  void leave() override {
    become_quiet();
    stop_.request_stop();
    if (consumer_.joinable()) consumer_.join();
  }

 private:
  /// After a pause; false once it is to be quiet.
  bool goes_on() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, pause, [this] { return quiet_; });
    return !quiet_;
  }
  std::uint64_t begin(SoakKind kind) {
    const std::uint64_t id = first_ + next_.fetch_add(1);
    log_.write(SoakWord::begin, kind, id);
    return id;
  }
  void end(SoakKind kind, std::uint64_t id, std::string_view how) {
    log_.write(SoakWord::end, kind, id, how);
  }
  SoakRequest about(std::uint64_t id) const {
    SoakRequest request;
    request.id = id;
    return request;
  }
  Op<SoakReply> ask(std::string_view handler, const SoakRequest& request) {
    return node_.typed_unary<SoakReply>(handler)
        .payload(request)
        .instance(hub_)
        .timeout(call_timeout)
        .send();
  }

  void call();
  void acknowledge();
  void await_events();
  void await_event(std::uint64_t id, bool own);
  void stream();
  std::string_view read(StreamAnchor<SoakItem>& stream, std::uint64_t id);
  void transfer();
  std::string_view fetch(std::uint64_t id);
  void send_items();
  void take_items();

  Velo& node_;
  const SoakLog& log_;
  const InstanceId hub_;
  const std::uint64_t first_;
  std::atomic<std::uint64_t> next_{1};
  std::shared_ptr<WorkQueue> queue_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool quiet_ = false;
  std::stop_source stop_;
  std::vector<std::thread> threads_;
  std::thread consumer_;
};

void Worker::call() {
  std::vector<std::pair<std::uint64_t, Op<SoakReply>>> calls;
  for (std::size_t i = 0; i < calls_at_once; ++i) {
    const std::uint64_t id = begin(SoakKind::call);
    SoakRequest request = about(id);
    request.filler = soak_content(id, id * 131 % filler_bytes_max);
    calls.emplace_back(id, ask("soak_call", request));
  }
  for (auto& [id, op] : calls) {
    const auto reply = std::move(op).get();
    const bool right =
        reply && reply->id == id && reply->filler == soak_content(id, id * 131 % filler_bytes_max);
    end(SoakKind::call, id, !reply ? "failed" : right ? "ok" : "bad");
  }
}

void Worker::acknowledge() {
  std::vector<std::pair<std::uint64_t, Op<void>>> sends;
  for (std::size_t i = 0; i < calls_at_once; ++i) {
    const std::uint64_t id = begin(SoakKind::ack);
    sends.emplace_back(
        id,
        node_.am_sync("soak_ack").payload(about(id)).instance(hub_).timeout(call_timeout).send());
  }
  for (auto& [id, op] : sends) {
    end(SoakKind::ack, id, std::move(op).get() ? "ok" : "failed");
  }
}

void Worker::await_events() {
  await_event(begin(SoakKind::event), true);
  await_event(begin(SoakKind::event), false);
}

void Worker::await_event(std::uint64_t id, bool own) {
  const EventManager& events = node_.event_manager();
  SoakRequest request = about(id);
  request.poison = id % 3 == 0;
  EventHandle handle;
  if (own) {
    auto made = events.new_event();
    if (!made) return end(SoakKind::event, id, "failed");
    handle = std::move(*made).into_handle();
    request.event = handle.to_string();
  }
  EventAwaiter awaiter =
      own ? events.awaiter(handle) : EventAwaiter::ready(node_.world().pool(), Result<void>());
  const auto reply = ask("soak_event", request).get();
  if (!reply) {
    // Whether the hub has completed it or not: it is over.
    if (own) (void)events.poison(handle, "nobody answered").get();
    (void)std::move(awaiter).get();
    return end(SoakKind::event, id, "failed");
  }
  if (!own) {
    const auto parsed = EventHandle::parse(reply->handle);
    if (!parsed) return end(SoakKind::event, id, "bad");
    awaiter = events.awaiter(*parsed);
  }
  const auto ended = std::move(awaiter).get();
  const auto poison = ended ? std::nullopt : EventPoison::of(ended.error());
  const bool poisoned = poison && !poison->owner_lost;
  end(SoakKind::event, id, ended ? "triggered" : poisoned ? "poisoned" : "failed");
}

void Worker::stream() {
  auto streams = node_.streams();
  if (!streams) return;
  std::vector<std::pair<std::uint64_t, StreamAnchor<SoakItem>>> open;
  for (std::size_t i = 0; i < streams_at_once; ++i) {
    const std::uint64_t id = begin(SoakKind::stream);
    SoakRequest request = about(id);
    request.count = items_a_stream;
    auto anchor = stream_call<SoakItem>(*streams, "soak_stream")
                      .payload(request)
                      .timeout(call_timeout)
                      .send_to(hub_);
    if (anchor) {
      open.emplace_back(id, std::move(*anchor));
    } else {
      end(SoakKind::stream, id, "failed");
    }
  }
  for (auto& [id, anchor] : open) end(SoakKind::stream, id, read(anchor, id));
}

std::string_view Worker::read(StreamAnchor<SoakItem>& stream, std::uint64_t id) {
  for (std::uint64_t next = 0;; ++next) {
    const auto frame = stream.next().get();
    if (!frame) return "failed";
    if (!frame->is_item()) {
      if (!frame->finalized()) return "failed";
      return next == items_a_stream ? "ok" : "bad";
    }
    if (frame->item().id != id || frame->item().index != next) return "bad";
  }
}

void Worker::transfer() {
  const std::uint64_t id = begin(SoakKind::transfer);
  end(SoakKind::transfer, id, fetch(id));
}

std::string_view Worker::fetch(std::uint64_t id) {
  SoakRequest request = about(id);
  request.count = 1 + id * 7919 % offer_bytes_max;
  const auto reply = ask("soak_offer", request).get();
  if (!reply) return "failed";
  const auto handle = DataHandle::parse(reply->handle);
  if (!handle) return "bad";
  const auto fetched = node_.data().get(*handle).get();
  if (!fetched) return "failed";
  (void)node_.data().release(*handle, fetched->lease).get();
  return fetched->data == soak_content(id, request.count) ? "ok" : "bad";
}

void Worker::send_items() {
  const std::uint64_t id = begin(SoakKind::item);
  queue::SendOptions options;
  options.id = fmt::format("{:x}", id);
  options.timeout = call_timeout;
  const auto receipt = queue_->send(soak_content(id, id % 1000), options).get();
  end(SoakKind::item, id, receipt ? "ok" : "failed");
  // Under its id it is the same item.
  if (id % 10 == 0) (void)queue_->send(soak_content(id, id % 1000), options).get();
}

void Worker::take_items() {
  queue::ReceiveOptions options;
  options.batch = batch;
  options.wait = std::chrono::seconds(1);
  options.stop = stop_.get_token();
  const auto items = queue_->receive(options).get();
  if (!items) {
    // The way there is cut: not at once again.
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, pause, [this] { return stop_.stop_requested(); });
    return;
  }
  for (const queue::Delivery& item : *items) {
    std::uint64_t id = 0;
    std::from_chars(item.id.data(), item.id.data() + item.id.size(), id, 16);
    log_.write(SoakWord::took, SoakKind::item, id);
    if (item.payload != soak_content(id, id % 1000)) end(SoakKind::item, id, "bad");
    if (queue_->ack(item.lease).get()) log_.write(SoakWord::settled, SoakKind::item, id);
  }
}

}  // namespace soak_worker_detail

std::unique_ptr<SoakPart> start_soak_worker(Velo& node, const SoakLog& log, const InstanceId& hub,
                                            std::uint64_t number) {
  return std::make_unique<soak_worker_detail::Worker>(node, log, hub, number);
}

}  // namespace velo::cli
