// SPDX-License-Identifier: Apache-2.0
// Test support: a transport over another one that says of each connection what the test tells it to
// say: which certificate each end shows, whether it stays on the host. So that the messenger's
// rules are tested without a handshake. Not part of the library.
// Threading: the simulation's thread.
#pragma once

#include <velo/transport/transport.hpp>

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace velo::messenger::testing {

/// A certificate's key in name only: what a NodeId is made of.
inline Bytes key_named(const std::string& name) { return Bytes::copy("key of " + name); }

inline std::shared_ptr<const crypto::PeerIdentity> certificate_of(const std::string& name) {
  auto identity = std::make_shared<crypto::PeerIdentity>();
  identity->public_key = key_named(name);
  identity->node = NodeId::of(identity->public_key);
  identity->common_name = name;
  identity->names = {name + ".example"};
  return identity;
}

/// A connection between two that show certificates of these names; empty: none.
inline transport::ConnectionSecurity secured(const std::string& own, const std::string& other) {
  transport::ConnectionSecurity security;
  security.is_private = true;
  security.protocol = "test";
  if (!own.empty()) security.own_public_key = key_named(own);
  if (!other.empty()) security.peer = certificate_of(other);
  return security;
}

class VouchedConnection final : public transport::Connection {
 public:
  VouchedConnection(transport::ConnectionPtr inner, transport::ConnectionSecurity security)
      : inner_(std::move(inner)), security_(std::move(security)) {}

  void start(transport::ConnectionEvents& events) override { inner_->start(events); }
  transport::SendResult send(const transport::OutFrame& frame) noexcept override {
    return inner_->send(frame);
  }
  std::uint64_t written() const noexcept override { return inner_->written(); }
  std::uint64_t queued() const noexcept override { return inner_->queued(); }
  void close(Error reason) noexcept override { inner_->close(std::move(reason)); }
  void close_after_flush(Error reason, Duration patience) noexcept override {
    inner_->close_after_flush(std::move(reason), patience);
  }
  const transport::ConnectionSecurity& security() const noexcept override { return security_; }
  bool keeps_order() const noexcept override { return inner_->keeps_order(); }
  Shard& shard() noexcept override { return inner_->shard(); }
  std::string_view transport_key() const noexcept override { return inner_->transport_key(); }
  std::string remote() const override { return inner_->remote(); }

 private:
  const transport::ConnectionPtr inner_;
  const transport::ConnectionSecurity security_;
};

/// What is to be said of a connection; `dialed` by this side.
using Voucher = std::function<transport::ConnectionSecurity(bool dialed)>;

class VouchedTransport final : public transport::Transport, private transport::AcceptHandler {
 public:
  VouchedTransport(std::unique_ptr<transport::Transport> inner, Voucher voucher)
      : inner_(std::move(inner)), voucher_(std::move(voucher)) {}

  std::string_view key() const noexcept override { return inner_->key(); }
  Result<void> start(const transport::TransportContext& context) override {
    accepts_ = &context.accepts;
    return inner_->start({context.world, context.self, *this, context.budget});
  }
  Bytes address_entry() const override { return inner_->address_entry(); }
  Result<void> check_entry(ByteSpan entry) const override { return inner_->check_entry(entry); }
  std::unique_ptr<transport::Dial> connect(Shard& shard, ByteSpan entry,
                                           transport::ConnectHandler done) override {
    return inner_->connect(
        shard, entry,
        [this, done = std::move(done)](Result<transport::ConnectionPtr> connection) mutable {
          if (connection) connection = vouch(std::move(*connection), true);
          done(std::move(connection));
        });
  }
  void stop() noexcept override { inner_->stop(); }

 private:
  transport::ConnectionPtr vouch(transport::ConnectionPtr inner, bool dialed) {
    return transport::ConnectionPtr::adopt(
        new VouchedConnection(std::move(inner), voucher_(dialed)));
  }
  void on_accepted(transport::ConnectionPtr connection) override {
    accepts_->on_accepted(vouch(std::move(connection), false));
  }

  const std::unique_ptr<transport::Transport> inner_;
  const Voucher voucher_;
  transport::AcceptHandler* accepts_ = nullptr;
};

}  // namespace velo::messenger::testing
