// SPDX-License-Identifier: Apache-2.0
// Rendezvous: large data stays with its owner, who gives away a handle; whoever has it reads the
// data when it wants to, in chunks, many at a time, over whatever connection there is. Not a store:
// data lives as long as its owner's run, and as somebody refers to it.
// Threading: any thread.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>
#include <velo/base/ids.hpp>
#include <velo/base/limits.hpp>
#include <velo/base/op.hpp>
#include <velo/messenger/messenger.hpp>
#include <velo/rendezvous/data_handle.hpp>
#include <velo/rendezvous/data_writer.hpp>
#include <velo/rendezvous/error.hpp>
#include <velo/rendezvous/limits.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

namespace velo {

namespace rendezvous {
class Engine;
}

struct RegisterOptions {
  /// From now on; then nobody new can read it. Without one it is there until its references are
  /// gone.
  std::optional<Duration> ttl;
  /// It stays, whoever gives up which reference, until withdraw().
  bool pinned = false;
  /// Only this instance may read it, and the owner. As far as the messenger knows who asks: without
  /// instance keys that is a claim.
  std::optional<InstanceId> only_for;

  RegisterOptions() = default;
};

struct GetOptions {
  /// What get() assembles at most; get_into() leaves that to its writer.
  std::uint64_t bytes_max = rendezvous::limits::get_bytes_default;
  Duration timeout = limits::call_deadline_max;        ///< for all of it
  Duration stall = rendezvous::limits::stall_default;  ///< without anything arriving
  std::uint32_t window_chunks = rendezvous::limits::window_chunks_max;  ///< in flight; 1 to that
  std::stop_token stop;  ///< gives up when stop is requested

  GetOptions() = default;
};

struct FetchedData {
  Bytes data;
  DataLease lease;

  FetchedData(Bytes d, DataLease l) noexcept : data(std::move(d)), lease(l) {}
};

struct RendezvousOptions {
  /// Payloads of messages from this size on are staged, where the messenger was built with
  /// resolver(); at least one byte.
  std::size_t stage_bytes = rendezvous::limits::stage_bytes_default;
  std::size_t entries_max = rendezvous::limits::entries_max;
  Duration lease_ttl = rendezvous::limits::lease_ttl;

  RendezvousOptions() = default;
};

/// What is registered, read and being read here just now.
struct RendezvousUse {
  std::size_t entries = 0;
  std::size_t leases = 0;     ///< of others and of this instance on what is registered here
  std::uint64_t bytes = 0;    ///< registered
  std::size_t transfers = 0;  ///< that read from others

  RendezvousUse() = default;
};

/// Large data of one messenger, whose World outlives it. A copy is the same one.
class Rendezvous {
 public:
  /// Makes it part of the messenger until that ends; once for each: velo::Errc::already_exists.
  static Result<Rendezvous> attach(Messenger& messenger,
                                   const RendezvousOptions& options = RendezvousOptions());

  /// The same in two steps, for large payloads of messages: `builder.payloads(data.resolver())`,
  /// build(), `data.attach_to(*messenger)`. Until then nothing else may be called.
  static Rendezvous unattached(const RendezvousOptions& options = RendezvousOptions());
  std::shared_ptr<messenger::PayloadResolver> resolver() const;
  Result<void> attach_to(Messenger& messenger);

  /// With one reference, which whoever releases it gives up. Shares the block; its bytes count
  /// against the messenger's memory budget, all of which they may take: Errc::no_room otherwise.
  /// Errc::store_full (limits::entries_max), velo::Errc::shutting_down.
  Result<DataHandle> register_data(Bytes data, const RegisterOptions& options = RegisterOptions());
  /// The same of a file, which is read chunk by chunk when it is asked for and takes no memory
  /// otherwise. Its size is what it is now; readers of one that becomes shorter are told
  /// Errc::source_failed. Errors of Files::open(). May block on the disk.
  Result<DataHandle> register_file(const std::string& path,
                                   const RegisterOptions& options = RegisterOptions());
  /// Ends what this instance has registered, pinned or not: no new readers, and freed when those it
  /// has are done. Errc::unknown_handle.
  Result<void> withdraw(const DataHandle& handle);

  /// Does not lock anything.
  Op<DataMetadata> metadata(const DataHandle& handle,
                            Duration timeout = limits::call_deadline_default);
  /// Reads all of it into memory; one's own without a copy. Ends with a lease, to be given to
  /// detach() or release(). Errc::unknown_handle, not_for_you, too_large, stalled, store_full;
  /// velo::Errc::deadline_exceeded, cancelled; those of messenger::Errc where the owner cannot be
  /// reached. Whatever the connections do, it goes on while the owner, and its lease there, live.
  /// Dropping the Op gives it up, and the owner is told.
  Op<FetchedData> get(const DataHandle& handle, GetOptions options = GetOptions());
  /// The same into a writer, which is destroyed before the Op ends, unless it blocks and the
  /// transfer failed. At most GetOptions::window_chunks chunks are in memory at a time.
  Op<DataLease> get_into(const DataHandle& handle, std::unique_ptr<DataWriter> writer,
                         GetOptions options = GetOptions());

  /// One reference more: somebody else will release it, too.
  Op<void> ref_handle(const DataHandle& handle);
  /// Ends the lease; the handle can be read again.
  Op<void> detach(const DataHandle& handle, DataLease lease);
  /// Ends the lease, and gives up one reference; without references the data is freed. Of a lease
  /// that has lapsed, too.
  Op<void> release(const DataHandle& handle, DataLease lease);

  RendezvousUse use() const;

 private:
  explicit Rendezvous(std::shared_ptr<rendezvous::Engine> engine) noexcept
      : engine_(std::move(engine)) {}

  std::shared_ptr<rendezvous::Engine> engine_;
};

}  // namespace velo
