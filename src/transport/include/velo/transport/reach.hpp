// SPDX-License-Identifier: Apache-2.0
// How far an address entry reaches, and who could read along on the way: what a transport says of
// an entry so that somebody else can choose between transports. Not a measurement.
// Threading: value types; functions are pure.
#pragma once

#include <velo/base/network.hpp>
#include <velo/base/time.hpp>

#include <cstdint>
#include <span>
#include <string_view>

namespace velo::transport {

/// Where the other end is, nearest first.
enum class Locality : std::uint8_t {
  same_process,
  shared_memory,  ///< another process of this host, by memory that both see
  same_host,      ///< by way of the kernel
  same_subnet,
  network,  ///< anywhere, and what is not known
};

struct Reach {
  Locality locality = Locality::network;
  /// Nobody on the way can read or change what passes: it stays within this host, or is encrypted.
  bool is_private = false;
  /// What a small message and its answer usually take; zero: not known.
  Duration usual_round_trip{};

  Reach() = default;
  Reach(Locality where, bool closed, Duration usual = Duration{}) noexcept
      : locality(where), is_private(closed), usual_round_trip(usual) {}
  friend bool operator==(const Reach&, const Reach&) = default;
};

std::string_view to_string(Locality locality) noexcept;

/// Of a numeric IP address, seen from a host with these interfaces. Private only where it is this
/// host's own; a transport that encrypts says so itself.
Reach reach_of_ip(std::string_view ip, std::span<const InterfaceAddress> interfaces);

}  // namespace velo::transport
