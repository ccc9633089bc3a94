// SPDX-License-Identifier: Apache-2.0
// Transfer: which chunks to ask for next, and what becomes of those that come, fail, or do not.
// The window grows with each chunk that is stored and halves when the owner has no room. Chunks are
// idempotent: one that failed is simply asked for again, after a pause. Core: `now` is an argument.
// Threading: none; the caller's shard.
#pragma once

#include "wire.hpp"

#include <velo/base/time.hpp>
#include <velo/rendezvous/limits.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <vector>

namespace velo::rendezvous {

/// Whether asking the owner again can help.
bool worth_retrying(const Error& error) noexcept;

class Transfer {
 public:
  explicit Transfer(const wire::Grant& grant, TimePoint now,
                    std::uint32_t window_max = limits::window_chunks_max);

  /// The chunk to ask for now, if any; it takes a place in the window until stored() or failed().
  std::optional<std::uint32_t> next(TimePoint now);
  /// When next() may have one because a pause is over; never() if that is not what it waits for.
  TimePoint pause_over() const noexcept;

  /// It has come. Nullopt: nobody asked for it, or it came before. Errc::bad_peer: not of the
  /// length that it has to be.
  Result<std::optional<std::uint64_t>> arrived(std::uint32_t chunk, std::size_t bytes,
                                               TimePoint now);
  /// What has come is where it belongs.
  void stored(std::uint32_t chunk);
  /// The writer is through with a step, however long it took: the owner was not waited for.
  void resumed(TimePoint now) noexcept { last_progress_ = now; }
  /// It has not come. The error if that is the end.
  std::optional<Error> failed(std::uint32_t chunk, const Error& error, TimePoint now);

  bool complete() const noexcept { return stored_ == chunks_; }
  std::uint64_t total_bytes() const noexcept { return total_bytes_; }
  std::uint64_t stored_bytes() const noexcept { return stored_bytes_; }
  /// When something came or was written, or the transfer began.
  TimePoint last_progress() const noexcept { return last_progress_; }
  std::uint32_t window() const noexcept { return window_; }
  std::uint32_t outstanding() const noexcept { return outstanding_; }

 private:
  std::size_t bytes_of(std::uint32_t chunk) const noexcept;
  /// A chunk that was asked for and is not stored.
  struct Asked {
    std::uint32_t chunk;
    bool arrived;
  };
  std::vector<Asked>::iterator asked_for(std::uint32_t chunk) noexcept;

  const std::uint64_t total_bytes_;
  const std::uint32_t chunk_bytes_;
  const std::uint32_t chunks_;
  const std::uint32_t window_max_;
  std::uint32_t window_;
  std::uint32_t next_ = 0;
  std::uint32_t outstanding_ = 0;
  std::uint32_t stored_ = 0;
  std::uint64_t stored_bytes_ = 0;
  std::vector<Asked> asked_;
  std::set<std::uint32_t> again_;
  Duration pause_ = Duration::zero();
  TimePoint not_before_;
  TimePoint last_progress_;
};

}  // namespace velo::rendezvous
