// SPDX-License-Identifier: Apache-2.0
// The hub of a soak: does what workers ask for, and serves the queue. It keeps nothing by id, so
// that what it takes in memory over time is velo's.

#include "soak_node.hpp"

#include <velo/messenger/typed_body.hpp>

#include <condition_variable>
#include <list>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

namespace velo::cli {

namespace soak_hub_detail {

/// An item that a killed worker held is somebody else's after that.
constexpr Duration visibility = std::chrono::seconds(2);
/// Nobody's any longer, when its reader was killed.
constexpr Duration offer_ttl = std::chrono::seconds(30);
/// Long enough for what the hub completes elsewhere to be answered.
constexpr Duration look_again = std::chrono::milliseconds(2);

/// Writes all streams that are open, each as far as it may.
class StreamPump {
 public:
  StreamPump() : thread_([this] { run(); }) {}
  StreamPump(const StreamPump&) = delete;
  ~StreamPump() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  void add(const SoakRequest& request, StreamSender<SoakItem> sender) {
    const std::lock_guard lock(mutex_);
    arrived_.emplace_back(request, std::move(sender));
    changed_.notify_all();
  }

 private:
  struct Session {
    Session(const SoakRequest& r, StreamSender<SoakItem> s) : request(r), sender(std::move(s)) {}
    SoakRequest request;
    StreamSender<SoakItem> sender;
    std::uint64_t next = 0;
  };

  /// False when it is over.
  static bool write(Session& session) {
    while (session.next < session.request.count) {
      const auto sent = session.sender.try_send(SoakItem{session.request.id, session.next});
      if (!sent) {
        return sent.error().is(streaming::Errc::no_credit) ||
               sent.error().is(velo::Errc::overloaded) || sent.error().is(streaming::Errc::busy);
      }
      ++session.next;
    }
    session.sender.finalize().then([](const Result<void>& /*taken*/) {});
    return false;
  }

  void run() {
    std::list<Session> open;
    for (;;) {
      {
        std::unique_lock lock(mutex_);
        if (open.empty()) {
          changed_.wait(lock, [this] { return ending_ || !arrived_.empty(); });
        } else {
          changed_.wait_for(lock, look_again, [this] { return ending_ || !arrived_.empty(); });
        }
        if (ending_) return;
        open.splice(open.end(), arrived_);
      }
      std::erase_if(open, [](Session& session) { return !write(session); });
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::list<Session> arrived_;
  bool ending_ = false;
  std::thread thread_;
};

class Hub final : public SoakPart {
 public:
  Hub(Velo& node, const SoakLog& log) : node_(node), log_(log) {}
  Result<void> start();
  void become_quiet() override {}
  void leave() override {}

 private:
  void did(SoakKind kind, std::uint64_t id, std::string_view more = {}) const {
    log_.write(SoakWord::did, kind, id, more);
  }
  void complete_event(Context context, HandlerDone done);
  Result<void> serve_queue();

  Velo& node_;
  const SoakLog& log_;
  std::shared_ptr<WorkQueue> queue_;
  std::unique_ptr<queue::QueueHost> host_;
  StreamPump pump_;
};

/// Whose event it is depends on the request: the hub makes one that the worker awaits from afar, or
/// completes one of the worker's.
void Hub::complete_event(Context context, HandlerDone done) {
  const bool json = context.typed_bodies_are_json();
  auto request = messenger::decode_body<SoakRequest>(context.payload_bytes(), json);
  if (!request) return done(request.error());
  const EventManager& events = node_.event_manager();
  SoakReply reply;
  reply.id = request->id;
  EventHandle handle;
  const bool own = request->event.empty();
  if (own) {
    auto made = events.new_event();
    if (!made) return done(made.error());
    handle = std::move(*made).into_handle();
    reply.handle = handle.to_string();
  } else {
    auto parsed = EventHandle::parse(request->event);
    if (!parsed) return done(parsed.error());
    handle = *parsed;
  }
  did(SoakKind::event, request->id, request->poison ? "poisoned" : "triggered");
  auto completed = request->poison ? events.poison(handle, "as asked") : events.trigger(handle);
  // One's own is over at once, while its handle is still on its way to who awaits it.
  std::move(completed).then(node_.world().pool(),
                            [reply, json, done = std::move(done)](Result<void> ended) mutable {
                              if (!ended) return done(ended.error());
                              done(std::optional<Bytes>(messenger::encode_body(reply, json)));
                            });
}

Result<void> Hub::serve_queue() {
  queue::QueueOptions options;
  options.visibility = visibility;
  // Those that a killed worker held often are not bad for it.
  options.deliveries_max = UINT32_MAX;
  queue_ = queue::make_memory_queue(node_.world(), soak_queue, options);
  auto host = queue::QueueHost::create(node_.messenger());
  if (!host) return host.error();
  host_ = std::move(*host);
  return host_->serve(soak_queue, queue_);
}

Result<void> Hub::start() {
  if (auto served = serve_queue(); !served) return served;
  auto streams = node_.streams();
  if (!streams) return streams.error();
  std::vector<Handler> handlers;
  handlers.push_back(Handler::typed_unary("soak_call", [this](TypedContext<SoakRequest>& context) {
                       did(SoakKind::call, context.input.id);
                       return SoakReply{context.input.id, {}, context.input.filler};
                     }).build());
  handlers.push_back(Handler::am_handler("soak_ack", [this](Context& context) {
                       const auto request = messenger::decode_body<SoakRequest>(
                           context.payload(), context.typed_bodies_are_json());
                       if (request) did(SoakKind::ack, request->id);
                       return request ? Result<void>() : Result<void>(request.error());
                     }).build());
  handlers.push_back(Handler::Builder("soak_event", HandlerKind::unary,
                                      Handler::Async([this](Context context, HandlerDone done) {
                                        complete_event(std::move(context), std::move(done));
                                      }))
                         .build());
  handlers.push_back(stream_handler<SoakRequest, SoakItem>(
      *streams, "soak_stream", [this](const SoakRequest& request, StreamSender<SoakItem> sender) {
        did(SoakKind::stream, request.id);
        pump_.add(request, std::move(sender));
      }));
  handlers.push_back(
      Handler::typed_unary("soak_offer",
                           [this](TypedContext<SoakRequest>& context) -> Result<SoakReply> {
                             RegisterOptions options;
                             options.ttl = offer_ttl;
                             const std::uint64_t id = context.input.id;
                             auto handle = node_.data().register_data(
                                 soak_content(id, context.input.count), options);
                             if (!handle) return handle.error();
                             did(SoakKind::transfer, id);
                             return SoakReply{id, handle->to_string(), {}};
                           })
          .build());
  for (Handler& handler : handlers) {
    if (auto added = node_.register_handler(std::move(handler)); !added) return added;
  }
  return {};
}

}  // namespace soak_hub_detail

Result<std::unique_ptr<SoakPart>> start_soak_hub(Velo& node, const SoakLog& log) {
  auto hub = std::make_unique<soak_hub_detail::Hub>(node, log);
  if (auto started = hub->start(); !started) return started.error();
  return hub;
}

}  // namespace velo::cli
