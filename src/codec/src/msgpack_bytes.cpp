// SPDX-License-Identifier: Apache-2.0
// Reading byte strings of MessagePack in each of their forms, and extensions.

#include <velo/codec/msgpack.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace velo::codec::msgpack {
namespace msgpack_bytes_detail {

constexpr std::size_t share_bytes_min = 4096;

}  // namespace msgpack_bytes_detail

/// A view of a `bin` or a `str`; the caller has looked at the kind.
bool Reader::byte_string(ByteSpan& value) {
  if (peek() == Kind::string) {
    std::string_view text;
    if (!read_string(text)) return false;
    value = as_bytes(text);
    return true;
  }
  mark_ = pos_;
  if (peek() != Kind::bytes) return fail_kind("bytes");
  std::size_t size = 0;
  if (!take_length(*pos_, 0xc4, size) || !need(size)) return false;
  value = {reinterpret_cast<const std::byte*>(pos_), size};
  pos_ += size;
  return true;
}

/// The items of an array whose head has been read and whose count is value.size().
bool Reader::byte_array(std::span<std::byte> value) {
  for (std::size_t i = 0; i < value.size(); ++i) {
    std::uint64_t number = 0;
    if (!read_unsigned(number)) return in_index(i);
    if (number > UINT8_MAX) {
      fail_out_of_range({number, false});
      return in_index(i);
    }
    value[i] = static_cast<std::byte>(number);
  }
  --depth_;
  return true;
}

bool Reader::byte_array_size(std::size_t& size) {
  Sequence sequence;
  if (!enter_array(sequence)) return false;
  size = sequence.left;
  return true;
}

bool Reader::read_bytes(Bytes& value) {
  std::size_t size = 0;
  if (peek() == Kind::array) {
    if (!byte_array_size(size)) return false;
    BytesBuilder builder(size);
    if (!byte_array(builder.free_space())) return false;
    builder.commit(size);
    value = std::move(builder).take();
    return true;
  }
  ByteSpan view;
  if (!byte_string(view)) return false;
  if (owner_ != nullptr && view.size() >= msgpack_bytes_detail::share_bytes_min) {
    value = owner_->slice(offset() - view.size(), view.size());
  } else {
    value = Bytes::copy(view);
  }
  return true;
}

bool Reader::read_bytes(std::vector<std::byte>& value) {
  if (peek() == Kind::array) {
    std::size_t size = 0;
    if (!byte_array_size(size)) return false;
    value.resize(size);
    return byte_array(value);
  }
  ByteSpan view;
  if (!byte_string(view)) return false;
  value.assign(view.begin(), view.end());
  return true;
}

bool Reader::read_bytes_exact(std::span<std::byte> value) {
  mark_ = pos_;
  if (peek() == Kind::array) {
    std::size_t size = 0;
    if (!byte_array_size(size)) return false;
    return size == value.size() ? byte_array(value) : fail_length(value.size());
  }
  ByteSpan view;
  if (!byte_string(view)) return false;
  if (view.size() != value.size()) {
    return fail(Errc::out_of_range,
                fmt::format("expected exactly {} bytes, found {}", value.size(), view.size()));
  }
  std::copy(view.begin(), view.end(), value.begin());
  return true;
}

bool Reader::read_extension(std::int8_t& type, ByteSpan& value) {
  mark_ = pos_;
  if (peek() != Kind::extension) return fail_kind("extension");
  const std::uint8_t tag = *pos_;
  std::size_t size = 0;
  if (tag >= 0xd4) {
    ++pos_;
    size = std::size_t{1} << (tag - 0xd4U);
  } else if (!take_length(tag, 0xc7, size)) {
    return false;
  }
  if (!need(size + 1)) return false;
  type = static_cast<std::int8_t>(*pos_++);
  value = {reinterpret_cast<const std::byte*>(pos_), size};
  pos_ += size;
  return true;
}

}  // namespace velo::codec::msgpack
