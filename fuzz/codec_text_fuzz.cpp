// SPDX-License-Identifier: Apache-2.0
// Any bytes as base58, base64, hexadecimal and varints, and any text as one of them; what is
// accepted must be the one encoding of what it decodes to.

#include <velo/base/check.hpp>
#include <velo/codec/base58.hpp>
#include <velo/codec/base64.hpp>
#include <velo/codec/hex.hpp>
#include <velo/codec/varint.hpp>

#include <algorithm>
#include <cctype>
#include <string>

namespace velo::codec_text_fuzz {

static bool same(ByteSpan a, ByteSpan b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

static void check_bytes(ByteSpan data) {
  // Quadratic, and refused over its limit in text, which is at most 11/8 of the bytes.
  const ByteSpan few = data.first(std::min<std::size_t>(data.size(), 512));
  const auto from58 = codec::from_base58(codec::to_base58(few));
  VELO_CHECK(from58.has_value() && same(*from58, few));
  for (const codec::Base64 form : {codec::Base64::standard, codec::Base64::url}) {
    const auto from64 = codec::from_base64(codec::to_base64(data, form), form);
    VELO_CHECK(from64.has_value() && same(*from64, data));
  }
  const auto from16 = codec::from_hex(codec::to_hex(data));
  VELO_CHECK(from16.has_value() && same(*from16, data));
}

static void check_text(std::string_view text) {
  if (const auto bytes = codec::from_base58(text)) VELO_CHECK(codec::to_base58(*bytes) == text);
  for (const codec::Base64 form : {codec::Base64::standard, codec::Base64::url}) {
    if (const auto bytes = codec::from_base64(text, form)) {
      VELO_CHECK(codec::to_base64(*bytes, form) == text);
    }
  }
  if (const auto bytes = codec::from_hex(text)) {
    std::string lower(text);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    VELO_CHECK(codec::to_hex(*bytes) == lower);
  }
}

static void check_varint(ByteSpan data) {
  using codec::VarintStatus;
  const codec::DecodedVarint any = codec::decode_varint(data);
  const codec::DecodedVarint minimal = codec::decode_varint(data, codec::VarintForm::minimal);
  if (any.status == VarintStatus::incomplete) {
    VELO_CHECK(data.size() < codec::varint_bytes_max);
    VELO_CHECK(minimal.status == VarintStatus::incomplete);
  }
  if (any.status == VarintStatus::malformed) VELO_CHECK(minimal.status == VarintStatus::malformed);
  if (any.status != VarintStatus::complete) return;
  const codec::EncodedVarint encoded = codec::encode_varint(any.value);
  VELO_CHECK(encoded.size <= any.size);
  VELO_CHECK((minimal.status == VarintStatus::complete) == (encoded.size == any.size));
  if (encoded.size == any.size) VELO_CHECK(same(encoded.span(), data.first(any.size)));
}

}  // namespace velo::codec_text_fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const velo::ByteSpan bytes(reinterpret_cast<const std::byte*>(data), size);
  velo::codec_text_fuzz::check_bytes(bytes);
  velo::codec_text_fuzz::check_text(velo::as_text(bytes));
  velo::codec_text_fuzz::check_varint(bytes);
  return 0;
}
