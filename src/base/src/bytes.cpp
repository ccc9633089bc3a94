// SPDX-License-Identifier: Apache-2.0
// Blocks behind Bytes: contents in line, or owned by a container.

#include <velo/base/budget.hpp>
#include <velo/base/bytes.hpp>
#include <velo/base/op.hpp>

#include <array>
#include <new>
#include <utility>

namespace velo {
namespace bytes_detail {

using base_detail::Block;

/// Small contents live in the thread's pool of nodes: a message that is kept costs no allocation.
constexpr std::size_t pooled_class_bytes = 64;
constexpr std::size_t pooled_classes = 8;

template <std::size_t Class>
static void destroy_pooled(Block* block) noexcept {
  block->~Block();
  base_detail::free_node(block, (Class + 1) * pooled_class_bytes);
}

static void destroy_allocated(Block* block) noexcept {
  block->~Block();
  ::operator delete(static_cast<void*>(block));
}

template <std::size_t... Class>
static constexpr auto destroyers_of(std::index_sequence<Class...>) {
  return std::array{&destroy_pooled<Class>...};
}
static constexpr auto destroyers = destroyers_of(std::make_index_sequence<pooled_classes>());

}  // namespace bytes_detail

namespace base_detail {

Block* new_inline_block(std::size_t size) {
  const std::size_t whole = sizeof(Block) + size;
  const std::size_t index = (whole - 1) / bytes_detail::pooled_class_bytes;
  if (index >= bytes_detail::pooled_classes) {
    return new (::operator new(whole)) Block(&bytes_detail::destroy_allocated);
  }
  // Taken and given back with one size, whatever classes the pool has.
  void* node = allocate_node((index + 1) * bytes_detail::pooled_class_bytes);
  return new (node) Block(bytes_detail::destroyers[index]);
}

std::byte* inline_contents(Block* block) noexcept {
  return reinterpret_cast<std::byte*>(block + 1);
}

}  // namespace base_detail

namespace bytes_detail {

template <class Container>
struct OwningBlock final : base_detail::Block {
  Container container;
  explicit OwningBlock(Container&& c) noexcept
      : Block([](Block* block) noexcept { delete static_cast<OwningBlock*>(block); }),
        container(std::move(c)) {}
};

/// An inline block that a node's budget was charged for.
struct ChargedBlock final : base_detail::Block {
  Charge charge;
  std::atomic<bool> ended{false};

  explicit ChargedBlock(Charge&& held) noexcept : Block(&destroy_it), charge(std::move(held)) {}
  std::byte* contents() noexcept { return reinterpret_cast<std::byte*>(this + 1); }
  static void destroy_it(Block* block) noexcept {
    static_cast<ChargedBlock*>(block)->~ChargedBlock();
    ::operator delete(static_cast<void*>(block));
  }
};

static ChargedBlock* new_charged_block(std::size_t size, Charge charge) {
  void* memory = ::operator new(sizeof(ChargedBlock) + size);
  return new (memory) ChargedBlock(std::move(charge));
}

}  // namespace bytes_detail

Bytes Bytes::copy(ByteSpan contents) {
  if (contents.empty()) return {};
  auto* block = base_detail::new_inline_block(contents.size());
  std::byte* data = base_detail::inline_contents(block);
  std::memcpy(data, contents.data(), contents.size());
  return {data, contents.size(), block};
}

Bytes Bytes::own(std::vector<std::byte> contents) {
  auto* block = new bytes_detail::OwningBlock<std::vector<std::byte>>(std::move(contents));
  return {block->container.data(), block->container.size(), block};
}

Bytes Bytes::own(std::string contents) {
  auto* block = new bytes_detail::OwningBlock<std::string>(std::move(contents));
  return {reinterpret_cast<const std::byte*>(block->container.data()), block->container.size(),
          block};
}

Bytes Bytes::share(std::shared_ptr<const void> owner, ByteSpan contents) {
  auto* block = new bytes_detail::OwningBlock<std::shared_ptr<const void>>(std::move(owner));
  return {contents.data(), contents.size(), block};
}

BytesBuilder::BytesBuilder(std::size_t capacity)
    : block_(base_detail::new_inline_block(capacity)),
      contents_(base_detail::inline_contents(block_)),
      capacity_(capacity) {}

BytesBuilder::BytesBuilder(std::size_t capacity, Charge charge) : capacity_(capacity) {
  auto* block = bytes_detail::new_charged_block(capacity, std::move(charge));
  block_ = block;
  contents_ = block->contents();
}

void Bytes::end_charge() const noexcept {
  using bytes_detail::ChargedBlock;
  if (block_ == nullptr || block_->destroy != &ChargedBlock::destroy_it) return;
  auto* charged = static_cast<ChargedBlock*>(block_);
  if (!charged->ended.exchange(true, std::memory_order_acq_rel)) charged->charge = Charge();
}

}  // namespace velo
