// SPDX-License-Identifier: Apache-2.0
// The bodies on the wire, as docs/protocols/rendezvous.md shows them.

#include "wire.hpp"

#include <velo/messenger/error.hpp>
#include <velo/rendezvous/error.hpp>
#include <velo/rendezvous/limits.hpp>

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace velo::rendezvous::wire_test {

static const DataHandle handle(WorkerId(0x0123456789abcdef), 42);

static std::string page() {
  const char* const tree = std::getenv("VELO_SOURCE_DIR");
  const std::filesystem::path root =
      tree != nullptr ? std::filesystem::path(tree)
                      : std::filesystem::path(__FILE__).parent_path() / "../../..";
  std::ifstream in(root / "docs/protocols/rendezvous.md");
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

TEST(RendezvousWire, BodiesAreThoseOfThePage) {
  const std::string text = page();
  wire::Grant grant;
  grant.lease_id = 11;
  grant.transfer_id = 12;
  grant.total_len = 1'000'000;
  grant.chunk_size = 524'288;
  grant.chunk_count = 2;
  DataMetadata metadata;
  metadata.total_bytes = 1'000'000;
  metadata.references = 1;
  wire::PullRequest pull;
  pull.transfer_id = 12;
  pull.chunk_index = 1;
  for (const Bytes& body :
       {wire::encode_handle(handle), wire::encode_lease(handle, DataLease(11)),
        wire::encode_pull(pull), wire::encode_metadata(metadata), wire::encode_grant(grant)}) {
    EXPECT_NE(text.find("`" + body.to_string() + "`"), std::string::npos) << body.text();
  }
  EXPECT_NE(text.find("`" + handle.to_string() + "`"), std::string::npos) << handle.to_string();
}

TEST(RendezvousWire, BodiesAreReadBack) {
  EXPECT_EQ(*wire::decode_handle(wire::encode_handle(handle)), handle);
  const auto lease = wire::decode_lease(wire::encode_lease(handle, DataLease(UINT64_MAX)));
  ASSERT_TRUE(lease);
  EXPECT_EQ(lease->handle, handle);
  EXPECT_EQ(lease->lease.id(), UINT64_MAX);
  wire::PullRequest pull;
  pull.transfer_id = UINT64_MAX;
  pull.chunk_index = UINT32_MAX;
  const auto pulled = wire::decode_pull(wire::encode_pull(pull));
  ASSERT_TRUE(pulled);
  EXPECT_EQ(pulled->transfer_id, UINT64_MAX);
  EXPECT_EQ(pulled->chunk_index, UINT32_MAX);
}

TEST(RendezvousWire, UnknownMembersAreForNewerPeers) {
  EXPECT_TRUE(wire::decode_handle(as_bytes(R"({"handle":{"hi":1,"lo":2,"x":3},"y":[]})")));
}

TEST(RendezvousWire, RequestsThatAreNoneAreRefused) {
  using Of = messenger::Errc;
  EXPECT_TRUE(wire::decode_handle(as_bytes("")).error().is(Of::bad_request));
  EXPECT_TRUE(wire::decode_pull(as_bytes(R"({"transfer_id":-1,"chunk_index":0})"))
                  .error()
                  .is(Of::bad_request));
  const std::string long_one(limits::request_bytes_max + 1, ' ');
  EXPECT_TRUE(wire::decode_lease(as_bytes(long_one)).error().is(Of::bad_request));
}

TEST(RendezvousWire, AGrantThatContradictsItselfIsRefused) {
  wire::Grant grant;
  grant.total_len = 100;
  grant.chunk_size = 10;
  grant.chunk_count = 10;
  EXPECT_TRUE(wire::decode_grant(wire::encode_grant(grant)));
  grant.chunk_count = 9;
  EXPECT_TRUE(wire::decode_grant(wire::encode_grant(grant)).error().is(Errc::bad_peer));
  grant.chunk_size = 0;
  EXPECT_TRUE(wire::decode_grant(wire::encode_grant(grant)).error().is(Errc::bad_peer));
  grant.total_len = UINT64_MAX;
  grant.chunk_size = UINT32_MAX;
  EXPECT_TRUE(wire::decode_grant(wire::encode_grant(grant)).error().is(Errc::bad_peer));
  EXPECT_TRUE(wire::decode_grant(as_bytes(R"({"Rdma":{"lease_id":1,"descriptor":[1]}})"))
                  .error()
                  .is(Errc::bad_peer));
  grant.total_len = 0;
  grant.chunk_size = 10;
  grant.chunk_count = 1;
  EXPECT_TRUE(wire::decode_grant(wire::encode_grant(grant))) << "the public velo's empty data";
}

TEST(DataHandle, IsItsDecimalText) {
  EXPECT_EQ(*DataHandle::parse(handle.to_string()), handle);
  for (const char* text : {"", "0", "-1", "12", "1x", "18446744073709551616",
                           "340282366920938463463374607431768211456"}) {
    EXPECT_FALSE(DataHandle::parse(text)) << text;
  }
}

}  // namespace velo::rendezvous::wire_test
