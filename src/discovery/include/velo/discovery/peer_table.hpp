// SPDX-License-Identifier: Apache-2.0
// The view of peers: a Table that also finds them by their worker's id.
// Threading: a value; belongs to one owner.
#pragma once

#include <velo/base/ids.hpp>
#include <velo/discovery/table.hpp>

#include <cstddef>
#include <set>
#include <utility>
#include <vector>

namespace velo::discovery {

class PeerTable final : public Table<PeerSubject> {
 public:
  using Table::Table;

  std::vector<PeerChange> apply(Source source, const PeerChange& change);

  using Table::find;
  const PeerInfo* find(WorkerId id) const;
  std::size_t address_bytes() const noexcept { return entry_bytes(); }

 private:
  std::set<std::pair<WorkerId, InstanceId>> by_worker_;
};

}  // namespace velo::discovery
