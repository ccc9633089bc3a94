// SPDX-License-Identifier: Apache-2.0
// Two messengers over one transport in one kind of World, whose dials are counted and whose
// connections the test can break.
// Threading: the test's own thread; dials and connections are recorded on any.
#pragma once

#include <velo/messenger/messenger.hpp>
#include <velo/transport/backends/inproc.hpp>
#include <velo/transport/backends/quic.hpp>
#include <velo/transport/backends/shm.hpp>
#include <velo/transport/backends/tcp.hpp>
#include <velo/transport/backends/tls.hpp>
#include <velo/transport/backends/uds.hpp>
#include <velo/transport/conformance/identities.hpp>
#include <velo/transport/conformance/sim_driver.hpp>

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace velo::messenger_conformance_test {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

enum class Kind : std::uint8_t { tcp, tls, quic, uds, inproc, shm };
enum class Where : std::uint8_t { real, sim };

/// What the dials of one messenger came to.
class Dials {
 public:
  void dialled(TimePoint at) {
    const std::lock_guard lock(mutex_);
    times_.push_back(at);
  }
  void connected(const transport::ConnectionPtr& connection) {
    const std::lock_guard lock(mutex_);
    last_ = connection;
  }
  std::vector<TimePoint> times() {
    const std::lock_guard lock(mutex_);
    return times_;
  }
  /// Ends the connection that was dialled last, as if the network had.
  void break_last() {
    transport::ConnectionPtr broken;
    {
      const std::lock_guard lock(mutex_);
      broken = std::exchange(last_, {});
    }
    ASSERT_TRUE(broken);
    broken->close(transport::make_error(transport::Errc::connection_lost, "broken by the test"));
  }
  void forget() {
    const std::lock_guard lock(mutex_);
    last_ = {};
  }

 private:
  std::mutex mutex_;
  std::vector<TimePoint> times_;
  transport::ConnectionPtr last_;
};

/// Hands on to a transport and records its dials.
class WatchedTransport final : public transport::Transport {
 public:
  WatchedTransport(std::unique_ptr<transport::Transport> inner, Clock& clock, Dials& dials)
      : inner_(std::move(inner)), clock_(clock), dials_(dials) {}
  std::string_view key() const noexcept override { return inner_->key(); }
  Result<void> start(const transport::TransportContext& context) override {
    return inner_->start(context);
  }
  Bytes address_entry() const override { return inner_->address_entry(); }
  Result<void> check_entry(ByteSpan entry) const override { return inner_->check_entry(entry); }
  std::unique_ptr<transport::Dial> connect(Shard& shard, ByteSpan entry,
                                           transport::ConnectHandler done) override {
    dials_.dialled(clock_.now());
    return inner_->connect(
        shard, entry,
        [this, done = std::move(done)](Result<transport::ConnectionPtr> connection) mutable {
          if (connection) dials_.connected(*connection);
          done(std::move(connection));
        });
  }
  void stop() noexcept override { inner_->stop(); }

 private:
  std::unique_ptr<transport::Transport> inner_;
  Clock& clock_;
  Dials& dials_;
};

class Arena : public testing::TestWithParam<std::tuple<Kind, Where>> {
 protected:
  Arena()
      : driver_(where() == Where::real ? transport::conformance::make_real_driver()
                                       : transport::conformance::make_sim_driver(17)),
        uds_path_("@velo-conformance-" + std::to_string(world(0).random().next())) {
    server = build(0);
    client = build(1);
    EXPECT_TRUE(client->register_peer(server->peer_info()));
    EXPECT_TRUE(server->register_peer(client->peer_info()));
  }
  ~Arena() override {
    for (Dials& each : dials) each.forget();
    server.reset();
    client.reset();
    // What they left to do is done before the simulation ends.
    if (where() == Where::sim) driver_->wait([] { return false; });
  }

  static Kind kind() { return std::get<0>(GetParam()); }
  /// How long dialling may take to find that nobody is there: a closed UDP port does not say so.
  static Duration dial_time_max() { return kind() == Kind::quic ? Duration(2s) : Duration(50ms); }
  static Where where() { return std::get<1>(GetParam()); }
  World& world(std::size_t side) { return driver_->world(side); }

  /// A messenger of that side; side 0 is always found at the same address.
  std::unique_ptr<Messenger> build(std::size_t side, std::size_t calls_max = 0) {
    auto built = try_build(side, calls_max);
    EXPECT_TRUE(built) << built.error().to_string();
    return built ? std::move(*built) : nullptr;
  }
  Result<std::unique_ptr<Messenger>> try_build(std::size_t side, std::size_t calls_max = 0) {
    auto builder = Messenger::builder(world(side));
    builder.add_transport(
        std::make_unique<WatchedTransport>(make(side), world(side).clock(), dials.at(side)));
    if (calls_max != 0) builder.calls_max(calls_max);
    auto built = builder.build();
    if (!built || side != 0 || port_ != 0) return built;
    for (const std::string key : {"tcp", "tls", "quic"}) {
      const auto& address = (*built)->peer_info().address;
      if (address.find(key) == address.end()) continue;
      port_ = transport::parse_interface_endpoints(address.at(key), key)->front().port;
    }
    return built;
  }

  bool until(const std::function<bool()>& condition) { return driver_->wait(condition); }
  template <class T>
  Result<T> wait(Op<T> op) {
    if (!until([&op] { return op.done(); })) {
      return make_error(velo::Errc::deadline_exceeded, "the operation never ended");
    }
    return std::move(op).get();
  }

  std::array<Dials, 2> dials;

 private:
  std::unique_ptr<transport::conformance::Driver> driver_;

 protected:
  transport::conformance::Driver& driver() { return *driver_; }

 private:
  std::unique_ptr<transport::Transport> make(std::size_t side) {
    if (kind() == Kind::inproc) return transport::make_inproc(hub_);
    if (kind() == Kind::tcp) {
      transport::TcpOptions options;
      if (side == 0) options.bind = Endpoint::tcp("127.0.0.1", port_);
      return transport::make_tcp(std::move(options));
    }
    if (kind() == Kind::tls) return make_secure<transport::TlsOptions>(side, transport::make_tls);
    if (kind() == Kind::quic) {
      return make_secure<transport::QuicOptions>(side, transport::make_quic);
    }
    const std::string path = uds_path_ + (side == 0 ? "-server" : "-client");
    if (kind() == Kind::shm) {
      transport::ShmOptions options;
      options.path = path;
      return transport::make_shm(std::move(options));
    }
    transport::UdsOptions options;
    options.path = path;
    return transport::make_uds(std::move(options));
  }

  template <class Options>
  std::unique_ptr<transport::Transport> make_secure(
      std::size_t side, std::unique_ptr<transport::Transport> (*make)(Options)) {
    Options options;
    options.credentials =
        transport::conformance::test_credentials(static_cast<std::uint8_t>(side + 1));
    if (kind() == Kind::quic) options.connect_timeout = dial_time_max();
    if (side == 0) options.bind = Endpoint::tcp("127.0.0.1", port_);
    return make(std::move(options));
  }

  std::shared_ptr<transport::InprocHub> hub_ = transport::make_inproc_hub(9);
  std::string uds_path_;
  std::uint16_t port_ = 0;

 protected:
  std::unique_ptr<Messenger> server;
  std::unique_ptr<Messenger> client;
};

/// Holds asynchronous handlers until the test lets them go; any thread.
class Gate {
 public:
  Op<void> pass(World& world) {
    auto promise = std::make_unique<Promise<void>>(world.pool());
    Op<void> op = promise->op();
    const std::lock_guard lock(mutex_);
    ++entered_;
    if (open_) {
      promise->set({});
    } else {
      held_.push_back(std::move(promise));
    }
    return op;
  }
  void open() {
    std::vector<std::unique_ptr<Promise<void>>> held;
    {
      const std::lock_guard lock(mutex_);
      open_ = true;
      held.swap(held_);
    }
    for (auto& promise : held) promise->set({});
  }
  int entered() {
    const std::lock_guard lock(mutex_);
    return entered_;
  }

 private:
  std::mutex mutex_;
  bool open_ = false;
  int entered_ = 0;
  std::vector<std::unique_ptr<Promise<void>>> held_;
};

inline Task<Result<Bytes>> wait_at(Context context, Gate* gate) {
  auto op = gate->pass(context.msg().world());
  const Result<void> passed = co_await op;
  if (!passed) co_return passed.error();
  Bytes reply = context.payload_bytes();
  co_return reply;
}

inline Handler gated(std::string name, Gate& gate) {
  return Handler::unary_handler_async(
             std::move(name),
             [&gate](Context context) { return wait_at(std::move(context), &gate); })
      .build();
}

inline Handler echo() {
  return Handler::unary_handler("echo", [](Context& context) { return context.payload_bytes(); })
      .build();
}

template <class T>
std::string outcome(const Result<T>& result) {
  return result ? "ok" : error_code_name(result.error().code());
}

}  // namespace velo::messenger_conformance_test
