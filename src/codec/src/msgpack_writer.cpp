// SPDX-License-Identifier: Apache-2.0
// The longer forms of MessagePack's encoding, and the growth of the buffer.

#include <velo/base/check.hpp>
#include <velo/codec/msgpack.hpp>

#include <algorithm>

namespace velo::codec::msgpack {

void Writer::big_integer(BigInteger value) {
  const U128 bits = value.negative ? U128{0} - value.magnitude : value.magnitude;
  const std::uint64_t halves[2] = {detail::big_endian(high_half(bits)),
                                   detail::big_endian(low_half(bits))};
  bytes(std::as_bytes(std::span(halves)));
}

void Writer::bytes(ByteSpan value) {
  const std::size_t size = value.size();
  VELO_CHECK(size <= UINT32_MAX);
  if (size <= UINT8_MAX) {
    put(0xc4, static_cast<std::uint8_t>(size));
  } else if (size <= UINT16_MAX) {
    put(0xc5, static_cast<std::uint16_t>(size));
  } else {
    put(0xc6, static_cast<std::uint32_t>(size));
  }
  raw(value);
}

void Writer::extension(std::int8_t type, ByteSpan value) {
  const std::size_t size = value.size();
  VELO_CHECK(size <= UINT32_MAX);
  if (size != 0 && size <= 16 && std::has_single_bit(size)) {
    put_tag(static_cast<std::uint8_t>(0xd4 + std::countr_zero(size)));
  } else if (size <= UINT8_MAX) {
    put(0xc7, static_cast<std::uint8_t>(size));
  } else if (size <= UINT16_MAX) {
    put(0xc8, static_cast<std::uint16_t>(size));
  } else {
    put(0xc9, static_cast<std::uint32_t>(size));
  }
  put_tag(static_cast<std::uint8_t>(type));
  raw(value);
}

Bytes Writer::take() && {
  if (!heap_) return Bytes::copy(span());
  heap_->commit(size());
  return std::move(*heap_).take();
}

void Writer::grow(std::size_t count) {
  const std::size_t used = size();
  const auto capacity = static_cast<std::size_t>(end_ - begin_);
  BytesBuilder larger(std::max(used + count, capacity * 2));
  auto* const memory = reinterpret_cast<std::uint8_t*>(larger.free_space().data());
  std::memcpy(memory, begin_, used);
  begin_ = memory;
  pos_ = memory + used;
  end_ = memory + larger.capacity();
  heap_.emplace(std::move(larger));
}

void Writer::negative(std::int64_t value) {
  if (value >= INT8_MIN) {
    put(0xd0, static_cast<std::uint8_t>(value));
  } else if (value >= INT16_MIN) {
    put(0xd1, static_cast<std::uint16_t>(value));
  } else if (value >= INT32_MIN) {
    put(0xd2, static_cast<std::uint32_t>(value));
  } else {
    put(0xd3, static_cast<std::uint64_t>(value));
  }
}

void Writer::large(std::uint64_t value) {
  if (value <= UINT8_MAX) {
    put(0xcc, static_cast<std::uint8_t>(value));
  } else if (value <= UINT16_MAX) {
    put(0xcd, static_cast<std::uint16_t>(value));
  } else if (value <= UINT32_MAX) {
    put(0xce, static_cast<std::uint32_t>(value));
  } else {
    put(0xcf, value);
  }
}

void Writer::long_string(std::size_t size) {
  VELO_CHECK(size <= UINT32_MAX);
  if (size <= UINT8_MAX) {
    put(0xd9, static_cast<std::uint8_t>(size));
  } else if (size <= UINT16_MAX) {
    put(0xda, static_cast<std::uint16_t>(size));
  } else {
    put(0xdb, static_cast<std::uint32_t>(size));
  }
  reserve(size);
}

void Writer::long_container(std::uint8_t tag16, std::size_t count) {
  VELO_CHECK(count <= UINT32_MAX);
  if (count <= UINT16_MAX) {
    put(tag16, static_cast<std::uint16_t>(count));
  } else {
    put(static_cast<std::uint8_t>(tag16 + 1), static_cast<std::uint32_t>(count));
  }
}

}  // namespace velo::codec::msgpack

namespace velo::codec::write_detail {
template void write_struct(msgpack::Writer&, const void*,
                           std::span<const FieldWriter<msgpack::Writer>>);
}  // namespace velo::codec::write_detail
