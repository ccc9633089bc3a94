// SPDX-License-Identifier: Apache-2.0
// Media that can be cut: a transport as it is, under a name of its own, whose connections whoever
// holds the Medium can break and whose dials it can refuse. For tests and scenarios of several ways
// between messengers; not part of the library.
// Threading: a Medium locks; a MediumTransport is used as the transport inside it.
#pragma once

#include <velo/transport/failed_dial.hpp>
#include <velo/transport/transport.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace velo::transport {

/// One medium, shared by the transports of all messengers that use it.
class Medium {
 public:
  /// Whose end of a connection is closed; the other one learns of it by the medium.
  enum class End : std::uint8_t { dialled, accepted, both };

  /// `reach`: said of every address, instead of what the transport says.
  explicit Medium(std::string key, std::optional<Reach> reach = std::nullopt)
      : key_(std::move(key)), reach_(reach) {}

  const std::string& key() const noexcept { return key_; }
  const std::optional<Reach>& reach() const noexcept { return reach_; }
  bool is_cut() const {
    const std::lock_guard lock(mutex_);
    return cut_;
  }
  void record(const ConnectionPtr& connection, End end) {
    const std::lock_guard lock(mutex_);
    if (connections_.size() == remembered_max) connections_.pop_front();
    connections_.push_back({connection, end});
  }
  /// No dials from now on.
  void close_road() {
    const std::lock_guard lock(mutex_);
    cut_ = true;
  }
  /// The same, and all connections break.
  void cut(End end = End::both) {
    close_road();
    break_all(end);
  }
  void mend() {
    const std::lock_guard lock(mutex_);
    cut_ = false;
  }
  /// All connections break; new ones can be made.
  void break_all(End end = End::both) {
    std::deque<Made> made;
    {
      const std::lock_guard lock(mutex_);
      made = std::exchange(connections_, {});
    }
    for (const Made& each : made) {
      if (end != End::both && each.end != end) continue;
      each.connection->close(make_error(Errc::connection_lost, "cut on purpose"));
    }
  }

 private:
  struct Made {
    ConnectionPtr connection;
    End end;
  };
  /// Of a medium's connections the newest; older ones are over, or live on unharmed.
  static constexpr std::size_t remembered_max = 1024;

  const std::string key_;
  const std::optional<Reach> reach_;
  mutable std::mutex mutex_;
  bool cut_ = false;
  std::deque<Made> connections_;
};

/// A transport as it is, under the medium's key.
class MediumTransport final : public Transport, private AcceptHandler {
 public:
  MediumTransport(std::unique_ptr<Transport> inner, std::shared_ptr<Medium> medium)
      : inner_(std::move(inner)), medium_(std::move(medium)) {}

  std::string_view key() const noexcept override { return medium_->key(); }
  Result<void> start(const TransportContext& context) override {
    accepts_ = &context.accepts;
    return inner_->start({context.world, context.self, *this, context.budget});
  }
  Bytes address_entry() const override { return inner_->address_entry(); }
  Result<void> check_entry(ByteSpan entry) const override { return inner_->check_entry(entry); }
  Reach assess(ByteSpan entry) const override {
    return medium_->reach() ? *medium_->reach() : inner_->assess(entry);
  }
  std::unique_ptr<Dial> connect(Shard& shard, ByteSpan entry, ConnectHandler done) override {
    if (medium_->is_cut()) {
      return fail_dial(shard, std::move(done), make_error(Errc::connect_failed, "connect refused"));
    }
    return inner_->connect(
        shard, entry,
        [medium = medium_, done = std::move(done)](Result<ConnectionPtr> connection) mutable {
          if (connection) medium->record(*connection, Medium::End::dialled);
          done(std::move(connection));
        });
  }
  GateCounts gate_counts() const override { return inner_->gate_counts(); }
  void stop() noexcept override { inner_->stop(); }

 private:
  void on_accepted(ConnectionPtr connection) override {
    medium_->record(connection, Medium::End::accepted);
    accepts_->on_accepted(std::move(connection));
  }

  std::unique_ptr<Transport> inner_;
  std::shared_ptr<Medium> medium_;
  AcceptHandler* accepts_ = nullptr;
};

}  // namespace velo::transport
