// SPDX-License-Identifier: Apache-2.0
// Immutable, reference-counted byte slice: copying, slicing and sending share the block, never the
// contents. Not a buffer to write into (see BytesBuilder) and not a borrowed view (that is
// std::span<const std::byte>).
// Threading: distinct Bytes objects may be used from any thread even when they share a block.
#pragma once

#include <atomic>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace velo {

class Charge;

using ByteSpan = std::span<const std::byte>;

/// Views text as bytes; the text must outlive the view.
inline ByteSpan as_bytes(std::string_view text) noexcept {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

/// Views bytes as text; no encoding is checked. The bytes must outlive the view.
inline std::string_view as_text(ByteSpan bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

namespace base_detail {

/// Header of a heap block that Bytes share; the contents follow it, or belong to `owner`.
struct Block {
  std::atomic<std::uint32_t> references{1};
  void (*destroy)(Block*) noexcept;

  explicit Block(void (*destroyer)(Block*) noexcept) noexcept : destroy(destroyer) {}
  void retain() noexcept { references.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept {
    // The only owner needs no locked instruction: nobody else can retain meanwhile.
    if (references.load(std::memory_order_acquire) == 1 ||
        references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      destroy(this);
    }
  }
};

/// A block whose contents (`size` bytes) follow the header. Never null; throws std::bad_alloc.
Block* new_inline_block(std::size_t size);
std::byte* inline_contents(Block* block) noexcept;

}  // namespace base_detail

class Bytes {
 public:
  Bytes() noexcept = default;
  Bytes(const Bytes& other) noexcept
      : data_(other.data_), size_(other.size_), block_(other.block_) {
    if (block_ != nullptr) block_->retain();
  }
  Bytes(Bytes&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        block_(std::exchange(other.block_, nullptr)) {}
  Bytes& operator=(Bytes other) noexcept {
    swap(other);
    return *this;
  }
  ~Bytes() {
    if (block_ != nullptr) block_->release();
  }

  /// Copies `contents` into a new block.
  static Bytes copy(ByteSpan contents);
  static Bytes copy(std::string_view text) { return copy(as_bytes(text)); }
  /// Takes over a container without copying its contents.
  static Bytes own(std::vector<std::byte> contents);
  static Bytes own(std::string contents);
  /// Views memory that lives as long as the program (string literals, tables); never freed.
  static Bytes of_static(ByteSpan contents) noexcept {
    return {contents.data(), contents.size(), nullptr};
  }
  static Bytes of_static(std::string_view text) noexcept { return of_static(as_bytes(text)); }
  /// Views `contents` inside memory that `owner` keeps alive.
  static Bytes share(std::shared_ptr<const void> owner, ByteSpan contents);

  const std::byte* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  const std::byte* begin() const noexcept { return data_; }
  const std::byte* end() const noexcept { return data_ + size_; }
  std::byte operator[](std::size_t index) const noexcept { return data_[index]; }

  ByteSpan span() const noexcept { return {data_, size_}; }
  operator ByteSpan() const noexcept { return span(); }  // NOLINT(google-explicit-constructor)
  std::string_view text() const noexcept { return as_text(span()); }
  std::string to_string() const { return std::string(text()); }

  /// The bytes [offset, offset + count), clipped to the end; shares the block.
  Bytes slice(std::size_t offset, std::size_t count = SIZE_MAX) const noexcept {
    if (offset > size_) offset = size_;
    if (count > size_ - offset) count = size_ - offset;
    if (block_ != nullptr) block_->retain();
    return {data_ + offset, count, block_};
  }

  /// The block is no longer held for others: what BytesBuilder charged for it is given back now,
  /// not with its last owner. Any other block is not touched.
  void end_charge() const noexcept;

  void swap(Bytes& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(block_, other.block_);
  }

  friend bool operator==(const Bytes& a, const Bytes& b) noexcept {
    return a.size_ == b.size_ && (a.size_ == 0 || std::memcmp(a.data_, b.data_, a.size_) == 0);
  }

 private:
  friend class BytesBuilder;
  Bytes(const std::byte* data, std::size_t size, base_detail::Block* block) noexcept
      : data_(data), size_(size), block_(block) {}

  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  base_detail::Block* block_ = nullptr;
};

/// A block of fixed capacity that is written once and then becomes Bytes without a copy.
class BytesBuilder {
 public:
  explicit BytesBuilder(std::size_t capacity);
  /// The block keeps `charge` until its last owner lets go, or until Bytes::end_charge().
  BytesBuilder(std::size_t capacity, Charge charge);
  BytesBuilder(BytesBuilder&& other) noexcept
      : block_(std::exchange(other.block_, nullptr)),
        contents_(other.contents_),
        capacity_(std::exchange(other.capacity_, 0)),
        size_(std::exchange(other.size_, 0)) {}
  BytesBuilder& operator=(BytesBuilder&& other) noexcept {
    std::swap(block_, other.block_);
    std::swap(contents_, other.contents_);
    std::swap(capacity_, other.capacity_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~BytesBuilder() {
    if (block_ != nullptr) block_->release();
  }

  /// The part not yet written.
  std::span<std::byte> free_space() noexcept { return {contents_ + size_, capacity_ - size_}; }
  /// Declares `count` bytes of free_space() written; at most free_space().size().
  void commit(std::size_t count) noexcept { size_ += count; }
  std::size_t size() const noexcept { return size_; }
  std::size_t capacity() const noexcept { return capacity_; }
  /// What was written, as Bytes; the builder is empty afterwards and must not be written again.
  Bytes take() && noexcept {
    auto* block = std::exchange(block_, nullptr);
    return {contents_, std::exchange(size_, 0), block};
  }

 private:
  base_detail::Block* block_;
  std::byte* contents_;
  std::size_t capacity_;
  std::size_t size_ = 0;
};

}  // namespace velo
