// SPDX-License-Identifier: Apache-2.0
// Asking a peer which handlers it has, and waiting until it has one.

#include "impl.hpp"

#include <algorithm>

namespace velo::messenger {

Op<std::vector<std::string>> Impl::ask_for_handlers(const InstanceId& peer, Duration timeout) {
  CallSpec spec;
  spec.impl = this;
  spec.pattern = Pattern::unary;
  spec.system = true;
  spec.handler = "_list_handlers";
  spec.has_instance = true;
  spec.instance = peer;
  spec.timeout = timeout;
  spec.payload = Bytes::of_static("null");
  auto promise = std::make_shared<Promise<std::vector<std::string>>>(world_.pool());
  Op<std::vector<std::string>> op = promise->op();
  Op<Bytes>(start(spec), &decode_reply<Bytes>)
      .then(world_.shard(0), [impl = shared_from_this(), peer, promise](Result<Bytes> reply) {
        if (!reply) return void(promise->set(reply.error()));
        auto response = decode_handlers_response(*reply);
        if (!response) {
          return void(promise->set(make_error(Errc::bad_reply, response.error().to_string())));
        }
        auto names = std::move(response->handlers);
        std::sort(names.begin(), names.end());
        if (const auto known = impl->find_peer(peer)) {
          std::shared_ptr<Link> link;
          {
            const std::lock_guard lock(known->mutex);
            link = known->link;
          }
          if (link) link->set_handlers(std::make_shared<const HandlerNames>(names));
        }
        promise->set(std::move(names));
      });
  return op;
}

Op<std::vector<std::string>> Impl::query_handlers(const InstanceId& peer, bool cached_is_fine,
                                                  Duration timeout) {
  if (peer == self_.instance_id) {
    return Op<std::vector<std::string>>::ready(world_.pool(), handlers_.names());
  }
  if (cached_is_fine) {
    if (const auto known = find_peer(peer)) {
      const std::lock_guard lock(known->mutex);
      if (known->state == Peer::State::ready) {
        if (const auto names = known->link->handlers()) {
          return Op<std::vector<std::string>>::ready(world_.pool(), *names);
        }
      }
    }
  }
  return ask_for_handlers(peer, timeout);
}

namespace handler_queries_detail {

constexpr Duration poll_first = std::chrono::milliseconds(5);
constexpr Duration poll_longest = std::chrono::milliseconds(250);
/// What the last question is given to be answered in.
constexpr Duration ask_shortest = std::chrono::milliseconds(20);

/// Asks again and again, at growing intervals, until the handler is there or time is up.
struct HandlerWait {
  std::shared_ptr<Impl> impl;
  InstanceId peer;
  std::string handler;
  TimePoint until;
  Duration pause = poll_first;
  Promise<void> promise;

  HandlerWait(std::shared_ptr<Impl> i, const InstanceId& p, std::string h, TimePoint u)
      : impl(std::move(i)),
        peer(p),
        handler(std::move(h)),
        until(u),
        promise(impl->world().pool()) {}

  static void ask(std::shared_ptr<HandlerWait> wait) {
    Impl& impl = *wait->impl;
    const Duration left = wait->until - impl.shard(0).now();
    impl.query_handlers(wait->peer, false, std::clamp(left, ask_shortest, limits::hello_timeout))
        .then(impl.shard(0),
              [wait](Result<std::vector<std::string>> names) { answered(wait, names); });
  }

  static void answered(const std::shared_ptr<HandlerWait>& wait,
                       const Result<std::vector<std::string>>& names) {
    if (names && std::binary_search(names->begin(), names->end(), wait->handler)) {
      return void(wait->promise.set({}));
    }
    Shard& shard = wait->impl->shard(0);
    // The last question is asked when time is up.
    if (shard.now() >= wait->until || wait->promise.ended() || wait->impl->draining()) {
      const std::string why =
          names ? "the peer has no handler \"" + wait->handler + "\"" : names.error().to_string();
      return void(wait->promise.set(make_error(Errc::unknown_handler, why)));
    }
    const TimePoint again = std::min(shard.now() + wait->pause, wait->until);
    wait->pause = std::min(wait->pause * 2, poll_longest);
    shard.start_timer(again, Task0{[](void* argument) {
                                     const std::unique_ptr<std::shared_ptr<HandlerWait>> held(
                                         static_cast<std::shared_ptr<HandlerWait>*>(argument));
                                     ask(std::move(*held));
                                   },
                                   new std::shared_ptr<HandlerWait>(wait)});
  }
};

}  // namespace handler_queries_detail

Op<void> Impl::wait_for_handler(const InstanceId& peer, std::string handler, Duration timeout) {
  auto wait = std::make_shared<handler_queries_detail::HandlerWait>(
      shared_from_this(), peer, std::move(handler), world_.clock().now() + timeout);
  Op<void> op = wait->promise.op();
  wait->promise.on_cancel([asking = std::weak_ptr(wait)]() noexcept {
    if (const auto held = asking.lock()) held->promise.set(make_error(Errc::cancelled));
  });
  handler_queries_detail::HandlerWait::ask(std::move(wait));
  return op;
}

}  // namespace velo::messenger
