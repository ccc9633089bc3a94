// SPDX-License-Identifier: Apache-2.0
// Any text through the JSON reader; what is accepted must print and read back the same.

#include <velo/base/check.hpp>
#include <velo/codec/json_value.hpp>
#include <velo/codec/peer_info.hpp>

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
};
VELO_DESCRIBE_DEFAULTS(Root, leaves, bytes, choice, big, real, peer);

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
    static_cast<void>(json_to_msgpack(text));
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
