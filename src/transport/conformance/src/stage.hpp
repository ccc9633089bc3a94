// SPDX-License-Identifier: Apache-2.0
// What a scenario plays on: two Worlds, a transport in each, and the ends of the connections
// between them. When it is torn down it checks what holds for every scenario: each connection ended
// exactly once, with nothing after, and none is left.
// Threading: the test's main thread, except where noted.
#pragma once

#include "party.hpp"
#include "raw_peer.hpp"

#include <velo/base/budget.hpp>
#include <velo/base/ids.hpp>
#include <velo/transport/conformance/suite.hpp>
#include <velo/transport/transport.hpp>

#include <array>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <string>

namespace velo::transport::conformance {

class Stage final : private AcceptHandler {
 public:
  struct Ends {
    Party& client;
    Party& server;
  };

  Stage(std::unique_ptr<Driver> driver, std::unique_ptr<Kit> kit);
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;
  virtual ~Stage();

  Driver& driver() noexcept { return *driver_; }
  Kit& kit() noexcept { return *kit_; }
  Transport& transport(std::size_t side) { return *transports_.at(side); }
  World& world(std::size_t side) { return driver_->world(side); }
  MemoryBudget& budget(std::size_t side) { return *budgets_.at(side); }
  /// Under which the listening side is reached.
  const Bytes& entry() const noexcept { return entry_; }

  /// Called for each end before it starts; on its shard.
  std::function<void(Party&)> prepare_client;
  std::function<void(Party&)> prepare_server;
  /// False drops the connection instead of starting it; on the shard.
  std::function<bool()> accept;

  bool wait(const std::function<bool()>& condition) { return driver_->wait(condition); }
  /// Connects, and waits until both ends have started.
  Ends connect();
  /// Connects; what the attempt ended with. `client` starts if it succeeded.
  Result<Party*> dial(ByteSpan entry);
  /// A connected raw peer; server() of its connection follows.
  std::unique_ptr<RawPeer> connect_raw();
  /// Waits for the connection that was accepted as the `index`-th.
  Party& accepted(std::size_t index);
  std::size_t accepted_count();
  /// The last one.
  Party& last_accepted() { return accepted(accepted_count() - 1); }

  Party& add_party();
  /// Stops and destroys the transport of one side.
  void stop(std::size_t side);
  /// Live connections of both transports, as far as they count them.
  std::size_t live_connections() const;
  /// Closes everything that is open and waits for the ends; then checks them.
  void close_all();

 private:
  void on_accepted(ConnectionPtr connection) override;

  std::unique_ptr<Driver> driver_;
  std::unique_ptr<Kit> kit_;
  std::array<std::shared_ptr<MemoryBudget>, 2> budgets_{std::make_shared<MemoryBudget>(),
                                                        std::make_shared<MemoryBudget>()};
  std::array<std::unique_ptr<Transport>, 2> transports_;
  Bytes entry_;
  // Guarded by the driver's mutex.
  std::deque<std::unique_ptr<Party>> parties_;
  std::deque<Party*> accepted_;
};

/// Closes everything before the locals above it go out of scope: for scenarios whose hooks refer to
/// their locals.
class Curtain {
 public:
  explicit Curtain(Stage& stage) noexcept : stage_(stage) {}
  Curtain(const Curtain&) = delete;
  Curtain& operator=(const Curtain&) = delete;
  ~Curtain() { stage_.close_all(); }

 private:
  Stage& stage_;
};

}  // namespace velo::transport::conformance
