// SPDX-License-Identifier: Apache-2.0
// Any text through the JSON reader; what is accepted must print and read back the same.

#include <velo/base/check.hpp>
#include <velo/codec/json_value.hpp>
#include <velo/codec/peer_info.hpp>

#include <array>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace velo::codec_json_fuzz {

struct Leaf {
  std::int8_t number = 0;
  std::string text;
  std::optional<bool> flag;
};
VELO_DESCRIBE(Leaf, number, text, flag);

struct Root {
  std::vector<Leaf> leaves;
  std::map<std::int32_t, Bytes> bytes;
  std::variant<std::monostate, Leaf, std::string> choice;
  codec::U128 big = 0;
  double real = 0;
  std::optional<PeerInfo> peer;
  std::vector<std::byte> block;
  std::array<std::byte, 4> four{};
};
VELO_DESCRIBE_DEFAULTS(Root, leaves, bytes, choice, big, real, peer, block, four);

/// The same value, put together piece by piece.
static JsonValue rebuilt(const JsonValue& value) {
  JsonValue result;
  if (const auto* array = value.if_array()) {
    result = JsonValue(JsonValue::Array());
    for (const JsonValue& item : *array) result.push_back(rebuilt(item));
  } else if (const auto* object = value.if_object()) {
    result = JsonValue(JsonValue::Object());
    for (const auto& [key, member] : *object) {
      result.set(key, JsonValue());
      result.set(key, rebuilt(member));
      VELO_CHECK(result.find(key) != nullptr && *result.find(key) == member);
    }
  } else {
    result = value;
  }
  VELO_CHECK(result.kind() == value.kind());
  return result;
}

static void check_number(const JsonValue& value) {
  const auto integer = value.to_int64();
  if (integer) VELO_CHECK(JsonValue(*integer) == value);
  VELO_CHECK(value.to_double().has_value() ==
             (value.if_real() != nullptr || value.if_integer() != nullptr));
}

static void check(std::string_view text) {
  const Result<JsonValue> value = JsonValue::parse(text);
  codec::json::Reader reader(text);
  const bool skipped = reader.skip() && reader.finish();
  if (value) {
    VELO_CHECK(skipped);
    for (const JsonStyle style : {JsonStyle::compact, JsonStyle::pretty}) {
      const Result<JsonValue> again = JsonValue::parse(value->dump(style));
      VELO_CHECK(again.has_value());
      VELO_CHECK(again->dump() == value->dump());
    }
    VELO_CHECK(rebuilt(*value) == *value);
    check_number(*value);
    const Result<Bytes> packed = json_to_msgpack(text);
    if (packed) static_cast<void>(msgpack_to_json(*packed));
  }
  const Result<Root> root = from_json<Root>(text);
  if (root) {
    const std::string printed = to_json(*root);
    const Result<Root> again = from_json<Root>(printed);
    VELO_CHECK(again.has_value());
    VELO_CHECK(to_json(*again) == printed);
  }
}

}  // namespace velo::codec_json_fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  velo::codec_json_fuzz::check({reinterpret_cast<const char*>(data), size});
  return 0;
}
