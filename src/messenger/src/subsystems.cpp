// SPDX-License-Identifier: Apache-2.0
// Rooms above the messenger: attaching them, telling them of peers, draining and ending them.

#include "subsystems.hpp"

#include "handler_queue.hpp"
#include "impl.hpp"
#include "inbound_call.hpp"
#include "node_metrics.hpp"
#include "protocol.hpp"

#include <velo/base/log.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace velo::messenger {

Result<void> Subsystems::attach(std::shared_ptr<Subsystem> subsystem,
                                std::vector<Handler> handlers) {
  const std::lock_guard adding(adding_);
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return velo::make_error(velo::Errc::shutting_down);
    const bool taken = std::ranges::any_of(
        list_, [&](const auto& other) { return other->name() == subsystem->name(); });
    if (taken) {
      return velo::make_error(velo::Errc::already_exists,
                              "\"" + std::string(subsystem->name()) + "\" is attached already");
    }
  }
  if (auto added = impl_.register_handlers(std::move(handlers), true); !added) return added;
  bool late_for_drain = false;
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return velo::make_error(velo::Errc::shutting_down);
    late_for_drain = draining_;
    list_.push_back(subsystem);
    any_.store(true, std::memory_order_release);
    std::vector<InstanceId> up;
    up.reserve(links_of_.size());
    for (const auto& [peer, links] : links_of_) up.push_back(peer);
    std::ranges::sort(up);
    for (const InstanceId& peer : up) words_.push_back({peer, std::nullopt, subsystem, false});
  }
  if (late_for_drain) subsystem->on_drain();
  publish(*subsystem);
  deliver_soon();
  return {};
}

void Subsystems::publish(Subsystem& subsystem) {
  const std::lock_guard lock(impl_.metrics_mutex_);
  if (impl_.metrics_ == nullptr) return;
  if (const auto added = impl_.metrics_->add(subsystem); !added) {
    VELO_LOG_WARN(messenger, "a subsystem's metrics are not published",
                  {"subsystem", std::string(subsystem.name())},
                  {"error", added.error().to_string()});
  }
}

std::shared_ptr<Subsystem> Subsystems::find(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const auto found =
      std::ranges::find_if(list_, [&](const auto& other) { return other->name() == name; });
  return found == list_.end() ? nullptr : *found;
}

Subsystems::List Subsystems::all() const {
  if (!any_.load(std::memory_order_acquire)) return {};
  const std::lock_guard lock(mutex_);
  return list_;
}

void Subsystems::linked(Link& link) {
  link.told_of = true;
  const std::lock_guard lock(mutex_);
  if (++links_of_[link.peer] != 1 || list_.empty()) return;
  words_.push_back({link.peer, std::nullopt, nullptr, false});
  deliver_soon();
}

void Subsystems::unlinked(Link& link, const Error& why) {
  if (!std::exchange(link.told_of, false)) return;
  const std::lock_guard lock(mutex_);
  const auto found = links_of_.find(link.peer);
  if (found == links_of_.end() || --found->second != 0) return;
  links_of_.erase(found);
  if (list_.empty()) return;
  words_.push_back({link.peer, why, nullptr, false});
  deliver_soon();
}

void Subsystems::replaced(const InstanceId& peer) {
  const std::lock_guard lock(mutex_);
  // One that is connected all the same lives; an address of it is stale.
  if (list_.empty() || links_of_.contains(peer)) return;
  words_.push_back({peer, std::nullopt, nullptr, true});
  deliver_soon();
}

void Subsystems::deliver_soon() {
  post(impl_.world().shard(0), [impl = impl_.shared_from_this(), this] { deliver(); });
}

void Subsystems::deliver() {
  for (;;) {
    std::optional<Word> word;
    List told;
    {
      const std::lock_guard lock(mutex_);
      if (words_.empty()) return;
      word = std::move(words_.front());
      words_.pop_front();
      told = word->only_for != nullptr ? List{word->only_for} : list_;
    }
    for (const auto& subsystem : told) {
      if (word->replaced) {
        subsystem->on_peer_replaced(word->peer);
      } else if (word->down) {
        subsystem->on_peer_down(word->peer, *word->down);
      } else {
        subsystem->on_peer_up(word->peer);
      }
    }
  }
}

void Subsystems::begin_drain() {
  List told;
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(draining_, true)) return;
    told = list_;
  }
  for (const auto& subsystem : told) subsystem->on_drain();
}

std::uint64_t Subsystems::unfinished() const noexcept {
  std::uint64_t left = 0;
  for (const auto& subsystem : all()) left += subsystem->unfinished();
  return left;
}

void Subsystems::stop(const Error& reason) {
  List ended;
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(stopped_, true)) return;
    ended = std::exchange(list_, {});
    words_.clear();
    any_.store(false, std::memory_order_release);
  }
  for (const auto& subsystem : ended) subsystem->on_stop(reason);
}

Result<void> attach(Messenger& messenger, std::shared_ptr<Subsystem> subsystem,
                    std::vector<Handler> handlers) {
  return messenger.engine().subsystems().attach(std::move(subsystem), std::move(handlers));
}

std::shared_ptr<Subsystem> subsystem_of(const Messenger& messenger, std::string_view name) {
  return messenger.engine().subsystems().find(name);
}

std::shared_ptr<Messenger> share(Messenger& messenger) {
  auto impl = messenger.engine().shared_from_this();
  Messenger* const facade = &impl->facade();
  return {std::move(impl), facade};
}

const std::shared_ptr<MemoryBudget>& budget_of(Messenger& messenger) noexcept {
  return messenger.engine().memory();
}

void acknowledge(const Context& context, const MessageId& id, const Result<void>& how) {
  if (id.requester() != context.sender_worker_id()) return;
  InboundCall& call = context.call();
  protocol::AckHeader header;
  header.id = id;
  header.is_error = !how;
  std::array<std::byte, protocol::ack_bytes> bytes;
  protocol::encode_ack(header, bytes);
  call.impl().send_reply(call.link(), call.link().agreement, transport::FrameType::ack, bytes,
                         how ? Bytes() : Bytes::copy(how.error().to_string()));
}

Send<void> system_fire(Messenger& messenger, std::string_view handler) {
  return Send<void>(messenger.engine(), Pattern::fire, false, handler).system();
}
Send<void> system_sync(Messenger& messenger, std::string_view handler) {
  return Send<void>(messenger.engine(), Pattern::sync, false, handler).system();
}
Send<Bytes> system_unary(Messenger& messenger, std::string_view handler) {
  return Send<Bytes>(messenger.engine(), Pattern::unary, false, handler).system();
}

}  // namespace velo::messenger
