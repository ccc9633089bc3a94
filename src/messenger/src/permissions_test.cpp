// SPDX-License-Identifier: Apache-2.0
// Messengers whose handlers not everybody may call.

#include "testing/cluster.hpp"
#include "testing/raw_peer.hpp"
#include "testing/vouched_transport.hpp"

#include <algorithm>

namespace velo::messenger::testing::permissions_test {

/// Node 1 has rules; node 0 shows it a certificate of the name "caller".
class Guarded : public ::testing::Test {
 protected:
  void start(AccessPolicy policy) {
    ClusterOptions options;
    options.setup = [policy](sim::SimNode& node, std::size_t index, NodeSetup& setup) {
      setup.transport = std::make_unique<VouchedTransport>(
          transport::make_tcp(tcp_of(node)), [index](bool /*dialed*/) {
            return index == 1 ? secured("server", "caller") : secured("caller", "server");
          });
      if (index == 1) {
        setup.configure = [policy](MessengerBuilder& builder) { builder.access(policy); };
      }
    };
    cluster = std::make_unique<Cluster>(2, options);
    add(Handler::unary_handler("open", [this](Context&) { return ran(); }).inline_().build());
    add(Handler::unary_handler("secret", [this](Context&) { return ran(); }).inline_().build());
    add(Handler::am_handler("note", [this](Context&) { ran(); }).inline_().build());
  }
  void add(Handler handler) { EXPECT_TRUE((*cluster)[1].register_handler(std::move(handler))); }
  Bytes ran() {
    ++calls;
    return Bytes::of_static("done");
  }
  Result<Bytes> unary(std::string_view name) {
    return cluster->wait((*cluster)[0].unary(name).instance(cluster->id(1)).send());
  }
  std::vector<std::string> listed() {
    auto names = cluster->wait((*cluster)[0].refresh_handlers(cluster->id(1)));
    EXPECT_TRUE(names);
    return names ? *names : std::vector<std::string>();
  }
  bool lists(const std::string& name) {
    const auto names = listed();
    return std::find(names.begin(), names.end(), name) != names.end();
  }
  ReceivedBooks received() { return (*cluster)[1].books().received; }

  std::unique_ptr<Cluster> cluster;
  int calls = 0;
};

TEST_F(Guarded, ADeniedUnaryCallIsAnsweredAndCountedAsRejected) {
  start(AccessPolicy().deny("secret", Who::anyone()));
  const auto reply = unary("secret");
  EXPECT_EQ(outcome(reply), "messenger.permission_denied");
  EXPECT_FALSE(may_have_been_handled(reply.error()));
  EXPECT_EQ(reply.error().retry(), Retry::never);
  EXPECT_EQ(calls, 0);
  EXPECT_EQ(received().rejected, 1u);
  EXPECT_EQ((*cluster)[0].books().rejected_by.at("messenger.permission_denied"), 1u);
  EXPECT_EQ(outcome(unary("open")), "ok");
}

TEST_F(Guarded, ADeniedAcknowledgedSendIsAnsweredAndCountedAsRejected) {
  start(AccessPolicy().deny("note", Who::anyone()));
  EXPECT_EQ(outcome(cluster->wait((*cluster)[0].am_sync("note").instance(cluster->id(1)).send())),
            "messenger.permission_denied");
  EXPECT_EQ(calls, 0);
  EXPECT_EQ(received().rejected, 1u);
}

TEST_F(Guarded, ADeniedFireAndForgetIsToAHandlerThatIsNotListed) {
  start(AccessPolicy().deny("note", Who::anyone()));
  EXPECT_EQ(outcome(cluster->wait((*cluster)[0].am_send("note").instance(cluster->id(1)).send())),
            "messenger.unknown_handler");
  EXPECT_EQ(calls, 0);
}

TEST_F(Guarded, ADeniedTypedBodyIsNotDecoded) {
  start(AccessPolicy().deny("typed", Who::anyone()));
  add(Handler::typed_unary("typed", [](TypedContext<int>& context) {
        return context.input;
      }).build());
  EXPECT_EQ(outcome(cluster->wait((*cluster)[0]
                                      .unary("typed")
                                      .raw_payload("no MessagePack at all")
                                      .instance(cluster->id(1))
                                      .send())),
            "messenger.permission_denied");
}

TEST_F(Guarded, WhoIsAllowedIsServedAsEver) {
  start(AccessPolicy().allow("*", Who::named("caller")).deny("*", Who::anyone()));
  EXPECT_EQ(outcome(unary("secret")), "ok");
  EXPECT_TRUE(lists("secret"));
}

TEST_F(Guarded, ListsOnlyWhatTheCallerMayCall) {
  start(AccessPolicy().deny("secret", Who::named("caller")));
  EXPECT_FALSE(lists("secret"));
  EXPECT_TRUE(lists("open"));
}

TEST_F(Guarded, ADeniedNameIsAnsweredAlikeWhetherOrNotItExists) {
  start(AccessPolicy().deny("s*", Who::anyone()));
  const auto denied = unary("secret");
  const auto absent = unary("sacred");
  EXPECT_EQ(outcome(denied), "messenger.permission_denied");
  EXPECT_EQ(outcome(absent), "messenger.permission_denied");
}

TEST_F(Guarded, AHandlerThatNamesItsCallersIsClosedToAllOthers) {
  start(AccessPolicy());
  add(Handler::unary_handler("mine", [this](Context&) { return ran(); })
          .only(Who::named("somebody else"))
          .build());
  add(Handler::unary_handler("ours", [this](Context&) { return ran(); })
          .only(Who::named("somebody else"))
          .only(Who::named("caller"))
          .build());
  EXPECT_EQ(outcome(unary("mine")), "messenger.permission_denied");
  EXPECT_EQ(outcome(unary("absent")), "messenger.permission_denied")
      << "who cannot call all there is does not learn what is not there";
  EXPECT_EQ(outcome(unary("ours")), "ok");
  EXPECT_FALSE(lists("mine"));
  EXPECT_TRUE(lists("ours"));
}

TEST_F(Guarded, WhereNothingIsHiddenUnknownIsUnknown) {
  start(AccessPolicy());
  EXPECT_EQ(outcome(unary("absent")), "messenger.unknown_handler");
}

TEST_F(Guarded, TheRulesHoldForAHandlerThatLetsTheCaller) {
  start(AccessPolicy().deny("mine", Who::anyone()));
  add(Handler::unary_handler("mine", [this](Context&) { return ran(); })
          .only(Who::named("caller"))
          .build());
  EXPECT_EQ(outcome(unary("mine")), "messenger.permission_denied");
}

TEST_F(Guarded, OnesOwnHandlersAreOnesOwn) {
  start(AccessPolicy().deny("*", Who::anyone()));
  add(Handler::unary_handler("mine", [this](Context&) { return ran(); })
          .only(Who::named("somebody else"))
          .build());
  for (const char* name : {"open", "mine"}) {
    EXPECT_EQ(outcome(cluster->wait((*cluster)[1].unary(name).instance(cluster->id(1)).send())),
              "ok");
  }
}

TEST_F(Guarded, BooksAreNotToldToAnotherHostWithoutARule) {
  start(AccessPolicy());
  EXPECT_FALSE(lists("_books"));
  const auto books = cluster->wait((*cluster)[0].books_of(cluster->id(1)));
  EXPECT_EQ(outcome(books), "messenger.permission_denied");
}

TEST_F(Guarded, BooksAreToldWhereARuleOpensThem) {
  start(AccessPolicy().allow("_books", Who::authenticated()));
  EXPECT_TRUE(lists("_books"));
  EXPECT_EQ(outcome(cluster->wait((*cluster)[0].books_of(cluster->id(1)))), "ok");
}

TEST_F(Guarded, BooksAreNotToldToAStranger) {
  start(AccessPolicy());
  RawPeer raw(*cluster);
  RawEnd& end = raw.dial((*cluster)[1]);
  const auto ask = [&](std::uint64_t id) {
    end.send(transport::FrameType::message,
             request_header(protocol::ResponseType::unary, raw.id(id), "_books"));
    return raw.next(end).response().outcome;
  };
  EXPECT_EQ(ask(1), static_cast<std::uint8_t>(Errc::permission_denied));
  EXPECT_EQ(received().requests, 0u) << "velo's own are counted nowhere";
}

TEST(Rules, ThatMakeNoSenseFailTheBuild) {
  Cluster cluster(1);
  auto builder = Messenger::builder(cluster[0].world());
  builder.access(AccessPolicy().allow("a*b", Who::anyone()));
  const auto built = builder.build();
  ASSERT_FALSE(built);
  EXPECT_TRUE(built.error().is(velo::Errc::invalid_argument));
}

TEST_F(Guarded, ADeniedMessageByHandIsCountedAndNotQueued) {
  start(AccessPolicy().deny("note", Who::anyone()).deny("slow", Who::anyone()));
  add(Handler::am_handler("slow", [this](Context&) { ran(); }).ordered().build());
  RawPeer raw(*cluster);
  RawEnd& end = raw.dial((*cluster)[1]);
  end.greet(raw.info, local_offer(raw.info.worker_id().value()));
  (void)raw.next(end);
  const auto used = (*cluster)[1].memory().used;
  const std::string body(10'000, 'x');
  for (std::uint64_t i = 0; i < 500; ++i) {
    end.send(transport::FrameType::message,
             request_header(protocol::ResponseType::fire, raw.id(i), i % 2 == 0 ? "note" : "slow"),
             as_bytes(body));
    EXPECT_LE((*cluster)[1].memory().used, used + (std::size_t{1} << 20));
  }
  EXPECT_TRUE(cluster->until([&] { return received().rejected == 500; }));
  EXPECT_EQ(calls, 0);
  EXPECT_EQ((*cluster)[1].handler_lanes("slow"), 0u);
  EXPECT_TRUE((*cluster)[1].books().balanced());
}

}  // namespace velo::messenger::testing::permissions_test
