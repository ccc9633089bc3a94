// SPDX-License-Identifier: Apache-2.0
// Requests as etcd's gateway takes them, and its answers; the texts are those of etcd 3.4.

#include "etcd_wire.hpp"

#include <velo/discovery/error.hpp>
#include <velo/discovery/limits.hpp>

#include <gtest/gtest.h>

namespace velo::discovery::etcd {
namespace etcd_wire_test {

constexpr const char* header =
    R"("header":{"cluster_id":"324952591200643719","member_id":"3","revision":"5","raft_term":"2"})";

TEST(EtcdWire, RequestsAreWhatTheGatewayTakes) {
  EXPECT_EQ(range_request("foo", {}, 1, 0), R"({"key":"Zm9v"})");
  EXPECT_EQ(range_request("foo", "fop", 10, 7),
            R"({"key":"Zm9v","range_end":"Zm9w","limit":"10","revision":"7"})");
  EXPECT_EQ(newest_request("foo", "fop"),
            R"({"key":"Zm9v","range_end":"Zm9w","limit":"1","keys_only":true,)"
            R"("sort_order":"DESCEND","sort_target":"MOD"})");
  const std::vector<Change> changes{{"foo", "bar"}, {"fop", std::nullopt}};
  EXPECT_EQ(txn_request(changes, -3),
            R"({"success":[{"request_put":{"key":"Zm9v","value":"YmFy","lease":"-3"}},)"
            R"({"request_txn":{"compare":[{"key":"Zm9w","target":"LEASE","result":"EQUAL",)"
            R"("lease":"-3"}],"success":[{"request_delete_range":{"key":"Zm9w"}}]}}]})");
  const std::vector<Change> again{{"foo", "bar", true}};
  EXPECT_EQ(txn_request(again, 4),
            R"({"success":[{"request_txn":{"compare":[{"key":"Zm9v","target":"LEASE",)"
            R"("result":"EQUAL","lease":"4"}],"success":[{"request_put":{"key":"Zm9v",)"
            R"("value":"YmFy","lease":"4"}}],"failure":[{"request_txn":{"compare":[{"key":"Zm9v",)"
            R"("target":"CREATE","result":"EQUAL","create_revision":"0"}],"success":[)"
            R"({"request_put":{"key":"Zm9v","value":"YmFy","lease":"4"}}]}}]}}]})");
  EXPECT_EQ(authenticate_request("me", "a\"b\n"), R"({"name":"me","password":"a\"b\n"})");
  EXPECT_EQ(grant_request(30), R"({"TTL":"30"})");
  EXPECT_EQ(lease_request(7587862094), R"({"ID":"7587862094","keys":true})");
  EXPECT_EQ(watch_request("foo", "fop", 8),
            R"({"create_request":{"key":"Zm9v","range_end":"Zm9w","start_revision":"8",)"
            R"("progress_notify":true,"fragment":true}})");
  EXPECT_EQ(prefix_end("/velo/a/peers/"), "/velo/a/peers0");
}

TEST(EtcdWire, RangeIsReadWithItsZerosLeftOut) {
  const auto reply =
      read_range(std::string("{") + header +
                 R"(,"kvs":[{"key":"Zm9v","create_revision":"2","mod_revision":"3","version":"1",)"
                 R"("value":"YmFy","lease":"9"},{"key":"Zm9w"}],"more":true,"count":"12"})");
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_EQ(reply->cluster, 324952591200643719U);
  EXPECT_EQ(reply->revision, 5);
  EXPECT_TRUE(reply->more);
  EXPECT_EQ(reply->count, 12U);
  ASSERT_EQ(reply->entries.size(), 2U);
  EXPECT_EQ(reply->entries[0].key.text(), "foo");
  EXPECT_EQ(reply->entries[0].value.text(), "bar");
  EXPECT_EQ(reply->entries[0].mod_revision, 3);
  EXPECT_EQ(reply->entries[1].value.text(), "");
  const auto empty = read_range(std::string("{") + header + "}");
  ASSERT_TRUE(empty);
  EXPECT_TRUE(empty->entries.empty());
}

TEST(EtcdWire, LeaseIsReadPlainlyAndFromAStream) {
  const auto plain = read_lease(std::string("{") + header + R"(,"ID":"2324","TTL":"30"})");
  ASSERT_TRUE(plain) << plain.error().to_string();
  EXPECT_EQ(plain->lease, 2324);
  EXPECT_EQ(plain->ttl_seconds, 30);
  const auto gone = read_lease(std::string(R"({"result":{)") + header + R"(,"ID":"123"}})" + "\n");
  ASSERT_TRUE(gone) << gone.error().to_string();
  EXPECT_EQ(gone->ttl_seconds, 0);
  const auto keys =
      read_lease(std::string("{") + header + R"(,"ID":"1","TTL":"-1","keys":["Zm9v"]})");
  ASSERT_TRUE(keys);
  ASSERT_EQ(keys->keys.size(), 1U);
  EXPECT_EQ(keys->keys[0].text(), "foo");
  EXPECT_FALSE(read_lease(R"({"error":{"grpc_code":14,"message":"no leader"}})"));
}

TEST(EtcdWire, WatchMessagesAreRead) {
  const auto created = read_watch(std::string(R"({"result":{)") + header + R"(,"created":true}})");
  ASSERT_TRUE(created);
  EXPECT_TRUE(created->created);
  EXPECT_EQ(created->revision, 5);
  const auto events = read_watch(
      std::string(R"({"result":{)") + header +
      R"(,"fragment":true,"events":[{"kv":{"key":"Zm9v","mod_revision":"4","value":"YmFy"}},)"
      R"({"type":"DELETE","kv":{"key":"Zm9v","mod_revision":"5"}}]}})");
  ASSERT_TRUE(events) << events.error().to_string();
  EXPECT_TRUE(events->fragment);
  ASSERT_EQ(events->events.size(), 2U);
  EXPECT_FALSE(events->events[0].removed);
  EXPECT_EQ(events->events[0].entry.value.text(), "bar");
  EXPECT_TRUE(events->events[1].removed);
  EXPECT_EQ(events->events[1].entry.mod_revision, 5);
  const auto compacted =
      read_watch(R"({"result":{"header":{},"canceled":true,"compact_revision":"3"}})");
  ASSERT_TRUE(compacted);
  EXPECT_TRUE(compacted->cancelled);
  EXPECT_EQ(compacted->compact_revision, 3);
  const auto failed =
      read_watch(R"({"error":{"grpc_code":14,"http_code":503,"message":"no leader"}})");
  ASSERT_TRUE(failed);
  EXPECT_TRUE(failed->cancelled);
  EXPECT_EQ(failed->reason, "no leader");
}

TEST(EtcdWire, WhatIsNoAnswerIsRefused) {
  for (const std::string text :
       {"", "null", "[]", R"({"header":{"revision":"0"}})", R"({"header":{"revision":"x"}})",
        R"({"header":{"revision":"99999999999999999999"}})",
        R"({"header":{"revision":"5"},"kvs":[{"key":"!!"}]})",
        R"({"header":{"revision":"5"},"kvs":{}})", R"({"header":{"revision":"5"}} x)"}) {
    const auto reply = read_range(text);
    ASSERT_FALSE(reply) << text;
    EXPECT_TRUE(reply.error().is(Errc::malformed_entry)) << text;
  }
  EXPECT_FALSE(read_watch("{}"));
  EXPECT_FALSE(read_watch(R"({"result":{"events":[{"type":"MOVE","kv":{"key":"Zm9v"}}]}})"));
  EXPECT_FALSE(read_lease("{}"));
}

TEST(EtcdWire, EntriesOfAMessageAreBounded) {
  std::string text = R"({"header":{"revision":"5"},"kvs":[{})";
  for (std::size_t i = 0; i < limits::etcd_entries_per_message_max; ++i) text += ",{}";
  EXPECT_FALSE(read_range(text + "]}"));
}

TEST(EtcdWire, RefusalsAreReadWhoeverWroteThem) {
  const Refusal lease =
      read_refusal(404, R"({"error":"etcdserver: requested lease not found",)"
                        R"("message":"etcdserver: requested lease not found","code":5})");
  EXPECT_EQ(lease.code, grpc_code::not_found);
  EXPECT_TRUE(to_error(lease).is(velo::Errc::not_found));
  const Refusal proxy = read_refusal(502, "<html>");
  EXPECT_EQ(proxy.code, -1);
  EXPECT_TRUE(to_error(proxy).is(velo::Errc::io));
  EXPECT_NE(to_error(proxy).to_string().find("502"), std::string::npos);
  EXPECT_EQ(read_refusal(400, R"({"code":1e300,"message":7})").code, -1);
  EXPECT_LE(read_refusal(400, R"({"code":3,"message":")" + std::string(100'000, 'x') + "\"}")
                .message.size(),
            1000U);
}

TEST(EtcdWire, StreamIsCutIntoLines) {
  const std::string text = "one\n\n  \r\ntwo\nthree\n";
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    LineSplitter lines;
    std::vector<std::string> found;
    for (std::size_t at = 0; at < text.size(); at += piece) {
      ASSERT_TRUE(lines.feed(std::string_view(text).substr(at, piece)));
      while (auto line = lines.next()) found.push_back(*line);
    }
    EXPECT_EQ(found, (std::vector<std::string>{"one", "two", "three"})) << piece;
  }
}

TEST(EtcdWire, LineWithoutEndIsRefused) {
  LineSplitter lines;
  const std::string piece(std::size_t{1} << 20, 'x');
  std::size_t fed = 0;
  while (lines.feed(piece)) {
    fed += piece.size();
    ASSERT_LE(fed, limits::etcd_message_bytes_max);
  }
}

TEST(EtcdWire, ATokenFitsIntoAHeaderOrIsNone) {
  EXPECT_EQ(read_token(R"({"header":{},"token":"abc.17"})").value(), "abc.17");
  for (const std::string& wrong :
       {std::string(R"({"token":""})"), std::string("{}"), std::string(),
        std::string(R"({"token":"a\r\nHost: b"})"), std::string(R"({"token":"a b"})"),
        std::string(R"({"token":5})"), R"({"token":")" + std::string(9000, 'x') + "\"}"}) {
    EXPECT_TRUE(read_token(wrong).error().is(Errc::malformed_entry)) << wrong;
  }
  EXPECT_TRUE(wants_new_token({16, "etcdserver: invalid auth token"}));
  EXPECT_TRUE(wants_new_token({3, "etcdserver: revision of auth store is old"}));
  EXPECT_FALSE(wants_new_token({3, "etcdserver: duplicate key given in txn request"}));
  EXPECT_FALSE(wants_new_token({7, "etcdserver: permission denied"}));
}

}  // namespace etcd_wire_test
}  // namespace velo::discovery::etcd
