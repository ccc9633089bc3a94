// SPDX-License-Identifier: Apache-2.0
// Frames of senders that did not get the write right, until its holder takes them: in the order of
// their stream positions. Not thread-safe by itself: the connection's mutex guards it.
// Threading: see above.
#pragma once

#include "out_queue.hpp"

#include <velo/base/bytes.hpp>
#include <velo/transport/frame.hpp>

#include <cstddef>
#include <vector>

namespace velo::transport {

class SideQueue {
 public:
  bool empty() const noexcept { return bytes_ == 0; }
  /// Bytes of the stream held.
  std::size_t bytes() const noexcept { return bytes_; }

  /// `shared` is the payload when it is at least limits::shared_payload_bytes_min, and ignored
  /// otherwise.
  void push(const OutFrame& frame, Bytes shared);
  /// Moves the first `count` bytes, a whole number of frames.
  void move_to(OutQueue& out, std::size_t count);
  void clear() noexcept;
  void swap(SideQueue& other) noexcept;

 private:
  struct Shared {
    std::size_t before;  ///< position in copied_ that it precedes
    Bytes bytes;
  };

  std::size_t bytes_ = 0;
  std::vector<std::byte> copied_;
  std::size_t copied_at_ = 0;
  std::vector<Shared> shared_;
  std::size_t shared_at_ = 0;
};

}  // namespace velo::transport
