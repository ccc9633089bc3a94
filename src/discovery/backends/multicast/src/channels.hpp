// SPDX-License-Identifier: Apache-2.0
// The sockets of multicast discovery: one per interface and family, each bound to its group, so
// that it hears nothing else.
// Threading: opened on any thread; used and destroyed on shard 0, or after the World stopped.
#pragma once

#include <velo/base/network.hpp>
#include <velo/base/world.hpp>
#include <velo/discovery/backends/multicast.hpp>

#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace velo::discovery::multicast {

/// Where a channel is to be.
struct ChannelPlace {
  std::string interface_address;  ///< as DatagramOptions has it
  std::uint32_t index = 0;        ///< of the interface; scopes IPv6 groups
  bool v6 = false;

  friend auto operator<=>(const ChannelPlace&, const ChannelPlace&) = default;
};

/// Who listens, on shard 0.
class ChannelOwner {
 public:
  virtual void on_datagram(const NetAddress& from, ByteSpan datagram) = 0;
  virtual void on_batch_end() = 0;

 protected:
  ~ChannelOwner() = default;
};

class Channel final : private DatagramEvents {
 public:
  /// `owner` outlives it.
  static Result<std::unique_ptr<Channel>> open(World& world, const MulticastOptions& options,
                                               const ChannelPlace& place, ChannelOwner& owner);

  const ChannelPlace& place() const noexcept { return place_; }
  bool send(ByteSpan datagram) noexcept;

 private:
  Channel(ChannelPlace place, ChannelOwner& owner) : place_(std::move(place)), owner_(owner) {}
  void on_datagram(const NetAddress& from, const NetAddress& to, ByteSpan datagram) override;
  void on_batch_end() override { owner_.on_batch_end(); }

  ChannelPlace place_;
  ChannelOwner& owner_;
  NetAddress group_;
  std::unique_ptr<DatagramSocket> socket_;
};

/// All interfaces that are up and can multicast, or those that the options name; in both families
/// that have a group. Asks the system, so not on a shard that is in a hurry.
std::vector<ChannelPlace> channel_places(Network& network, const MulticastOptions& options);

}  // namespace velo::discovery::multicast
