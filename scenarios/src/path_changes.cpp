// SPDX-License-Identifier: Apache-2.0
// Drawing changes of path.

#include "path_changes.hpp"

#include <velo/transport/media.hpp>

#include <chrono>
#include <string>

namespace velo::scenarios {

namespace path_changes_detail {

/// Longer than dialling and greeting by what is left take: nothing is promised to who has no way.
constexpr Duration recovery = std::chrono::milliseconds(20);

static transport::Medium::End draw_end(Random& random) {
  return static_cast<transport::Medium::End>(random.below(3));
}

}  // namespace path_changes_detail

void PathChanges::draw() {
  const std::uint64_t what = fleet_.sim().random().below(4);
  if (what == 0) return kill();
  if (what == 1) return take_away_or_give_back();
  wish();
}

void PathChanges::wish() {
  Random& random = fleet_.sim().random();
  const auto from = static_cast<std::uint32_t>(random.below(fleet_.size()));
  const auto to = static_cast<std::uint32_t>(random.below(fleet_.size()));
  const std::uint64_t which = random.below(fleet_.media().size() + 1);
  Member* member = fleet_.member(from);
  if (member == nullptr || from == to) return;
  const std::string key = which == fleet_.media().size() ? "" : fleet_.media()[which]->key();
  const auto wished = member->messenger().prefer_path(fleet_.id_of(fleet_.latest(to)), key);
  if (!wished) fleet_.ledger().fail("a path is refused: " + wished.error().to_string());
}

void PathChanges::take_away_or_give_back() {
  Random& random = fleet_.sim().random();
  const std::uint64_t which = random.below(fleet_.media().size());
  const auto end = path_changes_detail::draw_end(random);
  if (away_ != SIZE_MAX) {
    fleet_.media()[away_]->mend();
    away_ = SIZE_MAX;
    next_break_ = fleet_.sim().now() + path_changes_detail::recovery;
    return;
  }
  if (fleet_.sim().now() < next_break_) return;
  away_ = which;
  fleet_.media()[which]->cut(end);
}

void PathChanges::kill() {
  Random& random = fleet_.sim().random();
  const std::uint64_t which = random.below(fleet_.media().size());
  const auto end = path_changes_detail::draw_end(random);
  if (away_ != SIZE_MAX || fleet_.sim().now() < next_break_) return;
  fleet_.media()[which]->break_all(end);
  next_break_ = fleet_.sim().now() + path_changes_detail::recovery;
}

}  // namespace velo::scenarios
