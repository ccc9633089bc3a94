// SPDX-License-Identifier: Apache-2.0
// A World whose datagrams are lost and whose files cannot be reached while it is cut; everything
// else is another World's. Streams are not cut.
// Threading: as the World; set() from any thread.
#pragma once

#include <velo/base/files.hpp>
#include <velo/base/network.hpp>
#include <velo/base/world.hpp>

#include <atomic>
#include <memory>

namespace velo::discovery::conformance {

using Cut = std::shared_ptr<std::atomic<bool>>;

/// `world` outlives it.
std::unique_ptr<World> make_cut_world(World& world, Cut cut);

}  // namespace velo::discovery::conformance
