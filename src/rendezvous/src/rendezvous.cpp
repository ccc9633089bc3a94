// SPDX-License-Identifier: Apache-2.0
// The public face of large data.

#include <velo/rendezvous/rendezvous.hpp>

#include "assembly.hpp"
#include "engine.hpp"

#include <velo/messenger/error.hpp>

#include <utility>

namespace velo {
namespace rendezvous_detail {

static Result<DataHandle> add(rendezvous::Engine& engine, rendezvous::Source source,
                              const RegisterOptions& options) {
  if (engine.draining()) return messenger::make_error(messenger::Errc::shutting_down);
  rendezvous::Terms terms;
  terms.only_for = options.only_for;
  terms.pinned = options.pinned;
  if (options.ttl) terms.expires = engine.world().clock().now() + *options.ttl;
  return engine.add(std::move(source), terms);
}

static rendezvous::PullOptions pull_options(GetOptions options) {
  rendezvous::PullOptions pull;
  pull.timeout = options.timeout;
  pull.stall = options.stall;
  pull.window_chunks = options.window_chunks;
  pull.stop = std::move(options.stop);
  return pull;
}

/// Reads, and ends an Op with what `result_of` makes of the end.
template <class T, class F>
static Op<T> pull(rendezvous::Engine& engine, const DataHandle& handle,
                  std::unique_ptr<DataWriter> writer, GetOptions options, F result_of) {
  // The transfer is made after the promise, whose cancellation has to reach it.
  auto running = std::make_shared<std::weak_ptr<rendezvous::Pull>>();
  auto stop = std::make_shared<std::stop_source>();
  auto promise = std::make_shared<Promise<T>>(engine.world().pool());
  promise->on_cancel([stop]() noexcept { stop->request_stop(); });
  Op<T> op = promise->op();
  rendezvous::PullOptions wanted = pull_options(std::move(options));
  const std::stop_token callers = std::exchange(wanted.stop, stop->get_token());
  // Both ways to give up are one for the transfer.
  struct Forward {
    std::shared_ptr<std::stop_source> stop;
    void operator()() const { stop->request_stop(); }
  };
  auto forward = std::make_shared<std::stop_callback<Forward>>(callers, Forward{stop});
  engine.start_pull(handle, std::move(writer), std::move(wanted),
                    [promise, forward, result_of = std::move(result_of)](
                        Result<rendezvous::Pull::Ended> ended) mutable {
                      forward.reset();
                      if (!ended) {
                        promise->set(ended.error());
                      } else {
                        promise->set(result_of(std::move(*ended)));
                      }
                    });
  return op;
}

}  // namespace rendezvous_detail

Result<Rendezvous> Rendezvous::attach(Messenger& messenger, const RendezvousOptions& options) {
  Rendezvous data = unattached(options);
  if (auto attached = data.attach_to(messenger); !attached) return attached.error();
  return data;
}

Rendezvous Rendezvous::unattached(const RendezvousOptions& options) {
  return Rendezvous(std::make_shared<rendezvous::Engine>(options));
}

std::shared_ptr<messenger::PayloadResolver> Rendezvous::resolver() const { return engine_; }

Result<void> Rendezvous::attach_to(Messenger& messenger) { return engine_->attach(messenger); }

Result<DataHandle> Rendezvous::register_data(Bytes data, const RegisterOptions& options) {
  rendezvous::Source source;
  if (!data.empty()) {
    source.charge = Charge::try_take_of_all(engine_->budget(), data.size(), Lane::requests);
    if (!source.charge) {
      return make_error(rendezvous::Errc::no_room,
                        std::to_string(data.size()) + " bytes to register");
    }
  }
  source.bytes = std::move(data);
  return rendezvous_detail::add(*engine_, std::move(source), options);
}

Result<DataHandle> Rendezvous::register_file(const std::string& path,
                                             const RegisterOptions& options) {
  auto file = engine_->world().files().open(path);
  if (!file) return file.error();
  rendezvous::Source source;
  source.file = std::move(*file);
  return rendezvous_detail::add(*engine_, std::move(source), options);
}

Result<void> Rendezvous::withdraw(const DataHandle& handle) {
  if (handle.owner() == engine_->worker() && engine_->withdraw(handle.local())) return {};
  return make_error(rendezvous::Errc::unknown_handle, "not registered here");
}

Op<DataMetadata> Rendezvous::metadata(const DataHandle& handle, Duration timeout) {
  World& world = engine_->world();
  if (handle.owner() == engine_->worker()) {
    return Op<DataMetadata>::ready(world.pool(),
                                   engine_->metadata(handle.local(), engine_->self()));
  }
  const auto messenger = engine_->messenger();
  if (messenger == nullptr) {
    return Op<DataMetadata>::ready(world.pool(),
                                   messenger::make_error(messenger::Errc::shutting_down));
  }
  auto promise = std::make_shared<Promise<DataMetadata>>(world.pool());
  auto stop = std::make_shared<std::stop_source>();
  promise->on_cancel([stop]() noexcept { stop->request_stop(); });
  Op<DataMetadata> op = promise->op();
  messenger::system_unary(*messenger, "_rv_metadata")
      .raw_payload(rendezvous::wire::encode_handle(handle))
      .worker(handle.owner())
      .timeout(timeout)
      .stop(stop->get_token())
      .send()
      .then(world.pool(), [promise](Result<Bytes> reply) {
        promise->set(reply ? rendezvous::wire::decode_metadata(*reply)
                           : Result<DataMetadata>(reply.error()));
      });
  return op;
}

Op<FetchedData> Rendezvous::get(const DataHandle& handle, GetOptions options) {
  if (handle.owner() == engine_->worker()) {
    auto granted = engine_->acquire(handle.local(), engine_->self());
    const bool in_memory = granted && granted->bytes.size() == granted->total_bytes;
    if (!granted || in_memory) {
      auto result = granted ? Result<FetchedData>(FetchedData(std::move(granted->bytes),
                                                              DataLease(granted->ids.lease)))
                            : Result<FetchedData>(granted.error());
      return Op<FetchedData>::ready(engine_->world().pool(), std::move(result));
    }
    // A file is read as others would read it, with a lease of its own.
    static_cast<void>(
        engine_->detach(handle.local(), DataLease(granted->ids.lease), engine_->self()));
  }
  auto assembly = std::make_unique<rendezvous::Assembly>(options.bytes_max, nullptr);
  return rendezvous_detail::pull<FetchedData>(
      *engine_, handle, std::move(assembly), std::move(options),
      [](rendezvous::Pull::Ended ended) -> Result<FetchedData> {
        auto& whole = static_cast<rendezvous::Assembly&>(*ended.writer);
        return FetchedData(whole.take(), ended.lease);
      });
}

Op<DataLease> Rendezvous::get_into(const DataHandle& handle, std::unique_ptr<DataWriter> writer,
                                   GetOptions options) {
  return rendezvous_detail::pull<DataLease>(*engine_, handle, std::move(writer), std::move(options),
                                            [](rendezvous::Pull::Ended ended) -> Result<DataLease> {
                                              ended.writer.reset();
                                              return ended.lease;
                                            });
}

namespace rendezvous_detail {

/// Asks the owner; `here` does it when that is this instance.
template <class F>
static Op<void> ask(rendezvous::Engine& engine, std::string_view name, const DataHandle& handle,
                    Bytes body, F here) {
  World& world = engine.world();
  if (handle.owner() == engine.worker()) return Op<void>::ready(world.pool(), here());
  const auto messenger = engine.messenger();
  if (messenger == nullptr) {
    return Op<void>::ready(world.pool(), messenger::make_error(messenger::Errc::shutting_down));
  }
  return messenger::system_sync(*messenger, name)
      .raw_payload(std::move(body))
      .worker(handle.owner())
      .send();
}

}  // namespace rendezvous_detail

Op<void> Rendezvous::ref_handle(const DataHandle& handle) {
  return rendezvous_detail::ask(
      *engine_, "_rv_ref", handle, rendezvous::wire::encode_handle(handle),
      [&] { return engine_->add_reference(handle.local(), engine_->self()); });
}

Op<void> Rendezvous::detach(const DataHandle& handle, DataLease lease) {
  return rendezvous_detail::ask(
      *engine_, "_rv_detach", handle, rendezvous::wire::encode_lease(handle, lease),
      [&] { return engine_->detach(handle.local(), lease, engine_->self()); });
}

Op<void> Rendezvous::release(const DataHandle& handle, DataLease lease) {
  return rendezvous_detail::ask(
      *engine_, "_rv_release", handle, rendezvous::wire::encode_lease(handle, lease),
      [&] { return engine_->release(handle.local(), lease, engine_->self()); });
}

RendezvousUse Rendezvous::use() const { return engine_->use(); }

}  // namespace velo
