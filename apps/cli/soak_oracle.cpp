// SPDX-License-Identifier: Apache-2.0
// What must be true of the lines of a soak.

#include "soak_oracle.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace velo::cli {

namespace soak_oracle_detail {

constexpr std::size_t complaints_max = 5;

/// Up to a few: how many more does not matter.
static void count(std::uint8_t& counter) noexcept {
  constexpr std::uint8_t many = 200;
  if (counter < many) ++counter;
}

}  // namespace soak_oracle_detail

void SoakOracle::killed(std::uint64_t worker) { killed_[worker] = true; }

void SoakOracle::note(Seen& seen, const SoakLine& line) {
  using soak_oracle_detail::count;
  const bool queued = seen.outcome == Outcome::well && line.kind == SoakKind::item;
  switch (line.word) {
    case SoakWord::begin: count(seen.begins); break;
    case SoakWord::end:
      count(seen.ends);
      seen.bad = seen.bad || line.more == "bad";
      seen.said_poisoned = line.more == "poisoned";
      seen.outcome = line.more == "failed" ? Outcome::failed : Outcome::well;
      if (line.kind == SoakKind::item && seen.outcome == Outcome::well && !queued &&
          seen.takes == 0) {
        ++untaken_;
      }
      break;
    case SoakWord::did:
      count(seen.deeds);
      seen.was_poisoned = line.more == "poisoned";
      break;
    case SoakWord::took:
      if (queued && seen.takes == 0) --untaken_;
      count(seen.takes);
      break;
    case SoakWord::settled: count(seen.settlements); break;
    default: break;
  }
}

void SoakOracle::add(std::uint64_t worker, std::span<const SoakLine> lines) {
  for (const SoakLine& line : lines) {
    if (line.word == SoakWord::ready || line.word == SoakWord::quiet) continue;
    Seen& seen = tables_[static_cast<std::size_t>(line.kind)][line.id];
    if (line.word == SoakWord::begin) seen.worker = worker;
    note(seen, line);
  }
}

std::string SoakOracle::wrong(SoakKind kind, const Seen& seen, bool cut_short) {
  if (seen.begins == 0) return "nobody began it";
  if (seen.begins > 1) return "it was begun twice";
  if (seen.bad) return "what came is not what was sent";
  if (seen.ends > 1) return "it ended twice";
  if (seen.ends == 0 && !cut_short) return "it never ended";
  if (kind == SoakKind::item) {
    if (seen.outcome == Outcome::well && seen.takes == 0) return "the item was lost";
    if (seen.settlements > 1) return "it was settled twice";
    return seen.settlements > seen.takes ? "it was settled, and nobody had it" : "";
  }
  if (seen.deeds > 1) return "it was done twice";
  if (seen.outcome == Outcome::well && seen.deeds == 0) return "it ended well, and was not done";
  const bool event = kind == SoakKind::event && seen.outcome == Outcome::well;
  if (event && seen.said_poisoned != seen.was_poisoned) return "it ended as it was not completed";
  return "";
}

void SoakOracle::finish() {
  for (std::size_t kind = 0; kind < soak_kinds; ++kind) {
    SoakCounts& counts = counts_[kind];
    counts = SoakCounts();
    for (const auto& [id, seen] : tables_[kind]) {
      counts.begun += seen.begins > 0 ? 1 : 0;
      counts.ended_well += seen.outcome == Outcome::well ? 1 : 0;
      counts.failed += seen.outcome == Outcome::failed ? 1 : 0;
      counts.cut_short += seen.begins > 0 && seen.ends == 0 ? 1 : 0;
    }
  }
}

std::vector<std::string> SoakOracle::judge() const {
  std::vector<std::string> complaints;
  for (std::size_t kind = 0; kind < soak_kinds; ++kind) {
    std::map<std::string, std::vector<std::uint64_t>> found;
    for (const auto& [id, seen] : tables_[kind]) {
      const std::string what =
          wrong(static_cast<SoakKind>(kind), seen, killed_.contains(seen.worker));
      if (!what.empty()) found[what].push_back(id);
    }
    for (auto& [what, ids] : found) {
      std::ranges::sort(ids);
      std::string text = fmt::format("{}: {}:", name_of(static_cast<SoakKind>(kind)), what);
      for (std::size_t i = 0; i < std::min(ids.size(), soak_oracle_detail::complaints_max); ++i) {
        text += fmt::format(" {:x}", ids[i]);
      }
      if (ids.size() > soak_oracle_detail::complaints_max) {
        text += fmt::format(" and {} more", ids.size() - soak_oracle_detail::complaints_max);
      }
      complaints.push_back(std::move(text));
    }
  }
  return complaints;
}

}  // namespace velo::cli
