// SPDX-License-Identifier: Apache-2.0
// Parts put together, and what they cost.

#include "assembler.hpp"

#include <vector>

namespace velo::discovery::multicast {

/// False, and nothing charged, when there is no room.
bool Assembler::charge(Begun& begun, std::size_t bytes) {
  const auto found = by_source_.find(begun.source);
  const std::size_t of_source = found == by_source_.end() ? 0 : found->second;
  if (bytes_ + bytes > limits::parts_bytes_max ||
      of_source + bytes > limits::parts_bytes_per_source_max) {
    return false;
  }
  by_source_[begun.source] = of_source + bytes;
  begun.bytes += bytes;
  bytes_ += bytes;
  return true;
}

void Assembler::drop(Rows::iterator begun) {
  ends_.erase({begun->second.end, begun->first});
  bytes_ -= begun->second.bytes;
  const auto of_source = by_source_.find(begun->second.source);
  of_source->second -= begun->second.bytes;
  if (of_source->second == 0) by_source_.erase(of_source);
  begun_.erase(begun);
}

Assembler::Outcome Assembler::take(const AnnouncerId& from, const SourceId& source,
                                   const Statement& said, TimePoint now, Row& row) {
  const Part& part = *said.part;
  const Key key{from, part.row};
  auto found = begun_.find(key);
  if (found != begun_.end() &&
      (found->second.digest != part.digest || found->second.count != part.count)) {
    if (said.sequence < found->second.sequence) return Outcome::late;
    drop(found);
    found = begun_.end();
  }
  if (found == begun_.end()) {
    Begun fresh;
    fresh.source = source;
    if (!charge(fresh, row_overhead)) return Outcome::refused;
    fresh.digest = part.digest;
    fresh.count = part.count;
    fresh.end = now + limits::parts_time_max;
    found = begun_.emplace(key, std::move(fresh)).first;
    ends_.insert({found->second.end, key});
  }
  Begun& begun = found->second;
  begun.sequence = std::max(begun.sequence, said.sequence);
  if (!begun.parts.contains(part.index)) {
    if (!charge(begun, part_overhead + part.bytes.size())) return Outcome::refused;
    begun.parts.emplace(part.index, part.bytes);
  }
  if (begun.parts.size() < begun.count) return Outcome::incomplete;
  std::vector<std::byte> whole;
  for (const auto& [index, bytes] : begun.parts) {
    whole.insert(whole.end(), bytes.span().begin(), bytes.span().end());
  }
  drop(found);
  Result<Row> made = row_of(part, whole);
  if (!made) return Outcome::broken;
  row = std::move(*made);
  return Outcome::whole;
}

void Assembler::expire(TimePoint now) {
  while (!ends_.empty() && ends_.begin()->first <= now) {
    drop(begun_.find(ends_.begin()->second));
  }
}

}  // namespace velo::discovery::multicast
