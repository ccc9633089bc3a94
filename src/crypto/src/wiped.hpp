// SPDX-License-Identifier: Apache-2.0
// Memory for secrets: cleared when its last owner lets go, before it is given back.
// Threading: as Bytes.
#pragma once

#include <velo/base/bytes.hpp>

#include <cstddef>
#include <memory>
#include <span>

namespace velo::crypto {

class WipedBuffer {
 public:
  explicit WipedBuffer(std::size_t size);
  std::span<std::byte> span() const noexcept { return {memory_.get(), size_}; }
  unsigned char* data() const noexcept { return reinterpret_cast<unsigned char*>(memory_.get()); }
  std::size_t size() const noexcept { return size_; }
  /// Shares the memory; write no more.
  Bytes bytes() const { return Bytes::share(memory_, span()); }

 private:
  std::shared_ptr<std::byte[]> memory_;
  std::size_t size_;
};

Bytes wiped_copy(ByteSpan secret);

}  // namespace velo::crypto
