// SPDX-License-Identifier: Apache-2.0
// Scenarios of a peer that ends its direction and goes on reading, which takes the kernel's own
// sockets: a World's streams end in both directions.

#include "scenario.hpp"
#include "stage.hpp"

#include <velo/transport/framing.hpp>

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace velo::transport::conformance {
namespace half_close_scenarios_detail {

/// A blocking socket that is connected; every wait on it ends within half a minute.
class Socket {
 public:
  explicit Socket(const Endpoint& endpoint) {
    sockaddr_storage address{};
    socklen_t length = 0;
    if (endpoint.kind == Endpoint::Kind::tcp) {
      auto* in = reinterpret_cast<sockaddr_in*>(&address);
      in->sin_family = AF_INET;
      in->sin_port = htons(endpoint.port);
      EXPECT_EQ(inet_pton(AF_INET, endpoint.host.c_str(), &in->sin_addr), 1);
      length = sizeof *in;
    } else {
      auto* un = reinterpret_cast<sockaddr_un*>(&address);
      un->sun_family = AF_UNIX;
      std::copy(endpoint.host.begin(), endpoint.host.end(), un->sun_path);
      length = sizeof *un;
    }
    descriptor_ = ::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval patience{30, 0};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(descriptor_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    EXPECT_EQ(::connect(descriptor_, reinterpret_cast<sockaddr*>(&address), length), 0)
        << std::strerror(errno);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() { ::close(descriptor_); }

  int descriptor() const noexcept { return descriptor_; }

 private:
  int descriptor_ = -1;
};

static std::string encoded(FrameType type, std::string_view header, std::string_view payload) {
  const OutFrame frame(type, as_bytes(header), as_bytes(payload));
  std::string out(encoded_bytes(frame), '\0');
  encode_frame(std::as_writable_bytes(std::span(out)), frame);
  return out;
}

static void a_peer_that_ends_its_direction_is_answered(Stage& stage) {
  stage.prepare_server = [](Party& party) {
    party.frame_hook = [](Connection& connection, const InFrame& frame) {
      connection.send({FrameType::response, frame.header(), frame.payload()});
    };
  };
  const std::optional<Endpoint> endpoint = stage.kit().raw_endpoint(stage.entry());
  if (!endpoint) GTEST_SKIP() << "no socket carries its bytes";
  const Socket peer(*endpoint);
  std::string asked;
  std::string answered;
  constexpr int count = 20;
  for (int i = 0; i < count; ++i) {
    asked += encoded(FrameType::message, std::to_string(i), "payload");
    answered += encoded(FrameType::response, std::to_string(i), "payload");
  }
  EXPECT_EQ(stage.kit().ask_and_end(peer.descriptor(), asked), answered);
  Party& server = stage.accepted(0);
  ASSERT_TRUE(server.wait_closed());
  EXPECT_TRUE(server.closed->is(Errc::connection_lost)) << server.closed->to_string();
  EXPECT_EQ(server.frame_count, static_cast<std::size_t>(count));
}

static void a_peer_that_ends_its_direction_within_a_frame_is_let_go(Stage& stage) {
  const std::optional<Endpoint> endpoint = stage.kit().raw_endpoint(stage.entry());
  if (!endpoint) GTEST_SKIP() << "no socket carries its bytes";
  const Socket peer(*endpoint);
  const std::string whole = encoded(FrameType::message, "whole", "");
  const std::string cut = whole + whole.substr(0, whole.size() - 1);
  EXPECT_EQ(stage.kit().ask_and_end(peer.descriptor(), cut), "");
  Party& server = stage.accepted(0);
  ASSERT_TRUE(server.wait_closed());
  EXPECT_TRUE(server.closed->is(Errc::connection_lost)) << server.closed->to_string();
  EXPECT_EQ(server.frame_count, 1U);
}

constexpr Scenario scenarios[] = {
    {"APeerThatEndsItsDirectionIsAnswered", a_peer_that_ends_its_direction_is_answered, true, true},
    {"APeerThatEndsItsDirectionWithinAFrameIsLetGo",
     a_peer_that_ends_its_direction_within_a_frame_is_let_go, true, true},
};

}  // namespace half_close_scenarios_detail

std::string Kit::ask_and_end(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    EXPECT_GT(written, 0) << std::strerror(errno);
    if (written <= 0) return "not written";
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  EXPECT_EQ(::shutdown(socket, SHUT_WR), 0);
  std::string all;
  std::array<char, 65'536> buffer;
  for (;;) {
    const ssize_t got = ::recv(socket, buffer.data(), buffer.size(), 0);
    EXPECT_GE(got, 0) << std::strerror(errno);
    if (got <= 0) return all;
    all.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

std::span<const Scenario> half_close_scenarios() { return half_close_scenarios_detail::scenarios; }

}  // namespace velo::transport::conformance
