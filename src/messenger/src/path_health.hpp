// SPDX-License-Identifier: Apache-2.0
// Checks of whether a transport reaches a peer, and `_explain`: what others may ask of the paths of
// this node.
// Threading: any thread.
#pragma once

#include <velo/base/op.hpp>
#include <velo/messenger/paths.hpp>
#include <velo/transport/transport.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace velo::messenger {

class Impl;
struct Peer;
namespace path_health_detail {
struct Check;
}

/// Of `_explain`.
struct PathQuestion {
  std::string to;
};
VELO_DESCRIBE(PathQuestion, to);

struct PathHealthChecks {
  static Op<PathHealth> one(Impl& impl, const InstanceId& peer, std::string_view transport,
                            Duration timeout);
  static Op<std::vector<PathHealth>> all(Impl& impl, const InstanceId& peer, Duration timeout);
  static void register_explain(Impl& impl);
  static Op<PathReport> path_of(Impl& impl, const InstanceId& node, const InstanceId& to,
                                Duration timeout);

 private:
  static void greet(Impl& impl, const std::shared_ptr<Peer>& peer,
                    Result<transport::ConnectionPtr> connection,
                    const std::shared_ptr<path_health_detail::Check>& check);
};

}  // namespace velo::messenger
