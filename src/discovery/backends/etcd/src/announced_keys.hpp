// SPDX-License-Identifier: Apache-2.0
// The keys of one subject (peers, or instances of services) as its rows: read from entries, and
// followed by a watch that feeds a Feed. What others wrote wrongly is left out, with one log line
// for each key.
// Threading: on the channel's shard's thread only; the feed from any.
#pragma once

#include <velo/base/log.hpp>
#include <velo/discovery/feed.hpp>
#include <velo/discovery/subject.hpp>

#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "etcd_entry.hpp"
#include "etcd_keeper.hpp"
#include "etcd_watch.hpp"

namespace velo::discovery::etcd {

template <class Subject>
class RowReader {
 public:
  using Info = typename Subject::Info;
  using Key = typename Subject::Key;

  explicit RowReader(std::string cluster)
      : cluster_(std::move(cluster)), prefix_(key_prefix<Subject>(cluster_)) {}

  const std::string& prefix() const noexcept { return prefix_; }
  const std::string& cluster() const noexcept { return cluster_; }
  std::string key(const Key& row) const { return prefix_ + key_tail<Subject>(row); }
  std::optional<Key> row_of(std::string_view key) const {
    if (!key.starts_with(prefix_)) return std::nullopt;
    return parse_key_tail<Subject>(key.substr(prefix_.size()));
  }

  std::optional<Info> read(const Key& row, const KeyValue& entry) {
    Result<Info> info = decode_value<Subject>(cluster_, row, entry.value);
    if (info) {
      ignored_.erase(row);
      return std::move(*info);
    }
    // Which ones the log names already is remembered of some only.
    if (ignored_.size() >= ignored_max) ignored_.clear();
    if (ignored_.insert(row).second) {
      VELO_LOG_WARN(discovery, "an announcement is ignored", {"of", key_tail<Subject>(row)},
                    {"error", info.error()});
    }
    return std::nullopt;
  }
  /// Appends those that are announcements, up to what a view takes.
  void read(const std::vector<KeyValue>& entries, std::vector<Info>& infos) {
    for (const KeyValue& entry : entries) {
      if (infos.size() >= Subject::rows_max) return;
      const auto row = row_of(entry.key.text());
      if (!row) continue;
      if (auto info = read(*row, entry)) infos.push_back(std::move(*info));
    }
  }

 private:
  static constexpr std::size_t ignored_max = 1024;

  std::string cluster_;
  std::string prefix_;
  std::set<Key> ignored_;
};

template <class Subject>
class AnnouncedKeys final : WatchSink {
 public:
  using Info = typename Subject::Info;
  using Change = typename Subject::Change;

  AnnouncedKeys(Channel& channel, Keeper& keeper, const std::string& cluster)
      : reader(cluster), keeper_(keeper), watch_(channel, reader.prefix(), *this) {}

  /// Starts or stops the watch as there are watchers.
  void follow(bool closed) {
    const bool watched = !closed && feed.watchers() > 0;
    if (watched == watch_.running()) return;
    if (watched) return watch_.start();
    watch_.stop();
    feed.mark_unknown();
  }

  RowReader<Subject> reader;
  Feed<Subject> feed{FeedStart::unknown};

 private:
  void on_page(bool first, std::vector<KeyValue> entries) override {
    if (first) listing_.clear();
    reader.read(entries, listing_);
  }
  void on_listed() override {
    feed.apply(0, Change(ChangeKind::resync, std::exchange(listing_, {})));
  }
  void on_event(const WatchEvent& event) override {
    const auto row = reader.row_of(event.entry.key.text());
    if (!row) return;
    std::optional<Info> info;
    if (event.removed) {
      keeper_.lost(event.entry.key.text());
    } else {
      info = reader.read(*row, event.entry);
    }
    // What replaced a good announcement by a bad one has ended it.
    const ChangeKind kind = info ? ChangeKind::added : ChangeKind::removed;
    feed.apply(0, Change(kind, {info ? std::move(*info) : Subject::bare(*row)}));
  }

  Keeper& keeper_;
  std::vector<Info> listing_;
  Watch watch_;
};

}  // namespace velo::discovery::etcd
