// SPDX-License-Identifier: Apache-2.0
// Named services of a node's discovery.

#include <velo/velo.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace velo {

Op<std::unique_ptr<discovery::Registration>> Velo::register_service(
    std::string service, discovery::ServiceMetadata metadata) {
  using Outcome = std::unique_ptr<discovery::Registration>;
  if (services() == nullptr) {
    return Op<Outcome>::ready(world().pool(),
                              make_error(Errc::unsupported, "the node has no service discovery"));
  }
  return services()->register_service(
      {std::move(service), messenger_->instance_id(), std::move(metadata)});
}

Op<std::vector<discovery::ServiceInstance>> Velo::discover_service(std::string_view service) {
  using Outcome = std::vector<discovery::ServiceInstance>;
  if (services() == nullptr) {
    return Op<Outcome>::ready(world().pool(),
                              make_error(Errc::unsupported, "the node has no service discovery"));
  }
  return services()->instances(service);
}

}  // namespace velo
