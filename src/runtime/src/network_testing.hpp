// SPDX-License-Identifier: Apache-2.0
// What the tests of listening and connecting share: both ends on an external shard.
// Threading: the test's own thread turns the shard.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "descriptor.hpp"
#include "socket_address.hpp"
#include "sockets.hpp"
#include "testing.hpp"

namespace velo::runtime::testing {

using StreamResult = Result<std::unique_ptr<ByteStream>>;

/// Listens on the external shard and keeps what was accepted or reported.
struct Accepting {
  Accepting(RealWorld& world, const Endpoint& local,
            const ListenOptions& options = ListenOptions()) {
    auto made = world.network().listen(world.shard(0), local, options, [this](StreamResult stream) {
      if (stream.has_value()) {
        streams.push_back(std::move(*stream));
      } else {
        errors.push_back(stream.error());
      }
    });
    if (made.has_value()) {
      listener = std::move(*made);
    } else {
      refused = made.error();
    }
  }
  Endpoint local() const { return listener->local(); }

  std::vector<std::unique_ptr<ByteStream>> streams;
  std::vector<Error> errors;
  std::optional<Error> refused;
  std::unique_ptr<Listener> listener;
};

struct Dialing {
  Dialing(RealWorld& world, const Endpoint& remote,
          const ConnectOptions& options = ConnectOptions()) {
    handle = world.network().connect(world.shard(0), remote, options, [this](StreamResult outcome) {
      ++calls;
      result.emplace(std::move(outcome));
    });
  }
  bool done() const { return result.has_value(); }

  int calls = 0;
  std::optional<StreamResult> result;
  std::unique_ptr<Connecting> handle;
};

/// Clients whose connecting fills the backlog of a listener of `raw_listener(local, 0)`.
inline std::vector<Descriptor> fill_backlog(const SocketAddress& address) {
  std::vector<Descriptor> clients;
  for (int i = 0; i < 4; ++i) {
    auto socket = make_stream_socket(address.family(), 0);
    EXPECT_TRUE(socket.has_value());
    (void)::connect(socket->get(), address.get(), address.size);
    clients.push_back(std::move(*socket));
  }
  return clients;
}

/// Listens without accepting.
inline Descriptor raw_listener(const Endpoint& local, int backlog) {
  const auto address = to_socket_address(local);
  Descriptor socket(::socket(address->family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::bind(socket.get(), address->get(), address->size), 0);
  EXPECT_EQ(::listen(socket.get(), backlog), 0);
  return socket;
}

}  // namespace velo::runtime::testing
