// SPDX-License-Identifier: Apache-2.0
// One folder of announcements with what is watched and held there: the feed, one's own entries and
// the last reading's error. The filesystem backend has one of peers and one of services.
// Threading: the feed from any thread; the rest on the backend's strand.
#pragma once

#include "entry_folder.hpp"

#include <velo/base/log.hpp>
#include <velo/discovery/feed.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

namespace velo::discovery {

template <class Subject>
class AnnouncedFolder {
 public:
  using Info = typename Subject::Info;
  using Key = typename Subject::Key;

  AnnouncedFolder(World& world, std::string path, std::string cluster)
      : folder(world, std::move(path), std::move(cluster)) {}

  /// The number of the announcement, which withdraw() takes.
  Result<std::uint64_t> announce(const Info& info) {
    const Key key = Subject::key(info);
    const auto found = announced_.find(key);
    if (found != announced_.end()) {
      if (Result<void> done = folder.rewrite(found->second.held, info); !done) {
        return std::move(done).error();
      }
      found->second.number = ++last_number_;
    } else {
      auto held = folder.hold(info);
      if (!held) return std::move(held).error();
      announced_.emplace(key, Announced{std::move(*held), ++last_number_});
    }
    return last_number_;
  }

  void withdraw(const Key& key, std::uint64_t number) {
    const auto found = announced_.find(key);
    if (found == announced_.end() || found->second.number != number) return;
    folder.withdraw(std::move(found->second.held));
    announced_.erase(found);
  }

  void look_after() {
    for (auto& [key, announcement] : announced_) {
      if (Result<void> done = folder.look_after(announcement.held); !done) {
        VELO_LOG_WARN(discovery, "an announcement's files cannot be written",
                      {"of", filesystem_stem<Subject>(key)}, {"error", done.error()});
      }
    }
  }

  /// Reads the folder if somebody watches; true then.
  bool poll(std::size_t probes) {
    if (feed.watchers() == 0) {
      feed.mark_unknown();
      return false;
    }
    auto infos = folder.poll(probes);
    if (infos) {
      poll_error_.reset();
      feed.apply(0, typename Subject::Change(ChangeKind::resync, std::move(*infos)));
    } else if (!poll_error_ || !(*poll_error_ == infos.error())) {
      VELO_LOG_WARN(discovery, "the folder of announcements cannot be read",
                    {"error", infos.error()});
      poll_error_ = infos.error();
    }
    return true;
  }

  bool holds_any() const noexcept { return !announced_.empty(); }

  EntryFolder<Subject> folder;
  Feed<Subject> feed{FeedStart::unknown};

 private:
  struct Announced {
    HeldEntry<Subject> held;
    std::uint64_t number = 0;  ///< of the latest announce(); earlier registrations withdraw nothing
  };

  std::map<Key, Announced> announced_;
  std::uint64_t last_number_ = 0;
  std::optional<Error> poll_error_;
};

}  // namespace velo::discovery
