// SPDX-License-Identifier: Apache-2.0
// velo in programs that use Boost.Asio: completion tokens for Op<T>
// (`std::move(op)(use_awaitable)`, use_future, callbacks, or plain `co_await std::move(op)` in an
// awaitable), and a user's own io_context as velo's I/O thread (AsioDriver). Opt-in and
// header-only: the only public header that shows a third-party library.
// Threading: as Asio's own operations; the contexts outlive the operations started on them.
#pragma once

#include <velo/base/op.hpp>
#include <velo/runtime/real_world.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <type_traits>
#include <utility>

namespace velo {

namespace asio_detail {

/// One started operation: the Op's consumer side, the handler, and the bridge between the two kinds
/// of executor. The state is held until the handler's executor runs the end, so that a
/// cancellation, which comes on that executor, always finds it.
template <class T, class Handler>
class Node final : public Executor {
 public:
  using HandlerExecutor = boost::asio::associated_executor_t<Handler>;

  Node(Op<T>&& op, Handler&& handler)
      : released_(op.release()),
        handler_(std::move(handler)),
        work_(boost::asio::get_associated_executor(handler_)) {}
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  /// Without an end only when the handler's context is destroyed with the end still queued.
  ~Node() override { released_.first->release_consumer(); }

  static void start(std::unique_ptr<Node> node) {
    Node& self = *node.release();
    OpState& state = *self.released_.first;
    auto slot = boost::asio::get_associated_cancellation_slot(self.handler_);
    if (slot.is_connected()) {
      slot.assign([&state](boost::asio::cancellation_type type) {
        if (type != boost::asio::cancellation_type::none) state.cancel();
      });
    }
    if (!state.attach(self, Task0())) self.post(Task0());
  }

  void post(Task0 /*always the end*/) noexcept override {
    const auto executor = work_.get_executor();
    boost::asio::post(executor, [node = std::unique_ptr<Node>(this)]() mutable {
      auto slot = boost::asio::get_associated_cancellation_slot(node->handler_);
      if (slot.is_connected()) slot.clear();
      Result<T> result = node->released_.second(*node->released_.first);
      Handler handler = std::move(node->handler_);
      // Frees the node, and gives the operation's slot back, before the handler starts the next
      // one. The work guard goes with it: this very task keeps the context busy.
      node.reset();
      std::move(handler)(std::move(result));
    });
  }

 private:
  std::pair<OpState*, typename Op<T>::Decode> released_;
  Handler handler_;
  boost::asio::executor_work_guard<HandlerExecutor> work_;
};

template <class T>
struct Initiate {
  template <class Handler>
  void operator()(Handler&& handler, Op<T> op) const {
    using Owned = Node<T, std::decay_t<Handler>>;
    Owned::start(std::make_unique<Owned>(std::move(op), std::forward<Handler>(handler)));
  }
};

}  // namespace asio_detail

/// What `std::move(op)(token)` does. The handler gets Result<T>, always through its associated
/// executor and never inside the initiating call; its cancellation slot cancels the operation,
/// which then ends as its producer says.
template <class T, class Token>
auto velo_asio_initiate(Op<T> op, Token&& token) {
  return boost::asio::async_initiate<Token, void(Result<T>)>(asio_detail::Initiate<T>(), token,
                                                             std::move(op));
}

/// Runs the external first shard of a RealWorld on a user's io_context: what velo does on that
/// shard (reading, inline handlers, timers) then happens on the thread that runs the context,
/// between the user's own handlers. Use a context run by one thread.
class AsioDriver {
 public:
  /// `world` was created with external_first_shard and outlives the driver. Keeps the context's
  /// run() from returning.
  static Result<AsioDriver> start(const boost::asio::any_io_executor& executor,
                                  runtime::RealWorld& world) {
    if (world.poll_descriptor() < 0) {
      return make_error(Errc::invalid_argument, "the world has no external shard");
    }
    const int descriptor = ::fcntl(world.poll_descriptor(), F_DUPFD_CLOEXEC, 0);
    if (descriptor < 0) return make_error(Errc::io, std::strerror(errno));
    auto loop = std::make_shared<Loop>(executor, world);
    boost::system::error_code failure;
    if (loop->descriptor.assign(descriptor, failure)) {
      ::close(descriptor);
      return make_error(Errc::io, failure.message());
    }
    wait(loop);
    return AsioDriver(std::move(loop));
  }

  AsioDriver(AsioDriver&&) noexcept = default;
  AsioDriver& operator=(AsioDriver&&) = delete;
  ~AsioDriver() { stop(); }

  /// No further turn starts. On the context's thread, or while nobody runs it. Idempotent.
  void stop() noexcept {
    if (loop_ == nullptr) return;
    loop_->stopped = true;
    boost::system::error_code ignored;
    loop_->descriptor.close(ignored);  // NOLINT(bugprone-unused-return-value)
    loop_.reset();
  }

 private:
  struct Loop {
    Loop(const boost::asio::any_io_executor& executor, runtime::RealWorld& w)
        : descriptor(executor), world(w) {}
    boost::asio::posix::stream_descriptor descriptor;
    runtime::RealWorld& world;
    bool stopped = false;
  };

  explicit AsioDriver(std::shared_ptr<Loop> loop) noexcept : loop_(std::move(loop)) {}

  static void wait(const std::shared_ptr<Loop>& loop) {
    loop->descriptor.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                                [loop](boost::system::error_code failure) {
                                  if (failure || loop->stopped) return;
                                  loop->world.run_once(Duration::zero());
                                  if (!loop->stopped) wait(loop);
                                });
  }

  std::shared_ptr<Loop> loop_;
};

}  // namespace velo
