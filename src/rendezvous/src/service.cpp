// SPDX-License-Identifier: Apache-2.0
// The owner's side: what others may ask of registered data.

#include "engine.hpp"
#include "wire.hpp"

#include <velo/messenger/error.hpp>

#include <optional>
#include <utility>

namespace velo::rendezvous {

Reader Engine::reader_of(const Context& context) const {
  Reader reader;
  reader.worker = context.sender_worker_id();
  reader.instance = context.peer_identity().instance;
  // Nobody else is let in under this instance's id.
  reader.owner = reader.worker == self_.worker && reader.instance == self_.instance;
  return reader;
}

Result<Bytes> Engine::read(const Piece& piece) const {
  Charge charge = Charge::try_take(budget_, piece.size, Lane::replies);
  if (!charge) return make_error(Errc::no_room, "to read a chunk of the file");
  BytesBuilder builder(piece.size, std::move(charge));
  auto read = piece.file->read_at(piece.offset, builder.free_space());
  if (!read) return make_error(Errc::source_failed, read.error().context());
  builder.commit(piece.size);
  return std::move(builder).take();
}

Handler Engine::pull_handler() {
  Handler::Async serve = [engine = shared_from_this()](Context context, HandlerDone done) {
    const auto request = wire::decode_pull(context.payload());
    if (!request) return done(request.error());
    auto piece = engine->piece(*request, engine->reader_of(context));
    if (!piece) return done(piece.error());
    if (piece->file == nullptr || piece->size == 0) {
      return done(std::optional<Bytes>(std::move(piece->bytes)));
    }
    // The disk may take its time.
    post(engine->world().pool(), [engine, piece = std::move(*piece), context = std::move(context),
                                  done = std::move(done)]() mutable {
      auto bytes = engine->read(piece);
      done(bytes ? HandlerResult(std::optional<Bytes>(std::move(*bytes)))
                 : HandlerResult(bytes.error()));
    });
  };
  return Handler::Builder("_rv_pull", HandlerKind::unary, std::move(serve)).inline_().build();
}

std::vector<Handler> Engine::handlers() {
  std::vector<Handler> all;
  const auto engine = shared_from_this();
  using Answer = Result<Bytes>;
  all.push_back(Handler::unary_handler("_rv_metadata",
                                       [engine](Context& context) -> Answer {
                                         const auto handle = wire::decode_handle(context.payload());
                                         if (!handle) return handle.error();
                                         const auto known = engine->metadata(
                                             handle->local(), engine->reader_of(context));
                                         if (!known) return known.error();
                                         return wire::encode_metadata(*known);
                                       })
                    .inline_()
                    .build());
  all.push_back(Handler::unary_handler("_rv_acquire",
                                       [engine](Context& context) -> Answer {
                                         const auto handle = wire::decode_handle(context.payload());
                                         if (!handle) return handle.error();
                                         const auto granted = engine->acquire(
                                             handle->local(), engine->reader_of(context));
                                         if (!granted) return granted.error();
                                         wire::Grant grant;
                                         grant.lease_id = granted->ids.lease;
                                         grant.transfer_id = granted->ids.transfer;
                                         grant.total_len = granted->total_bytes;
                                         grant.chunk_size = limits::chunk_bytes;
                                         grant.chunk_count = granted->chunks;
                                         return wire::encode_grant(grant);
                                       })
                    .inline_()
                    .build());
  all.push_back(pull_handler());
  all.push_back(Handler::am_handler("_rv_ref",
                                    [engine](Context& context) -> Result<void> {
                                      const auto handle = wire::decode_handle(context.payload());
                                      if (!handle) return handle.error();
                                      return engine->add_reference(handle->local(),
                                                                   engine->reader_of(context));
                                    })
                    .inline_()
                    .build());
  all.push_back(Handler::am_handler("_rv_detach",
                                    [engine](Context& context) -> Result<void> {
                                      const auto what = wire::decode_lease(context.payload());
                                      if (!what) return what.error();
                                      return engine->detach(what->handle.local(), what->lease,
                                                            engine->reader_of(context));
                                    })
                    .inline_()
                    .build());
  all.push_back(Handler::am_handler("_rv_release",
                                    [engine](Context& context) -> Result<void> {
                                      const auto what = wire::decode_lease(context.payload());
                                      if (!what) return what.error();
                                      return engine->release(what->handle.local(), what->lease,
                                                             engine->reader_of(context));
                                    })
                    .inline_()
                    .build());
  return all;
}

}  // namespace velo::rendezvous
