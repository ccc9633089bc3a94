// SPDX-License-Identifier: Apache-2.0
// Asking several sources one after the other, and the merged view.

#include <velo/discovery/directory.hpp>

#include <velo/base/log.hpp>
#include <velo/discovery/error.hpp>
#include <velo/discovery/limits.hpp>

#include "patience.hpp"

#include <set>
#include <type_traits>
#include <utility>

namespace velo::discovery {
namespace directory_detail {

/// A question put to each source in turn. Answers arrive on the executor, one at a time.
template <class Source, class Answer, class Outcome>
class Round {
 public:
  using Sources = std::vector<std::shared_ptr<Source>>;

  Round(Executor& executor, Sources sources)
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
  virtual Op<Answer> ask(Source& source) = 0;
  /// True: that is enough.
  virtual bool take(Result<Answer> answer) = 0;
  virtual Result<Outcome> outcome() = 0;

  /// The error of a source that could not answer; not_found is an answer.
  void note(const Source& source, const Error& error) {
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
    Source& source = *self.sources_[self.next_++];
    Op<Answer> op = self.ask(source);
    std::move(op).then(self.executor_, [round = std::move(round), &source](Result<Answer> answer) {
      if (!answer) round->note(source, answer.error());
      if (round->take(std::move(answer))) round->next_ = round->sources_.size();
      step(round);
    });
  }

  Executor& executor_;
  Sources sources_;
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

/// Announces a peer, or registers a service, on every source.
template <class Source, class Info>
class Announcing final : public Round<Source, OwnedRegistration, OwnedRegistration> {
 public:
  using Base = Round<Source, OwnedRegistration, OwnedRegistration>;
  Announcing(Executor& executor, typename Base::Sources sources, Info self)
      : Base(executor, std::move(sources)), self_(std::move(self)) {}

 private:
  Op<OwnedRegistration> ask(Source& source) override {
    if constexpr (std::is_same_v<Info, PeerInfo>) {
      return source.announce(self_);
    } else {
      return source.register_service(self_);
    }
  }
  bool take(Result<OwnedRegistration> answer) override {
    if (answer) taken_.push_back(std::move(*answer));
    return false;
  }
  Result<OwnedRegistration> outcome() override {
    if (taken_.empty()) {
      if (this->failure()) return *this->failure();
      return make_error(Errc::no_source, "the directory is over no such source");
    }
    return Result<OwnedRegistration>(std::make_unique<Registrations>(std::move(taken_)));
  }

  Info self_;
  std::vector<OwnedRegistration> taken_;
};

template <class Id>
class Finding final : public Round<PeerDiscovery, PeerInfo, PeerInfo> {
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

/// Peers, or the instances of one service, merged as in the views.
template <class Source, class Subject>
class Listing final : public Round<Source, std::vector<typename Subject::Info>,
                                   std::vector<typename Subject::Info>> {
 public:
  using Infos = std::vector<typename Subject::Info>;
  using Base = Round<Source, Infos, Infos>;
  Listing(Executor& executor, typename Base::Sources sources, typename Subject::Filter filter = {})
      : Base(executor, std::move(sources)), filter_(std::move(filter)) {}

 private:
  Op<Infos> ask(Source& source) override {
    if constexpr (std::is_same_v<Subject, PeerSubject>) {
      return source.list();
    } else {
      return source.instances(filter_);
    }
  }
  bool take(Result<Infos> answer) override {
    const PeerTable::Source source = source_++;
    if (!answer) return false;
    answered_ = true;
    table_.apply(source, typename Subject::Change(ChangeKind::snapshot, std::move(*answer)));
    return false;
  }
  Result<Infos> outcome() override {
    if (!answered_ && this->failure()) return *this->failure();
    return table_.list(filter_);
  }

  typename Subject::Filter filter_;
  typename Subject::View table_;
  PeerTable::Source source_ = 0;
  bool answered_ = false;
};

using Names = std::vector<std::string>;

class Naming final : public Round<ServiceDiscovery, Names, Names> {
 public:
  using Round::Round;

 private:
  Op<Names> ask(ServiceDiscovery& source) override { return source.list_services(); }
  bool take(Result<Names> answer) override {
    if (!answer) return false;
    answered_ = true;
    names_.insert(answer->begin(), answer->end());
    return false;
  }
  Result<Names> outcome() override {
    if (!answered_ && failure()) return *failure();
    return Names(names_.begin(), names_.end());
  }

  std::set<std::string> names_;
  bool answered_ = false;
};

/// Watches of the sources, and the watch of what they merge into; the latter ends first.
class MergedWatch final : public Registration {
 public:
  std::shared_ptr<ServiceFeed> feed;
  std::vector<OwnedRegistration> sources;
  std::optional<Patience> patience;
  OwnedRegistration watch;
};

template <class Id>
static Op<PeerInfo> find(Executor& executor, const Directory::Sources& sources, Id id) {
  return Finding<Id>::start(std::make_shared<Finding<Id>>(executor, sources, id));
}

template <class Subject>
static void stop_waiting(const Directory::Sources& sources, Feed<Subject>& feed) {
  for (const PeerTable::Source silent : feed.stop_waiting()) {
    const std::string_view name = silent < sources.size() ? sources[silent]->name() : "";
    VELO_LOG_WARN(discovery, "a source does not answer; going on without it", {"source", name});
  }
}

}  // namespace directory_detail

Directory::Directory(Executor& executor, Sources sources)
    : Directory(executor, nullptr, std::move(sources)) {}

Directory::Directory(World& world, Sources sources)
    : Directory(world.pool(), &world, std::move(sources)) {}

Directory::Directory(Executor& executor, World* world, Sources sources)
    : executor_(executor),
      world_(world),
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
    // Shares the source's life: its services are part of it.
    if (ServiceDiscovery* services = source->services(); services != nullptr) {
      service_sources_.emplace_back(source, services);
    }
  }
  if (world_ != nullptr) {
    patience_ = std::make_unique<Patience>(
        *world_, limits::source_patience,
        [all = sources_, feed = feed_] { directory_detail::stop_waiting(all, *feed); });
  }
}

Directory::~Directory() = default;

// ---- peers ----

Op<std::unique_ptr<Registration>> Directory::announce(const PeerInfo& self) {
  using Announcing = directory_detail::Announcing<PeerDiscovery, PeerInfo>;
  return Announcing::start(std::make_shared<Announcing>(executor_, sources_, self));
}

Op<PeerInfo> Directory::discover_by_instance_id(const InstanceId& id) {
  return directory_detail::find(executor_, sources_, id);
}

Op<PeerInfo> Directory::discover_by_worker_id(WorkerId id) {
  return directory_detail::find(executor_, sources_, id);
}

Op<std::vector<PeerInfo>> Directory::list() {
  using Listing = directory_detail::Listing<PeerDiscovery, PeerSubject>;
  return Listing::start(std::make_shared<Listing>(executor_, sources_));
}

std::unique_ptr<Registration> Directory::watch(Executor& executor, PeerWatcher watcher) {
  return feed_->watch(executor, std::move(watcher));
}

// ---- services ----

Op<std::unique_ptr<Registration>> Directory::register_service(const ServiceInstance& instance) {
  using Announcing = directory_detail::Announcing<ServiceDiscovery, ServiceInstance>;
  return Announcing::start(std::make_shared<Announcing>(executor_, service_sources_, instance));
}

Op<std::vector<std::string>> Directory::list_services() {
  using directory_detail::Naming;
  return Naming::start(std::make_shared<Naming>(executor_, service_sources_));
}

Op<std::vector<ServiceInstance>> Directory::instances(std::string_view service) {
  using Listing = directory_detail::Listing<ServiceDiscovery, ServiceSubject>;
  return Listing::start(
      std::make_shared<Listing>(executor_, service_sources_, std::string(service)));
}

std::unique_ptr<Registration> Directory::watch_service(std::string_view service, Executor& executor,
                                                       ServiceWatcher watcher) {
  auto merged = std::make_unique<directory_detail::MergedWatch>();
  const auto start = service_sources_.empty() ? FeedStart::empty : FeedStart::unknown;
  merged->feed = std::make_shared<ServiceFeed>(start, service_sources_.size());
  merged->watch = merged->feed->watch(executor, std::move(watcher), std::string(service));
  PeerTable::Source number = 0;
  for (const auto& source : service_sources_) {
    merged->sources.push_back(source->watch_service(
        service, executor_, [feed = merged->feed, number](const ServiceChange& change) {
          feed->apply(number, change);
        }));
    ++number;
  }
  if (world_ != nullptr) {
    merged->patience.emplace(*world_, limits::source_patience,
                             [feed = merged->feed] { feed->stop_waiting(); });
  }
  return merged;
}

}  // namespace velo::discovery
