// SPDX-License-Identifier: Apache-2.0
// Blocks behind Bytes: contents in line, or owned by a container.

#include <velo/base/bytes.hpp>

#include <new>

namespace velo {
namespace base_detail {

Block* new_inline_block(std::size_t size) {
  void* memory = ::operator new(sizeof(Block) + size);
  return new (memory) Block([](Block* block) noexcept {
    block->~Block();
    ::operator delete(static_cast<void*>(block));
  });
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
    : block_(base_detail::new_inline_block(capacity)), capacity_(capacity) {}

}  // namespace velo
