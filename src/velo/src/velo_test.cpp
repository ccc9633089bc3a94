// SPDX-License-Identifier: Apache-2.0
// Nodes put together by the facade, over real sockets.

#include <velo/velo.hpp>

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

namespace velo::velo_test {

struct Sum {
  int a = 0;
  int b = 0;
};
VELO_DESCRIBE(Sum, a, b);

static std::unique_ptr<Velo> must(Result<std::unique_ptr<Velo>> built) {
  if (!built) {
    ADD_FAILURE() << built.error().to_string();
    return nullptr;
  }
  return std::move(*built);
}

static Handler ping() {
  return Handler::unary_handler("ping", [](Context&) { return Bytes::of_static("pong"); }).build();
}

class Folder {
 public:
  Folder() : path_(testing::TempDir() + "velo-facade-XXXXXX") {
    EXPECT_NE(::mkdtemp(path_.data()), nullptr);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST(Velo, WithoutTransportsListensOnLoopbackTcp) {
  auto node = must(Velo::builder().build());
  ASSERT_NE(node, nullptr);
  ASSERT_EQ(node->peer_info().address.size(), 1U);
  EXPECT_EQ(node->peer_info().address.begin()->first, "tcp");
  EXPECT_EQ(node->peer_info().instance_id, node->instance_id());
  EXPECT_EQ(node->messenger().instance_id(), node->instance_id());
}

TEST(Velo, CallsBetweenTwoNodesThatKnowEachOther) {
  auto a = must(Velo::builder().build());
  auto b = must(Velo::builder().build());
  ASSERT_TRUE(a != nullptr && b != nullptr);
  ASSERT_TRUE(b->register_handler(ping()));
  ASSERT_TRUE(b->register_handler(Handler::typed_unary("add", [](TypedContext<Sum>& context) {
                                    return context.input.a + context.input.b;
                                  }).build()));
  ASSERT_TRUE(a->register_peer(b->peer_info()));
  ASSERT_TRUE(a->wait_for_handler(b->instance_id(), "add", std::chrono::seconds(10)).get());

  auto pong = a->unary("ping").raw_payload("").instance(b->instance_id()).send().get();
  ASSERT_TRUE(pong) << pong.error().to_string();
  EXPECT_EQ(pong->text(), "pong");
  auto sum = a->typed_unary<int>("add").payload(Sum{2, 3}).worker(b->worker_id()).send().get();
  ASSERT_TRUE(sum) << sum.error().to_string();
  EXPECT_EQ(*sum, 5);
  EXPECT_EQ(a->books().unary.sent, 2U);
  EXPECT_TRUE(a->books().balanced());
  EXPECT_TRUE(a->shutdown().get());
}

TEST(Velo, CallsItselfThroughItsOwnId) {
  auto node = must(Velo::builder().build());
  ASSERT_NE(node, nullptr);
  ASSERT_TRUE(node->register_handler(ping()));
  auto pong = node->unary("ping").raw_payload("").instance(node->instance_id()).send().get();
  ASSERT_TRUE(pong) << pong.error().to_string();
  EXPECT_EQ(pong->text(), "pong");
}

TEST(Velo, FindsPeersThroughAFolder) {
  const Folder folder;
  auto a = must(Velo::builder().filesystem_discovery(folder.path()).build());
  auto b = must(Velo::builder().filesystem_discovery(folder.path()).build());
  ASSERT_TRUE(a != nullptr && b != nullptr);
  ASSERT_TRUE(b->register_handler(ping()));
  auto pong = a->unary("ping").raw_payload("").instance(b->instance_id()).send().get();
  ASSERT_TRUE(pong) << pong.error().to_string();
  EXPECT_EQ(pong->text(), "pong");
}

TEST(Velo, AsksSeveralDiscoveriesInTurn) {
  const Folder folder;
  auto b = must(Velo::builder().filesystem_discovery(folder.path()).build());
  ASSERT_NE(b, nullptr);
  ASSERT_TRUE(b->register_handler(ping()));
  auto a = must(Velo::builder()
                    .discovery([](World& world) -> Result<std::shared_ptr<PeerDiscovery>> {
                      auto made = discovery::StaticDiscovery::create(world.pool());
                      if (!made) return made.error();
                      return std::shared_ptr<PeerDiscovery>(std::move(*made));
                    })
                    .filesystem_discovery(folder.path())
                    .build());
  ASSERT_NE(a, nullptr);
  auto pong = a->unary("ping").raw_payload("").instance(b->instance_id()).send().get();
  ASSERT_TRUE(pong) << pong.error().to_string();
}

TEST(Velo, SharesAWorldThatItWasGiven) {
  auto world = RealWorld::create();
  ASSERT_TRUE(world);
  auto hub = transport::make_inproc_hub(1);
  auto a = must(Velo::builder().world(**world).add_transport(transport::make_inproc(hub)).build());
  auto b = must(Velo::builder().world(**world).add_transport(transport::make_inproc(hub)).build());
  ASSERT_TRUE(a != nullptr && b != nullptr);
  EXPECT_EQ(&a->world(), world->get());
  ASSERT_TRUE(b->register_handler(ping()));
  ASSERT_TRUE(a->register_peer(b->peer_info()));
  auto pong = a->unary("ping").raw_payload("").instance(b->instance_id()).send().get();
  ASSERT_TRUE(pong) << pong.error().to_string();
}

TEST(Velo, FailsToBuildWhenADiscoveryDoes) {
  auto built = Velo::builder().filesystem_discovery("", "velo").build();
  ASSERT_FALSE(built);
  EXPECT_TRUE(built.error().is(Errc::invalid_argument));
}

TEST(Velo, IsAnnouncedWhenItIsBuilt) {
  const Folder folder;
  auto world = RealWorld::create();
  ASSERT_TRUE(world);
  auto reader = discovery::FilesystemDiscovery::create(**world, folder.path(), "velo");
  ASSERT_TRUE(reader);
  for (int i = 0; i < 20; ++i) {
    auto node = must(Velo::builder().filesystem_discovery(folder.path()).build());
    ASSERT_NE(node, nullptr);
    auto found = (*reader)->discover_by_instance_id(node->instance_id()).get();
    EXPECT_TRUE(found) << found.error().to_string();
  }
}

TEST(Velo, FailsToBuildWhenItCannotBeAnnounced) {
  const Folder folder;
  const std::string file = folder.path() + "/file";
  ASSERT_NE(std::fclose(std::fopen(file.c_str(), "w")), EOF);
  auto built = Velo::builder().filesystem_discovery(file).build();
  EXPECT_FALSE(built);
}

TEST(Velo, FindsAServiceByItsNameInTheLocalNetwork) {
  discovery::MulticastOptions options;
  options.interfaces.emplace_back("127.0.0.1");
  options.port = 28'677;
  const auto build = [&] { return Velo::builder().multicast_discovery(options, "facade").build(); };
  auto a = build();
  if (!a) GTEST_SKIP() << "no multicast on the loopback interface: " << a.error().to_string();
  auto b = must(build());
  ASSERT_NE(b, nullptr);
  ASSERT_TRUE(b->register_handler(ping()));
  auto registered = b->register_service("ping", {{"version", Bytes::of_static("1")}}).get();
  ASSERT_TRUE(registered) << registered.error().to_string();
  const auto found = (*a)->discover_service("ping").get();
  ASSERT_TRUE(found) << found.error().to_string();
  ASSERT_EQ(found->size(), 1U);
  EXPECT_EQ(found->front().instance_id, b->instance_id());
  auto pong = (*a)->unary("ping").raw_payload("").instance(found->front().instance_id).send().get();
  ASSERT_TRUE(pong) << pong.error().to_string();
  EXPECT_EQ(pong->text(), "pong");
}

TEST(Velo, HasNoServicesWithoutADiscovery) {
  auto node = must(Velo::builder().build());
  ASSERT_NE(node, nullptr);
  EXPECT_EQ(node->services(), nullptr);
  EXPECT_TRUE(node->register_service("x").get().error().is(Errc::unsupported));
  EXPECT_TRUE(node->discover_service("x").get().error().is(Errc::unsupported));
}

TEST(Velo, FailsToBuildWhenATransportDoes) {
  transport::TcpOptions options;
  options.bind = Endpoint::tcp("0.0.0.0", 0);
  auto built = Velo::builder().add_transport(transport::make_tcp(std::move(options))).build();
  EXPECT_FALSE(built);
}

TEST(Velo, KeepsABuilderThatIsFilledStepByStep) {
  VeloBuilder builder = Velo::builder();
  builder.add_transport(transport::make_tcp());
  builder.calls_max(8);
  RuntimeOptions options;
  options.workers = 1;
  builder.runtime(options);
  EXPECT_NE(must(builder.build()), nullptr);
}

TEST(VeloMetrics, AreServedWhereTheBuilderSays) {
  auto node = Velo::builder().serve_metrics().build();
  ASSERT_TRUE(node) << node.error().to_string();
  ASSERT_TRUE((*node)->metrics_endpoint().has_value());
  EXPECT_NE((*node)->metrics_endpoint()->port, 0);
  EXPECT_FALSE(Velo::builder().build().value()->metrics_endpoint().has_value());
}

TEST(VeloMetrics, AreInTheRegistryOfTheUser) {
  metrics::Registry registry;
  auto node = Velo::builder().metrics(registry).build();
  ASSERT_TRUE(node) << node.error().to_string();
  EXPECT_FALSE(registry.snapshot().families.empty());
  EXPECT_FALSE((*node)->metrics_endpoint().has_value());
}

// The discovery outlived the node's World, and touched it.
TEST(VeloMetrics, ThatCannotBeServedFailTheBuildAlsoWithADiscovery) {
  telemetry::ScrapeOptions everywhere;
  everywhere.bind = Endpoint::tcp("0.0.0.0", 0);
  const Folder folder;
  const auto node =
      Velo::builder().filesystem_discovery(folder.path()).serve_metrics(everywhere).build();
  ASSERT_FALSE(node);
  EXPECT_TRUE(node.error().is(Errc::permission_denied)) << node.error().to_string();
}

TEST(VeloTraces, GoWhereTheBuilderSays) {
  auto node = Velo::builder()
                  .export_traces(telemetry::ExportOptions("http://127.0.0.1:9"))
                  .serve_metrics()
                  .build();
  ASSERT_TRUE(node) << node.error().to_string();
  ASSERT_NE((*node)->trace_exporter(), nullptr);
  ASSERT_TRUE((*node)->register_handler(Handler::unary_handler("echo", [](Context& context) {
                                          EXPECT_NE(context.trace(), nullptr);
                                          return context.payload_bytes();
                                        }).build()));
  ASSERT_TRUE((*node)->unary("echo").instance((*node)->instance_id()).send().get());
  EXPECT_GE((*node)->trace_exporter()->counts().taken, 4u);
  const auto exporter = (*node)->trace_exporter();
  node->reset();
  const telemetry::ExportCounts counts = exporter->counts();
  EXPECT_EQ(counts.queued, 0u) << "nobody listens there, and the end is bounded";
  EXPECT_EQ(counts.taken, counts.dropped_closed);
}

TEST(VeloTraces, ACollectorThatCannotBeUsedFailsTheBuildUnlessTheEnvironmentNamesIt) {
  const auto refused =
      Velo::builder().export_traces(telemetry::ExportOptions("https://127.0.0.1:4318")).build();
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().is(Errc::unsupported)) << refused.error().to_string();
  ::setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://127.0.0.1:4318", 1);
  const auto without = Velo::builder().export_traces_from_environment().build();
  ::unsetenv("OTEL_EXPORTER_OTLP_ENDPOINT");
  ASSERT_TRUE(without) << without.error().to_string();
  EXPECT_EQ((*without)->trace_exporter(), nullptr);
}

}  // namespace velo::velo_test
