// SPDX-License-Identifier: Apache-2.0
// A receiver whose process is killed with an item in its hands: nobody gives it back, so only the
// server's own time brings it to somebody else. Skipped where there is no server.

#include <velo/queue/backends/nats.hpp>

#include <velo/queue/testing/real_nats.hpp>
#include <velo/runtime/real_world.hpp>

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string>

namespace velo::queue::nats_vanished_test {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

constexpr const char* address_variable = "VELO_NATS_VANISHED_ADDRESS";
constexpr const char* pipe_variable = "VELO_NATS_VANISHED_PIPE";

static std::shared_ptr<WorkQueue> open(World& world, const std::string& address) {
  NatsOptions nats;
  nats.servers = {address};
  QueueOptions options;
  options.visibility = 300ms;
  return make_nats_queue(world, "jobs", options, nats).value();
}

/// What the killed process runs.
TEST(NatsVanished, OneTakesAnItemAndSaysSo) {
  const char* address = std::getenv(address_variable);
  if (address == nullptr) GTEST_SKIP() << "the next test runs it, in a process of its own";
  const auto world = runtime::RealWorld::create().value();
  const auto queue = open(*world, address);
  const auto items = queue->receive().get();
  ASSERT_TRUE(items && items->size() == 1u);
  // From here on its lease is kept alive, until it is killed.
  ASSERT_TRUE(queue->extend(items->front().lease, 1h).get());
  ASSERT_EQ(::write(std::atoi(std::getenv(pipe_variable)), "t", 1), 1);
  for (;;) ::pause();
}

static pid_t start_other(const std::string& address, int pipe) {
  const pid_t process = ::fork();
  if (process != 0) return process;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::setenv(address_variable, address.c_str(), 1);
  ::setenv(pipe_variable, std::to_string(pipe).c_str(), 1);
  ::execl("/proc/self/exe", "velo_queue_nats_test",
          "--gtest_filter=NatsVanished.OneTakesAnItemAndSaysSo", nullptr);
  ::_exit(127);
}

TEST(NatsVanished, WhatAKilledReceiverHeldIsDeliveredWhenTheServersTimeIsOver) {
  if (const std::string why = testing::RealNats::missing(); !why.empty()) GTEST_SKIP() << why;
  testing::RealNats server;
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  // Before this process has threads of its own.
  const pid_t other = start_other(server.address(), ends[1]);
  ASSERT_GT(other, 0);
  ::close(ends[1]);
  const auto world = runtime::RealWorld::create().value();
  const auto queue = open(*world, server.address());
  SendOptions options;
  options.id = "a";
  ASSERT_TRUE(queue->send(Bytes::copy("x"), options).get());
  char letter = 0;
  ASSERT_EQ(::read(ends[0], &letter, 1), 1) << "it had no item";
  ::close(ends[0]);
  ReceiveOptions soon;
  soon.wait = 1500ms;
  EXPECT_TRUE(queue->receive(soon).get()->empty()) << "its lease was longer than the server's time";
  ::kill(other, SIGKILL);
  ::waitpid(other, nullptr, 0);
  const auto items = queue->receive().get();
  ASSERT_TRUE(items) << items.error().to_string();
  ASSERT_EQ(items->size(), 1u);
  EXPECT_EQ(items->front().id, "a");
  EXPECT_EQ(items->front().deliveries, 2u);
  EXPECT_TRUE(queue->ack(items->front().lease).get());
}

}  // namespace velo::queue::nats_vanished_test
