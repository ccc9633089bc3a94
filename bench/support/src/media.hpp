// SPDX-License-Identifier: Apache-2.0
// The transport of a measurement, as both of its processes make it.
// Threading: pure functions.
#pragma once

#include <velo/bench/measure.hpp>
#include <velo/runtime/real_world.hpp>
#include <velo/transport/transport.hpp>

#include <memory>
#include <string_view>

namespace velo::bench {

/// The I/O threads that the measurement asks for.
runtime::RuntimeOptions runtime_options(const Spec& spec);

/// `name` tells the two ends apart. Ends the process for a medium that is not built in.
std::unique_ptr<transport::Transport> make_medium(const Spec& spec, std::string_view name);

}  // namespace velo::bench
