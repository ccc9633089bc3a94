// SPDX-License-Identifier: Apache-2.0
// The feed of a backend of service discovery.
// Threading: as feed.hpp.
#pragma once

#include <velo/discovery/feed.hpp>

namespace velo::discovery {

using ServiceFeed = Feed<ServiceSubject>;

}  // namespace velo::discovery
