// SPDX-License-Identifier: Apache-2.0
// Opens sockets on groups.

#include "channels.hpp"

#include <velo/discovery/backends/multicast/limits.hpp>

#include <algorithm>
#include <set>
#include <utility>

namespace velo::discovery::multicast {
namespace channels_detail {

/// Many announcers may answer at once.
constexpr std::size_t socket_buffer_bytes = std::size_t{1} << 20;

}  // namespace channels_detail

Result<std::unique_ptr<Channel>> Channel::open(World& world, const MulticastOptions& options,
                                               const ChannelPlace& place, ChannelOwner& owner) {
  const std::string& group = place.v6 ? options.group_v6 : options.group_v4;
  auto address = to_net_address(Endpoint::tcp(group, options.port));
  if (!address) return std::move(address).error();
  if (place.v6) address->scope = place.index;
  std::unique_ptr<Channel> channel(new Channel(place, owner));
  channel->group_ = *address;
  DatagramOptions how;
  how.socket_buffer_bytes = channels_detail::socket_buffer_bytes;
  how.share_port = true;
  how.multicast_groups.push_back(group);
  how.interface_address = place.interface_address;
  how.multicast_hops = options.hops;
  auto socket = world.network().open_datagram(world.shard(0), to_endpoint(*address), how, *channel);
  if (!socket) return std::move(socket).error();
  channel->socket_ = std::move(*socket);
  return channel;
}

bool Channel::send(ByteSpan datagram) noexcept {
  return socket_->try_send_segments(group_, datagram, datagram.size()).status ==
         IoResult::Status::ok;
}

void Channel::on_datagram(const NetAddress& from, const NetAddress& to, ByteSpan datagram) {
  if (to.port != 0 && !is_multicast(to)) return;
  owner_.on_datagram(from, datagram);
}

std::vector<ChannelPlace> channel_places(Network& network, const MulticastOptions& options) {
  std::set<ChannelPlace> places;
  std::set<std::pair<std::uint32_t, bool>> taken;
  for (const InterfaceAddress& one : network.interfaces()) {
    const auto address = to_net_address(Endpoint::tcp(one.address, 0));
    if (!address || places.size() >= limits::interfaces_max) continue;
    const bool named =
        std::ranges::find(options.interfaces, one.address) != options.interfaces.end();
    if (options.interfaces.empty() ? !one.up || !one.multicast || one.loopback : !named) continue;
    if (address->v6 ? options.group_v6.empty() : options.group_v4.empty()) continue;
    if (!taken.insert({one.index, address->v6}).second) continue;
    places.insert(ChannelPlace{'%' + std::to_string(one.index), one.index, address->v6});
  }
  return {places.begin(), places.end()};
}

}  // namespace velo::discovery::multicast
