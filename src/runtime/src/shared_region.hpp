// SPDX-License-Identifier: Apache-2.0
// Memory that two processes have mapped: an anonymous file of fixed length (memfd, sealed so that
// it can neither shrink nor grow, since touching what was cut off would end the process), made here
// or received and then checked. Not what lies in it.
// Threading: values; not shared.
#pragma once

#include <velo/base/error.hpp>

#include <cstddef>
#include <span>
#include <utility>

#include "descriptor.hpp"

namespace velo::runtime {

class MappedRegion {
 public:
  MappedRegion() noexcept = default;
  MappedRegion(std::byte* data, std::size_t bytes) noexcept : data_(data), bytes_(bytes) {}
  MappedRegion(MappedRegion&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(other.bytes_) {}
  MappedRegion& operator=(MappedRegion&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~MappedRegion();

  std::span<std::byte> span() const noexcept { return {data_, data_ == nullptr ? 0 : bytes_}; }

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

struct SharedRegion {
  Descriptor file;  ///< to be sent; the mapping does not need it
  MappedRegion memory;
};

/// Rounded up to whole pages, zeroed and present. Errc::overloaded or Errc::io.
Result<SharedRegion> make_region(std::size_t bytes);

/// Maps what another process sent, once it is certain to be a sealed memfd of `bytes`.
/// Errc::invalid_argument otherwise.
Result<MappedRegion> adopt_region(const Descriptor& file, std::size_t bytes);

/// For waking the other process by writing zero: its count is one from the start, and nobody reads
/// it, so that each write is an event for whoever watches it edge-triggered.
Result<Descriptor> make_bell();
/// Whether a descriptor from another process is such a bell: writing to anything else might block
/// or do harm.
bool is_bell(const Descriptor& file);
/// Never blocks: adding zero always fits, whatever the count is.
void ring_bell(const Descriptor& bell) noexcept;

}  // namespace velo::runtime
