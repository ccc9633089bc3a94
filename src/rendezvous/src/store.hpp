// SPDX-License-Identifier: Apache-2.0
// Store: the data that this instance has registered, who may read it, and who is reading. An entry
// lives while it has references, is pinned, or is being read, and no longer than its terms say.
// Core: ids and `now` are arguments.
// Threading: none; the caller locks.
#pragma once

#include <velo/base/budget.hpp>
#include <velo/base/bytes.hpp>
#include <velo/base/files.hpp>
#include <velo/base/ids.hpp>
#include <velo/base/time.hpp>
#include <velo/rendezvous/data_handle.hpp>
#include <velo/rendezvous/error.hpp>
#include <velo/rendezvous/limits.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

namespace velo::rendezvous {

/// Where an entry's bytes are: in memory, or in a file.
struct Source {
  Bytes bytes;
  std::shared_ptr<FileReader> file;
  Charge charge;  ///< of `bytes`

  std::uint64_t size() const noexcept { return file != nullptr ? file->size() : bytes.size(); }
};

struct Terms {
  std::optional<InstanceId> only_for;
  bool pinned = false;
  TimePoint expires = TimePoint::never();

  Terms() = default;
};

/// Who asks. The owner itself may do everything.
struct Reader {
  WorkerId worker;
  InstanceId instance;
  bool owner = false;
};

/// A chunk of an entry: in `bytes`, or to be read from `file`.
struct Piece {
  Bytes bytes;
  std::shared_ptr<FileReader> file;
  std::uint64_t offset = 0;
  std::size_t size = 0;
};

struct StoreUse {
  std::size_t entries = 0;
  std::size_t leases = 0;  ///< that have not lapsed
  std::uint64_t bytes = 0;

  StoreUse() = default;
};

struct StoreLimits {
  std::size_t entries_max = limits::entries_max;
  std::size_t leases_max = limits::leases_max;
  std::size_t leases_per_reader_max = limits::leases_per_reader_max;
  std::size_t lapsed_max = limits::lapsed_leases_max;
  Duration lease_ttl = limits::lease_ttl;

  StoreLimits() = default;
};

class Store {
 public:
  /// Random numbers for one lease.
  struct LeaseIds {
    std::uint64_t lease = 0;
    std::uint64_t transfer = 0;
  };
  struct Granted {
    LeaseIds ids;
    std::uint64_t total_bytes = 0;
    std::uint32_t chunks = 0;
    Bytes bytes;  ///< of an entry in memory
  };

  explicit Store(const StoreLimits& limits = StoreLimits()) noexcept : limits_(limits) {}

  /// With one reference. `id` is random; one that is 0 or taken is velo::Errc::already_exists. What
  /// is refused is not moved from.
  Result<void> add(std::uint64_t id, Source&& source, const Terms& terms);
  Result<DataMetadata> metadata(std::uint64_t id, const Reader& reader) const;
  /// A lease of this reader.
  Result<Granted> acquire(std::uint64_t id, const Reader& reader, LeaseIds ids, TimePoint now);
  /// One chunk, for the reader whose transfer it is; the lease starts anew.
  Result<Piece> piece(std::uint64_t transfer, std::uint32_t chunk, const Reader& reader,
                      TimePoint now);
  Result<void> add_reference(std::uint64_t id, const Reader& reader);
  /// The lease ends.
  Result<void> detach(std::uint64_t id, DataLease lease, const Reader& reader);
  /// The lease ends, and a reference with it. Of a lease that lapsed, the reference all the same.
  Result<void> release(std::uint64_t id, DataLease lease, const Reader& reader);
  /// The owner no longer offers it: no new readers; freed when those it has are done. False: there
  /// is none.
  bool withdraw(std::uint64_t id);
  bool contains(std::uint64_t id) const { return entries_.contains(id); }
  void clear();

  /// Ends what is over at `now`; when the next will be, or never().
  TimePoint reap(TimePoint now);
  /// When anything is over at the earliest.
  TimePoint next_end() const noexcept { return next_end_; }

  /// Leases whose chunks have not all been asked for, but of which one was within `idle`.
  std::size_t under_way(TimePoint now, Duration idle) const;
  StoreUse use() const noexcept;

 private:
  struct Entry {
    Source source;
    Terms terms;
    std::uint32_t references = 1;
    bool withdrawn = false;
    std::size_t readers = 0;
    std::vector<std::uint64_t> leases;  ///< lapsed ones included
  };
  struct Lease {
    std::uint64_t entry = 0;
    std::uint64_t transfer = 0;
    WorkerId reader;
    TimePoint until;
    bool lapsed = false;
    std::uint64_t served = 0;
  };
  using Entries = std::unordered_map<std::uint64_t, Entry>;
  using Leases = std::unordered_map<std::uint64_t, Lease>;

  Result<Entries::iterator> find(std::uint64_t id, const Reader& reader);
  Result<Leases::iterator> find_lease(std::uint64_t id, DataLease lease, const Reader& reader);
  /// The lease no longer locks.
  void stop_reading(Lease& lease);
  void end_lease(Leases::iterator lease);
  void free_if_over(std::uint64_t id);
  void note_end(TimePoint at) noexcept {
    if (at < next_end_) next_end_ = at;
  }

  StoreLimits limits_;
  Entries entries_;
  Leases leases_;
  std::unordered_map<std::uint64_t, std::uint64_t> transfers_;  ///< to their leases
  std::unordered_map<WorkerId, std::size_t> leases_of_;
  std::deque<std::uint64_t> lapsed_;
  std::size_t live_leases_ = 0;
  std::uint64_t bytes_ = 0;
  TimePoint next_end_ = TimePoint::never();
};

}  // namespace velo::rendezvous
