// SPDX-License-Identifier: Apache-2.0
// Ways to break connections of this process from below, as no program does it to itself: a reset of
// TCP on the wire, and nonsense in the memory that both ends of shared memory have mapped.
// Threading: any thread, while the connections are in use.
#pragma once

#include <cstddef>

namespace velo::path_breaks {

enum class End { dialled, accepted };

/// Resets the TCP connections to the listeners of this process, from one of their ends: what was
/// queued there is gone, and the other end gets RST. How many.
std::size_t reset_tcp(End end);

/// Writes positions that cannot be into every ring of the shared memory that this process has
/// mapped. How many regions.
std::size_t break_shared_memory();

}  // namespace velo::path_breaks
