// SPDX-License-Identifier: Apache-2.0
// Large payloads of messages: staged like registered data, for one reader and with a time to live,
// and pulled like it.

#include "assembly.hpp"
#include "engine.hpp"

#include <velo/messenger/error.hpp>

#include <algorithm>
#include <utility>

namespace velo::rendezvous {

Result<messenger::StagedPayload> Engine::stage(const Bytes& payload, const InstanceId& reader,
                                               Duration lives) {
  if (!attached_.load(std::memory_order_acquire)) return make_error(Errc::no_room, "not attached");
  Source source;
  source.charge = Charge::try_take(budget_, payload.size(), Lane::requests);
  if (!source.charge) {
    return make_error(Errc::no_room, std::to_string(payload.size()) + " bytes to stage");
  }
  source.bytes = payload;
  Terms terms;
  if (reader.valid()) terms.only_for = reader;
  terms.expires = world_->clock().now() + lives;
  const auto handle = add(std::move(source), terms);
  if (!handle) return handle.error();
  messenger::StagedPayload staged;
  staged.reference = handle->to_string();
  staged.ticket = handle->local();
  return staged;
}

Op<Bytes> Engine::resolve(std::string_view reference, const messenger::PayloadOrigin& origin,
                          Duration timeout, std::stop_token stop) {
  if (!attached_.load(std::memory_order_acquire)) {
    return Op<Bytes>::ready(inline_executor(), make_error(Errc::bad_peer, "not attached"));
  }
  Executor& callbacks = world_->pool();
  const auto handle = DataHandle::parse(reference);
  // Of nobody else: or whoever sends a message would decide whom this instance connects to.
  if (!handle || handle->owner() != origin.from) {
    return Op<Bytes>::ready(callbacks, make_error(Errc::bad_peer, "not the sender's own data"));
  }
  if (origin.from == self_.worker) {
    auto granted = acquire(handle->local(), self_);
    if (!granted) return Op<Bytes>::ready(callbacks, granted.error());
    static_cast<void>(release(handle->local(), DataLease(granted->ids.lease), self_));
    return Op<Bytes>::ready(callbacks, std::move(granted->bytes));
  }
  PullOptions options;
  options.timeout = timeout;
  options.release = true;
  options.connection = origin.connection;
  options.stop = std::move(stop);
  auto promise = std::make_shared<Promise<Bytes>>(callbacks);
  Op<Bytes> op = promise->op();
  start_pull(*handle, std::make_unique<Assembly>(UINT64_MAX, budget_), std::move(options),
             [promise](Result<Pull::Ended> ended) {
               if (!ended) {
                 promise->set(ended.error());
               } else {
                 promise->set(static_cast<Assembly&>(*ended->writer).take());
               }
             });
  return op;
}

}  // namespace velo::rendezvous
