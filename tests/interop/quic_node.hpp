// SPDX-License-Identifier: Apache-2.0
// A messenger of ours over QUIC with an identity, for tests against other implementations.
// Threading: the test's thread.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/crypto/key.hpp>
#include <velo/messenger/messenger.hpp>
#include <velo/runtime/real_world.hpp>
#include <velo/transport/backends/quic.hpp>
#include <velo/transport/conformance/identities.hpp>
#include <velo/transport/interfaces.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>

namespace velo::interop {

/// A folder of the test's own, gone with it.
class Scratch {
 public:
  explicit Scratch(const std::string& name)
      : path_(std::filesystem::path(testing::TempDir()) /
              (name + "-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(path_);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string path(const std::string& name = "") const { return (path_ / name).string(); }
  void write(const std::string& name, ByteSpan contents) const {
    std::ofstream(path_ / name, std::ios::binary) << as_text(contents);
  }

 private:
  std::filesystem::path path_;
};

/// Serves `echo`, `who` (the caller's name in its certificate) and `note` (counted).
class QuicNode {
 public:
  explicit QuicNode(World& world, transport::QuicOptions options = {}) {
    options.credentials = transport::conformance::test_credentials(1);
    auto transport = transport::make_quic(std::move(options));
    transport_ = transport.get();
    auto builder = Messenger::builder(world);
    builder.add_transport(std::move(transport))
        .instance_key(*crypto::PrivateKey::generate())
        .require_authentication(true);
    auto built = builder.build();
    EXPECT_TRUE(built) << built.error().to_string();
    messenger_ = std::move(*built);
    const auto serve = [this](Handler handler) {
      EXPECT_TRUE(messenger_->register_handler(std::move(handler)));
    };
    serve(Handler::unary_handler("echo", [](Context& c) { return c.payload_bytes(); }).build());
    serve(Handler::unary_handler("who", [](Context& c) {
            const ConnectionIdentity& caller = c.peer_identity();
            return Bytes::copy(caller.authentic() ? caller.certificate->common_name : "?");
          }).build());
    serve(Handler::am_handler("note", [this](Context&) { ++notes_; }).build());
  }

  Messenger& operator*() noexcept { return *messenger_; }
  Messenger* operator->() noexcept { return messenger_.get(); }
  transport::QuicCounts counts() const { return *transport::quic_counts(*transport_); }
  int notes() const { return notes_.load(); }
  std::uint16_t port() const {
    const auto entry = messenger_->peer_info().address.at("quic");
    return transport::parse_interface_endpoints(entry, "quic")->front().port;
  }

 private:
  const transport::Transport* transport_ = nullptr;
  std::atomic<int> notes_{0};
  std::unique_ptr<Messenger> messenger_;
};

}  // namespace velo::interop
