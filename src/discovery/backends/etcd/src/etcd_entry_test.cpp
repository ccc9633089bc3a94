// SPDX-License-Identifier: Apache-2.0
// Values of announcements, and that docs/protocols/etcd.md shows them as they are.

#include "etcd_entry.hpp"

#include <velo/discovery/error.hpp>
#include <velo/discovery/limits.hpp>

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace velo::discovery::etcd {
namespace etcd_entry_test {

constexpr std::array<std::byte, 3> address{std::byte{1}, std::byte{2}, std::byte{3}};

static PeerInfo example() {
  return PeerInfo{*InstanceId::parse("00112233-4455-4677-8899-aabbccddeeff"),
                  {{"tcp", Bytes::copy(ByteSpan(address))}}};
}

static ServiceInstance example_service() {
  return ServiceInstance{
      "math.sum", example().instance_id, {{"version", Bytes::copy(std::string_view("2"))}}};
}

static std::string page() {
  const char* root = std::getenv("VELO_SOURCE_DIR");
  std::ifstream file(std::string(root != nullptr ? root : ".") + "/docs/protocols/etcd.md");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

static std::string line_after(const std::string& text, const std::string& name) {
  const std::size_t at = text.find("\n" + name + ": ");
  if (at == std::string::npos) return {};
  const std::size_t begin = at + name.size() + 3;
  return text.substr(begin, text.find('\n', begin) - begin);
}

TEST(EtcdEntry, ProtocolPageShowsIt) {
  const std::string text = page();
  const std::string key = line_after(text, "peer key");
  const std::string value = line_after(text, "peer value");
  EXPECT_EQ(key, key_prefix<PeerSubject>("demo") + key_tail<PeerSubject>(example().instance_id));
  EXPECT_EQ(value, *encode_value<PeerSubject>("demo", example()));
  const auto read = decode_value<PeerSubject>("demo", example().instance_id, as_bytes(value));
  ASSERT_TRUE(read) << read.error().to_string();
  EXPECT_EQ(*read, example());

  const ServiceInstance service = example_service();
  const std::string service_value = line_after(text, "service value");
  EXPECT_EQ(line_after(text, "service key"),
            key_prefix<ServiceSubject>("demo") +
                key_tail<ServiceSubject>({"math.sum", service.instance_id}));
  EXPECT_EQ(service_value, *encode_value<ServiceSubject>("demo", service));
  const auto again =
      decode_value<ServiceSubject>("demo", ServiceSubject::key(service), as_bytes(service_value));
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ(*again, service);
}

TEST(EtcdEntry, ServiceIsHeldToItsKeyAndItsLimits) {
  const ServiceInstance service = example_service();
  const std::string good = *encode_value<ServiceSubject>("demo", service);
  const auto key = ServiceSubject::key(service);
  EXPECT_TRUE(decode_value<ServiceSubject>("demo", {"math", key.second}, as_bytes(good))
                  .error()
                  .is(Errc::foreign_entry));
  ServiceInstance large = service;
  large.metadata["x"] = Bytes::copy(std::string(limits::service_metadata_bytes_max, 'x'));
  const std::string too_much = *encode_value<ServiceSubject>("demo", large);
  EXPECT_TRUE(decode_value<ServiceSubject>("demo", key, as_bytes(too_much))
                  .error()
                  .is(Errc::malformed_entry));
  const std::string id = key.second.to_string();
  EXPECT_EQ(parse_key_tail<ServiceSubject>("math.sum/" + id), key);
  for (const std::string& tail :
       {id, "/" + id, "a/b/" + id, ".a/" + id, std::string("math.sum/x")}) {
    EXPECT_FALSE(parse_key_tail<ServiceSubject>(tail)) << tail;
  }
}

TEST(EtcdEntry, WhatOthersWroteIsChecked) {
  const InstanceId id = example().instance_id;
  const std::string good = *encode_value<PeerSubject>("demo", example());
  const auto code = [&](const std::string& value, std::string_view cluster = "demo") {
    return decode_value<PeerSubject>(cluster, id, as_bytes(value)).error();
  };
  EXPECT_TRUE(code(good, "other").is(Errc::foreign_entry));
  EXPECT_TRUE(code("").is(Errc::malformed_entry));
  EXPECT_TRUE(code(good.substr(0, good.size() - 1)).is(Errc::malformed_entry));
  EXPECT_TRUE(code(R"({"format":2})").is(Errc::unknown_format));
  EXPECT_TRUE(code(R"({"format":1})").is(Errc::malformed_entry));
  EXPECT_TRUE(
      code(good + std::string(limits::etcd_value_bytes_max, ' ')).is(Errc::malformed_entry));
  InstanceId other = *InstanceId::parse("00112233-4455-4677-8899-aabbccddee00");
  EXPECT_TRUE(
      decode_value<PeerSubject>("demo", other, as_bytes(good)).error().is(Errc::foreign_entry));
}

TEST(EtcdEntry, AnInstanceHasOneKey) {
  EXPECT_TRUE(parse_key_tail<PeerSubject>("00112233-4455-4677-8899-aabbccddeeff"));
  EXPECT_FALSE(parse_key_tail<PeerSubject>("00112233-4455-4677-8899-AABBCCDDEEFF"));
  EXPECT_FALSE(parse_key_tail<PeerSubject>("00000000-0000-0000-0000-000000000000"));
  EXPECT_FALSE(parse_key_tail<PeerSubject>("00112233-4455-4677-8899-aabbccddeeff/x"));
}

TEST(EtcdEntry, ValueThatIsTooLongIsRefused) {
  PeerInfo peer = example();
  peer.address["tcp"] = Bytes::copy(std::string(limits::etcd_value_bytes_max / 2, 'x'));
  EXPECT_TRUE(encode_value<PeerSubject>("demo", peer).error().is(velo::Errc::invalid_argument));
}

}  // namespace etcd_entry_test
}  // namespace velo::discovery::etcd
