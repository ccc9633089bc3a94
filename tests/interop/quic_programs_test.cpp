// SPDX-License-Identifier: Apache-2.0
// The example programs of ngtcp2, which speak h3, against ours: each refuses the other by the alert
// that says so, versions are negotiated, addresses are validated, and ours goes on serving.

#include "quic_node.hpp"

#include <velo/messenger/error.hpp>

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

extern char** environ;

namespace velo::quic_programs_test {

using interop::QuicNode;
using interop::Scratch;

static std::string found(const std::string& program) {
  for (const char* folder : {"/usr/bin/", "/usr/sbin/", "/usr/local/bin/", "/usr/local/sbin/"}) {
    if (::access((folder + program).c_str(), X_OK) == 0) return folder + program;
  }
  return {};
}

/// A child whose output can be read; killed and waited for at the latest with this.
class Program {
 public:
  explicit Program(std::vector<std::string> words) {
    int output[2];
    EXPECT_EQ(::pipe(output), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, output[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, output[1], STDERR_FILENO);
    posix_spawn_file_actions_addclose(&actions, output[0]);
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    EXPECT_EQ(
        ::posix_spawn(&child_, words[0].c_str(), &actions, nullptr, arguments.data(), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    ::close(output[1]);
    output_ = ::fdopen(output[0], "r");
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program() {
    ::kill(child_, SIGKILL);
    std::fclose(output_);
    int status = 0;
    ::waitpid(child_, &status, 0);
  }
  /// Until its end.
  std::string output() {
    std::string all;
    for (int c = 0; (c = std::fgetc(output_)) != EOF;) all += static_cast<char>(c);
    return all;
  }

 private:
  pid_t child_ = -1;
  std::FILE* output_ = nullptr;
};

static std::uint16_t free_port() {
  const int socket = ::socket(AF_INET, SOCK_DGRAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  EXPECT_EQ(::bind(socket, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size), 0);
  ::close(socket);
  return ::ntohs(address.sin_port);
}

class QuicPrograms : public testing::Test {
 protected:
  std::string client_says(QuicNode& ours, std::vector<std::string> options = {}) {
    options.insert(options.begin(), {found("gtlsclient"), "--timeout=10s"});
    options.insert(options.end(), {"127.0.0.1", std::to_string(ours.port()), "https://127.0.0.1/"});
    return Program(std::move(options)).output();
  }
  void expect_serving(QuicNode& ours) {
    QuicNode other(*world_);
    ASSERT_TRUE(other->register_peer(ours->peer_info()));
    const auto echoed = other->unary("echo").instance(ours->instance_id()).send().get();
    EXPECT_TRUE(echoed) << echoed.error().to_string();
  }

  std::unique_ptr<runtime::RealWorld> world_ = *runtime::RealWorld::create();
};

TEST_F(QuicPrograms, AClientOfH3IsToldThatWeSpeakSomethingElse) {
  if (found("gtlsclient").empty()) GTEST_SKIP() << "ngtcp2-client is not installed";
  QuicNode ours(*world_);
  const std::string said = client_says(ours);
  EXPECT_NE(said.find("CRYPTO_ERROR(0x178)"), std::string::npos) << said;
  EXPECT_EQ(ours.counts().gate.authenticated, 0U);
  expect_serving(ours);
}

TEST_F(QuicPrograms, AClientOfAnUnknownVersionIsToldOursAndTakesIt) {
  if (found("gtlsclient").empty()) GTEST_SKIP() << "ngtcp2-client is not installed";
  QuicNode ours(*world_);
  const std::string said =
      client_says(ours, {"-v", "0x1a2a3a4a", "--preferred-versions=v1", "--other-versions=v1"});
  EXPECT_NE(said.find("VN v=0x00000001"), std::string::npos) << said;
  EXPECT_NE(said.find("Client selected version 0x1"), std::string::npos) << said;
  EXPECT_NE(said.find("CRYPTO_ERROR(0x178)"), std::string::npos) << said;
  EXPECT_EQ(ours.counts().versions_sent, 1U);
  expect_serving(ours);
}

TEST_F(QuicPrograms, AClientShowsWhereItIsWhenAskedByRetry) {
  if (found("gtlsclient").empty()) GTEST_SKIP() << "ngtcp2-client is not installed";
  transport::QuicOptions careful;
  careful.always_retry = true;
  QuicNode ours(*world_, std::move(careful));
  const std::string said = client_says(ours);
  EXPECT_NE(said.find("type=Retry"), std::string::npos) << said;
  EXPECT_NE(said.find("CRYPTO_ERROR(0x178)"), std::string::npos) << "let in, and then refused";
  EXPECT_EQ(ours.counts().retries_sent, 1U);
  EXPECT_EQ(ours.counts().gate.admitted, 1U);
}

TEST_F(QuicPrograms, AServerOfH3IsLeft) {
  const std::string program = found("gtlsserver");
  if (program.empty()) GTEST_SKIP() << "ngtcp2-server is not installed";
  const Scratch scratch("quic-programs");
  const auto identity =
      transport::conformance::make_identity(transport::conformance::test_authority(), 43,
                                            transport::conformance::issue_options("an h3 server"));
  scratch.write("key.pem", as_bytes(identity.key.to_pem()));
  scratch.write("certificate.pem", as_bytes(identity.certificate.to_pem()));
  const std::uint16_t port = free_port();
  Program server({program, "127.0.0.1", std::to_string(port), scratch.path("key.pem"),
                  scratch.path("certificate.pem")});
  QuicNode ours(*world_);
  PeerInfo there;
  there.instance_id = InstanceId::random(world_->random());
  const transport::InterfaceEndpoint one("", "127.0.0.1", port, 32);
  there.address["quic"] = transport::encode_interface_endpoints(std::span(&one, 1));
  ASSERT_TRUE(ours->register_peer(there));
  const auto failed = ours->unary("echo").instance(there.instance_id).send().get();
  ASSERT_FALSE(failed);
  EXPECT_TRUE(failed.error().is(messenger::Errc::not_sent)) << failed.error().to_string();
  EXPECT_NE(failed.error().to_string().find("protocol could be negotiated"), std::string::npos)
      << failed.error().to_string();
}

}  // namespace velo::quic_programs_test
