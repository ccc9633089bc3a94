// SPDX-License-Identifier: Apache-2.0
// Asking several sources one after the other, and the merged view.

#include <velo/discovery/directory.hpp>

#include <velo/base/log.hpp>
#include <velo/discovery/error.hpp>

#include <utility>

namespace velo::discovery {
namespace directory_detail {

/// A question put to each source in turn. Answers arrive on the executor, one at a time.
template <class Answer, class Outcome>
class Round {
 public:
  Round(Executor& executor, Directory::Sources sources)
      : executor_(executor), sources_(std::move(sources)), promise_(executor) {}
  virtual ~Round() = default;

  static Op<Outcome> start(std::shared_ptr<Round> round) {
    round->promise_.on_cancel([weak = std::weak_ptr<Round>(round)]() noexcept {
      if (const auto self = weak.lock()) {
        self->promise_.set(velo::make_error(velo::Errc::cancelled));
      }
    });
    Op<Outcome> op = round->promise_.op();
    step(std::move(round));
    return op;
  }

 protected:
  virtual Op<Answer> ask(PeerDiscovery& source) = 0;
  /// True: that is enough.
  virtual bool take(Result<Answer> answer) = 0;
  virtual Result<Outcome> outcome() = 0;

  /// The error of a source that could not answer; not_found is an answer.
  void note(const PeerDiscovery& source, const Error& error) {
    if (error.is(velo::Errc::not_found)) return;
    VELO_LOG_WARN(discovery, "a source failed", {"source", source.name()}, {"error", error});
    if (!failure_) failure_ = error;
  }

  const std::optional<Error>& failure() const noexcept { return failure_; }

 private:
  static void step(std::shared_ptr<Round> round) {
    Round& self = *round;
    if (self.promise_.ended()) return;
    if (self.next_ == self.sources_.size()) {
      self.promise_.set(self.outcome());
      return;
    }
    PeerDiscovery& source = *self.sources_[self.next_++];
    Op<Answer> op = self.ask(source);
    std::move(op).then(self.executor_, [round = std::move(round), &source](Result<Answer> answer) {
      if (!answer) round->note(source, answer.error());
      if (round->take(std::move(answer))) round->next_ = round->sources_.size();
      step(round);
    });
  }

  Executor& executor_;
  Directory::Sources sources_;
  std::size_t next_ = 0;
  std::optional<Error> failure_;
  Promise<Outcome> promise_;
};

using OwnedRegistration = std::unique_ptr<Registration>;

class Registrations final : public Registration {
 public:
  explicit Registrations(std::vector<OwnedRegistration> all) : all_(std::move(all)) {}

 private:
  std::vector<OwnedRegistration> all_;
};

class Announcing final : public Round<OwnedRegistration, OwnedRegistration> {
 public:
  Announcing(Executor& executor, Directory::Sources sources, PeerInfo self)
      : Round(executor, std::move(sources)), self_(std::move(self)) {}

 private:
  Op<OwnedRegistration> ask(PeerDiscovery& source) override { return source.announce(self_); }
  bool take(Result<OwnedRegistration> answer) override {
    if (answer) taken_.push_back(std::move(*answer));
    return false;
  }
  Result<OwnedRegistration> outcome() override {
    if (taken_.empty()) {
      if (failure()) return *failure();
      return make_error(Errc::no_source, "the directory is over no source");
    }
    return Result<OwnedRegistration>(std::make_unique<Registrations>(std::move(taken_)));
  }

  PeerInfo self_;
  std::vector<OwnedRegistration> taken_;
};

template <class Id>
class Finding final : public Round<PeerInfo, PeerInfo> {
 public:
  Finding(Executor& executor, Directory::Sources sources, Id id)
      : Round(executor, std::move(sources)), id_(id) {}

 private:
  Op<PeerInfo> ask(PeerDiscovery& source) override {
    if constexpr (std::is_same_v<Id, WorkerId>) {
      return source.discover_by_worker_id(id_);
    } else {
      return source.discover_by_instance_id(id_);
    }
  }
  bool take(Result<PeerInfo> answer) override {
    if (answer) found_ = std::move(*answer);
    return found_.has_value();
  }
  Result<PeerInfo> outcome() override {
    if (found_) return std::move(*found_);
    if (failure()) return *failure();
    return velo::make_error(velo::Errc::not_found, id_.to_string());
  }

  Id id_;
  std::optional<PeerInfo> found_;
};

class Listing final : public Round<std::vector<PeerInfo>, std::vector<PeerInfo>> {
 public:
  using Round::Round;

 private:
  Op<std::vector<PeerInfo>> ask(PeerDiscovery& source) override { return source.list(); }
  bool take(Result<std::vector<PeerInfo>> answer) override {
    const PeerTable::Source source = source_++;
    if (!answer) return false;
    answered_ = true;
    table_.apply(source, PeerChange(PeerChange::Kind::snapshot, std::move(*answer)));
    return false;
  }
  Result<std::vector<PeerInfo>> outcome() override {
    if (!answered_ && failure()) return *failure();
    return table_.list();
  }

  PeerTable table_;
  PeerTable::Source source_ = 0;
  bool answered_ = false;
};

template <class Id>
static Op<PeerInfo> find(Executor& executor, const Directory::Sources& sources, Id id) {
  return Finding<Id>::start(std::make_shared<Finding<Id>>(executor, sources, id));
}

}  // namespace directory_detail

Directory::Directory(Executor& executor, Sources sources)
    : executor_(executor),
      sources_(std::move(sources)),
      feed_(std::make_shared<PeerFeed>(PeerFeed::Start::unknown, sources_.size())) {
  watches_.reserve(sources_.size());
  PeerTable::Source number = 0;
  for (const auto& source : sources_) {
    // A call may still be running when the destructor returns on a thread of its own, so the feed
    // is shared with it.
    watches_.push_back(source->watch(executor_, [feed = feed_, number](const PeerChange& change) {
      feed->apply(number, change);
    }));
    ++number;
  }
}

Directory::~Directory() = default;

Op<std::unique_ptr<Registration>> Directory::announce(const PeerInfo& self) {
  using directory_detail::Announcing;
  return Announcing::start(std::make_shared<Announcing>(executor_, sources_, self));
}

Op<PeerInfo> Directory::discover_by_instance_id(const InstanceId& id) {
  return directory_detail::find(executor_, sources_, id);
}

Op<PeerInfo> Directory::discover_by_worker_id(WorkerId id) {
  return directory_detail::find(executor_, sources_, id);
}

Op<std::vector<PeerInfo>> Directory::list() {
  using directory_detail::Listing;
  return Listing::start(std::make_shared<Listing>(executor_, sources_));
}

std::unique_ptr<Registration> Directory::watch(Executor& executor, PeerWatcher watcher) {
  return feed_->watch(executor, std::move(watcher));
}

}  // namespace velo::discovery
