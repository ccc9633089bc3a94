// SPDX-License-Identifier: Apache-2.0
// Any bytes through every MessagePack reader; what is accepted must survive encoding and decoding
// again.

#include <velo/base/check.hpp>
#include <velo/codec/json_value.hpp>
#include <velo/codec/msgpack.hpp>
#include <velo/codec/peer_info.hpp>

#include <array>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

namespace velo::codec_msgpack_fuzz {

enum class Color : std::uint8_t { red, green };
VELO_DESCRIBE_ENUM(Color, red, green);

struct Leaf {
  std::int8_t number = 0;
  std::string text;
  std::optional<double> real;
};
VELO_DESCRIBE(Leaf, number, text, real);

struct Root {
  std::vector<Leaf> leaves;
  std::map<std::int32_t, Bytes> bytes;
  std::map<std::string, std::set<std::uint16_t>> sets;
  std::variant<std::monostate, Leaf, std::string> choice;
  std::unique_ptr<Root> inner;
  codec::U128 big = 0;
  Color color = Color::red;
  InstanceId id;
  std::tuple<bool, float> pair;
  std::vector<std::byte> block;
  std::array<std::byte, 4> four{};
};
VELO_DESCRIBE_DEFAULTS(Root, leaves, bytes, sets, choice, inner, big, color, id, pair, block, four);

static void check(ByteSpan data) {
  const Result<Root> root = from_msgpack<Root>(Bytes::copy(data));
  if (root) {
    const Bytes encoded = to_msgpack(*root);
    const Result<Root> again = from_msgpack<Root>(encoded);
    VELO_CHECK(again.has_value());
    VELO_CHECK(to_msgpack(*again) == encoded);
  } else {
    VELO_CHECK(!root.error().context().empty());
  }
  const Result<WorkerAddress> address = codec::decode_worker_address(data);
  if (address) {
    const auto again = codec::decode_worker_address(codec::encode_worker_address(*address));
    VELO_CHECK(!again || *again == *address);  // the integer form may exceed the limit on bytes
  }
  codec::msgpack::Reader reader(data);
  const bool skipped = reader.skip() && reader.finish();
  const Result<std::string> json = msgpack_to_json(data);
  if (json) {
    VELO_CHECK(skipped);
    static_cast<void>(json_to_msgpack(*json));
  }
}

}  // namespace velo::codec_msgpack_fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  velo::codec_msgpack_fuzz::check({reinterpret_cast<const std::byte*>(data), size});
  return 0;
}
