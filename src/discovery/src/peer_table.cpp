// SPDX-License-Identifier: Apache-2.0
// Merging of several sources' peers.

#include <velo/discovery/peer_table.hpp>

#include <velo/base/check.hpp>

#include <algorithm>
#include <set>

namespace velo::discovery {
namespace peer_table_detail {

static std::size_t bytes_of(const WorkerAddress& address) noexcept {
  std::size_t bytes = 0;
  for (const auto& [key, entry] : address) bytes += key.size() + entry.size();
  return bytes;
}

template <class Claims>
static auto claim_of(Claims& claims, PeerTable::Source source) {
  return std::lower_bound(claims.begin(), claims.end(), source,
                          [](const auto& claim, PeerTable::Source s) { return claim.first < s; });
}

}  // namespace peer_table_detail

std::vector<PeerChange> PeerTable::apply(Source source, const PeerChange& change) {
  VELO_CHECK(source < limits::sources_max);
  std::vector<PeerChange> out;
  switch (change.kind) {
    case PeerChange::Kind::snapshot:
    case PeerChange::Kind::resync: replace_all(source, change.peers, out); break;
    case PeerChange::Kind::added:
      for (const PeerInfo& peer : change.peers) put(source, peer, out);
      break;
    case PeerChange::Kind::removed:
      for (const PeerInfo& peer : change.peers) {
        const auto row = rows_.find(peer.instance_id);
        if (row != rows_.end()) drop(source, row, out);
      }
      break;
  }
  return out;
}

void PeerTable::replace_all(Source source, const std::vector<PeerInfo>& peers,
                            std::vector<PeerChange>& out) {
  std::set<InstanceId> kept;
  for (const PeerInfo& peer : peers) kept.insert(peer.instance_id);
  for (auto row = rows_.begin(); row != rows_.end();) {
    const auto current = row++;
    if (!kept.contains(current->first)) drop(source, current, out);
  }
  for (const PeerInfo& peer : peers) put(source, peer, out);
}

void PeerTable::put(Source source, const PeerInfo& peer, std::vector<PeerChange>& out) {
  auto row = rows_.find(peer.instance_id);
  const WorkerAddress* previous = nullptr;
  if (row != rows_.end()) {
    const auto claim = peer_table_detail::claim_of(row->second.claims, source);
    if (claim != row->second.claims.end() && claim->first == source) previous = &claim->second;
    if (previous != nullptr && *previous == peer.address) return;
  }
  const std::size_t freed = previous != nullptr ? peer_table_detail::bytes_of(*previous) : 0;
  const std::size_t needed = peer_table_detail::bytes_of(peer.address);
  const std::size_t others = address_bytes_ - freed;
  if (!peer.instance_id.valid() || (row == rows_.end() && rows_.size() >= peers_max_) ||
      others > address_bytes_max_ || needed > address_bytes_max_ - others) {
    ++refused_;
    return;
  }
  address_bytes_ = others + needed;
  const bool fresh = row == rows_.end();
  if (fresh) {
    row = rows_.try_emplace(peer.instance_id).first;
    row->second.merged.instance_id = peer.instance_id;
    by_worker_.emplace(std::pair(peer.worker_id(), peer.instance_id), &row->second.merged);
  }
  auto& claims = row->second.claims;
  const auto claim = peer_table_detail::claim_of(claims, source);
  if (claim != claims.end() && claim->first == source) {
    claim->second = peer.address;
  } else {
    claims.emplace(claim, source, peer.address);
  }
  if (fresh) {
    row->second.merged.address = peer.address;
    out.emplace_back(PeerChange::Kind::added, std::vector<PeerInfo>{row->second.merged});
  } else {
    merge(row->second, out);
  }
}

void PeerTable::drop(Source source, Rows::iterator row, std::vector<PeerChange>& out) {
  auto& claims = row->second.claims;
  const auto claim = peer_table_detail::claim_of(claims, source);
  if (claim == claims.end() || claim->first != source) return;
  address_bytes_ -= peer_table_detail::bytes_of(claim->second);
  claims.erase(claim);
  if (!claims.empty()) return merge(row->second, out);
  by_worker_.erase(std::pair(row->second.merged.worker_id(), row->first));
  out.emplace_back(PeerChange::Kind::removed, std::vector<PeerInfo>{std::move(row->second.merged)});
  rows_.erase(row);
}

void PeerTable::merge(Row& row, std::vector<PeerChange>& out) {
  WorkerAddress merged;
  for (const auto& [source, address] : row.claims) merged.insert(address.begin(), address.end());
  if (merged == row.merged.address) return;
  row.merged.address = std::move(merged);
  out.emplace_back(PeerChange::Kind::added, std::vector<PeerInfo>{row.merged});
}

const PeerInfo* PeerTable::find(const InstanceId& id) const {
  const auto row = rows_.find(id);
  return row == rows_.end() ? nullptr : &row->second.merged;
}

const PeerInfo* PeerTable::find(WorkerId id) const {
  const auto row = by_worker_.lower_bound(std::pair(id, InstanceId()));
  return row == by_worker_.end() || row->first.first != id ? nullptr : row->second;
}

bool PeerTable::has(Source source, const InstanceId& id) const {
  const auto row = rows_.find(id);
  if (row == rows_.end()) return false;
  const auto claim = peer_table_detail::claim_of(row->second.claims, source);
  return claim != row->second.claims.end() && claim->first == source;
}

std::vector<PeerInfo> PeerTable::list() const {
  std::vector<PeerInfo> peers;
  peers.reserve(rows_.size());
  for (const auto& [id, row] : rows_) peers.push_back(row.merged);
  return peers;
}

}  // namespace velo::discovery
