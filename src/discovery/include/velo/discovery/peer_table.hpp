// SPDX-License-Identifier: Apache-2.0
// The core of discovery: several sources' peers as one view. A peer is there while any source has
// it; of each transport's address entry the first source (by number) that has one counts. Not a
// cache: nothing expires by itself.
// Threading: a value; belongs to one owner.
#pragma once

#include <velo/base/ids.hpp>
#include <velo/discovery/discovery.hpp>
#include <velo/discovery/limits.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

namespace velo::discovery {

class PeerTable {
 public:
  using Source = std::uint32_t;  ///< below limits::sources_max

  explicit PeerTable(std::size_t peers_max = limits::peers_max,
                     std::size_t address_bytes_max = limits::view_address_bytes_max) noexcept
      : peers_max_(peers_max), address_bytes_max_(address_bytes_max) {}

  /// What `change` of one source means for who sees the merged view: `added` (also for a new
  /// address) and `removed` only, one peer each, nothing for what was known already. Removals come
  /// first, so that a full table has room for the new.
  std::vector<PeerChange> apply(Source source, const PeerChange& change);

  /// Null if unknown; valid until the next apply().
  const PeerInfo* find(const InstanceId& id) const;
  const PeerInfo* find(WorkerId id) const;
  /// Whether this source has the peer.
  bool has(Source source, const InstanceId& id) const;
  /// In the order of the instances' ids.
  std::vector<PeerInfo> list() const;
  std::size_t size() const noexcept { return rows_.size(); }
  std::size_t address_bytes() const noexcept { return address_bytes_; }
  /// How many reports of peers were refused, because a limit was reached or the id was invalid.
  std::uint64_t refused() const noexcept { return refused_; }

 private:
  struct Row {
    PeerInfo merged;
    std::vector<std::pair<Source, WorkerAddress>> claims;  ///< by source, ascending
  };
  using Rows = std::map<InstanceId, Row>;

  void replace_all(Source source, const std::vector<PeerInfo>& peers, std::vector<PeerChange>& out);
  void put(Source source, const PeerInfo& peer, std::vector<PeerChange>& out);
  void drop(Source source, Rows::iterator row, std::vector<PeerChange>& out);
  void merge(Row& row, std::vector<PeerChange>& out);

  std::size_t peers_max_;
  std::size_t address_bytes_max_;
  std::size_t address_bytes_ = 0;
  std::uint64_t refused_ = 0;
  Rows rows_;
  std::map<std::pair<WorkerId, InstanceId>, const PeerInfo*> by_worker_;
};

}  // namespace velo::discovery
