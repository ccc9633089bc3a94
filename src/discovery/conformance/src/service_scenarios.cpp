// SPDX-License-Identifier: Apache-2.0
// Named services: registering, listing, watching by name, and their ends.

#include "scenarios.hpp"

#include <velo/discovery/services.hpp>

#include <gtest/gtest.h>

#include <array>

namespace velo::discovery::conformance {
namespace service_scenarios_detail {

using Registered = std::unique_ptr<Registration>;
using Instances = std::vector<ServiceInstance>;
using Names = std::vector<std::string>;

static ServiceInstance make_instance(Ground& ground, const std::string& service,
                                     std::string_view version) {
  ServiceInstance made{service, InstanceId::random(ground.world().random()), {}};
  made.metadata.emplace("version", Bytes::copy(version));
  return made;
}

static Registered add(Ground& ground, PeerDiscovery& discovery, const ServiceInstance& instance) {
  auto registered = ground.wait(discovery.services()->register_service(instance));
  EXPECT_TRUE(registered) << registered.error().to_string();
  return registered ? std::move(*registered) : nullptr;
}

static Instances sorted(Instances instances) {
  std::ranges::sort(instances, {}, &ServiceInstance::instance_id);
  return instances;
}

static bool come_to(Ground& ground, PeerDiscovery& discovery, const std::string& service,
                    const Instances& expected) {
  return ground.eventually(
      [&] { return discovery.services()->instances(service); },
      [&](const Result<Instances>& found) { return found && *found == sorted(expected); });
}

static bool names_come_to(Ground& ground, PeerDiscovery& discovery, const Names& expected) {
  return ground.eventually([&] { return discovery.services()->list_services(); },
                           [&](const Result<Names>& found) { return found && *found == expected; });
}

static bool comes_to(Ground& ground, const ServiceRecord& record, const Instances& expected) {
  std::map<InstanceId, ServiceInstance> view;
  for (const ServiceInstance& one : expected) view.emplace(one.instance_id, one);
  return ground.wait_until([&] { return record.calls() > 0 && record.view() == view; });
}

static void registered_service_is_found_by_its_name(Ground& ground) {
  const auto provider = ground.join();
  const auto reader = ground.join();
  ASSERT_NE(provider->services(), nullptr);
  const ServiceInstance sum = make_instance(ground, "math.sum", "1");
  const ServiceInstance other_sum = make_instance(ground, "math.sum", "2");
  const ServiceInstance log = make_instance(ground, "log", "1");
  const Registered first = add(ground, *provider, sum);
  const Registered second = add(ground, *reader, other_sum);
  const Registered third = add(ground, *provider, log);
  for (const auto& discovery : {provider, reader}) {
    EXPECT_TRUE(come_to(ground, *discovery, "math.sum", {sum, other_sum}));
    EXPECT_TRUE(come_to(ground, *discovery, "log", {log}));
    EXPECT_TRUE(names_come_to(ground, *discovery, {"log", "math.sum"}));
    const auto none = ground.wait(discovery->services()->instances("nobody"));
    ASSERT_TRUE(none) << none.error().to_string();
    EXPECT_TRUE(none->empty());
  }
}

static void services_and_peers_do_not_mix(Ground& ground) {
  const auto provider = ground.join();
  const auto reader = ground.join();
  const ServiceInstance sum = make_instance(ground, "sum", "1");
  const Registered registered = add(ground, *provider, sum);
  ASSERT_TRUE(come_to(ground, *reader, "sum", {sum}));
  const auto peers = ground.wait(reader->list());
  ASSERT_TRUE(peers);
  EXPECT_TRUE(peers->empty());
}

static void what_is_no_service_is_refused(Ground& ground) {
  const auto provider = ground.join();
  const auto refused = [&](const ServiceInstance& instance) {
    const auto answer = ground.wait(provider->services()->register_service(instance));
    return !answer && answer.error().is(Errc::invalid_argument);
  };
  EXPECT_TRUE(refused(make_instance(ground, "", "1")));
  EXPECT_TRUE(refused(make_instance(ground, ".hidden", "1")));
  EXPECT_TRUE(refused(make_instance(ground, "a/b", "1")));
  EXPECT_TRUE(refused(make_instance(ground, std::string(200, 'x'), "1")));
  EXPECT_TRUE(refused(make_instance(ground, "sum", std::string(600, 'x'))));
  EXPECT_TRUE(refused(ServiceInstance{"sum", InstanceId(), {}}));
}

static void dropped_service_goes_and_a_replaced_one_withdraws_nothing(Ground& ground) {
  const auto provider = ground.join();
  const auto reader = ground.join();
  ServiceInstance sum = make_instance(ground, "sum", "1");
  Registered first = add(ground, *provider, sum);
  ASSERT_TRUE(come_to(ground, *reader, "sum", {sum}));
  sum.metadata = {{"version", Bytes::copy("2")}, {"zone", Bytes::copy("a")}};
  Registered second = add(ground, *provider, sum);
  EXPECT_TRUE(come_to(ground, *reader, "sum", {sum}));
  first.reset();
  EXPECT_TRUE(come_to(ground, *provider, "sum", {sum}));
  second.reset();
  EXPECT_TRUE(come_to(ground, *reader, "sum", {}));
  EXPECT_TRUE(names_come_to(ground, *reader, {}));
}

static void watch_tells_of_its_service_only(Ground& ground) {
  const auto provider = ground.join();
  const auto reader = ground.join();
  const ServiceInstance sum = make_instance(ground, "sum", "1");
  const ServiceInstance late = make_instance(ground, "sum", "2");
  const ServiceInstance other = make_instance(ground, "sums", "1");
  Registered registered = add(ground, *provider, sum);
  const Registered stranger = add(ground, *provider, other);
  ServiceRecord record;
  ServiceRecord of_other;
  auto& shard = ground.world().shard(0);
  const auto watching = reader->services()->watch_service("sum", shard, record.watcher());
  const auto also = reader->services()->watch_service("sums", shard, of_other.watcher());
  ASSERT_TRUE(comes_to(ground, record, {sum}));
  ASSERT_TRUE(comes_to(ground, of_other, {other}));
  Registered second = add(ground, *provider, late);
  ASSERT_TRUE(comes_to(ground, record, {sum, late}));
  registered.reset();
  ASSERT_TRUE(comes_to(ground, record, {late}));
  second.reset();
  ASSERT_TRUE(comes_to(ground, record, {}));
  ASSERT_TRUE(comes_to(ground, of_other, {other}));
  EXPECT_EQ(record.changes().front().kind, ChangeKind::snapshot);
  EXPECT_EQ(record.snapshots(), 1U);
  EXPECT_FALSE(record.overlapped());
  for (const ServiceChange& change : record.changes()) {
    for (const ServiceInstance& one : change.instances) EXPECT_EQ(one.service, "sum");
  }
}

static void one_instance_may_offer_many_services(Ground& ground) {
  const auto provider = ground.join();
  const auto reader = ground.join();
  const InstanceId id = InstanceId::random(ground.world().random());
  std::vector<Registered> all;
  Names names;
  for (int i = 0; i < 40; ++i) {
    names.push_back("service" + std::to_string(100 + i));
    all.push_back(add(ground, *provider, ServiceInstance{names.back(), id, {}}));
  }
  EXPECT_TRUE(names_come_to(ground, *reader, names));
  EXPECT_TRUE(come_to(ground, *reader, "service117", {ServiceInstance{"service117", id, {}}}));
  all.clear();
  EXPECT_TRUE(names_come_to(ground, *reader, {}));
}

constexpr std::array scenarios{
    Scenario{"RegisteredServiceIsFoundByItsName", &registered_service_is_found_by_its_name},
    Scenario{"ServicesAndPeersDoNotMix", &services_and_peers_do_not_mix},
    Scenario{"WhatIsNoServiceIsRefused", &what_is_no_service_is_refused},
    Scenario{"DroppedServiceGoesAndAReplacedOneWithdrawsNothing",
             &dropped_service_goes_and_a_replaced_one_withdraws_nothing},
    Scenario{"WatchTellsOfItsServiceOnly", &watch_tells_of_its_service_only},
    Scenario{"OneInstanceMayOfferManyServices", &one_instance_may_offer_many_services},
};

}  // namespace service_scenarios_detail

std::span<const Scenario> service_scenarios() { return service_scenarios_detail::scenarios; }

}  // namespace velo::discovery::conformance
