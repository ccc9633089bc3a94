// SPDX-License-Identifier: Apache-2.0
// Test support: several ways between messengers, each of which the test can cut and mend. Not part
// of the library.
// Threading: connections are recorded on any thread; the rest is the test's own.
#pragma once

#include <velo/transport/failed_dial.hpp>
#include <velo/transport/transport.hpp>

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace velo::messenger::testing {

/// One medium, shared by the transports of all messengers that use it.
class Medium {
 public:
  Medium(std::string key, transport::Reach reach) : key_(std::move(key)), reach_(reach) {}

  const std::string& key() const noexcept { return key_; }
  const transport::Reach& reach() const noexcept { return reach_; }
  bool is_cut() const {
    const std::lock_guard lock(mutex_);
    return cut_;
  }
  void record(const transport::ConnectionPtr& connection) {
    const std::lock_guard lock(mutex_);
    connections_.push_back(connection);
  }
  /// No dials from now on, and all connections break.
  void cut() {
    {
      const std::lock_guard lock(mutex_);
      cut_ = true;
    }
    break_all();
  }
  void mend() {
    const std::lock_guard lock(mutex_);
    cut_ = false;
  }
  /// All connections break; new ones can be made.
  void break_all() {
    std::vector<transport::ConnectionPtr> broken;
    {
      const std::lock_guard lock(mutex_);
      broken = std::exchange(connections_, {});
    }
    for (const auto& connection : broken) {
      connection->close(transport::make_error(transport::Errc::connection_lost, "cut by the test"));
    }
  }

 private:
  const std::string key_;
  const transport::Reach reach_;
  mutable std::mutex mutex_;
  bool cut_ = false;
  std::vector<transport::ConnectionPtr> connections_;
};

/// A transport as it is, under the medium's key.
class MediumTransport final : public transport::Transport, private transport::AcceptHandler {
 public:
  MediumTransport(std::unique_ptr<transport::Transport> inner, std::shared_ptr<Medium> medium)
      : inner_(std::move(inner)), medium_(std::move(medium)) {}

  std::string_view key() const noexcept override { return medium_->key(); }
  Result<void> start(const transport::TransportContext& context) override {
    accepts_ = &context.accepts;
    return inner_->start({context.world, context.self, *this, context.budget});
  }
  Bytes address_entry() const override { return inner_->address_entry(); }
  Result<void> check_entry(ByteSpan entry) const override { return inner_->check_entry(entry); }
  transport::Reach assess(ByteSpan /*entry*/) const override { return medium_->reach(); }
  std::unique_ptr<transport::Dial> connect(Shard& shard, ByteSpan entry,
                                           transport::ConnectHandler done) override {
    if (medium_->is_cut()) {
      return transport::fail_dial(
          shard, std::move(done),
          transport::make_error(transport::Errc::connect_failed, "connect refused"));
    }
    return inner_->connect(shard, entry,
                           [medium = medium_, done = std::move(done)](
                               Result<transport::ConnectionPtr> connection) mutable {
                             if (connection) medium->record(*connection);
                             done(std::move(connection));
                           });
  }
  void stop() noexcept override { inner_->stop(); }

 private:
  void on_accepted(transport::ConnectionPtr connection) override {
    medium_->record(connection);
    accepts_->on_accepted(std::move(connection));
  }

  std::unique_ptr<transport::Transport> inner_;
  std::shared_ptr<Medium> medium_;
  transport::AcceptHandler* accepts_ = nullptr;
};

}  // namespace velo::messenger::testing
