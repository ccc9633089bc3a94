// SPDX-License-Identifier: Apache-2.0
// Addresses and peer records as the public velo writes them.

#include <velo/codec/hex.hpp>
#include <velo/codec/json.hpp>
#include <velo/codec/msgpack.hpp>
#include <velo/codec/peer_info.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "codec_samples.hpp"

namespace velo::codec::peer_info_test {

static PeerInfo sample_peer() {
  return PeerInfo{samples::sample_id(),
                  {{"uds", Bytes::copy("/s")}, {"tcp", Bytes::copy("\x7f\x80")}}};
}

TEST(PeerInfo, AWorkerAddressIsAMapOfIntegerArrays) {
  EXPECT_EQ(to_hex(encode_worker_address(sample_peer().address)),
            "82a3746370927fcc80a3756473922f73");
  EXPECT_EQ(to_hex(encode_worker_address({})), "80");
  Bytes large = Bytes::own(std::string(300, '\x01'));
  EXPECT_EQ(to_hex(encode_worker_address({{"t", large}}).slice(0, 7)), "81a174dc012c01");
}

TEST(PeerInfo, AWorkerAddressSurvivesTheRoundTrip) {
  const WorkerAddress address = sample_peer().address;
  const auto back = decode_worker_address(encode_worker_address(address));
  ASSERT_TRUE(back);
  EXPECT_EQ(*back, address);
  const auto from_bin = decode_worker_address(ByteSpan(*from_hex("81a3746370c4027f80")));
  ASSERT_TRUE(from_bin);
  EXPECT_EQ(from_bin->at("tcp"), address.at("tcp"));
}

TEST(PeerInfo, AnAddressBeyondItsLimitsIsRefused) {
  WorkerAddress address;
  for (std::size_t i = 0; i < worker_address_entries_max; ++i) address[std::to_string(i)] = Bytes();
  EXPECT_TRUE(decode_worker_address(encode_worker_address(address)));
  address["one more"] = Bytes();
  EXPECT_TRUE(decode_worker_address(encode_worker_address(address)).error().is(Errc::too_large));
  const WorkerAddress large{{"tcp", Bytes::own(std::string(worker_address_bytes_max, 'x'))}};
  EXPECT_TRUE(decode_worker_address(encode_worker_address(large)).error().is(Errc::too_large));
}

TEST(PeerInfo, EveryPrefixOfAnAddressFailsCleanly) {
  const Bytes encoded = encode_worker_address(sample_peer().address);
  for (std::size_t size = 0; size < encoded.size(); ++size) {
    EXPECT_FALSE(decode_worker_address(encoded.span().first(size)));
  }
  EXPECT_FALSE(decode_worker_address(ByteSpan(*from_hex("8000"))));
  EXPECT_EQ(decode_worker_address(ByteSpan(*from_hex("81a174c3"))).error().context(),
            "[\"t\"]: expected bytes, found boolean at byte 3");
}

TEST(PeerInfo, TheRecordHasTheMembersOfThePublicVelo) {
  EXPECT_EQ(to_json(sample_peer()),
            R"({"instance_id":"00112233-4455-6677-8899-aabbccddeeff","worker_address":)"
            R"([130,163,116,99,112,146,127,204,128,163,117,100,115,146,47,115]})");
}

TEST(PeerInfo, TheRecordSurvivesTheRoundTripInBothFormats) {
  const PeerInfo peer = sample_peer();
  EXPECT_EQ(*from_json<PeerInfo>(to_json(peer)), peer);
  EXPECT_EQ(*from_msgpack<PeerInfo>(to_msgpack(peer)), peer);
  EXPECT_EQ(*from_json<std::vector<PeerInfo>>(to_json(std::vector<PeerInfo>{peer, peer})),
            (std::vector<PeerInfo>{peer, peer}));
}

TEST(PeerInfo, ABrokenAddressIsNamedInsideTheRecord) {
  const auto result = from_json<std::vector<PeerInfo>>(
      R"([{"instance_id":"00112233-4455-6677-8899-aabbccddeeff","worker_address":[129,161,116]}])");
  ASSERT_FALSE(result);
  EXPECT_TRUE(result.error().is(Errc::malformed));
  EXPECT_THAT(result.error().context(), testing::StartsWith("[0].worker_address: "));
}

}  // namespace velo::codec::peer_info_test
