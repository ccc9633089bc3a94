// SPDX-License-Identifier: Apache-2.0
// A link of simulated shared memory.

#include "shared_memory.hpp"

#include <velo/base/world.hpp>

#include <sys/uio.h>

#include <algorithm>
#include <array>

namespace velo::sim::detail {

SimLink::~SimLink() {
  *self_ = nullptr;
  close();
}

void SimLink::await(std::size_t bytes, Greeted greeted) {
  awaited_ = bytes;
  greeted_ = std::move(greeted);
  stream_->attach(*this);
}

bool SimLink::say(std::span<const std::byte> bytes) noexcept {
  while (!bytes.empty()) {
    const std::array<iovec, 1> parts{iovec{const_cast<std::byte*>(bytes.data()), bytes.size()}};
    const IoResult said = stream_->try_write(parts);
    if (said.status != IoResult::Status::ok) return false;
    bytes = bytes.subspan(said.bytes);  // writes may be short
  }
  return true;
}

void SimLink::attach(SharedMemoryEvents& events) {
  events_ = &events;
  // What came before may have brought bells, or the end.
  wake();
}

void SimLink::ring() noexcept {
  // When the stream has no room, bells enough are on their way.
  const std::array<std::byte, 1> bell{};
  static_cast<void>(say(bell));
}

void SimLink::wake() noexcept {
  post(stream_->shard(), [self = self_] {
    if (*self != nullptr) (*self)->tell(true);
  });
}

void SimLink::close() noexcept {
  if (closed_) return;
  closed_ = true;
  stream_->close();
}

std::size_t SimLink::drain() {
  std::size_t count = 0;
  for (;;) {
    std::array<std::byte, 256> buffer;
    const std::size_t missing = awaited_ - greeting_.size();
    const std::size_t wanted = missing > 0 ? std::min(missing, buffer.size()) : buffer.size();
    const IoResult got = stream_->try_read(std::span(buffer).first(wanted));
    if (got.status == IoResult::Status::ok) {
      if (missing > 0) {
        greeting_.insert(greeting_.end(), buffer.begin(),
                         buffer.begin() + static_cast<std::ptrdiff_t>(got.bytes));
      } else {
        count += got.bytes;
      }
      continue;
    }
    if (got.status != IoResult::Status::would_block) hung_up_ = true;
    return count;
  }
}

void SimLink::on_readable() {
  const bool rang = drain() > 0;
  if (greeted_ && (hung_up_ || greeting_.size() == awaited_)) {
    const bool complete = greeting_.size() == awaited_;
    Greeted greeted = std::exchange(greeted_, nullptr);
    return greeted(complete);
  }
  tell(rang);
}

void SimLink::tell(bool rang) {
  if (events_ == nullptr || closed_) return;
  const auto self = self_;
  if (rang) events_->on_bell();
  if (*self == nullptr || closed_ || !hung_up_ || told_hangup_) return;
  told_hangup_ = true;
  events_->on_hangup();
}

}  // namespace velo::sim::detail
