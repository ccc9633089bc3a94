// SPDX-License-Identifier: Apache-2.0
// Eight threads on one transport, and on one connection of it: connecting, sending, asking,
// closing.

#include "crew.hpp"

#include <velo/runtime/real_world.hpp>
#include <velo/transport/backends/inproc.hpp>
#include <velo/transport/backends/quic.hpp>
#include <velo/transport/backends/shm.hpp>
#include <velo/transport/backends/tcp.hpp>
#include <velo/transport/backends/tls.hpp>
#include <velo/transport/backends/uds.hpp>
#include <velo/transport/conformance/identities.hpp>
#include <velo/transport/gatekeeper.hpp>
#include <velo/transport/on_shard.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace velo::threads_test {
namespace shared_transport_test {

enum class Kind : std::uint8_t { tcp, tls, quic, uds, inproc, shm };

static std::string name_of(const testing::TestParamInfo<Kind>& kind) {
  if (kind.param == Kind::tcp) return "Tcp";
  if (kind.param == Kind::tls) return "Tls";
  if (kind.param == Kind::quic) return "Quic";
  if (kind.param == Kind::shm) return "Shm";
  return kind.param == Kind::uds ? "Uds" : "Inproc";
}

/// One end of a connection: counts.
class End final : public transport::ConnectionEvents {
 public:
  transport::ConnectionPtr connection;
  std::atomic<int> frames{0};
  std::atomic<int> closed{0};

  void start(transport::ConnectionPtr with) {
    connection = std::move(with);
    connection->start(*this);
  }
  void wait_frames(int count) const {
    for (int now = frames.load(); now < count; now = frames.load()) frames.wait(now);
  }
  void wait_closed() const { closed.wait(0); }

  void on_frame(transport::Connection&, const transport::InFrame&) override {
    ++frames;
    frames.notify_all();
  }
  void on_written(transport::Connection&) noexcept override {}
  void on_closed(transport::Connection&, const Error&) override {
    ++closed;
    closed.notify_all();
  }
};

}  // namespace shared_transport_test

using namespace shared_transport_test;  // NOLINT(google-build-using-namespace)

class SharedTransport : public testing::TestWithParam<Kind>, private transport::AcceptHandler {
 protected:
  void SetUp() override {
    server_ = make();
    client_ = make();
    const InstanceId server = InstanceId::random(server_world_->random());
    const InstanceId client = InstanceId::random(client_world_->random());
    ASSERT_TRUE(server_->start({*server_world_, server, *this, std::make_shared<MemoryBudget>()}));
    ASSERT_TRUE(client_->start({*client_world_, client, *this, std::make_shared<MemoryBudget>()}));
  }
  void TearDown() override {
    client_->stop();
    server_->stop();
  }

  std::unique_ptr<transport::Transport> make() {
    if (GetParam() == Kind::tcp) return transport::make_tcp();
    if (GetParam() == Kind::inproc) return transport::make_inproc(hub_);
    if (GetParam() == Kind::tls) {
      transport::TlsOptions options;
      options.credentials = transport::conformance::test_credentials(made_++ == 0 ? 1 : 2);
      return transport::make_tls(std::move(options));
    }
    if (GetParam() == Kind::quic) {
      transport::QuicOptions options;
      options.credentials = transport::conformance::test_credentials(made_++ == 0 ? 1 : 2);
      return transport::make_quic(std::move(options));
    }
    const std::string path = "@velo-shared-" + std::to_string(server_world_->random().next());
    if (GetParam() == Kind::shm) {
      transport::ShmOptions options;
      options.path = path;
      return transport::make_shm(std::move(options));
    }
    transport::UdsOptions options;
    options.path = path;
    return transport::make_uds(std::move(options));
  }

  /// Any thread; `end` has started when it returns.
  void connect(End& end) {
    Shard& shard = client_world_->shard(0);
    std::atomic<int> answered{0};
    auto dial = client_->connect(shard, server_->address_entry(),
                                 [&](Result<transport::ConnectionPtr> connection) {
                                   EXPECT_TRUE(connection);
                                   if (connection) end.start(std::move(*connection));
                                   answered = 1;
                                   answered.notify_all();
                                 });
    answered.wait(0);
    transport::run_on_shard(shard, [&dial] { dial.reset(); });
  }
  End& accepted(std::size_t index) {
    for (int count = accepted_.load(); count <= static_cast<int>(index); count = accepted_.load()) {
      accepted_.wait(count);
    }
    const std::lock_guard lock(mutex_);
    return ends_[index];
  }

  std::unique_ptr<runtime::RealWorld> server_world_ = runtime::RealWorld::create().value();
  std::unique_ptr<runtime::RealWorld> client_world_ = runtime::RealWorld::create().value();
  std::unique_ptr<transport::Transport> client_;

 private:
  void on_accepted(transport::ConnectionPtr connection) override {
    End* end = nullptr;
    {
      const std::lock_guard lock(mutex_);
      end = &ends_.emplace_back();
    }
    end->start(std::move(connection));
    ++accepted_;
    accepted_.notify_all();
  }

  std::shared_ptr<transport::InprocHub> hub_ = transport::make_inproc_hub(5);
  std::unique_ptr<transport::Transport> server_;
  int made_ = 0;
  std::mutex mutex_;
  std::deque<End> ends_;
  std::atomic<int> accepted_{0};
};

TEST_P(SharedTransport, ConnectsForEverybody) {
  std::deque<End> ends(crew_size);
  in_eight_threads([&](int thread) {
    End& end = ends[static_cast<std::size_t>(thread)];
    for (int i = 0; i < 20; ++i) {
      End once;
      connect(once);
      once.connection->close(transport::make_error(transport::Errc::closed_locally));
      once.wait_closed();
    }
    connect(end);
    EXPECT_TRUE(client_->check_entry(accepted(0).connection ? client_->address_entry() : Bytes()));
    end.connection->send({transport::FrameType::message, as_bytes("hello"), ByteSpan()});
    end.connection->close_after_flush(transport::make_error(transport::Errc::closed_locally),
                                      std::chrono::seconds(10));
    end.wait_closed();
  });
  for (std::size_t i = 0; i < std::size_t{crew_size} * 21; ++i) accepted(i).wait_closed();
}

TEST_P(SharedTransport, TakesEverybodysFrames) {
  constexpr int rounds = 1000;
  End client;
  connect(client);
  End& server = accepted(0);
  transport::Connection& shared = *client.connection;
  in_eight_threads([&](int thread) {
    const transport::ConnectionPtr own = transport::ConnectionPtr::share(shared);
    const Bytes large = Bytes::own(std::string(20'000, 'l'));
    std::uint64_t before = 0;
    for (int i = 0; i < rounds; ++i) {
      transport::SendResult sent;
      do {
        sent = i % 100 == 0 ? own->send({transport::FrameType::message, {}, large})
                            : own->send({transport::FrameType::message, as_bytes("h"), ByteSpan()});
      } while (sent.admission == transport::Admission::over_budget);
      ASSERT_EQ(sent.admission, transport::Admission::accepted);
      EXPECT_GT(sent.end, before);
      before = sent.end;
      static_cast<void>(own->written() + own->queued());
      if (i % 100 == thread) {
        EXPECT_FALSE(own->remote().empty());
      }
    }
  });
  server.wait_frames(crew_size * rounds);
  EXPECT_EQ(server.frames.load(), crew_size * rounds);
  in_eight_threads([&](int thread) {
    if (thread % 2 == 0) {
      shared.close(transport::make_error(transport::Errc::closed_locally));
    } else {
      shared.close_after_flush(transport::make_error(transport::Errc::closed_locally),
                               std::chrono::seconds(1));
    }
  });
  client.wait_closed();
  server.wait_closed();
  EXPECT_EQ(client.closed.load(), 1);
  EXPECT_EQ(server.closed.load(), 1);
}

TEST(SharedGate, CountsEverybody) {
  constexpr std::uint64_t rounds = 2000;
  const auto keeper = std::make_shared<transport::Gatekeeper>(transport::GateOptions());
  in_eight_threads([&](int thread) {
    const auto source =
        transport::GateSource::of(Endpoint::tcp("192.0.2." + std::to_string(thread), 1));
    for (std::uint64_t i = 0; i < rounds; ++i) {
      auto pass = transport::Gatekeeper::admit_unasked(keeper, source, TimePoint());
      ASSERT_TRUE(pass);
      keeper->count(transport::GateRefusal::gone);
      EXPECT_GE(keeper->counts().connections, 1U);
    }
  });
  const transport::GateCounts counts = keeper->counts();
  EXPECT_EQ(counts.admitted, crew_size * rounds);
  EXPECT_EQ(counts.refused_for(transport::GateRefusal::gone), crew_size * rounds);
  EXPECT_EQ(counts.connections, 0U);
}

INSTANTIATE_TEST_SUITE_P(Connections, SharedTransport,
                         testing::Values(Kind::tcp, Kind::tls, Kind::quic, Kind::uds, Kind::inproc,
                                         Kind::shm),
                         name_of);

}  // namespace velo::threads_test
