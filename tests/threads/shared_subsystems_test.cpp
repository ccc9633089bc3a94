// SPDX-License-Identifier: Apache-2.0
// Eight threads that attach subsystems to two messengers, and send their own traffic, at once.

#include "crew.hpp"

#include <velo/messenger/messenger.hpp>
#include <velo/messenger/subsystem.hpp>
#include <velo/runtime/real_world.hpp>
#include <velo/transport/backends/tcp.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace velo::threads_test {
namespace shared_subsystems_test {

struct Counting final : messenger::Subsystem {
  explicit Counting(std::string own_name) : called(std::move(own_name)) {}
  std::string_view name() const noexcept override { return called; }
  void on_peer_up(const InstanceId& /*peer*/) override { ++ups; }
  void on_stop(const Error& /*reason*/) override { ++stops; }

  const std::string called;
  std::atomic<int> ups{0};
  std::atomic<int> stops{0};
};

static std::unique_ptr<Messenger> make_messenger(World& world) {
  auto builder = Messenger::builder(world);
  builder.add_transport(transport::make_tcp());
  auto built = builder.build();
  EXPECT_TRUE(built) << built.error().to_string();
  return std::move(*built);
}

static std::vector<Handler> echo(const std::string& name) {
  std::vector<Handler> handlers;
  handlers.push_back(
      Handler::unary_handler(name, [](Context& context) { return context.payload_bytes(); })
          .inline_()
          .build());
  return handlers;
}

TEST(SharedSubsystems, AreAttachedAndUsedByAll) {
  const auto world = runtime::RealWorld::create().value();
  auto one = make_messenger(*world);
  auto two = make_messenger(*world);
  ASSERT_TRUE(one->register_peer(two->peer_info()));
  ASSERT_TRUE(two->register_peer(one->peer_info()));
  std::vector<std::shared_ptr<Counting>> all(crew_size);
  in_eight_threads([&](int thread) {
    const std::string name = "_event_" + std::to_string(thread);
    const auto own = std::make_shared<Counting>(name);
    all[static_cast<std::size_t>(thread)] = own;
    Messenger& there = thread % 2 == 0 ? *two : *one;
    Messenger& here = thread % 2 == 0 ? *one : *two;
    ASSERT_TRUE(messenger::attach(there, own, echo(name)));
    EXPECT_FALSE(messenger::attach(there, own, echo(name)));
    for (int i = 0; i < 50; ++i) {
      auto reply = messenger::system_unary(here, name)
                       .raw_payload(std::to_string(i))
                       .instance(there.instance_id())
                       .send()
                       .get();
      ASSERT_TRUE(reply) << reply.error().to_string();
      EXPECT_EQ(reply->text(), std::to_string(i));
    }
    EXPECT_EQ(messenger::subsystem_of(there, name), own);
  });
  in_eight_threads(
      [&](int thread) { static_cast<void>((thread % 2 == 0 ? one : two)->shutdown().get()); });
  one.reset();
  two.reset();
  for (const auto& subsystem : all) {
    EXPECT_EQ(subsystem->stops.load(), 1);
    EXPECT_GE(subsystem->ups.load(), 1);
  }
}

}  // namespace shared_subsystems_test
}  // namespace velo::threads_test
