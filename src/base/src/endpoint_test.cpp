// SPDX-License-Identifier: Apache-2.0
// Tests of the text form of endpoints, which users and peers write.

#include <velo/base/network.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

namespace velo::endpoint_test {

struct Good {
  std::string text;
  Endpoint endpoint;
  bool loopback;
};

TEST(Endpoint, ParsesWhatItPrints) {
  const std::vector<Good> table{
      {"tcp://127.0.0.1:80", Endpoint::tcp("127.0.0.1", 80), true},
      {"tcp://127.1.2.3:65535", Endpoint::tcp("127.1.2.3", 65535), true},
      {"tcp://0.0.0.0:0", Endpoint::tcp("0.0.0.0", 0), false},
      {"tcp://192.168.1.20:4711", Endpoint::tcp("192.168.1.20", 4711), false},
      {"tcp://[::1]:80", Endpoint::tcp("::1", 80), true},
      {"tcp://[::]:80", Endpoint::tcp("::", 80), false},
      {"tcp://[2001:db8::7]:1", Endpoint::tcp("2001:db8::7", 1), false},
      {"tcp://[::ffff:10.0.0.1]:1", Endpoint::tcp("::ffff:10.0.0.1", 1), false},
      {"tcp://[fe80::1%eth0]:9", Endpoint::tcp("fe80::1%eth0", 9), false},
      {"uds:///run/velo.sock", Endpoint::unix_socket("/run/velo.sock"), true},
      {"uds://relative.sock", Endpoint::unix_socket("relative.sock"), true},
      {"uds://@abstract", Endpoint::unix_socket("@abstract"), true},
      {"uds://" + std::string(100, 'p'), Endpoint::unix_socket(std::string(100, 'p')), true},
  };
  for (const Good& good : table) {
    const auto parsed = Endpoint::parse(good.text);
    ASSERT_TRUE(parsed) << good.text << ": " << parsed.error().to_string();
    EXPECT_EQ(*parsed, good.endpoint) << good.text;
    EXPECT_EQ(parsed->to_string(), good.text);
    EXPECT_EQ(parsed->is_loopback(), good.loopback) << good.text;
  }
}

TEST(Endpoint, RefusesWhatIsNoEndpoint) {
  const std::vector<std::string> table{
      "",
      "tcp",
      "tcp://",
      "tcp://:80",
      "tcp://127.0.0.1",
      "tcp://127.0.0.1:",
      "tcp://127.0.0.1:port",
      "tcp://127.0.0.1:+80",
      "tcp://127.0.0.1:-1",
      "tcp://127.0.0.1: 80",
      "tcp://127.0.0.1:80 ",
      "tcp://127.0.0.1:80/path",
      "tcp://127.0.0.1:65536",
      "tcp://127.0.0.1:99999999999999999999",
      " tcp://127.0.0.1:80",
      "TCP://127.0.0.1:80",
      "udp://127.0.0.1:80",
      "127.0.0.1:80",
      "tcp://localhost:80",
      "tcp://example.org:80",
      "tcp://256.0.0.1:80",
      "tcp://1.2.3:80",
      "tcp://1.2.3.4.5:80",
      "tcp://::1",
      "tcp://::1:80",
      "tcp://[]:80",
      "tcp://[::1]",
      "tcp://[::1:80",
      "tcp://::1]:80",
      "tcp://[127.0.0.1]:80",
      "tcp://[:::1]:80",
      "tcp://[fe80::1%]:80",
      "tcp://[fe80::1%a/b]:80",
      "tcp://[fe80::1%" + std::string(16, 'e') + "]:80",
      std::string("tcp://127.0.0.1\0:80", 19),
      std::string("tcp://127.0.0.1:80\0", 19),
      "uds://",
      "uds:/run/x",
      "uds://" + std::string(101, 'p'),
      std::string("uds:///run/a\0b", 14),
  };
  for (const std::string& text : table) {
    const auto parsed = Endpoint::parse(text);
    ASSERT_FALSE(parsed) << text << " became " << parsed->to_string();
    EXPECT_TRUE(parsed.error().is(Errc::invalid_argument)) << text;
  }
}

TEST(Endpoint, TheErrorQuotesABoundedPartOfTheText) {
  const auto parsed = Endpoint::parse("tcp://" + std::string(1'000'000, 'x'));
  ASSERT_FALSE(parsed);
  EXPECT_LT(parsed.error().context().size(), 300U);
}

TEST(Endpoint, KindsOfTheSameHostDiffer) {
  EXPECT_FALSE(Endpoint::tcp("x", 0) == Endpoint::unix_socket("x"));
  EXPECT_FALSE(Endpoint::tcp("127.0.0.1", 1) == Endpoint::tcp("127.0.0.1", 2));
}

}  // namespace velo::endpoint_test
