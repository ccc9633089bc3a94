// SPDX-License-Identifier: Apache-2.0
// Events and the end of a link of shared memory.

#include "shared_memory_link.hpp"

#include <velo/base/check.hpp>

#include <sys/epoll.h>
#include <sys/socket.h>

namespace velo::runtime {

void KernelLink::attach(SharedMemoryEvents& events) {
  VELO_DCHECK(shard_.may_touch());
  VELO_CHECK(events_ == nullptr);
  events_ = &events;
  if (closed_) return;
  // What the other end still says over the socket is nobody's business: only its hangup counts.
  socket_watched_ = shard_.watch(parts_.socket.get(), EPOLLRDHUP, socket_) == 0;
  bell_watched_ =
      socket_watched_ && shard_.watch(parts_.own_bell.get(), EPOLLIN | EPOLLET, bell_) == 0;
  if (bell_watched_) return;
  // Out of memory or watches: to the owner it is as if the other end had gone.
  notice_ = shard_.start_timer(shard_.now(), Task0{[](void* self) {
                                                     auto& link = *static_cast<KernelLink*>(self);
                                                     link.notice_ = 0;
                                                     link.hung_up();
                                                   },
                                                   this});
}

void KernelLink::hung_up() {
  unwatch_socket();
  events_->on_hangup();
}

void KernelLink::unwatch_socket() noexcept {
  if (socket_watched_) shard_.unwatch(parts_.socket.get(), socket_);
  socket_watched_ = false;
}

void KernelLink::close() noexcept {
  VELO_DCHECK(shard_.may_touch());
  if (closed_) return;
  closed_ = true;
  unwatch_socket();
  if (bell_watched_) shard_.unwatch(parts_.own_bell.get(), bell_);
  bell_watched_ = false;
  if (notice_ != 0) shard_.cancel_timer(notice_);
  notice_ = 0;
  ::shutdown(parts_.socket.get(), SHUT_RDWR);
}

}  // namespace velo::runtime
