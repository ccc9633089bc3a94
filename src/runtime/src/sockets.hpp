// SPDX-License-Identifier: Apache-2.0
// Sockets with the options that this room gives them, bound or not yet connected. Non-blocking,
// closed on exec.
// Threading: any thread.
#pragma once

#include <velo/base/error.hpp>

#include <cstddef>

#include "descriptor.hpp"
#include "socket_address.hpp"

namespace velo::runtime {

/// A TCP or Unix stream socket. TCP: no delay; keepalive after 60 s, then each 10 s, dead after 6
/// unanswered. Accepted sockets inherit all of it from their listener. Buffer sizes only count when
/// set before listen or connect: zero leaves the system's.
Result<Descriptor> make_stream_socket(int family, std::size_t socket_buffer_bytes);

Result<Descriptor> make_datagram_socket(int family);

/// What getsockname says; an empty Unix address if it fails.
SocketAddress local_address(int fd) noexcept;

}  // namespace velo::runtime
