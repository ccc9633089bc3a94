// SPDX-License-Identifier: Apache-2.0
// Reading records that a peer sealed on purpose, in simulated time.

#include "tls_stream.hpp"

#include "testing/read_pipe.hpp"

#include <velo/sim/simulation.hpp>

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <cerrno>
#include <memory>
#include <utility>
#include <vector>

namespace velo::transport::tls {
namespace tls_stream_test {

constexpr std::size_t record_count = 100;

/// How reading ends of one who sends only records like this one.
static IoResult read_only(ContentType type, ByteSpan content) {
  sim::Simulation simulation(1);
  Shard& shard = simulation.add_node("node").shard(0);
  const DirectionSecret secret;
  RecordSealer sealer(secret);
  const std::size_t record = content.size() + record_overhead_bytes;
  std::vector<std::byte> sent(record_count * record);
  for (std::size_t i = 0; i < record_count; ++i) {
    EXPECT_TRUE(sealer.seal(type, content, sent.data() + i * record));
  }
  auto raw = std::make_unique<RawEnd>(
      std::make_unique<testing::ReadPipe>(shard, std::move(sent), read_buffer_bytes));
  Established established{RecordSealer(secret), RecordOpener(secret), {}, {}};
  TlsStream stream(std::move(raw), std::move(established), std::make_shared<Environment>());
  std::vector<std::byte> heard(100);
  for (std::size_t i = 0; i < record_count; ++i) {
    const IoResult result = stream.try_read(heard);
    if (result.status != IoResult::Status::would_block) return result;
  }
  return {IoResult::Status::would_block, 0, 0};
}

}  // namespace tls_stream_test

using namespace tls_stream_test;  // NOLINT(google-build-using-namespace)

TEST(TlsStream, WhoeverOnlySendsRecordsThatCarryNothingIsLeft) {
  constexpr std::byte cancelled[] = {std::byte{SSL3_AL_WARNING}, std::byte{SSL_AD_USER_CANCELLED}};
  constexpr std::byte ticket[] = {std::byte{4}, std::byte{0}, std::byte{0}, std::byte{0}};
  const std::pair<ContentType, ByteSpan> idle[] = {{ContentType::application_data, {}},
                                                   {ContentType::alert, cancelled},
                                                   {ContentType::handshake, ticket}};
  for (const auto& [type, content] : idle) {
    const IoResult result = read_only(type, content);
    EXPECT_EQ(result.status, IoResult::Status::error) << static_cast<int>(type);
    EXPECT_EQ(result.system_error, EPROTO) << static_cast<int>(type);
  }
}

}  // namespace velo::transport::tls
