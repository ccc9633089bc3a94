// SPDX-License-Identifier: Apache-2.0
// Traces over several messengers: what is whose child, what is recorded, and what is passed on.

#include "testing/cluster.hpp"
#include "testing/spans.hpp"

#include <set>

namespace velo::messenger::testing::tracing_test {

/// Nodes that record all they do, each in its own list.
struct Traced {
  explicit Traced(std::size_t count, std::uint64_t seed = 1, double share = 1,
                  std::set<std::size_t> silent = {}, std::size_t calls_max = 0)
      : cluster(count, options(seed, share, std::move(silent), calls_max)) {}

  ClusterOptions options(std::uint64_t seed, double share, std::set<std::size_t> silent,
                         std::size_t calls_max) {
    ClusterOptions made;
    made.seed = seed;
    made.setup = [this, share, silent = std::move(silent), calls_max](
                     sim::SimNode&, std::size_t index, NodeSetup& setup) {
      if (index == 0) setup.calls_max = calls_max;
      sinks.push_back(std::make_shared<SpanList>());
      if (silent.contains(index)) return;
      setup.configure = [sink = sinks.back(), share](MessengerBuilder& builder) {
        builder.trace(sink, trace::Sampling(share));
      };
    };
    return made;
  }
  SpanList& operator[](std::size_t node) { return *sinks[node]; }
  std::size_t spans() const {
    std::size_t count = 0;
    for (const auto& sink : sinks) count += sink->spans.size();
    return count;
  }

  std::vector<std::shared_ptr<SpanList>> sinks;
  Cluster cluster;
};

/// Node `at` serves "forward", which asks "end" of node `to`, once it was suspended on the way.
static Task<Result<Bytes>> forward(Context context, InstanceId to, Gate* gate) {
  if (gate != nullptr) {
    auto pass = gate->pass(context.msg().world());
    const Result<void> passed = co_await pass;
    if (!passed) co_return passed.error();
  }
  auto call = context.msg().unary("end").raw_payload("x").instance(to).send();
  Result<Bytes> reply = co_await call;
  co_return reply;
}
static Handler forwarding(const InstanceId& to, Gate* gate = nullptr) {
  return Handler::unary_handler_async(
             "forward",
             [to, gate](Context context) { return forward(std::move(context), to, gate); })
      .build();
}

TEST(Tracing, ACallThroughThreeNodesIsOneTree) {
  Traced nodes(3);
  Cluster& cluster = nodes.cluster;
  Gate gate;
  ASSERT_TRUE(cluster[1].register_handler(forwarding(cluster.id(2), &gate)));
  ASSERT_TRUE(cluster[2].register_handler(echo("end")));
  auto call = cluster[0].unary("forward").instance(cluster.id(1)).send();
  ASSERT_TRUE(cluster.until([&] { return gate.waiting == 1; }));
  gate.open();
  ASSERT_TRUE(cluster.wait(std::move(call)));

  const trace::Span& first = nodes[0].only("velo.messenger.client_send");
  EXPECT_FALSE(first.parent.valid());
  EXPECT_EQ(first.kind, trace::SpanKind::client);
  const trace::Span& received = nodes[1].only("velo.messenger.server_receive");
  const trace::Span& handled = nodes[1].only("velo.messenger.handler");
  const trace::Span& second = nodes[1].only("velo.messenger.client_send");
  const trace::Span& last = nodes[2].only("velo.messenger.server_receive");
  EXPECT_TRUE(is_child(received, first));
  EXPECT_EQ(received.kind, trace::SpanKind::server);
  EXPECT_TRUE(is_child(handled, received));
  EXPECT_TRUE(is_child(second, handled));
  EXPECT_TRUE(is_child(last, second));
  EXPECT_TRUE(is_child(nodes[2].only("velo.messenger.handler"), last));
  EXPECT_TRUE(is_child(nodes[0].only("velo.transport.send"), first));
  EXPECT_TRUE(is_child(nodes[1].only("velo.transport.receive"), received));
  EXPECT_TRUE(is_child(nodes[1].only("velo.transport.send"), second));
  EXPECT_TRUE(is_child(nodes[2].only("velo.transport.receive"), last));
  EXPECT_EQ(nodes.spans(), 10u);
  EXPECT_EQ(attribute(handled, "rpc.method"), "forward");
  EXPECT_EQ(attribute(first, "velo.pattern"), "unary");
  EXPECT_EQ(attribute(first, "velo.fate"), "handled");
  EXPECT_EQ(attribute(nodes[0].only("velo.transport.send"), "velo.transport"), "tcp");
  EXPECT_GE(first.duration, received.duration);
  EXPECT_GE(received.duration, handled.duration);
  for (const auto& sink : nodes.sinks) {
    for (const trace::Span& span : sink->spans) EXPECT_FALSE(span.error) << span.name;
  }
}

TEST(Tracing, ACallbackOfAHandlerSendsForItsRequest) {
  Traced nodes(3);
  Cluster& cluster = nodes.cluster;
  bool ended = false;
  ASSERT_TRUE(cluster[2].register_handler(echo("end")));
  ASSERT_TRUE(cluster[1].register_handler(
      Handler::am_handler("start", [&, to = cluster.id(2)](Context& context) {
        Messenger& own = context.msg();
        own.unary("end").instance(to).send().then([&own, to, &ended](Result<Bytes>) {
          own.unary("end").instance(to).send().then([&ended](Result<Bytes>) { ended = true; });
        });
      }).build()));
  ASSERT_TRUE(cluster.wait(cluster[0].am_sync("start").instance(cluster.id(1)).send()));
  ASSERT_TRUE(cluster.until([&] { return ended; }));
  const auto sends = nodes[1].all("velo.messenger.client_send");
  ASSERT_EQ(sends.size(), 2u);
  for (const trace::Span* send : sends) {
    EXPECT_TRUE(is_child(*send, nodes[1].only("velo.messenger.handler")));
  }
}

TEST(Tracing, WhatIsNotSampledIsNotRecordedAndStaysSo) {
  Traced nodes(3);
  Cluster& cluster = nodes.cluster;
  Headers seen;
  ASSERT_TRUE(cluster[1].register_handler(forwarding(cluster.id(2))));
  ASSERT_TRUE(cluster[2].register_handler(Handler::unary_handler("end", [&](Context& context) {
                                            seen = context.headers();
                                            return Bytes();
                                          }).build()));
  const std::string parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
  ASSERT_TRUE(cluster.wait(cluster[0]
                               .unary("forward")
                               .header("traceparent", parent)
                               .header("tracestate", "a=1")
                               .instance(cluster.id(1))
                               .send()));
  EXPECT_EQ(nodes.spans(), 0u);
  EXPECT_EQ(seen, (Headers{{"traceparent", parent}, {"tracestate", "a=1"}}));
}

TEST(Tracing, ASampledTraceOfOthersIsGoneOnWithWhateverTheShareIs) {
  Traced nodes(2, 1, 0);
  Cluster& cluster = nodes.cluster;
  ASSERT_TRUE(cluster[1].register_handler(echo()));
  const auto context =
      *trace::parse_context("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "a=1");
  ASSERT_TRUE(
      cluster.wait(cluster[0].unary("echo").traced(context).instance(cluster.id(1)).send()));
  const trace::Span& sent = nodes[0].only("velo.messenger.client_send");
  EXPECT_EQ(sent.parent, context.span);
  EXPECT_EQ(sent.context.trace, context.trace);
  EXPECT_TRUE(is_child(nodes[1].only("velo.messenger.server_receive"), sent));
  EXPECT_EQ(nodes[1].only("velo.messenger.handler").context.state, "a=1");
}

TEST(Tracing, OfNoShareNothingIsRecordedAnywhereOnTheWay) {
  Traced nodes(3, 1, 0);
  Cluster& cluster = nodes.cluster;
  std::string seen;
  ASSERT_TRUE(cluster[1].register_handler(forwarding(cluster.id(2))));
  ASSERT_TRUE(cluster[2].register_handler(Handler::unary_handler("end", [&](Context& context) {
                                            seen = context.header("traceparent");
                                            return Bytes();
                                          }).build()));
  ASSERT_TRUE(cluster.wait(cluster[0].unary("forward").instance(cluster.id(1)).send()));
  EXPECT_EQ(nodes.spans(), 0u);
  const auto context = trace::parse_context(seen);
  ASSERT_TRUE(context);
  EXPECT_FALSE(context->sampled);
}

TEST(Tracing, ANodeThatRecordsNothingPassesOnWhatItIsPartOf) {
  Traced nodes(3, 1, 1, {1});
  Cluster& cluster = nodes.cluster;
  Gate gate;
  ASSERT_TRUE(cluster[1].register_handler(forwarding(cluster.id(2), &gate)));
  ASSERT_TRUE(cluster[2].register_handler(echo("end")));
  auto call = cluster[0].unary("forward").instance(cluster.id(1)).send();
  ASSERT_TRUE(cluster.until([&] { return gate.waiting == 1; }));
  gate.open();
  ASSERT_TRUE(cluster.wait(std::move(call)));
  EXPECT_TRUE(is_child(nodes[2].only("velo.messenger.server_receive"),
                       nodes[0].only("velo.messenger.client_send")));
}

TEST(Tracing, WhereNobodyTracesMessagesCarryNothing) {
  Traced nodes(2, 1, 1, {0, 1});
  Cluster& cluster = nodes.cluster;
  bool traced = true;
  Headers seen{{"unset", ""}};
  ASSERT_TRUE(cluster[1].register_handler(Handler::unary_handler("look", [&](Context& context) {
                                            seen = context.headers();
                                            traced = context.trace() != nullptr;
                                            return Bytes();
                                          }).build()));
  ASSERT_TRUE(cluster.wait(cluster[0].unary("look").instance(cluster.id(1)).send()));
  EXPECT_TRUE(seen.empty());
  EXPECT_FALSE(traced);
}

TEST(Tracing, AMalformedContextBeginsANewTraceAndHarmsNothing) {
  Traced nodes(2, 1, 1, {0});
  Cluster& cluster = nodes.cluster;
  ASSERT_TRUE(cluster[1].register_handler(echo()));
  for (const char* text : {"", "00", "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                           "00-00000000000000000000000000000000-b7ad6b7169203331-01"}) {
    nodes[1].spans.clear();
    ASSERT_TRUE(cluster.wait(
        cluster[0].unary("echo").header("traceparent", text).instance(cluster.id(1)).send()));
    EXPECT_FALSE(nodes[1].only("velo.messenger.server_receive").parent.valid()) << text;
  }
}

TEST(Tracing, ErrorsAreTheStatusOfAllThatFailed) {
  Traced nodes(2);
  Cluster& cluster = nodes.cluster;
  ASSERT_TRUE(
      cluster[1].register_handler(Handler::unary_handler("fail", [](Context&) -> Result<Bytes> {
                                    return make_error(Errc::failed, "no such number");
                                  }).build()));
  ASSERT_FALSE(cluster.wait(cluster[0].unary("fail").instance(cluster.id(1)).send()));
  for (const trace::Span* span : {&nodes[0].only("velo.messenger.client_send"),
                                  &nodes[1].only("velo.messenger.server_receive"),
                                  &nodes[1].only("velo.messenger.handler")}) {
    ASSERT_TRUE(span->error) << span->name;
    EXPECT_NE(span->error->find("no such number"), std::string::npos) << *span->error;
  }
  nodes[0].spans.clear();
  ASSERT_FALSE(cluster.wait(cluster[0].unary("missing").instance(cluster.id(1)).send()));
  EXPECT_TRUE(nodes[0].only("velo.messenger.client_send").error);
  nodes[0].spans.clear();
  ASSERT_FALSE(cluster.wait(cluster[0].unary("fail").send()));  // no target
  EXPECT_TRUE(nodes[0].only("velo.messenger.client_send").error);
}

TEST(Tracing, WhoGivesUpEndsBothSidesSpansOnce) {
  Traced nodes(2);
  Cluster& cluster = nodes.cluster;
  Gate gate;
  ASSERT_TRUE(cluster[1].register_handler(gated("wait", gate)));
  {
    auto dropped = cluster[0].unary("wait").instance(cluster.id(1)).send();
    ASSERT_TRUE(cluster.until([&] { return gate.waiting == 1; }));
  }
  ASSERT_FALSE(cluster.wait(cluster[0].unary("wait").instance(cluster.id(1)).timeout(10ms).send()));
  ASSERT_TRUE(cluster.until([&] { return gate.waiting == 2; }));
  // The other side finds by itself that the time is over.
  ASSERT_FALSE(cluster.sim.run_until([] { return false; }, 1s));
  gate.open();
  cluster.sim.run_until_quiet(1min);
  EXPECT_EQ(nodes[0].all("velo.messenger.client_send").size(), 2u);
  EXPECT_EQ(nodes[1].all("velo.messenger.server_receive").size(), 2u);
  EXPECT_EQ(nodes[1].all("velo.messenger.handler").size(), 2u);
  for (const trace::Span* span : nodes[0].all("velo.messenger.client_send")) {
    EXPECT_TRUE(span->error);
  }
  for (const trace::Span* span : nodes[1].all("velo.messenger.server_receive")) {
    EXPECT_TRUE(span->error);
  }
}

TEST(Tracing, WaitingForASlotIsPartOfTheSend) {
  Traced nodes(2, 1, 1, {}, 1);
  Cluster& cluster = nodes.cluster;
  Gate gate;
  ASSERT_TRUE(cluster[1].register_handler(gated("wait", gate)));
  auto first = cluster[0].unary("wait").instance(cluster.id(1)).await_capacity().send();
  ASSERT_TRUE(cluster.until([&] { return gate.waiting == 1; }));
  auto second = cluster[0].unary("wait").instance(cluster.id(1)).await_capacity().send();
  auto never = cluster[0].unary("wait").instance(cluster.id(1)).timeout(1s).await_capacity().send();
  ASSERT_FALSE(cluster.wait(std::move(never)));
  EXPECT_TRUE(nodes[0].only("velo.messenger.client_send").error);
  gate.open();
  ASSERT_TRUE(cluster.wait(std::move(first)));
  ASSERT_TRUE(cluster.wait(std::move(second)));
  const auto sends = nodes[0].all("velo.messenger.client_send");
  ASSERT_EQ(sends.size(), 3u);
  EXPECT_GE(sends[2]->duration, Duration(1s)) << "it waited while the one before ran";
  EXPECT_FALSE(sends[2]->error);
}

TEST(Tracing, EachSendOfOneBuilderIsATraceOfItsOwn) {
  Traced nodes(2);
  Cluster& cluster = nodes.cluster;
  ASSERT_TRUE(cluster[1].register_handler(echo()));
  auto builder = cluster[0].unary("echo");
  builder.instance(cluster.id(1));
  ASSERT_TRUE(cluster.wait(builder.send()));
  ASSERT_TRUE(cluster.wait(builder.send()));
  const auto sends = nodes[0].all("velo.messenger.client_send");
  ASSERT_EQ(sends.size(), 2u);
  EXPECT_FALSE(sends[1]->parent.valid());
  EXPECT_NE(sends[0]->context.trace, sends[1]->context.trace);
}

TEST(Tracing, NoContextIsWorthAMessage) {
  Traced nodes(2);
  Cluster& cluster = nodes.cluster;
  Headers seen;
  ASSERT_TRUE(cluster[1].register_handler(Handler::unary_handler("keep", [&](Context& context) {
                                            seen = context.headers();
                                            return Bytes();
                                          }).build()));
  Headers full;
  for (int i = 0; i < 15; ++i)
    full.emplace(std::string(40, static_cast<char>('a' + i)), std::string(1024, 'x'));
  full.emplace("rest", std::string(300, 'x'));
  ASSERT_TRUE(cluster.wait(cluster[0].unary("keep").headers(full).instance(cluster.id(1)).send()));
  EXPECT_EQ(seen, full);
}

TEST(Tracing, ASeedRepeatsItsIds) {
  const auto run = [](std::uint64_t seed) {
    Traced nodes(2, seed);
    Cluster& cluster = nodes.cluster;
    EXPECT_TRUE(cluster[1].register_handler(echo()));
    EXPECT_TRUE(cluster.wait(cluster[0].unary("echo").instance(cluster.id(1)).send()));
    return trace::to_traceparent(nodes[1].only("velo.messenger.handler").context);
  };
  EXPECT_EQ(run(3), run(3));
  EXPECT_NE(run(3), run(4));
}

TEST(Tracing, APeerOfThePublicVeloIsPartOfTheTrace) {
  std::vector<std::shared_ptr<SpanList>> sinks;
  ClusterOptions options;
  options.setup = [&](sim::SimNode&, std::size_t index, NodeSetup& setup) {
    setup.legacy = index == 1;
    sinks.push_back(std::make_shared<SpanList>());
    setup.configure = [sink = sinks.back()](MessengerBuilder& builder) { builder.trace(sink); };
  };
  Cluster cluster(2, std::move(options));
  ASSERT_TRUE(cluster[1].register_handler(echo()));
  ASSERT_TRUE(cluster.wait(cluster[0].unary("echo").instance(cluster.id(1)).send()));
  EXPECT_TRUE(is_child(sinks[1]->only("velo.messenger.server_receive"),
                       sinks[0]->only("velo.messenger.client_send")));
}

}  // namespace velo::messenger::testing::tracing_test
