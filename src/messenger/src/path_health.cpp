// SPDX-License-Identifier: Apache-2.0
// Whether each transport reaches a peer just now: a connection of its own, greeted and closed
// again. It touches nothing of what is in use. And `_explain`, which tells others how this node
// reaches a peer.

#include "path_health.hpp"

#include "impl.hpp"
#include "path_engine.hpp"

#include <algorithm>
#include <mutex>
#include <utility>

namespace velo::messenger {
namespace path_health_detail {

struct Late;

/// One transport's check; ends once.
struct Check {
  Promise<PathHealth> promise;
  PathHealth health;
  std::unique_ptr<transport::Dial> dial;
  std::shared_ptr<Link> link;
  Late* late = nullptr;  ///< while its timer runs
  Shard::TimerId timer = 0;
  TimePoint connected_at;

  explicit Check(Executor& callbacks) : promise(callbacks) {}
  void end(Shard& shard, PathHealthState state, std::string detail);
};

struct Late {
  std::shared_ptr<Check> check;
  Shard& shard;
  Late(std::shared_ptr<Check> c, Shard& s) : check(std::move(c)), shard(s) {}

  static void over(void* argument) {
    const std::unique_ptr<Late> due(static_cast<Late*>(argument));
    due->check->late = nullptr;
    due->check->end(due->shard, PathHealthState::timed_out, "");
  }
};

void Check::end(Shard& shard, PathHealthState state, std::string detail) {
  if (promise.ended()) return;
  health.state = state;
  health.detail = std::move(detail);
  promise.set(health);
  // Neither may be destroyed inside its own callback.
  post(shard, [finished = std::shared_ptr<transport::Dial>(std::move(dial))] {});
  if (link != nullptr) {
    link->connection().close(
        transport::make_error(transport::Errc::closed_locally, "its health is known"));
  }
  if (late != nullptr && shard.cancel_timer(timer)) delete std::exchange(late, nullptr);
}

static void arm(const std::shared_ptr<Check>& check, Shard& shard, Duration timeout) {
  check->late = new Late(check, shard);
  check->timer = shard.start_timer(shard.now() + timeout, Task0{&Late::over, check->late});
}

}  // namespace path_health_detail

Op<PathHealth> PathHealthChecks::one(Impl& impl, const InstanceId& id, std::string_view key,
                                     Duration timeout) {
  using path_health_detail::Check;
  auto check = std::make_shared<Check>(impl.world_.pool());
  check->health.transport = std::string(key);
  Op<PathHealth> op = check->promise.op();
  const auto no = [&](PathHealthState state, std::string why) {
    check->health.state = state;
    check->health.detail = std::move(why);
    check->promise.set(check->health);
    return std::move(op);
  };
  const auto found = std::find_if(impl.transports_.begin(), impl.transports_.end(),
                                  [&](const auto& each) { return each->key() == key; });
  if (found == impl.transports_.end()) {
    return no(PathHealthState::not_registered, "no transport of ours is " + std::string(key));
  }
  const auto peer = impl.find_peer(id);
  if (peer == nullptr) return no(PathHealthState::not_registered, "the peer is not known");
  Bytes entry;
  {
    const std::lock_guard lock(peer->mutex);
    const auto at = peer->info.address.find(key);
    if (at != peer->info.address.end()) entry = at->second;
    check->health.in_use = peer->link != nullptr && peer->state == Peer::State::ready &&
                           peer->link->route == found->get();
  }
  if (entry.empty()) return no(PathHealthState::not_registered, "the peer has no address for it");
  if (auto usable = (*found)->check_entry(entry); !usable) {
    return no(PathHealthState::unreachable_entry, usable.error().context());
  }
  post(impl.shard(peer->shard),
       [impl = impl.shared_from_this(), peer, check, entry, timeout, transport = found->get()] {
         Shard& home = impl->shard(peer->shard);
         if (impl->stopped_.load(std::memory_order_seq_cst)) {
           return check->end(home, PathHealthState::connection_failed, "shutting down");
         }
         path_health_detail::arm(check, home, timeout);
         check->dial = transport->connect(
             home, entry, [impl, peer, check](Result<transport::ConnectionPtr> connection) {
               greet(*impl, peer, std::move(connection), check);
             });
       });
  return op;
}

void PathHealthChecks::greet(Impl& impl, const std::shared_ptr<Peer>& peer_reference,
                             Result<transport::ConnectionPtr> connection,
                             const std::shared_ptr<path_health_detail::Check>& check_reference) {
  // The dial owns the closure that the arguments live in: copy before it goes.
  const auto peer = peer_reference;
  const auto check = check_reference;
  const std::shared_ptr<Impl> alive = impl.shared_from_this();
  Shard& home = impl.shard(peer->shard);
  if (check->promise.ended()) return;
  if (!connection) {
    const bool late = connection.error().is(velo::Errc::deadline_exceeded);
    return check->end(home, late ? PathHealthState::timed_out : PathHealthState::connection_failed,
                      connection.error().context());
  }
  transport::Connection& started = **connection;
  check->link = impl.add_link(std::move(*connection), true);
  {
    const std::lock_guard lock(peer->mutex);
    check->link->peer = peer->info.instance_id;
    check->link->account = impl.calls_->ledger().open(check->link->peer);
  }
  started.start(*check->link);
  impl.close_if_stopped(*check->link);
  check->connected_at = impl.world_.clock().now();
  const bool asked = impl.send_hello(peer, check->link, [alive, peer, check, &home](Reply reply) {
    if (check->promise.ended()) return;
    check->health.round_trip = alive->world_.clock().now() - check->connected_at;
    const auto taken = alive->take_greeting(*peer, *check->link, reply);
    check->link->agreement.path = false;
    if (taken) return check->end(home, PathHealthState::ok, "");
    check->end(home, PathHealthState::connection_failed, taken.error().context());
  });
  if (!asked) check->end(home, PathHealthState::connection_failed, "no slot to greet with");
}

Op<std::vector<PathHealth>> PathHealthChecks::all(Impl& impl, const InstanceId& id,
                                                  Duration timeout) {
  struct All {
    Promise<std::vector<PathHealth>> promise;
    std::mutex mutex;
    std::vector<PathHealth> healths;
    std::size_t left;
    All(Executor& callbacks, std::size_t count) : promise(callbacks), healths(count), left(count) {}
  };
  auto gathered = std::make_shared<All>(impl.world_.pool(), impl.transports_.size());
  Op<std::vector<PathHealth>> op = gathered->promise.op();
  if (impl.transports_.empty()) gathered->promise.set(std::vector<PathHealth>());
  for (std::size_t i = 0; i < impl.transports_.size(); ++i) {
    one(impl, id, impl.transports_[i]->key(), timeout)
        .then(impl.shard(0), [gathered, i](Result<PathHealth> health) {
          bool last = false;
          {
            const std::lock_guard lock(gathered->mutex);
            if (health) gathered->healths[i] = std::move(*health);
            last = --gathered->left == 0;
          }
          if (last) gathered->promise.set(std::move(gathered->healths));
        });
  }
  return op;
}

void PathHealthChecks::register_explain(Impl& impl) {
  auto answer = [&impl](TypedContext<PathQuestion>& context) -> Result<PathReport> {
    const auto id = InstanceId::parse(context.input.to);
    if (!id) return make_error(Errc::bad_request, "_explain: " + id.error().context());
    return PathEngine::report_of(impl, *id);
  };
  (void)impl.handlers_.add(Handler::typed_unary("_explain", std::move(answer)).inline_().build(),
                           true);
}

Op<PathReport> PathHealthChecks::path_of(Impl& impl, const InstanceId& node, const InstanceId& to,
                                         Duration timeout) {
  CallSpec spec;
  spec.impl = &impl;
  spec.pattern = Pattern::unary;
  spec.system = true;
  spec.typed = true;
  spec.handler = "_explain";
  spec.has_instance = true;
  spec.instance = node;
  spec.timeout = timeout;
  PathQuestion question;
  question.to = to.to_string();
  spec.payload = encode_body(question, false);
  return {start(spec), &decode_reply<PathReport>};
}

}  // namespace velo::messenger
