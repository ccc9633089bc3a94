// SPDX-License-Identifier: Apache-2.0
// Eight threads that register, read and let go large data of two nodes at once.

#include "crew.hpp"

#include <velo/messenger/messenger.hpp>
#include <velo/rendezvous/rendezvous.hpp>
#include <velo/runtime/real_world.hpp>
#include <velo/transport/backends/tcp.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace velo::threads_test {
namespace shared_data_test {

struct Node {
  std::unique_ptr<runtime::RealWorld> world;
  std::unique_ptr<Messenger> messenger;
  Rendezvous data = Rendezvous::unattached();
};

static Node make_node() {
  Node node;
  RendezvousOptions options;
  options.stage_bytes = std::size_t{64} << 10;
  node.data = Rendezvous::unattached(options);
  node.world = std::move(runtime::RealWorld::create()).value();
  auto builder = Messenger::builder(*node.world);
  builder.add_transport(transport::make_tcp()).payloads(node.data.resolver());
  node.messenger = std::move(builder.build()).value();
  EXPECT_TRUE(node.data.attach_to(*node.messenger));
  EXPECT_TRUE(node.messenger->register_handler(
      Handler::unary_handler("echo", [](Context& context) { return context.payload_bytes(); })
          .ordered()
          .build()));
  return node;
}

TEST(SharedData, IsRegisteredReadAndReleasedByAll) {
  Node nodes[] = {make_node(), make_node()};
  ASSERT_TRUE(nodes[0].messenger->register_peer(nodes[1].messenger->peer_info()));
  ASSERT_TRUE(nodes[1].messenger->register_peer(nodes[0].messenger->peer_info()));
  in_eight_threads([&](int thread) {
    Node& one = nodes[thread % 2];
    Node& other = nodes[1 - thread % 2];
    for (int i = 0; i < 6; ++i) {
      const std::string contents(std::size_t{700'000} + static_cast<std::size_t>(thread), 'x');
      const auto handle = one.data.register_data(Bytes::copy(contents));
      ASSERT_TRUE(handle);
      EXPECT_TRUE(other.data.ref_handle(*handle).get());
      EXPECT_EQ(other.data.metadata(*handle).get().value().references, 2U);
      for (int reader = 0; reader < 2; ++reader) {
        auto got = other.data.get(*handle).get();
        ASSERT_TRUE(got) << got.error().to_string();
        EXPECT_EQ(got->data.text(), contents);
        EXPECT_TRUE(other.data.release(*handle, got->lease).get());
      }
      // Large both ways, so staged both ways.
      auto echoed = one.messenger->unary("echo")
                        .raw_payload(contents)
                        .instance(other.messenger->instance_id())
                        .send()
                        .get();
      ASSERT_TRUE(echoed) << echoed.error().to_string();
      EXPECT_EQ(echoed->text(), contents);
      static_cast<void>(one.data.use());
    }
  });
  in_eight_threads(
      [&](int thread) { static_cast<void>(nodes[thread % 2].messenger->shutdown().get()); });
  for (const Node& node : nodes) {
    EXPECT_EQ(node.data.use().entries, 0U);
    EXPECT_EQ(node.data.use().transfers, 0U);
  }
}

}  // namespace shared_data_test
}  // namespace velo::threads_test
