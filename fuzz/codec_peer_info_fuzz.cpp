// SPDX-License-Identifier: Apache-2.0
// Any bytes as an address or as a peer, in both encodings, and any text as an id; what is accepted
// must be written and read back the same.

#include <velo/base/check.hpp>
#include <velo/base/ids.hpp>
#include <velo/base/world.hpp>
#include <velo/codec/json.hpp>
#include <velo/codec/msgpack.hpp>
#include <velo/codec/peer_info.hpp>

#include <algorithm>
#include <cstring>
#include <string>

namespace velo::codec_peer_info_fuzz {

static void check_address(ByteSpan data) {
  const auto address = codec::decode_worker_address(data);
  if (!address) return;
  VELO_CHECK(address->size() <= codec::worker_address_entries_max);
  const Bytes encoded = codec::encode_worker_address(*address);
  const auto again = codec::decode_worker_address(encoded);
  // Arrays of integers are longer than the binary form that was accepted.
  VELO_CHECK(again.has_value() || encoded.size() > codec::worker_address_bytes_max);
  if (again) VELO_CHECK(*again == *address);
}

static void check_peer(ByteSpan data) {
  if (const auto peer = from_msgpack<PeerInfo>(Bytes::copy(data))) {
    const auto again = from_msgpack<PeerInfo>(to_msgpack(*peer));
    if (again) VELO_CHECK(*again == *peer);
  }
  if (const auto peer = from_json<PeerInfo>(as_text(data))) {
    const auto again = from_json<PeerInfo>(to_json(*peer));
    if (again) VELO_CHECK(*again == *peer);
  }
}

/// Draws the input, and then a count, so that what is drawn from it is seen to come from it.
class Drawn final : public Random {
 public:
  explicit Drawn(ByteSpan bytes) : bytes_(bytes) {}
  std::uint64_t next() noexcept override {
    std::uint64_t draw = ++count_;
    const std::size_t taken = std::min(sizeof draw, bytes_.size());
    if (taken != 0) std::memcpy(&draw, bytes_.data(), taken);
    bytes_ = bytes_.subspan(taken);
    return draw;
  }

 private:
  ByteSpan bytes_;
  std::uint64_t count_ = 0;
};

static void check_drawn(ByteSpan data) {
  Drawn drawn(data);
  const InstanceId id = InstanceId::random(drawn);
  VELO_CHECK(id.valid() && id.worker_id().valid());
  const std::string text = id.to_string();
  VELO_CHECK(text[14] == '4' && InstanceId::parse(text).value() == id);
}

static void check_ids(std::string_view text) {
  if (const auto id = InstanceId::parse(text)) {
    VELO_CHECK(InstanceId::parse(id->to_string()).value() == *id);
  }
  if (const auto id = WorkerId::parse(text)) {
    VELO_CHECK(id->valid() && WorkerId::parse(id->to_string()).value() == *id);
  }
}

}  // namespace velo::codec_peer_info_fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const velo::ByteSpan bytes(reinterpret_cast<const std::byte*>(data), size);
  velo::codec_peer_info_fuzz::check_address(bytes);
  velo::codec_peer_info_fuzz::check_peer(bytes);
  velo::codec_peer_info_fuzz::check_drawn(bytes);
  velo::codec_peer_info_fuzz::check_ids(velo::as_text(bytes));
  return 0;
}
