// SPDX-License-Identifier: Apache-2.0
// The JSON of spans, the URLs of collectors and the answers that they give.

#include "otlp_json.hpp"

#include "collector_url.hpp"
#include "retry_after.hpp"

#include <velo/codec/json_value.hpp>
#include <velo/telemetry/limits.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace velo::telemetry::otlp_json_test {

TEST(OtlpJson, IsWhatTheProtocolSays) {
  trace::Span root;
  root.name = "velo.messenger.client_send";
  root.kind = trace::SpanKind::client;
  root.context =
      *trace::parse_context("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "a=1");
  root.start.unix_nanoseconds = 1'700'000'000'000'000'001;
  root.duration = Duration(41);
  root.attributes.emplace_back("rpc.method", "say \"hello\"");
  trace::Span child = root;
  child.parent = root.context.span;
  child.context.span.bytes[0] = 1;
  child.context.state.clear();
  child.attributes.clear();
  child.error = "messenger.failed: \xff";
  const trace::Span spans[] = {root, child};
  EXPECT_EQ(
      to_otlp_json({"shop", "0001"}, spans),
      R"({"resourceSpans":[{"resource":{"attributes":[)"
      R"({"key":"service.name","value":{"stringValue":"shop"}},)"
      R"({"key":"service.instance.id","value":{"stringValue":"0001"}}]},)"
      R"("scopeSpans":[{"scope":{"name":"velo"},"spans":[)"
      R"({"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331",)"
      R"("traceState":"a=1","name":"velo.messenger.client_send","kind":3,)"
      R"("startTimeUnixNano":"1700000000000000001","endTimeUnixNano":"1700000000000000042",)"
      R"("attributes":[{"key":"rpc.method","value":{"stringValue":"say \"hello\""}}]},)"
      R"({"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"01ad6b7169203331",)"
      R"("parentSpanId":"b7ad6b7169203331","name":"velo.messenger.client_send","kind":3,)"
      R"("startTimeUnixNano":"1700000000000000001","endTimeUnixNano":"1700000000000000042",)"
      "\"attributes\":[],\"status\":{\"code\":2,\"message\":\"messenger.failed: \xef\xbf\xbd\"}}"
      "]}]}]}");
  EXPECT_TRUE(JsonValue::parse(to_otlp_json({"", ""}, {})));
}

TEST(CollectorUrl, IsAnAddressWithAPath) {
  const auto whole = parse_collector_url("http://127.0.0.1:4318/prefix?a=b#c");
  ASSERT_TRUE(whole) << whole.error().to_string();
  EXPECT_EQ(whole->endpoint, Endpoint::tcp("127.0.0.1", 4318));
  EXPECT_EQ(whole->host, "127.0.0.1:4318");
  EXPECT_EQ(whole->path, "/prefix?a=b");
  EXPECT_EQ(parse_collector_url("http://localhost:4318")->endpoint.host, "127.0.0.1");
  EXPECT_EQ(parse_collector_url("http://localhost")->endpoint.port, 80);
  EXPECT_EQ(parse_collector_url("http://[::1]:4318")->endpoint, Endpoint::tcp("::1", 4318));
  EXPECT_EQ(parse_collector_url("http://[::1]")->endpoint.port, 80);
  EXPECT_EQ(parse_collector_url("http://10.0.0.1?x")->path, "/?x");
}

TEST(CollectorUrl, AnythingElseIsRefused) {
  EXPECT_TRUE(parse_collector_url("https://127.0.0.1:4318").error().is(Errc::unsupported));
  for (const char* url :
       {"", "127.0.0.1:4318", "http://", "http://collector:4318", "http://127.0.0.1:0",
        "http://127.0.0.1:99999", "http://127.0.0.1:x", "http://user@127.0.0.1:4318",
        "http://127.0.0.1:4318/a b", "http://127.0.0.1:4318/\r\nX: y", "grpc://127.0.0.1:4317"}) {
    const auto parsed = parse_collector_url(url);
    ASSERT_FALSE(parsed) << url;
    EXPECT_TRUE(parsed.error().is(Errc::invalid_argument)) << url;
  }
}

TEST(RetryAfter, IsSecondsOrNothing) {
  EXPECT_EQ(parse_retry_after("7"), Duration(std::chrono::seconds(7)));
  for (const char* other :
       {"", "-1", "7 ", "1.5", "99999999999", "Fri, 31 Dec 1999 23:59:59 GMT"}) {
    EXPECT_FALSE(parse_retry_after(other)) << other;
  }
}

}  // namespace velo::telemetry::otlp_json_test
