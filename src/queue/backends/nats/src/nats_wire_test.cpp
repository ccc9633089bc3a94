// SPDX-License-Identifier: Apache-2.0
// What crosses the connection to JetStream.

#include "nats_link.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

namespace velo::queue::nats {
namespace nats_wire_test {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

TEST(NatsWire, AnyIdAndHeaderSurvivesLinesOfText) {
  std::string every;
  for (int c = 0; c < 256; ++c) every += static_cast<char>(c);
  EXPECT_EQ(unescape(escape(every)), every);
  for (const char c : escape(every)) EXPECT_TRUE(c > ' ' && c < 127);
  SendOptions options;
  options.headers = {{"a name: with\r\n", every}, {"empty", ""}};
  options.delay = 3s;
  const Message message = item_message(Names("q"), every, Bytes::copy("x"), options);
  for (const auto& [name, value] : message.headers) {
    EXPECT_FALSE(value.empty()) << name;
    EXPECT_EQ((name + value).find_first_of("\r\n \t"), std::string::npos);
  }
  const Item item = read_item(message, Delivered{1, 7, {}});
  EXPECT_EQ(item.id, every);
  EXPECT_EQ(item.headers, options.headers);
  EXPECT_EQ(item.delay, Duration(3s));
}

TEST(NatsWire, AnItemOfSomebodyElseIsNamedByItsSequence) {
  Message message;
  message.headers = {{"Traceparent", "00-1"}, {"Velo-Delay", "99999999999999999999"}};
  const Item item = read_item(message, Delivered{1, 42, {}});
  EXPECT_EQ(item.id, "42");
  EXPECT_TRUE(item.headers.empty());
  EXPECT_EQ(item.delay, Duration(0)) << "no number";
  message.headers = {{"Velo-Delay", "9999999999999999999"}};
  EXPECT_EQ(read_item(message, Delivered{1, 1, {}}).delay, limits::wait_max);
}

TEST(NatsWire, AnAcknowledgementsSubjectSaysWhichDeliveryItIsOf) {
  const auto old = read_ack_subject("$JS.ACK.velo_q.workers.3.17.20.1700000000000000001.5");
  ASSERT_TRUE(old);
  EXPECT_EQ(old->deliveries, 3u);
  EXPECT_EQ(old->sequence, 17u);
  EXPECT_EQ(old->stored.unix_nanoseconds, 1700000000000000001);
  for (const char* subject : {"$JS.ACK._.hash.velo_q.workers.2.9.9.12.0.random",
                              "$JS.ACK.domain.hash.velo_q.workers.2.9.9.12.0"}) {
    const auto newer = read_ack_subject(subject);
    ASSERT_TRUE(newer) << subject;
    EXPECT_EQ(newer->deliveries, 2u);
    EXPECT_EQ(newer->sequence, 9u);
  }
  for (const char* subject :
       {"", "$JS", "$JS.ACK.s.c.1.2.3.4", "$JS.NAK.s.c.1.2.3.4.5", "$JS.ACK.s.c.0.2.3.4.5",
        "$JS.ACK.s.c.1.x.3.4.5", "$JS.ACK.s.c.1.0.3.4.5", "$JS.ACK.s.c.-1.2.3.4.5",
        "$JS.ACK.s.c.99999999999999999999.2.3.4.5", "$JS.ACK.s.c.1.2.3..5"}) {
    EXPECT_FALSE(read_ack_subject(subject)) << subject;
  }
}

TEST(NatsWire, AnswersAreValuesOrRefusals) {
  const auto stored = read_stored(R"({"stream":"velo_q","seq":12,"duplicate":true})");
  ASSERT_TRUE(stored && *stored);
  EXPECT_EQ((*stored)->sequence, 12u);
  EXPECT_TRUE((*stored)->duplicate);
  const auto full = read_stored(
      R"({"error":{"code":503,"err_code":10077,"description":"maximum messages exceeded"}})");
  ASSERT_TRUE(full && !*full);
  EXPECT_TRUE(is_full(full->error()));
  EXPECT_TRUE(error_of(full->error(), "sending").is(Errc::full));
  for (const char* body : {"", "7", "[]", "{\"seq\":", "nothing"}) {
    EXPECT_FALSE(read_stored(body)) << body;
  }
  const auto bare = read_stored(R"({"error":{}})");
  ASSERT_TRUE(bare && !*bare);
  EXPECT_FALSE(is_full(bare->error()));
}

TEST(NatsWire, RefusalsHaveTheContractsNames) {
  EXPECT_TRUE(error_of({10054, "too big"}, "x").is(Errc::too_large));
  EXPECT_TRUE(error_of({10059, "no stream"}, "x").is(Errc::unknown));
  EXPECT_TRUE(error_of({10076, "no jetstream"}, "x").is(velo::Errc::unsupported));
  EXPECT_TRUE(error_of({10047, "no space"}, "x").is(velo::Errc::overloaded));
  EXPECT_TRUE(error_of({10077, "disk"}, "x").is(velo::Errc::io));
  EXPECT_EQ(error_of({10077, "maximum bytes exceeded"}, "x").retry(), Retry::later);
}

TEST(NatsWire, AStreamSaysWhatItHoldsAndWhetherItIsClosed) {
  const Names names("q");
  const std::string body =
      R"({"config":{"name":"velo_q","subjects":["velo.queue.q"],"retention":"workqueue",)"
      R"("max_msgs":5,"other":{"kept":[1]}},"state":{"messages":2,"bytes":90,"last_seq":7,)"
      R"("first_ts":"2023-11-14T22:13:20.5Z"}})";
  const auto read = read_stream(names, body);
  ASSERT_TRUE(read && *read);
  const StreamInfo& info = **read;
  EXPECT_TRUE(info.work_queue);
  EXPECT_FALSE(info.closed);
  EXPECT_EQ(info.items, 2u);
  EXPECT_EQ(info.bytes, 90u);
  EXPECT_EQ(info.last_sequence, 7u);
  EXPECT_EQ(info.first.unix_nanoseconds, 1'700'000'000'000'000'000);
  const auto closed = closed_config(names, info.config);
  ASSERT_TRUE(closed);
  EXPECT_NE(closed->find(R"("other":{"kept":[1]})"), std::string::npos) << "what we do not know";
  const auto again = read_stream(names, R"({"config":)" + *closed + "}");
  ASSERT_TRUE(again && *again);
  EXPECT_TRUE((*again)->closed);
}

TEST(NatsWire, TheOldestItemOfAnEmptyStreamIsOfNoTime) {
  for (const char* time : {"0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "1969-12-31T23:59:59Z",
                           "2023-02-30T00:00:00Z", "soon", ""}) {
    const auto read =
        read_stream(Names("q"), R"({"state":{"first_ts":")" + std::string(time) + R"("}})");
    ASSERT_TRUE(read && *read);
    EXPECT_EQ((*read)->first.unix_nanoseconds, 0) << time;
  }
}

TEST(NatsWire, NamesAreThoseThatSubjectsMayHave) {
  EXPECT_TRUE(check_name("orders_2-b"));
  for (const std::string& name : {std::string(), std::string("a.b"), std::string("a b"),
                                  std::string("a*"), std::string(">"), std::string(65, 'x')}) {
    EXPECT_TRUE(check_name(name).error().is(velo::Errc::invalid_argument)) << name;
  }
}

TEST(NatsWire, IsAsItsPageSays) {
  const char* root = std::getenv("VELO_SOURCE_DIR");
  ASSERT_NE(root, nullptr);
  std::ifstream in(std::string(root) + "/docs/protocols/nats_queue.md");
  const std::string page((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  const Names names("orders");
  for (const std::string& said :
       {stream_config(names, QueueOptions(), NatsOptions()), consumer_config(names, QueueOptions()),
        pull_request(7, Duration(0)), nak(Duration(5))}) {
    std::string shown = said;
    if (const auto at = shown.find(":7,"); at != std::string::npos) shown.replace(at, 3, ":N,");
    if (const auto at = shown.find(":5}"); at != std::string::npos) {
      shown.replace(at, 3, ":NANOSECONDS}");
    }
    EXPECT_NE(page.find(shown), std::string::npos) << shown;
  }
}

TEST(NatsWire, OptionsAreChecked) {
  const auto refused = [](auto change) {
    NatsOptions options;
    change(options);
    const auto checked = check_options(options);
    return checked ? ErrorCode() : checked.error().code();
  };
  const ErrorCode wrong = error_code(velo::Errc::invalid_argument);
  const ErrorCode denied = error_code(velo::Errc::permission_denied);
  EXPECT_TRUE(check_options(NatsOptions()));
  EXPECT_EQ(refused([](NatsOptions& o) { o.servers.clear(); }), wrong);
  EXPECT_EQ(refused([](NatsOptions& o) { o.servers = {"127.0.0.1"}; }), wrong);
  EXPECT_EQ(refused([](NatsOptions& o) { o.servers = {"me:secret@127.0.0.1:4222"}; }), wrong);
  EXPECT_EQ(refused([](NatsOptions& o) { o.servers = {"nats://10.0.0.1:4222"}; }), denied);
  EXPECT_EQ(refused([](NatsOptions& o) {
              o.servers = {"nats://10.0.0.1:4222"};
              o.tls = true;
            }),
            ErrorCode());
  EXPECT_EQ(refused([](NatsOptions& o) { o.user = "me"; }), wrong);
  EXPECT_EQ(refused([](NatsOptions& o) { o.key_file = "k"; }), wrong);
  EXPECT_EQ(refused([](NatsOptions& o) { o.ca_file = "ca"; }), wrong);
  EXPECT_EQ(refused([](NatsOptions& o) { o.replicas = 6; }), wrong);
  EXPECT_EQ(refused([](NatsOptions& o) { o.connect_timeout = 31s; }), wrong);
  EXPECT_EQ(refused([](NatsOptions& o) { o.backoff_max = 1ms; }), wrong);
}

}  // namespace nats_wire_test
}  // namespace velo::queue::nats
