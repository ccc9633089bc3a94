// SPDX-License-Identifier: Apache-2.0
// The transport within one process, key "inproc": send() delivers to the other side on the calling
// thread; payloads that have an owner are shared. Transports reach each other when they were made
// with the same hub.
// Threading: the hub is thread-safe; see Transport and Connection for the rest.
#pragma once

#include <velo/transport/transport.hpp>

#include <cstdint>
#include <memory>

namespace velo::transport {

/// Where the inproc transports of a process find each other.
class InprocHub;

/// `id` tells the hubs of different processes apart: draw it from the World's Random.
std::shared_ptr<InprocHub> make_inproc_hub(std::uint64_t id);

std::unique_ptr<Transport> make_inproc(std::shared_ptr<InprocHub> hub);

}  // namespace velo::transport
