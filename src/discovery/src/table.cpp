// SPDX-License-Identifier: Apache-2.0
// Merging of several sources' rows.

#include <velo/discovery/peer_table.hpp>
#include <velo/discovery/service_table.hpp>

#include <velo/base/check.hpp>

#include <algorithm>
#include <set>

namespace velo::discovery {
namespace table_detail {

template <class Entries>
static std::size_t bytes_of(const Entries& entries) noexcept {
  std::size_t bytes = 0;
  for (const auto& [key, entry] : entries) bytes += key.size() + entry.size();
  return bytes;
}

template <class Claims>
static auto claim_of(Claims& claims, std::uint32_t source) {
  return std::lower_bound(claims.begin(), claims.end(), source,
                          [](const auto& claim, std::uint32_t s) { return claim.first < s; });
}

}  // namespace table_detail

template <class Subject>
auto Table<Subject>::apply(Source source, const Change& change) -> std::vector<Change> {
  VELO_CHECK(source < limits::sources_max);
  std::vector<Change> out;
  const std::vector<Info>& infos = Subject::items(change);
  switch (change.kind) {
    case ChangeKind::snapshot:
    case ChangeKind::resync: replace_all(source, infos, out); break;
    case ChangeKind::added:
      for (const Info& info : infos) put(source, info, out);
      break;
    case ChangeKind::removed:
      for (const Info& info : infos) {
        const auto row = rows_.find(Subject::key(info));
        if (row != rows_.end()) drop(source, row, out);
      }
      break;
  }
  return out;
}

template <class Subject>
void Table<Subject>::replace_all(Source source, const std::vector<Info>& infos,
                                 std::vector<Change>& out) {
  std::set<Key> kept;
  for (const Info& info : infos) kept.insert(Subject::key(info));
  for (auto row = rows_.begin(); row != rows_.end();) {
    const auto current = row++;
    if (!kept.contains(current->first)) drop(source, current, out);
  }
  for (const Info& info : infos) put(source, info, out);
}

template <class Subject>
void Table<Subject>::put(Source source, const Info& info, std::vector<Change>& out) {
  const Entries& entries = Subject::entries(info);
  auto row = rows_.find(Subject::key(info));
  const Entries* previous = nullptr;
  if (row != rows_.end()) {
    const auto claim = table_detail::claim_of(row->second.claims, source);
    if (claim != row->second.claims.end() && claim->first == source) previous = &claim->second;
    if (previous != nullptr && *previous == entries) return;
  }
  const std::size_t freed = previous != nullptr ? table_detail::bytes_of(*previous) : 0;
  const std::size_t needed = table_detail::bytes_of(entries);
  const std::size_t others = bytes_ - freed;
  if (!Subject::valid(info) || (row == rows_.end() && rows_.size() >= rows_max_) ||
      others > bytes_max_ || needed > bytes_max_ - others) {
    ++refused_;
    return;
  }
  bytes_ = others + needed;
  const bool fresh = row == rows_.end();
  if (fresh) {
    row = rows_.try_emplace(Subject::key(info)).first;
    row->second.merged = info;
  }
  auto& claims = row->second.claims;
  const auto claim = table_detail::claim_of(claims, source);
  if (claim != claims.end() && claim->first == source) {
    claim->second = entries;
  } else {
    claims.emplace(claim, source, entries);
  }
  if (fresh) {
    out.emplace_back(ChangeKind::added, std::vector<Info>{row->second.merged});
  } else {
    merge(row->second, out);
  }
}

template <class Subject>
void Table<Subject>::drop(Source source, typename Rows::iterator row, std::vector<Change>& out) {
  auto& claims = row->second.claims;
  const auto claim = table_detail::claim_of(claims, source);
  if (claim == claims.end() || claim->first != source) return;
  bytes_ -= table_detail::bytes_of(claim->second);
  claims.erase(claim);
  if (!claims.empty()) return merge(row->second, out);
  out.emplace_back(ChangeKind::removed, std::vector<Info>{std::move(row->second.merged)});
  rows_.erase(row);
}

template <class Subject>
void Table<Subject>::merge(Row& row, std::vector<Change>& out) {
  Entries merged;
  for (const auto& [source, entries] : row.claims) merged.insert(entries.begin(), entries.end());
  Entries& current = Subject::entries(row.merged);
  if (merged == current) return;
  current = std::move(merged);
  out.emplace_back(ChangeKind::added, std::vector<Info>{row.merged});
}

template <class Subject>
auto Table<Subject>::find(const Key& key) const -> const Info* {
  const auto row = rows_.find(key);
  return row == rows_.end() ? nullptr : &row->second.merged;
}

template <class Subject>
bool Table<Subject>::has(Source source, const Key& key) const {
  const auto row = rows_.find(key);
  if (row == rows_.end()) return false;
  const auto claim = table_detail::claim_of(row->second.claims, source);
  return claim != row->second.claims.end() && claim->first == source;
}

template <class Subject>
auto Table<Subject>::list(const Filter& filter) const -> std::vector<Info> {
  std::vector<Info> infos;
  for (auto row = rows_.lower_bound(Subject::first(filter));
       row != rows_.end() && Subject::matches(filter, row->second.merged); ++row) {
    infos.push_back(row->second.merged);
  }
  return infos;
}

template class Table<PeerSubject>;
template class Table<ServiceSubject>;

std::vector<PeerChange> PeerTable::apply(Source source, const PeerChange& change) {
  std::vector<PeerChange> out = Table::apply(source, change);
  for (const PeerChange& said : out) {
    for (const PeerInfo& peer : said.peers) {
      const std::pair entry(peer.worker_id(), peer.instance_id);
      if (said.kind == ChangeKind::removed) {
        by_worker_.erase(entry);
      } else {
        by_worker_.insert(entry);
      }
    }
  }
  return out;
}

const PeerInfo* PeerTable::find(WorkerId id) const {
  const auto entry = by_worker_.lower_bound(std::pair(id, InstanceId()));
  return entry == by_worker_.end() || entry->first != id ? nullptr : find(entry->second);
}

std::vector<std::string> ServiceTable::names() const {
  std::vector<std::string> names;
  for (const auto& [key, row] : rows()) {
    if (names.empty() || names.back() != key.first) names.push_back(key.first);
  }
  return names;
}

}  // namespace velo::discovery
