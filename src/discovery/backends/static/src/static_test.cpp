// SPDX-License-Identifier: Apache-2.0
// The static list: conformance, and what the program changes in it. Directories over static lists
// conform too.

#include <velo/discovery/backends/static.hpp>

#include <velo/discovery/conformance.hpp>
#include <velo/discovery/directory.hpp>
#include <velo/runtime/real_world.hpp>

#include <gtest/gtest.h>

namespace velo::discovery {
namespace static_test {

static std::shared_ptr<PeerDiscovery> make(World& world, const std::string& /*medium*/) {
  auto made = StaticDiscovery::create(world.pool());
  return made ? std::move(*made) : nullptr;
}

static std::shared_ptr<PeerDiscovery> make_directory(World& world, const std::string& medium) {
  return std::make_shared<Directory>(world.pool(),
                                     Directory::Sources{make(world, medium), make(world, medium)});
}

static const bool registered =
    conformance::register_backend({"static", &make, conformance::Reach::object}) &&
    conformance::register_backend({"directory", &make_directory, conformance::Reach::object});

static PeerInfo peer(std::uint8_t number, std::string_view address) {
  return PeerInfo{InstanceId({number}), {{"tcp", Bytes::copy(address)}}};
}

TEST(StaticDiscovery, StartsWithTheGivenPeersAndFollowsTheProgram) {
  const auto world = runtime::RealWorld::create();
  ASSERT_TRUE(world);
  auto made = StaticDiscovery::create((*world)->pool(), {peer(1, "a"), peer(2, "b")});
  ASSERT_TRUE(made);
  StaticDiscovery& discovery = **made;
  EXPECT_EQ(discovery.list().get()->size(), 2U);
  ASSERT_TRUE(discovery.add(peer(3, "c")));
  ASSERT_TRUE(discovery.add(peer(1, "moved")));
  EXPECT_EQ(*discovery.discover_by_instance_id(peer(1, "").instance_id).get(), peer(1, "moved"));
  EXPECT_TRUE(discovery.remove(peer(2, "").instance_id));
  EXPECT_FALSE(discovery.remove(peer(2, "").instance_id));
  const std::vector<PeerInfo> left{peer(1, "moved"), peer(3, "c")};
  EXPECT_EQ(*discovery.list().get(), left);
}

TEST(StaticDiscovery, AnnouncementAndListingOfOnePeerAreWithdrawnSeparately) {
  const auto world = runtime::RealWorld::create();
  ASSERT_TRUE(world);
  auto made = StaticDiscovery::create((*world)->pool(), {peer(1, "listed")});
  ASSERT_TRUE(made);
  StaticDiscovery& discovery = **made;
  auto announced = discovery.announce(peer(1, "announced")).get();
  ASSERT_TRUE(announced);
  EXPECT_EQ(*discovery.discover_by_instance_id(peer(1, "").instance_id).get(), peer(1, "listed"));
  EXPECT_TRUE(discovery.remove(peer(1, "").instance_id));
  EXPECT_EQ(*discovery.discover_by_instance_id(peer(1, "").instance_id).get(),
            peer(1, "announced"));
  announced->reset();
  EXPECT_FALSE(discovery.discover_by_instance_id(peer(1, "").instance_id).get());
}

TEST(StaticDiscovery, RefusesAPeerWithoutAnId) {
  const auto world = runtime::RealWorld::create();
  ASSERT_TRUE(world);
  const auto made = StaticDiscovery::create((*world)->pool(), {PeerInfo{}});
  ASSERT_FALSE(made);
  EXPECT_TRUE(made.error().is(velo::Errc::invalid_argument));
}

}  // namespace static_test
}  // namespace velo::discovery
