// SPDX-License-Identifier: Apache-2.0
// DataHandle: the name of data that an instance has registered, to be handed to others in any way.
// It says whom to ask. Whoever has it may read the data, unless it is bound to one instance, so
// half of it is random: nobody guesses one.
// Threading: value types.
#pragma once

#include <velo/base/error.hpp>
#include <velo/base/ids.hpp>

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace velo {

class DataHandle {
 public:
  constexpr DataHandle() noexcept = default;
  constexpr DataHandle(WorkerId owner, std::uint64_t local) noexcept
      : owner_(owner), local_(local) {}

  constexpr WorkerId owner() const noexcept { return owner_; }
  constexpr std::uint64_t local() const noexcept { return local_; }
  constexpr bool valid() const noexcept { return owner_.valid() && local_ != 0; }

  /// The decimal text of the 128-bit number whose upper half is the owner.
  std::string to_string() const;
  /// Errc::invalid_argument for anything else, and for a handle that is not valid().
  static Result<DataHandle> parse(std::string_view text);

  friend constexpr auto operator<=>(const DataHandle&, const DataHandle&) noexcept = default;

 private:
  WorkerId owner_;
  std::uint64_t local_ = 0;
};

/// What may be known of data without reading it.
struct DataMetadata {
  std::uint64_t total_bytes = 0;
  std::uint32_t references = 0;
  bool pinned = false;

  DataMetadata() = default;
};

/// A read lock on data: while it lives, the data does. It lapses by itself when its holder is not
/// heard of for rendezvous::limits::lease_ttl; detach() or release() end it.
class DataLease {
 public:
  constexpr DataLease() noexcept = default;
  constexpr explicit DataLease(std::uint64_t id) noexcept : id_(id) {}
  constexpr std::uint64_t id() const noexcept { return id_; }
  friend constexpr bool operator==(DataLease, DataLease) noexcept = default;

 private:
  std::uint64_t id_ = 0;
};

}  // namespace velo

template <>
struct std::hash<velo::DataHandle> {
  std::size_t operator()(const velo::DataHandle& handle) const noexcept { return handle.local(); }
};
