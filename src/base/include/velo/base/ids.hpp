// SPDX-License-Identifier: Apache-2.0
// Identity of one process run (InstanceId, WorkerId) and what is needed to reach it (WorkerAddress,
// PeerInfo). Random at each start, so that a stale reply never matches a call made after a restart.
// Threading: value types.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace velo {

class Random;

/// Identifies the instance in every id that must say where to route; xxh3_64 of the InstanceId. 0
/// is invalid.
class WorkerId {
 public:
  constexpr WorkerId() noexcept = default;
  constexpr explicit WorkerId(std::uint64_t value) noexcept : value_(value) {}
  constexpr std::uint64_t value() const noexcept { return value_; }
  constexpr bool valid() const noexcept { return value_ != 0; }
  /// Decimal.
  std::string to_string() const { return std::to_string(value_); }
  static Result<WorkerId> parse(std::string_view text);
  friend constexpr auto operator<=>(WorkerId, WorkerId) noexcept = default;

 private:
  std::uint64_t value_ = 0;
};

/// UUIDv4 of one run of one messenger.
class InstanceId {
 public:
  constexpr InstanceId() noexcept = default;
  constexpr explicit InstanceId(const std::array<std::uint8_t, 16>& bytes) noexcept
      : bytes_(bytes) {}
  /// A fresh id; drawn again until its WorkerId is valid.
  static InstanceId random(Random& random);
  /// Accepts the 36-character UUID form; Errc::invalid_argument otherwise.
  static Result<InstanceId> parse(std::string_view text);

  constexpr const std::array<std::uint8_t, 16>& bytes() const noexcept { return bytes_; }
  WorkerId worker_id() const noexcept;
  bool valid() const noexcept { return *this != InstanceId(); }
  /// Lower-case 8-4-4-4-12.
  std::string to_string() const;
  friend constexpr auto operator<=>(const InstanceId&, const InstanceId&) noexcept = default;

 private:
  std::array<std::uint8_t, 16> bytes_{};
};

/// Transport key ("tcp", "uds", ...) to that transport's own opaque entry. Encoded as the public
/// velo does (MessagePack map of key to array of integers); see docs/protocols/messenger.md.
/// Encoding lives in codec.
using WorkerAddress = std::map<std::string, Bytes, std::less<>>;

struct PeerInfo {
  InstanceId instance_id;
  WorkerAddress address;

  WorkerId worker_id() const noexcept { return instance_id.worker_id(); }
  friend bool operator==(const PeerInfo&, const PeerInfo&) = default;
};

}  // namespace velo

template <>
struct std::hash<velo::WorkerId> {
  std::size_t operator()(velo::WorkerId id) const noexcept { return id.value(); }
};
template <>
struct std::hash<velo::InstanceId> {
  std::size_t operator()(const velo::InstanceId& id) const noexcept {
    return id.worker_id().value();
  }
};
