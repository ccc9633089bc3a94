// SPDX-License-Identifier: Apache-2.0
// Entries, references and leases.

#include "store.hpp"

#include <algorithm>
#include <utility>

namespace velo::rendezvous {
namespace store_detail {

static std::uint64_t chunks_of(std::uint64_t bytes) noexcept {
  return bytes / limits::chunk_bytes + (bytes % limits::chunk_bytes != 0 ? 1 : 0);
}

static bool may_read(const Terms& terms, const Reader& reader) noexcept {
  return reader.owner || !terms.only_for || *terms.only_for == reader.instance;
}

}  // namespace store_detail

Result<void> Store::add(std::uint64_t id, Source&& source, const Terms& terms) {
  if (entries_.size() >= limits_.entries_max) {
    return make_error(Errc::store_full, "entries_max is reached");
  }
  if (store_detail::chunks_of(source.size()) > UINT32_MAX) {
    return make_error(Errc::too_large, "more chunks than can be counted");
  }
  if (id == 0 || entries_.contains(id)) {
    return velo::make_error(velo::Errc::already_exists, "draw another id");
  }
  bytes_ += source.size();
  Entry entry;
  entry.source = std::move(source);
  entry.terms = terms;
  note_end(terms.expires);
  entries_.emplace(id, std::move(entry));
  return {};
}

Result<Store::Entries::iterator> Store::find(std::uint64_t id, const Reader& reader) {
  const auto found = entries_.find(id);
  if (found == entries_.end() || found->second.withdrawn) return make_error(Errc::unknown_handle);
  if (!store_detail::may_read(found->second.terms, reader)) return make_error(Errc::not_for_you);
  return found;
}

Result<DataMetadata> Store::metadata(std::uint64_t id, const Reader& reader) const {
  const auto found = entries_.find(id);
  if (found == entries_.end() || found->second.withdrawn) return make_error(Errc::unknown_handle);
  const Entry& entry = found->second;
  if (!store_detail::may_read(entry.terms, reader)) return make_error(Errc::not_for_you);
  DataMetadata metadata;
  metadata.total_bytes = entry.source.size();
  metadata.references = entry.references;
  metadata.pinned = entry.terms.pinned;
  return metadata;
}

Result<Store::Granted> Store::acquire(std::uint64_t id, const Reader& reader, LeaseIds ids,
                                      TimePoint now) {
  const auto found = find(id, reader);
  if (!found) return found.error();
  if (live_leases_ >= limits_.leases_max) {
    return make_error(Errc::store_full, "leases_max is reached");
  }
  const auto held = leases_of_.find(reader.worker);
  if (held != leases_of_.end() && held->second >= limits_.leases_per_reader_max) {
    return make_error(Errc::store_full, "leases_per_reader_max is reached");
  }
  if (ids.lease == 0 || leases_.contains(ids.lease) || transfers_.contains(ids.transfer)) {
    return velo::make_error(velo::Errc::already_exists, "draw other ids");
  }
  Entry& entry = (*found)->second;
  Lease lease;
  lease.entry = id;
  lease.transfer = ids.transfer;
  lease.reader = reader.worker;
  lease.until = now + limits_.lease_ttl;
  note_end(lease.until);
  leases_.emplace(ids.lease, lease);
  transfers_.emplace(ids.transfer, ids.lease);
  ++leases_of_[reader.worker];
  ++live_leases_;
  ++entry.readers;
  entry.leases.push_back(ids.lease);
  Granted granted;
  granted.ids = ids;
  granted.total_bytes = entry.source.size();
  granted.chunks = static_cast<std::uint32_t>(store_detail::chunks_of(granted.total_bytes));
  if (entry.source.file == nullptr) granted.bytes = entry.source.bytes;
  return granted;
}

Result<Piece> Store::piece(std::uint64_t transfer, std::uint32_t chunk, const Reader& reader,
                           TimePoint now) {
  const auto known = transfers_.find(transfer);
  if (known == transfers_.end()) return make_error(Errc::lease_lapsed);
  Lease& lease = leases_.at(known->second);
  if (lease.lapsed || lease.until <= now) return make_error(Errc::lease_lapsed);
  if (!reader.owner && lease.reader != reader.worker) return make_error(Errc::not_for_you);
  const Source& source = entries_.at(lease.entry).source;
  Piece piece;
  piece.offset = std::uint64_t{chunk} * limits::chunk_bytes;
  if (piece.offset >= source.size() && chunk != 0) {
    return velo::make_error(velo::Errc::invalid_argument, "there is no such chunk");
  }
  piece.size = static_cast<std::size_t>(
      std::min<std::uint64_t>(limits::chunk_bytes, source.size() - piece.offset));
  lease.until = now + limits_.lease_ttl;
  ++lease.served;
  piece.file = source.file;
  if (source.file == nullptr) piece.bytes = source.bytes.slice(piece.offset, piece.size);
  return piece;
}

Result<void> Store::add_reference(std::uint64_t id, const Reader& reader) {
  const auto found = find(id, reader);
  if (!found) return found.error();
  Entry& entry = (*found)->second;
  if (entry.references >= limits::references_max) {
    return make_error(Errc::store_full, "references_max is reached");
  }
  ++entry.references;
  return {};
}

Result<Store::Leases::iterator> Store::find_lease(std::uint64_t id, DataLease lease,
                                                  const Reader& reader) {
  const auto found = leases_.find(lease.id());
  if (found == leases_.end() || found->second.entry != id) return make_error(Errc::lease_lapsed);
  if (!reader.owner && found->second.reader != reader.worker) return make_error(Errc::not_for_you);
  return found;
}

Result<void> Store::detach(std::uint64_t id, DataLease lease, const Reader& reader) {
  const auto found = find_lease(id, lease, reader);
  if (!found) return found.error();
  end_lease(*found);
  free_if_over(id);
  return {};
}

Result<void> Store::release(std::uint64_t id, DataLease lease, const Reader& reader) {
  const auto found = find_lease(id, lease, reader);
  if (!found) return found.error();
  end_lease(*found);
  Entry& entry = entries_.at(id);
  if (entry.references != 0) --entry.references;
  free_if_over(id);
  return {};
}

bool Store::withdraw(std::uint64_t id) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return false;
  found->second.withdrawn = true;
  free_if_over(id);
  return true;
}

void Store::clear() {
  leases_.clear();
  transfers_.clear();
  leases_of_.clear();
  lapsed_.clear();
  entries_.clear();
  live_leases_ = 0;
  bytes_ = 0;
  next_end_ = TimePoint::never();
}

void Store::stop_reading(Lease& lease) {
  if (std::exchange(lease.lapsed, true)) return;
  transfers_.erase(lease.transfer);
  const auto held = leases_of_.find(lease.reader);
  if (--held->second == 0) leases_of_.erase(held);
  --live_leases_;
  --entries_.at(lease.entry).readers;
}

void Store::end_lease(Leases::iterator lease) {
  stop_reading(lease->second);
  std::erase(entries_.at(lease->second.entry).leases, lease->first);
  leases_.erase(lease);
}

void Store::free_if_over(std::uint64_t id) {
  const auto found = entries_.find(id);
  Entry& entry = found->second;
  const bool wanted = !entry.withdrawn && (entry.references != 0 || entry.terms.pinned);
  if (wanted || entry.readers != 0) return;
  for (const std::uint64_t lease : entry.leases) leases_.erase(lease);
  bytes_ -= entry.source.size();
  entries_.erase(found);
}

TimePoint Store::reap(TimePoint now) {
  std::vector<std::uint64_t> touched;
  std::vector<std::uint64_t> over;
  next_end_ = TimePoint::never();
  for (auto& [id, lease] : leases_) {
    if (lease.lapsed) continue;
    if (lease.until > now) {
      note_end(lease.until);
      continue;
    }
    over.push_back(id);
    touched.push_back(lease.entry);
  }
  // In the order of an unordered map nothing may be forgotten.
  std::ranges::sort(over);
  for (const std::uint64_t id : over) {
    stop_reading(leases_.at(id));
    lapsed_.push_back(id);
  }
  for (auto& [id, entry] : entries_) {
    if (entry.terms.expires > now) {
      note_end(entry.terms.expires);
    } else {
      entry.withdrawn = true;
      touched.push_back(id);
    }
  }
  std::ranges::sort(touched);
  touched.erase(std::ranges::unique(touched).begin(), touched.end());
  for (const std::uint64_t id : touched) free_if_over(id);
  std::erase_if(lapsed_, [&](std::uint64_t id) { return !leases_.contains(id); });
  for (; lapsed_.size() > limits_.lapsed_max; lapsed_.pop_front()) {
    end_lease(leases_.find(lapsed_.front()));
  }
  return next_end_;
}

std::size_t Store::under_way(TimePoint now, Duration idle) const {
  return static_cast<std::size_t>(std::ranges::count_if(leases_, [&](const auto& each) {
    const Lease& lease = each.second;
    const std::uint64_t chunks = store_detail::chunks_of(entries_.at(lease.entry).source.size());
    return !lease.lapsed && lease.served < chunks && lease.until + (idle - limits_.lease_ttl) > now;
  }));
}

StoreUse Store::use() const noexcept {
  StoreUse use;
  use.entries = entries_.size();
  use.leases = live_leases_;
  use.bytes = bytes_;
  return use;
}

}  // namespace velo::rendezvous
