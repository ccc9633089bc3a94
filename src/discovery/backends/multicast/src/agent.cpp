// SPDX-License-Identifier: Apache-2.0
// Brings datagrams, time and operations to the cores, and what they say to the network and to the
// feeds.

#include "agent.hpp"

#include <velo/base/log.hpp>
#include <velo/discovery/backends/multicast/limits.hpp>

#include <algorithm>
#include <utility>

namespace velo::discovery::multicast {
namespace agent_detail {

static AnnouncerOptions announcer_options(const MulticastOptions& options,
                                          const AgentParts& parts) {
  AnnouncerOptions made;
  made.cluster = parts.cluster;
  made.interval_min = options.interval_min;
  made.interval_max = options.interval_max;
  made.answer_spread = options.answer_spread;
  made.is_signed = !options.unsigned_announcements;
  made.chain = parts.chain;
  return made;
}

static RosterOptions roster_options(const MulticastOptions& options, const AgentParts& parts,
                                    std::uint64_t self) {
  RosterOptions made;
  made.cluster = parts.cluster;
  made.self = self;
  made.trust = parts.trust.get();
  made.accept_unsigned = options.unsigned_announcements;
  return made;
}

}  // namespace agent_detail

Agent::Agent(World& world, const MulticastOptions& options, AgentParts parts)
    : world_(world),
      options_(options),
      parts_(std::move(parts)),
      announcer_(agent_detail::announcer_options(options_, parts_), *parts_.signing,
                 world.random()),
      roster_(agent_detail::roster_options(options_, parts_, announcer_.number()), *parts_.signing,
              world.random()) {
  peers.apply(own, PeerChange());
  services.apply(own, ServiceChange());
}

Now Agent::now() const noexcept { return {world_.shard(0).now(), world_.clock().wall_now()}; }

void Agent::start(std::vector<std::unique_ptr<Channel>> channels) {
  channels_ = std::move(channels);
  if (closed_) return;
  const TimePoint at = now().at;
  first_list_ = at + options_.list_time;
  if (options_.interfaces.empty()) check_ = at + options_.interface_check;
  gather([](Result<void>) {});
}

void Agent::close() {
  closed_ = true;
  peers.close();
  services.close();
  questions_.give_up();
  check_ = first_list_ = TimePoint::never();
  if (announcer_.size() == 0) {
    Datagrams out;
    announcer_.leave(now(), out);
    send(out);
    channels_.clear();
  }
  arm();
}

// ---- operations ----

Result<std::uint64_t> Agent::announce(Row row, std::move_only_function<void()> said) {
  const Row::Key key = row.key();
  if (Result<void> put = announcer_.put(row); !put) return std::move(put).error();
  tell(own, true, row);
  said_.push_back(std::move(said));
  flush_soon();
  return own_rows_.take(key);
}

void Agent::withdraw(const Row::Key& key, std::uint64_t number) {
  if (!own_rows_.release(key, number)) return;
  announcer_.remove(key);
  tell(own, false, Row{key.first, key.second, {}});
  flush_soon();
}

/// With what else this turn brings, in as few datagrams as possible.
void Agent::flush_soon() {
  if (std::exchange(flush_posted_, true)) return;
  post(world_.shard(0), [self = shared_from_this()] { self->flush(); });
}

void Agent::flush() {
  flush_posted_ = false;
  Datagrams out;
  announcer_.flush(now(), out);
  if (closed_ && announcer_.size() == 0) announcer_.leave(now(), out);
  send(out);
  if (closed_ && announcer_.size() == 0) channels_.clear();
  for (auto& said : std::exchange(said_, {})) said();
  arm();
}

void Agent::look_up(Question question, std::move_only_function<void(Result<PeerInfo>)> done) {
  const Row* mine = question.about == Question::About::instance
                        ? announcer_.find({std::string(), question.instance})
                        : announcer_.find_peer(WorkerId(question.id));
  if (mine != nullptr) return done(PeerInfo{mine->id, mine->entries});
  if (closed_) return done(velo::make_error(velo::Errc::cancelled, "the discovery has ended"));
  std::vector<Question> out;
  questions_.ask(
      question, now().at, options_.lookup_time,
      [this, question, done = std::move(done)](Result<const Row*> answer) mutable {
        if (!answer) return done(answer.error());
        const Row* row = *answer;
        if (row == nullptr && question.about == Question::About::instance) {
          row = roster_.find({std::string(), question.instance});
        } else if (row == nullptr) {
          row = roster_.find_peer(WorkerId(question.id));
        }
        if (row != nullptr) return done(PeerInfo{row->id, row->entries});
        done(velo::make_error(velo::Errc::not_found, "nobody like that answers"));
      },
      out);
  ask(std::move(out));
  arm();
}

void Agent::gather(std::move_only_function<void(Result<void>)> done) {
  if (closed_) return done(velo::make_error(velo::Errc::cancelled, "the discovery has ended"));
  const TimePoint at = now().at;
  if (gathering_ != nullptr && gathered_at_ == at) {  // asked in this very turn
    gathering_->push_back(std::move(done));
    return;
  }
  gathering_ = std::make_shared<Gathering>();
  gathered_at_ = at;
  gathering_->push_back(std::move(done));
  std::vector<Question> out;
  questions_.ask(
      Question(), at, options_.list_time,
      [all = gathering_](Result<const Row*> answer) mutable {
        // They hold on to the agent, which holds on to the latest gathering.
        for (auto& one : std::exchange(*all, {})) {
          one(answer ? Result<void>() : Result<void>(answer.error()));
        }
      },
      out);
  ask(std::move(out));
  arm();
}

// ---- the network ----

void Agent::send(const Datagrams& datagrams) {
  for (const auto& datagram : datagrams) {
    for (const auto& channel : channels_) {
      if (channel->send(datagram)) continue;
      // As if lost on the way; the same is said again. Only the first of many is worth a line.
      if ((unsent_++ & 1023U) != 0) continue;
      VELO_LOG_WARN(discovery, "a datagram could not be sent",
                    {"interface", channel->place().interface_address}, {"so_far", unsent_});
    }
  }
}

void Agent::ask(std::vector<Question> questions) {
  Datagrams out;
  for (Question& question : questions) {
    question.asker = announcer_.number();
    out.push_back(encode(parts_.cluster, question));
  }
  send(out);
}

void Agent::on_datagram(const NetAddress& from, ByteSpan datagram) {
  roster_.receive(from, datagram, now(), heard_);
}

void Agent::on_batch_end() {
  digest(std::exchange(heard_, {}));
  arm();
}

void Agent::digest(RosterOut out) {
  for (const RosterChange& change : out.changes) tell(others, change.added, change.row);
  for (const auto& [number, row] : out.answers) questions_.answer(number, row);
  Datagrams answers;
  for (const Question& question : out.heard) announcer_.hear(question, now(), answers);
  send(answers);
  ask(std::move(out.ask));
  const std::lock_guard lock(mutex_);
  shown_ = roster_.counters();
}

void Agent::tell(PeerTable::Source source, bool added, const Row& row) {
  const ChangeKind kind = added ? ChangeKind::added : ChangeKind::removed;
  if (row.service.empty()) {
    peers.apply(source, PeerChange(kind, {PeerInfo{row.id, row.entries}}));
  } else {
    services.apply(source,
                   ServiceChange(kind, {ServiceInstance{row.service, row.id, row.entries}}));
  }
}

/// Everybody was asked: now the watches can begin.
void Agent::tell_everything() {
  PeerChange all_peers;
  ServiceChange all_services;
  for (const Row& row : roster_.rows()) {
    if (row.service.empty()) {
      all_peers.peers.push_back({row.id, row.entries});
    } else {
      all_services.instances.push_back({row.service, row.id, row.entries});
    }
  }
  peers.apply(others, all_peers);
  services.apply(others, all_services);
}

Counters Agent::counters() const {
  const std::lock_guard lock(mutex_);
  return shown_;
}

// ---- time ----

void Agent::wake_up() {
  const Now at = now();
  Datagrams out;
  announcer_.tick(at, out);
  send(out);
  RosterOut changes;
  roster_.tick(at, changes);
  digest(std::move(changes));
  if (first_list_ <= at.at) {
    first_list_ = TimePoint::never();
    tell_everything();
  }
  std::vector<Question> again;
  questions_.tick(at.at, again);
  ask(std::move(again));
  if (check_ <= at.at) check_interfaces();
  arm();
}

void Agent::arm() {
  TimePoint at = std::min({announcer_.wake(), roster_.wake(), questions_.wake()});
  at = std::min({at, first_list_, check_});
  if (closed_ && announcer_.size() == 0) at = TimePoint::never();
  if (at == armed_ && timer_) return;
  Shard& shard = world_.shard(0);
  if (timer_) shard.cancel_timer(*timer_);
  timer_.reset();
  armed_ = at;
  if (at == TimePoint::never()) return;
  timer_ = shard.start_timer(at, Task0{[](void* argument) {
                                         // The argument owns nothing, but whoever ends cancels.
                                         const auto self =
                                             static_cast<Agent*>(argument)->shared_from_this();
                                         self->timer_.reset();
                                         self->wake_up();
                                       },
                                       this});
}

void Agent::check_interfaces() {
  check_ = TimePoint::never();
  if (std::exchange(checking_, true)) return;
  post(world_.pool(), [self = shared_from_this()] {
    auto places = channel_places(self->world_.network(), self->options_);
    Shard& shard = self->world_.shard(0);
    post(shard, [self, places = std::move(places)] { self->use(places); });
  });
}

void Agent::use(const std::vector<ChannelPlace>& places) {
  checking_ = false;
  if (closed_) return;
  check_ = now().at + options_.interface_check;
  std::erase_if(channels_, [&](const auto& channel) {
    return std::ranges::find(places, channel->place()) == places.end();
  });
  bool fresh = false;
  for (const ChannelPlace& place : places) {
    const auto has = [&](const auto& channel) { return channel->place() == place; };
    if (std::ranges::any_of(channels_, has)) continue;
    auto opened = Channel::open(world_, options_, place, *this);
    if (!opened) continue;  // tried again at the next check
    VELO_LOG_INFO(discovery, "joined by an interface", {"interface", place.interface_address});
    channels_.push_back(std::move(*opened));
    fresh = true;
  }
  if (fresh) {
    announcer_.greet(now());
    flush_soon();
    gather([](Result<void>) {});
  }
  arm();
}

}  // namespace velo::discovery::multicast
