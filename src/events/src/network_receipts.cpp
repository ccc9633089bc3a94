// SPDX-License-Identifier: Apache-2.0
// Telling owners that the ends of their events were heard: together, a moment later. On one
// processor, who waits for an event runs before its owner reads that.

#include "network.hpp"

#include <velo/events/limits.hpp>

#include <utility>

namespace velo::events {
namespace network_receipts_detail {

/// The calling thread's, which needs no waking.
static Shard& shard_here(World& world) {
  for (std::size_t i = 0; i < world.shard_count(); ++i) {
    if (world.shard(i).on_this_thread()) return world.shard(i);
  }
  return world.shard(0);
}

}  // namespace network_receipts_detail

void Network::acknowledge(const EventHandle& event) {
  const auto out = messenger();
  if (out == nullptr) return;
  std::vector<Receipt> full;
  {
    const std::lock_guard lock(receipts_mutex_);
    if (receipts_stopped_) return;
    full = receipts_.add(event);
    if (receipts_.size() != 0 && receipts_shard_ == nullptr) {
      receipts_shard_ = &network_receipts_detail::shard_here(engine_->world());
      kept_by_receipts_ = shared_from_this();
      receipts_timer_ = receipts_shard_->start_timer(
          receipts_shard_->now() + limits::receipt_delay,
          Task0{[](void* network) { static_cast<Network*>(network)->receipts_due(); }, this});
    }
  }
  send_receipts(*out, std::move(full));
}

void Network::receipts_due() {
  std::shared_ptr<Network> kept;  // let go of without the lock
  std::vector<Receipt> receipts;
  {
    const std::lock_guard lock(receipts_mutex_);
    kept = std::move(kept_by_receipts_);
    receipts_shard_ = nullptr;
    receipts = receipts_.take_all();
  }
  if (const auto out = messenger(); out != nullptr) send_receipts(*out, std::move(receipts));
}

void Network::send_receipts(Messenger& out, std::vector<Receipt> receipts) {
  for (const Receipt& receipt : receipts) {
    ++messages_;
    protocol::Heard body;
    body.handles.reserve(receipt.events.size());
    for (const EventHandle& event : receipt.events) body.handles.push_back(event.to_u128());
    Op<void> send = messenger::system_fire(out, protocol::heard_name)
                        .raw_payload(protocol::encode(body))
                        .worker(receipt.owner)
                        .timeout(limits::answer_patience)
                        .send();
    // If it is lost, the completions come again, and are acknowledged again.
    if (!send.done()) std::move(send).then(shard(), [](const Result<void>&) {});
  }
}

void Network::stop_receipts(Messenger& out) {
  Shard* on = nullptr;
  std::vector<Receipt> receipts;
  {
    const std::lock_guard lock(receipts_mutex_);
    receipts_stopped_ = true;
    receipts = receipts_.take_all();
    on = receipts_shard_;
  }
  send_receipts(out, std::move(receipts));
  if (on == nullptr) return;
  post(*on, [self = shared_from_this(), on] {
    std::shared_ptr<Network> kept;
    const std::lock_guard lock(self->receipts_mutex_);
    if (self->receipts_shard_ == nullptr || !on->cancel_timer(self->receipts_timer_)) return;
    self->receipts_shard_ = nullptr;
    kept = std::move(self->kept_by_receipts_);
  });
}

}  // namespace velo::events
