// SPDX-License-Identifier: Apache-2.0
// Headers of requests and of responses, and their limits.

#include "testing/cluster.hpp"

namespace velo::messenger::testing::headers_test {

static void expect_balanced(Cluster& cluster) {
  for (const auto& messenger : cluster.messengers) EXPECT_TRUE(messenger->books().balanced());
}

/// Node 1 stores the headers that reach it here.
static Handler keep(Headers& seen) {
  return Handler::am_handler("keep", [&seen](Context& context) { seen = context.headers(); })
      .build();
}

TEST(HeadersOfCalls, ReachTheHandlerWithEveryPattern) {
  Cluster cluster(2);
  int seen = 0;
  auto note = [&seen](Context& context) {
    EXPECT_EQ(context.header("trace"), "abc");
    EXPECT_EQ(context.header("größe"), "€");
    EXPECT_EQ(context.headers().size(), 2u);
    ++seen;
    return Bytes();
  };
  ASSERT_TRUE(cluster[1].register_handler(Handler::unary_handler("spawned", note).build()));
  ASSERT_TRUE(
      cluster[1].register_handler(Handler::unary_handler("inline", note).inline_().build()));
  const Headers headers{{"trace", "abc"}, {"größe", "€"}};
  const InstanceId& to = cluster.id(1);
  for (const char* name : {"spawned", "inline"}) {
    ASSERT_TRUE(cluster.wait(cluster[0].unary(name).headers(headers).instance(to).send()));
    ASSERT_TRUE(cluster.wait(cluster[0].am_sync(name).headers(headers).instance(to).send()));
    ASSERT_TRUE(cluster.wait(cluster[0].am_send(name).headers(headers).instance(to).send()));
  }
  EXPECT_TRUE(cluster.until([&] { return seen == 6; }));
  expect_balanced(cluster);
}

TEST(HeadersOfCalls, AMissingNameReadsAsEmpty) {
  Cluster cluster(2);
  std::string found = "unset";
  ASSERT_TRUE(cluster[1].register_handler(Handler::am_handler("look", [&found](Context& context) {
                                            found = context.header("absent");
                                          }).build()));
  ASSERT_TRUE(cluster.wait(
      cluster[0].am_sync("look").header("present", "x").instance(cluster.id(1)).send()));
  EXPECT_EQ(found, "");
  expect_balanced(cluster);
}

TEST(HeadersOfCalls, TheLastValueOfANameCounts) {
  Cluster cluster(2);
  Headers seen;
  ASSERT_TRUE(cluster[1].register_handler(keep(seen)));
  ASSERT_TRUE(cluster.wait(
      cluster[0].am_sync("keep").header("a", "1").header("a", "2").instance(cluster.id(1)).send()));
  EXPECT_EQ(seen, (Headers{{"a", "2"}}));
  expect_balanced(cluster);
}

TEST(HeadersOfCalls, ResponseHeadersComeWithTheReply) {
  Cluster cluster(2);
  for (const std::size_t to : {std::size_t{0}, std::size_t{1}}) {
    ASSERT_TRUE(cluster[to].register_handler(Handler::unary_handler("answer", [](Context& context) {
                                               context.set_response_header("kind", "good");
                                               context.set_response_header("kind", "better");
                                               return Bytes::copy("body");
                                             }).build()));
    const auto response = cluster.wait(cluster[0]
                                           .unary("answer")
                                           .header("mine", "x")
                                           .instance(cluster.id(to))
                                           .send_for_response());
    ASSERT_TRUE(response) << response.error().to_string();
    EXPECT_EQ(response->payload.text(), "body");
    EXPECT_EQ(response->headers, (Headers{{"kind", "better"}}));
  }
  expect_balanced(cluster);
}

TEST(HeadersOfCalls, AReplyWithoutHeadersHasNone) {
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(echo()));
  const auto response = cluster.wait(
      cluster[0].unary("echo").header("mine", "x").instance(cluster.id(1)).send_for_response());
  ASSERT_TRUE(response) << response.error().to_string();
  EXPECT_TRUE(response->headers.empty()) << "the request's headers are not echoed";
  expect_balanced(cluster);
}

TEST(HeadersOfCalls, ResponseHeadersAreNoObstacleToAnError) {
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(
      Handler::unary_handler("fail", [](Context& context) -> Result<Bytes> {
        context.set_response_header("kind", std::string(5'000, 'x'));
        context.set_response_header("velo-error", "0.2.0");
        return velo::make_error(velo::Errc::io, "disk");
      }).build()));
  const auto response =
      cluster.wait(cluster[0].unary("fail").instance(cluster.id(1)).send_for_response());
  ASSERT_FALSE(response);
  EXPECT_TRUE(response.error().is(velo::Errc::io)) << response.error().to_string();
  EXPECT_EQ(response.error().context(), "disk");
  expect_balanced(cluster);
}

TEST(HeadersOfCalls, AcknowledgementsMayCarryHeadersThatNobodyReads) {
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(Handler::am_handler("work", [](Context& context) {
                                            context.set_response_header("kind", "x");
                                          }).build()));
  EXPECT_EQ(outcome(cluster.wait(cluster[0].am_sync("work").instance(cluster.id(1)).send())), "ok");
  EXPECT_EQ(outcome(cluster.wait(cluster[0].am_send("work").instance(cluster.id(1)).send())), "ok");
  expect_balanced(cluster);
}

TEST(HeadersOfCalls, OverlongResponseHeadersEndTheCallAsTooLarge) {
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(Handler::unary_handler("answer", [](Context& context) {
                                            context.set_response_header("kind",
                                                                        std::string(1'025, 'x'));
                                            return Bytes::copy("body");
                                          }).build()));
  const auto response =
      cluster.wait(cluster[0].unary("answer").instance(cluster.id(1)).send_for_response());
  EXPECT_EQ(outcome(response), "messenger.too_large");
  expect_balanced(cluster);
}

TEST(HeadersOfCalls, AValueHasAtMost1024Bytes) {
  Cluster cluster(2);
  Headers seen;
  ASSERT_TRUE(cluster[1].register_handler(keep(seen)));
  const std::string longest(1'024, 'v');
  ASSERT_TRUE(
      cluster.wait(cluster[0].am_sync("keep").header("a", longest).instance(cluster.id(1)).send()));
  EXPECT_EQ(seen, (Headers{{"a", longest}}));
  const auto refused = cluster.wait(
      cluster[0].am_sync("keep").header("a", longest + "v").instance(cluster.id(1)).send());
  EXPECT_EQ(outcome(refused), "messenger.headers_too_large");
  EXPECT_EQ(cluster[0].books().sync[Fate::rejected], 1u);
  EXPECT_EQ(cluster[1].books().received.requests, 1u);
  expect_balanced(cluster);
}

TEST(HeadersOfCalls, AllTogetherHaveAtMost16384EncodedBytes) {
  // A map of 16: 1 byte of its own with 15 entries, 3 from 16 on; a two-byte name 3, a value of
  // over 255 bytes 3 more.
  auto filled = [](std::size_t encoded_bytes) {
    Headers headers;
    std::size_t left = encoded_bytes - 3;
    for (char name = 'a'; name < 'a' + 16; ++name) {
      const std::size_t entry = name == 'a' + 15 ? left : 1'020;
      headers.emplace(std::string(2, name), std::string(entry - 6, 'v'));
      left -= entry;
    }
    return headers;
  };
  Cluster cluster(2);
  Headers seen;
  ASSERT_TRUE(cluster[1].register_handler(keep(seen)));
  const Headers largest = filled(16'300);
  const auto kept =
      cluster.wait(cluster[0].am_sync("keep").headers(largest).instance(cluster.id(1)).send());
  EXPECT_EQ(outcome(kept), "ok");
  EXPECT_EQ(seen, largest);
  Headers over = largest;
  over.emplace("zz", std::string(100, 'v'));
  const auto refused =
      cluster.wait(cluster[0].am_sync("keep").headers(over).instance(cluster.id(1)).send());
  EXPECT_EQ(outcome(refused), "messenger.headers_too_large");
  expect_balanced(cluster);
}

TEST(HeadersOfCalls, IllFormedTextIsNotSent) {
  Cluster cluster(2);
  Headers seen;
  ASSERT_TRUE(cluster[1].register_handler(keep(seen)));
  const auto value =
      cluster.wait(cluster[0].am_sync("keep").header("a", "\xff").instance(cluster.id(1)).send());
  const auto name =
      cluster.wait(cluster[0].am_sync("keep").header("\xc3", "x").instance(cluster.id(1)).send());
  EXPECT_EQ(outcome(value), "base.invalid_argument");
  EXPECT_EQ(outcome(name), "base.invalid_argument");
  EXPECT_EQ(cluster[0].books().sync[Fate::rejected], 2u);
  expect_balanced(cluster);
}

}  // namespace velo::messenger::testing::headers_test
