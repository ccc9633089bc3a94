// SPDX-License-Identifier: Apache-2.0
// Tests of `_hello` bodies and of what follows from two offers.

#include "hello.hpp"

#include <velo/base/limits.hpp>
#include <velo/codec/json_value.hpp>
#include <velo/messenger/error.hpp>
#include <velo/messenger/limits.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace velo::messenger::hello_test {

const std::string uuid = "67e55044-10b1-426f-9247-bb680e5fe0c8";
/// {"tcp": "ab"} as the public velo writes it.
const std::string peer_json =
    R"({"instance_id":")" + uuid + R"(","worker_address":[129,163,116,99,112,146,97,98]})";

static PeerInfo peer() {
  PeerInfo info;
  info.instance_id = *InstanceId::parse(uuid);
  info.address["tcp"] = Bytes::copy("ab");
  return info;
}

static std::string hello_with(const std::string& velo) {
  return R"({"peer_info":)" + peer_json + R"(,"velo":)" + velo + "}";
}

static Result<HelloRequest> decode(const std::string& json) {
  return decode_hello_request(as_bytes(json));
}

static void expect_refused(const std::string& json) {
  const auto request = decode(json);
  ASSERT_FALSE(request) << json.substr(0, 200);
  EXPECT_TRUE(request.error().is(Errc::malformed)) << request.error().to_string();
}

static std::string names_json(std::size_t count, const std::string& name) {
  std::string json = "[";
  for (std::size_t i = 0; i < count; ++i) {
    if (i != 0) json += ',';
    json += '"' + name + '"';
  }
  return json + "]";
}

static Offer without(Offer offer, const std::string& feature) {
  std::erase(offer.features, feature);
  return offer;
}

TEST(Hello, RequestIsThePublicJsonWithOneMemberMore) {
  const Bytes bytes = encode_hello_request({peer(), local_offer(0x00ab)});
  const auto json = codec::JsonValue::parse(bytes.text());
  ASSERT_TRUE(json);
  const auto expected = codec::JsonValue::parse(hello_with(
      R"({"v":1,"inc":"00000000000000ab",
          "feat":["same-conn","hdr2","status","cancel","window","msgpack"],
          "max_frame":16777216,"window":{"calls":1024,"bytes":33554432}})"));
  ASSERT_TRUE(expected);
  EXPECT_EQ(*json, *expected) << bytes.text();
}

TEST(Hello, RequestSurvivesTheWire) {
  const HelloRequest request{peer(), local_offer(UINT64_MAX)};
  const auto decoded = decode_hello_request(encode_hello_request(request));
  ASSERT_TRUE(decoded) << decoded.error().to_string();
  EXPECT_EQ(decoded->peer_info, request.peer_info);
  EXPECT_EQ(decoded->offer, request.offer);
}

TEST(Hello, WithoutAnOfferItIsWhatThePublicVeloSends) {
  const std::string json = R"({"peer_info":)" + peer_json + "}";
  EXPECT_EQ(encode_hello_request({peer(), std::nullopt}).text(), json);
  const auto decoded = decode(json);
  ASSERT_TRUE(decoded) << decoded.error().to_string();
  EXPECT_EQ(decoded->peer_info, peer());
  EXPECT_FALSE(decoded->offer);
}

TEST(Hello, ANullOfferIsNone) {
  const auto decoded = decode(hello_with("null"));
  ASSERT_TRUE(decoded);
  EXPECT_FALSE(decoded->offer);
}

TEST(Hello, UnknownMembersAreIgnoredEverywhere) {
  const auto decoded =
      decode(R"({"later":[{"a":1}],"peer_info":{"instance_id":")" + uuid +
             R"(","zone":"b","worker_address":[128]},"velo":{"v":1,"inc":"0000000000000001","x":{},
         "window":{"calls":2,"bytes":3,"frames":4}}})");
  ASSERT_TRUE(decoded) << decoded.error().to_string();
  EXPECT_TRUE(decoded->peer_info.address.empty());
  EXPECT_EQ(decoded->offer->incarnation, 1U);
  EXPECT_EQ(decoded->offer->window_bytes, 3U);
}

TEST(Hello, AFutureVersionIsUnderstoodByItsNames) {
  const auto decoded = decode(hello_with(
      R"({"v":4294967295,"inc":"0123456789abcdef","feat":["teleport","hdr2"],"max_frame":1000})"));
  ASSERT_TRUE(decoded) << decoded.error().to_string();
  EXPECT_EQ(decoded->offer->version, UINT32_MAX);
  EXPECT_EQ(decoded->offer->features, (std::vector<std::string>{"teleport", "hdr2"}));
  const Agreement agreement = agree(local_offer(1), decoded->offer);
  EXPECT_TRUE(agreement.ours);
  EXPECT_TRUE(agreement.hdr2);
  EXPECT_FALSE(agreement.same_conn);
  EXPECT_EQ(agreement.frame_bytes_max, 1'000U);
  EXPECT_EQ(agreement.peer_incarnation, 0x0123456789abcdefU);
}

TEST(Hello, AnOfferNeedsOnlyVersionAndIncarnation) {
  const auto decoded = decode(hello_with(R"({"v":1,"inc":"00000000000000FF"})"));
  ASSERT_TRUE(decoded) << decoded.error().to_string();
  EXPECT_EQ(decoded->offer->incarnation, 0xffU);
  EXPECT_TRUE(decoded->offer->features.empty());
  EXPECT_EQ(agree(local_offer(1), decoded->offer).frame_bytes_max, velo::limits::frame_bytes_max);
}

TEST(Hello, AnUnintelligibleOfferIsRefused) {
  for (const char* offer : {"1",
                            "[]",
                            "\"v1\"",
                            "true",
                            "{}",
                            R"({"v":1})",
                            R"({"inc":"0000000000000001"})",
                            R"({"v":0,"inc":"0000000000000001"})",
                            R"({"v":-1,"inc":"0000000000000001"})",
                            R"({"v":4294967296,"inc":"0000000000000001"})",
                            R"({"v":"1","inc":"0000000000000001"})",
                            R"({"v":1.5,"inc":"0000000000000001"})",
                            R"({"v":1,"inc":1})",
                            R"({"v":1,"inc":""})",
                            R"({"v":1,"inc":"000000000000001"})",
                            R"({"v":1,"inc":"00000000000000001"})",
                            R"({"v":1,"inc":"000000000000000g"})",
                            R"({"v":1,"inc":"0000000000000001","feat":"hdr2"})",
                            R"({"v":1,"inc":"0000000000000001","feat":[1]})",
                            R"({"v":1,"inc":"0000000000000001","max_frame":-1})",
                            R"({"v":1,"inc":"0000000000000001","max_frame":18446744073709551616})",
                            R"({"v":1,"inc":"0000000000000001","window":[1,2]})",
                            R"({"v":1,"inc":"0000000000000001","window":{"calls":"many"}})"}) {
    expect_refused(hello_with(offer));
  }
}

TEST(Hello, AtMost64FeaturesOfAtMost64Bytes) {
  const auto offer = [](std::size_t count, std::size_t bytes) {
    return hello_with(R"({"v":1,"inc":"0000000000000001","feat":)" +
                      names_json(count, std::string(bytes, 'f')) + "}");
  };
  const auto most = decode(offer(features_max, feature_bytes_max));
  ASSERT_TRUE(most) << most.error().to_string();
  EXPECT_EQ(most->offer->features.size(), features_max);
  expect_refused(offer(features_max + 1, 1));
  expect_refused(offer(1, feature_bytes_max + 1));
}

TEST(Hello, HostileJsonIsRefused) {
  for (
      const std::string json :
      {"", " ", "null", "[]", "{}", "{\"peer_info\":null}", R"({"peer_info":{}})",
       R"({"peer_info":{"instance_id":"67e55044-10b1-426f-9247-bb680e5fe0c8"}})",
       R"({"peer_info":{"worker_address":[128]}})",
       R"({"peer_info":{"instance_id":"67e55044","worker_address":[128]}})",
       R"({"peer_info":{"instance_id":7,"worker_address":[128]}})",
       R"({"peer_info":{"instance_id":"67e55044-10b1-426f-9247-bb680e5fe0c8","worker_address":[]}})",
       R"({"peer_info":{"instance_id":"67e55044-10b1-426f-9247-bb680e5fe0c8","worker_address":[256]}})",
       R"({"peer_info":{"instance_id":"67e55044-10b1-426f-9247-bb680e5fe0c8","worker_address":[223,255,255,255,255]}})",
       R"({"peer_info":{"instance_id":"67e55044-10b1-426f-9247-bb680e5fe0c8","worker_address":{}}})",
       R"({"peer_info":{"instance_id":"00000000-0000-0000-0000-000000000000","worker_address":[128]}})"}) {
    expect_refused(json);
  }
  const std::string whole = R"({"peer_info":)" + peer_json + "}";
  for (std::size_t size = 0; size < whole.size(); ++size) expect_refused(whole.substr(0, size));
  expect_refused(whole + "x");
  expect_refused(whole + whole);
  expect_refused("\xef\xbb\xbf" + whole);
  expect_refused(R"({"a":)" + std::string(100'000, '[') + "}");
  expect_refused(R"({"a":)" + std::string(100, '[') + std::string(100, ']') + R"(,"peer_info":)" +
                 peer_json + "}");
}

TEST(Hello, MoreThan64KiBIsRefusedUnread) {
  const std::string whole = R"({"peer_info":)" + peer_json + "}";
  EXPECT_TRUE(decode(whole + std::string(hello_bytes_max - whole.size(), ' ')));
  expect_refused(whole + std::string(hello_bytes_max - whole.size() + 1, ' '));
}

TEST(Hello, ResponseListsHandlersAndMayCarryAnOffer) {
  const HandlersResponse plain{{"echo", "_hello", "été"}, std::nullopt};
  EXPECT_EQ(encode_handlers_response(plain).text(), R"({"handlers":["echo","_hello","été"]})");
  const HandlersResponse both{{"echo"}, local_offer(7)};
  for (const HandlersResponse& response : {plain, both}) {
    const auto decoded = decode_handlers_response(encode_handlers_response(response));
    ASSERT_TRUE(decoded) << decoded.error().to_string();
    EXPECT_EQ(decoded->handlers, response.handlers);
    EXPECT_EQ(decoded->offer, response.offer);
  }
}

TEST(Hello, AResponseWithoutHandlersIsNone) {
  for (const std::string json :
       {"", "null", "{}", R"({"handlers":null})", R"({"handlers":"echo"})", R"({"handlers":[1]})",
        R"({"handlers":["echo"],"velo":{}})", R"(["echo"])"}) {
    const auto decoded = decode_handlers_response(as_bytes(json));
    ASSERT_FALSE(decoded) << json;
    EXPECT_TRUE(decoded.error().is(Errc::malformed));
  }
}

TEST(Hello, ResponseHasAtMost65536HandlersAnd4MiB) {
  const auto list = [](std::size_t count, const std::string& name) {
    return decode_handlers_response(as_bytes(R"({"handlers":)" + names_json(count, name) + "}"));
  };
  const auto most = list(limits::handlers_max, "h");
  ASSERT_TRUE(most);
  EXPECT_EQ(most->handlers.size(), limits::handlers_max);
  EXPECT_FALSE(list(limits::handlers_max + 1, "h"));
  EXPECT_FALSE(list(1, std::string(handlers_bytes_max, 'h')));
}

TEST(Agreement, WithThePublicVeloNothingIsAssumed) {
  const Agreement agreement = agree(local_offer(1), std::nullopt);
  EXPECT_FALSE(agreement.ours);
  EXPECT_FALSE(agreement.same_conn || agreement.hdr2 || agreement.status || agreement.cancel ||
               agreement.window || agreement.msgpack);
  EXPECT_EQ(agreement.frame_bytes_max, velo::limits::frame_bytes_max);
}

TEST(Agreement, BetweenOurOwnNodesEverythingHolds) {
  const Agreement agreement = agree(local_offer(1), local_offer(2));
  EXPECT_TRUE(agreement.ours && agreement.same_conn && agreement.hdr2 && agreement.status &&
              agreement.cancel && agreement.window && agreement.msgpack);
  EXPECT_EQ(agreement.peer_incarnation, 2U);
  EXPECT_EQ(agreement.window_calls, window_calls_default);
  EXPECT_EQ(agreement.window_bytes, window_bytes_default);
}

TEST(Agreement, EachNameCountsOnlyIfBothSidesSayIt) {
  const Offer whole = local_offer(1);
  const std::vector<std::pair<std::string, bool Agreement::*>> names = {
      {"same-conn", &Agreement::same_conn}, {"hdr2", &Agreement::hdr2},
      {"status", &Agreement::status},       {"cancel", &Agreement::cancel},
      {"window", &Agreement::window},       {"msgpack", &Agreement::msgpack}};
  for (const auto& [name, flag] : names) {
    const Offer less = without(whole, name);
    for (const Agreement& agreement : {agree(whole, less), agree(less, whole)}) {
      for (const auto& [other, other_flag] : names) {
        EXPECT_EQ(agreement.*other_flag, other != name) << name << ", " << other;
      }
    }
  }
}

TEST(Agreement, NumbersAreTheMinimumOfWhatWasSaid) {
  Offer ours = local_offer(1);
  Offer theirs = local_offer(2);
  theirs.frame_bytes_max = 1'000;
  theirs.window_calls = 5;
  theirs.window_bytes = UINT64_MAX;
  for (const Agreement& agreement : {agree(ours, theirs), agree(theirs, ours)}) {
    EXPECT_EQ(agreement.frame_bytes_max, 1'000U);
    EXPECT_EQ(agreement.window_calls, 5U);
    EXPECT_EQ(agreement.window_bytes, window_bytes_default);
  }
  theirs.frame_bytes_max = UINT64_MAX;
  EXPECT_EQ(agree(ours, theirs).frame_bytes_max, velo::limits::frame_bytes_max);
  ours.frame_bytes_max = 0;
  EXPECT_EQ(agree(ours, theirs).frame_bytes_max, velo::limits::frame_bytes_max);
}

TEST(Agreement, AWindowWithoutNumbersTakesOurs) {
  Offer theirs = local_offer(2);
  theirs.window_calls = theirs.window_bytes = 0;
  const Agreement agreement = agree(local_offer(1), theirs);
  EXPECT_TRUE(agreement.window);
  EXPECT_EQ(agreement.window_calls, window_calls_default);
}

TEST(Agreement, WithoutTheWindowFeatureItsNumbersDoNotCount) {
  const Agreement agreement = agree(local_offer(1), without(local_offer(2), "window"));
  EXPECT_FALSE(agreement.window);
  EXPECT_EQ(agreement.window_calls, 0U);
  EXPECT_EQ(agreement.window_bytes, 0U);
}

}  // namespace velo::messenger::hello_test
