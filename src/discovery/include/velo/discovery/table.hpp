// SPDX-License-Identifier: Apache-2.0
// The core of discovery: several sources' rows (peers, or instances of services) as one view. A row
// is there while any source has it; of each entry of its map (a transport's address, a fact) the
// first source (by number) that has one counts. Not a cache: nothing expires by itself.
// Threading: a value; belongs to one owner.
#pragma once

#include <velo/discovery/subject.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

namespace velo::discovery {

template <class Subject>
class Table {
 public:
  using Source = std::uint32_t;  ///< below limits::sources_max
  using Info = typename Subject::Info;
  using Key = typename Subject::Key;
  using Change = typename Subject::Change;
  using Filter = typename Subject::Filter;

  explicit Table(std::size_t rows_max = Subject::rows_max,
                 std::size_t bytes_max = Subject::bytes_max) noexcept
      : rows_max_(rows_max), bytes_max_(bytes_max) {}

  /// What `change` of one source means for who sees the merged view: `added` (also for new entries)
  /// and `removed` only, one row each, nothing for what was known already. Removals come first, so
  /// that a full table has room for the new.
  std::vector<Change> apply(Source source, const Change& change);

  /// Null if unknown; valid until the next apply().
  const Info* find(const Key& key) const;
  /// Whether this source has the row.
  bool has(Source source, const Key& key) const;
  /// In the order of the keys.
  std::vector<Info> list(const Filter& filter = Filter()) const;
  std::size_t size() const noexcept { return rows_.size(); }
  std::size_t entry_bytes() const noexcept { return bytes_; }
  /// How many reports of rows were refused, because a limit was reached or they were invalid.
  std::uint64_t refused() const noexcept { return refused_; }

 protected:
  using Entries = std::remove_cvref_t<decltype(Subject::entries(std::declval<const Info&>()))>;
  struct Row {
    Info merged;
    std::vector<std::pair<Source, Entries>> claims;  ///< by source, ascending
  };
  using Rows = std::map<Key, Row>;
  const Rows& rows() const noexcept { return rows_; }

 private:
  void replace_all(Source source, const std::vector<Info>& infos, std::vector<Change>& out);
  void put(Source source, const Info& info, std::vector<Change>& out);
  void drop(Source source, typename Rows::iterator row, std::vector<Change>& out);
  void merge(Row& row, std::vector<Change>& out);

  std::size_t rows_max_;
  std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  std::uint64_t refused_ = 0;
  Rows rows_;
};

extern template class Table<PeerSubject>;
extern template class Table<ServiceSubject>;

}  // namespace velo::discovery
