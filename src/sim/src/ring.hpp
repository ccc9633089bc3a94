// SPDX-License-Identifier: Apache-2.0
// Queues that allocate nothing until used: Ring<T> of small values, ByteRing of a stream's bytes.
// Threading: one thread.
#pragma once

#include <velo/base/bytes.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <utility>

namespace velo::sim::detail {

template <class T>
class Ring {
 public:
  bool empty() const noexcept { return size_ == 0; }
  std::size_t size() const noexcept { return size_; }
  T& operator[](std::size_t index) noexcept { return items_[(head_ + index) & (capacity_ - 1)]; }
  T& front() noexcept { return items_[head_]; }
  T& back() noexcept { return (*this)[size_ - 1]; }

  void push_back(T value) {
    if (size_ == capacity_) grow();
    items_[(head_ + size_) & (capacity_ - 1)] = std::move(value);
    ++size_;
  }
  T pop_front() {
    T value = std::move(items_[head_]);
    head_ = (head_ + 1) & (capacity_ - 1);
    --size_;
    return value;
  }
  void pop_back() noexcept { --size_; }
  void clear() noexcept { head_ = size_ = 0; }

 private:
  void grow() {
    const std::size_t larger = capacity_ == 0 ? 4 : capacity_ * 2;
    auto items = std::make_unique<T[]>(larger);
    for (std::size_t i = 0; i < size_; ++i) items[i] = std::move((*this)[i]);
    items_ = std::move(items);
    capacity_ = larger;
    head_ = 0;
  }

  std::unique_ptr<T[]> items_;
  std::size_t capacity_ = 0;
  std::size_t head_ = 0;
  std::size_t size_ = 0;
};

class ByteRing {
 public:
  std::size_t size() const noexcept { return size_; }

  void push_back(ByteSpan bytes) {
    if (bytes.size() > capacity_ - size_) grow(size_ + bytes.size());
    const std::size_t tail = (head_ + size_) & (capacity_ - 1);
    const std::size_t first = std::min(bytes.size(), capacity_ - tail);
    if (first != 0) std::memcpy(bytes_.get() + tail, bytes.data(), first);
    if (first != bytes.size())
      std::memcpy(bytes_.get(), bytes.data() + first, bytes.size() - first);
    size_ += bytes.size();
  }
  /// Fills `into`, which is not larger than size().
  void pop_front(std::span<std::byte> into) noexcept {
    const std::size_t first = std::min(into.size(), capacity_ - head_);
    if (first != 0) std::memcpy(into.data(), bytes_.get() + head_, first);
    if (first != into.size()) std::memcpy(into.data() + first, bytes_.get(), into.size() - first);
    discard_front(into.size());
  }
  void discard_front(std::size_t count) noexcept {
    size_ -= count;
    head_ = size_ == 0 ? 0 : (head_ + count) & (capacity_ - 1);
    if (size_ == 0 && capacity_ > kept_bytes_max) release();
  }
  void discard_back(std::size_t count) noexcept { size_ -= count; }
  void clear() noexcept { discard_front(size_); }

 private:
  /// An empty ring larger than this gives its memory back.
  static constexpr std::size_t kept_bytes_max = std::size_t{16} << 10;

  void grow(std::size_t needed) {
    const std::size_t larger = std::bit_ceil(std::max<std::size_t>(needed, 256));
    auto bytes = std::make_unique_for_overwrite<std::byte[]>(larger);
    const std::size_t first = std::min(size_, capacity_ - head_);
    if (first != 0) std::memcpy(bytes.get(), bytes_.get() + head_, first);
    if (first != size_) std::memcpy(bytes.get() + first, bytes_.get(), size_ - first);
    bytes_ = std::move(bytes);
    capacity_ = larger;
    head_ = 0;
  }
  void release() noexcept {
    bytes_.reset();
    capacity_ = head_ = 0;
  }

  std::unique_ptr<std::byte[]> bytes_;
  std::size_t capacity_ = 0;
  std::size_t head_ = 0;
  std::size_t size_ = 0;
};

}  // namespace velo::sim::detail
