// SPDX-License-Identifier: Apache-2.0
// Streaming calls: a request that is answered by a stream of items. The caller's side is
//   auto tokens = velo::stream_call<Token>(streams, "generate").payload(prompt).send_to(peer);
// and the other side's handler is made by stream_handler(). The request names the caller's anchor
// in the header "velo-stream"; everything else is an ordinary message and an ordinary stream.
// Threading: a builder belongs to one thread; the handler's function runs on the worker pool.
#pragma once

#include <velo/messenger/messenger.hpp>
#include <velo/streaming/streams.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace velo {
namespace streaming {

inline constexpr std::string_view stream_header = "velo-stream";

/// Lets a request that is over end the stream that it asked for.
class AnchorWatch {
 public:
  explicit AnchorWatch(std::weak_ptr<Anchor> anchor) noexcept : anchor_(std::move(anchor)) {}
  /// Ends the stream with the error if nobody has attached; whoever was let in has
  /// limits::bind_patience to open it.
  void call_over(const Result<void>& answered) const;

 private:
  std::weak_ptr<Anchor> anchor_;
};

template <class Result>
inline constexpr bool is_task = false;
template <class T>
inline constexpr bool is_task<Task<T>> = true;

}  // namespace streaming

/// What a streaming call is made of; as Send, with a stream for a reply.
template <class Item>
class [[nodiscard]] StreamCall {
 public:
  StreamCall(Streams streams, std::string_view handler)
      : streams_(std::move(streams)), send_(streams_.messenger().am_sync(handler)) {}

  template <class T>
  StreamCall& payload(const T& value) {
    send_.payload(value);
    return *this;
  }
  StreamCall& header(std::string name, std::string value) {
    send_.header(std::move(name), std::move(value));
    return *this;
  }
  /// Time to the opening of the stream.
  StreamCall& timeout(Duration timeout) {
    send_.timeout(timeout);
    return *this;
  }
  StreamCall& options(const StreamOptions& options) {
    options_ = options;
    return *this;
  }

  /// The stream, which may be read at once. When the request fails (unknown handler, dead peer, an
  /// error of the handler's before it attached), the stream ends with that error. Errors are those
  /// of Streams::create_anchor().
  Result<StreamAnchor<Item>> send_to(const InstanceId& peer) {
    auto anchor = streams_.create_anchor<Item>(options_);
    if (!anchor) return anchor;
    send_.header(std::string(streaming::stream_header), anchor->handle().to_string());
    send_.send_to(peer).then(
        [watch = anchor->watch()](const Result<void>& answered) { watch.call_over(answered); });
    return anchor;
  }

 private:
  Streams streams_;
  Send<void> send_;
  StreamOptions options_;
};

template <class Item>
StreamCall<Item> stream_call(Streams streams, std::string_view handler) {
  return StreamCall<Item>(std::move(streams), handler);
}

/// A handler of streaming calls: `function(Request, StreamSender<Item>)` returns nothing or a Task,
/// and has the sender until it ends it; a sender that it drops tells the caller so. Errors before
/// that: messenger::Errc::bad_request for a body that is no Request or a call without a stream, and
/// those of attaching.
template <class Request, class Item, class F>
Handler stream_handler(Streams streams, std::string name, F function) {
  auto shared = std::make_shared<const F>(std::move(function));
  auto run = [streams = std::move(streams), shared = std::move(shared)](Context context,
                                                                        HandlerDone done) {
    const auto handle = StreamAnchorHandle::parse(context.header(streaming::stream_header));
    if (!handle) return done(messenger_detail::bad_request(handle.error()));
    auto request =
        messenger::decode_body<Request>(context.payload(), context.typed_bodies_are_json());
    if (!request) return done(messenger_detail::bad_request(request.error()));
    Streams(streams).attach_anchor<Item>(*handle).then(
        [shared, request = std::move(*request),
         done = std::move(done)](Result<StreamSender<Item>> sender) mutable {
          if (!sender) return done(sender.error());
          using Returned = std::invoke_result_t<const F&, Request, StreamSender<Item>>;
          if constexpr (streaming::is_task<Returned>) {
            start((*shared)(std::move(request), std::move(*sender)),
                  [shared](const auto& ended) { static_cast<void>(ended); });
          } else {
            (*shared)(std::move(request), std::move(*sender));
          }
          done(std::optional<Bytes>());
        });
  };
  return Handler::Builder(std::move(name), HandlerKind::am, Handler::Async(std::move(run))).build();
}

}  // namespace velo
