// SPDX-License-Identifier: Apache-2.0
// Entries, references and leases as values.

#include "store.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace velo::rendezvous::store_test {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

static TimePoint at(Duration since) { return TimePoint(since); }

static Source text(std::string contents) {
  Source source;
  source.bytes = Bytes::own(std::move(contents));
  return source;
}

static Reader reader(std::uint64_t worker) {
  Reader made;
  made.worker = WorkerId(worker);
  std::array<std::uint8_t, 16> id{};
  id[0] = static_cast<std::uint8_t>(worker);
  made.instance = InstanceId(id);
  return made;
}

static Store::LeaseIds ids(std::uint64_t lease) {
  Store::LeaseIds made;
  made.lease = lease;
  made.transfer = lease + 1000;
  return made;
}

TEST(RendezvousStore, FreesWhenTheLastReferenceIsReleasedAndNobodyReads) {
  Store store;
  ASSERT_TRUE(store.add(7, text("data"), Terms()));
  ASSERT_TRUE(store.add_reference(7, reader(2)));
  ASSERT_TRUE(store.acquire(7, reader(2), ids(1), at(0s)));
  ASSERT_TRUE(store.acquire(7, reader(3), ids(2), at(0s)));
  ASSERT_TRUE(store.release(7, DataLease(1), reader(2)));
  EXPECT_TRUE(store.contains(7)) << "one reference is left";
  ASSERT_TRUE(store.acquire(7, reader(2), ids(3), at(0s)));
  ASSERT_TRUE(store.release(7, DataLease(3), reader(2)));
  EXPECT_TRUE(store.contains(7)) << "somebody reads";
  EXPECT_EQ(store.metadata(7, reader(3))->references, 0U);
  ASSERT_TRUE(store.detach(7, DataLease(2), reader(3)));
  EXPECT_FALSE(store.contains(7));
  EXPECT_EQ(store.use().entries, 0U);
  EXPECT_EQ(store.use().leases, 0U);
  EXPECT_EQ(store.use().bytes, 0U);
}

TEST(RendezvousStore, DetachKeepsTheHandleUsable) {
  Store store;
  ASSERT_TRUE(store.add(7, text("data"), Terms()));
  ASSERT_TRUE(store.acquire(7, reader(2), ids(1), at(0s)));
  ASSERT_TRUE(store.detach(7, DataLease(1), reader(2)));
  EXPECT_TRUE(store.acquire(7, reader(2), ids(2), at(0s)));
}

TEST(RendezvousStore, ADeadReadersLeaseLapsesAndLeaksNothing) {
  Store store;
  ASSERT_TRUE(store.add(7, text("data"), Terms()));
  ASSERT_TRUE(store.acquire(7, reader(2), ids(1), at(0s)));
  EXPECT_EQ(store.next_end(), at(30s));
  ASSERT_TRUE(store.withdraw(7));
  EXPECT_EQ(store.reap(at(29s)), at(30s));
  EXPECT_TRUE(store.contains(7)) << "it is being read";
  EXPECT_EQ(store.reap(at(30s)), TimePoint::never());
  EXPECT_FALSE(store.contains(7));
  EXPECT_EQ(store.use().leases, 0U);
}

TEST(RendezvousStore, EachChunkRenewsTheLease) {
  Store store;
  ASSERT_TRUE(store.add(7, text("data"), Terms()));
  ASSERT_TRUE(store.acquire(7, reader(2), ids(1), at(0s)));
  ASSERT_TRUE(store.piece(1001, 0, reader(2), at(20s)));
  EXPECT_EQ(store.reap(at(30s)), at(50s));
  const auto piece = store.piece(1001, 0, reader(2), at(49s));
  ASSERT_TRUE(piece);
  EXPECT_EQ(piece->bytes.text(), "data");
  store.reap(at(79s));
  EXPECT_TRUE(store.piece(1001, 0, reader(2), at(79s)).error().is(Errc::lease_lapsed));
}

TEST(RendezvousStore, ALapsedLeaseStillGivesUpItsReferenceOnce) {
  Store store;
  ASSERT_TRUE(store.add(7, text("data"), Terms()));
  ASSERT_TRUE(store.add_reference(7, reader(2)));
  ASSERT_TRUE(store.acquire(7, reader(2), ids(1), at(0s)));
  store.reap(at(31s));
  EXPECT_TRUE(store.release(7, DataLease(1), reader(2)));
  EXPECT_EQ(store.metadata(7, reader(2))->references, 1U);
  EXPECT_TRUE(store.release(7, DataLease(1), reader(2)).error().is(Errc::lease_lapsed));
  EXPECT_EQ(store.metadata(7, reader(2))->references, 1U);
}

TEST(RendezvousStore, RemembersABoundedNumberOfLapsedLeases) {
  StoreLimits limits;
  limits.lapsed_max = 2;
  Store store(limits);
  ASSERT_TRUE(store.add(7, text("data"), Terms()));
  for (std::uint64_t lease = 1; lease <= 3; ++lease) {
    ASSERT_TRUE(store.add_reference(7, reader(2)));
    ASSERT_TRUE(store.acquire(7, reader(2), ids(lease), at(0s)));
  }
  store.reap(at(31s));
  EXPECT_TRUE(store.release(7, DataLease(1), reader(2)).error().is(Errc::lease_lapsed));
  EXPECT_TRUE(store.release(7, DataLease(2), reader(2)));
  EXPECT_TRUE(store.release(7, DataLease(3), reader(2)));
}

TEST(RendezvousStore, ALeaseIsItsReadersOwn) {
  Store store;
  ASSERT_TRUE(store.add(7, text("data"), Terms()));
  ASSERT_TRUE(store.acquire(7, reader(2), ids(1), at(0s)));
  EXPECT_TRUE(store.piece(1001, 0, reader(3), at(0s)).error().is(Errc::not_for_you));
  EXPECT_TRUE(store.release(7, DataLease(1), reader(3)).error().is(Errc::not_for_you));
  EXPECT_TRUE(store.detach(7, DataLease(1), reader(3)).error().is(Errc::not_for_you));
  EXPECT_TRUE(store.release(8, DataLease(1), reader(2)).error().is(Errc::lease_lapsed));
}

TEST(RendezvousStore, DataBoundToOneInstanceIsForItAndTheOwner) {
  Store store;
  Terms terms;
  terms.only_for = reader(2).instance;
  ASSERT_TRUE(store.add(7, text("data"), terms));
  EXPECT_TRUE(store.acquire(7, reader(3), ids(1), at(0s)).error().is(Errc::not_for_you));
  EXPECT_TRUE(store.metadata(7, reader(3)).error().is(Errc::not_for_you));
  EXPECT_TRUE(store.add_reference(7, reader(3)).error().is(Errc::not_for_you));
  EXPECT_TRUE(store.acquire(7, reader(2), ids(2), at(0s)));
  Reader owner = reader(1);
  owner.owner = true;
  EXPECT_TRUE(store.acquire(7, owner, ids(3), at(0s)));
}

TEST(RendezvousStore, TimeToLiveIsKeptButThoseWhoReadMayFinish) {
  Store store;
  Terms terms;
  terms.expires = at(10s);
  terms.pinned = true;
  ASSERT_TRUE(store.add(7, text("data"), terms));
  ASSERT_TRUE(store.acquire(7, reader(2), ids(1), at(5s)));
  EXPECT_EQ(store.reap(at(10s)), at(35s));
  EXPECT_TRUE(store.acquire(7, reader(3), ids(2), at(10s)).error().is(Errc::unknown_handle));
  EXPECT_TRUE(store.piece(1001, 0, reader(2), at(11s)));
  EXPECT_TRUE(store.detach(7, DataLease(1), reader(2)));
  EXPECT_FALSE(store.contains(7));
}

TEST(RendezvousStore, PinnedDataStaysUntilItIsWithdrawn) {
  Store store;
  Terms terms;
  terms.pinned = true;
  ASSERT_TRUE(store.add(7, text("data"), terms));
  for (std::uint64_t lease = 1; lease <= 3; ++lease) {
    ASSERT_TRUE(store.acquire(7, reader(2), ids(lease), at(0s)));
    ASSERT_TRUE(store.release(7, DataLease(lease), reader(2)));
  }
  EXPECT_TRUE(store.metadata(7, reader(2))->pinned);
  EXPECT_TRUE(store.withdraw(7));
  EXPECT_FALSE(store.contains(7));
  EXPECT_FALSE(store.withdraw(7));
}

TEST(RendezvousStore, IsBounded) {
  StoreLimits limits;
  limits.entries_max = 2;
  limits.leases_max = 3;
  limits.leases_per_reader_max = 2;
  Store store(limits);
  ASSERT_TRUE(store.add(7, text("a"), Terms()));
  ASSERT_TRUE(store.add(8, text("b"), Terms()));
  EXPECT_TRUE(store.add(9, text("c"), Terms()).error().is(Errc::store_full));
  ASSERT_TRUE(store.acquire(7, reader(2), ids(1), at(0s)));
  ASSERT_TRUE(store.acquire(7, reader(2), ids(2), at(0s)));
  EXPECT_TRUE(store.acquire(7, reader(2), ids(3), at(0s)).error().is(Errc::store_full));
  ASSERT_TRUE(store.acquire(7, reader(3), ids(4), at(0s)));
  EXPECT_TRUE(store.acquire(7, reader(4), ids(5), at(0s)).error().is(Errc::store_full));
}

TEST(RendezvousStore, DrawsAnotherIdForOneThatIsTaken) {
  Store store;
  EXPECT_TRUE(store.add(0, text("a"), Terms()).error().is(velo::Errc::already_exists));
  ASSERT_TRUE(store.add(7, text("a"), Terms()));
  Source again = text("b");
  EXPECT_TRUE(store.add(7, std::move(again), Terms()).error().is(velo::Errc::already_exists));
  EXPECT_EQ(again.bytes.text(), "b") << "what is refused is not moved from";  // NOLINT
  ASSERT_TRUE(store.acquire(7, reader(2), ids(1), at(0s)));
  EXPECT_TRUE(store.acquire(7, reader(2), ids(1), at(0s)).error().is(velo::Errc::already_exists));
}

TEST(RendezvousStore, CutsDataIntoChunks) {
  Store store;
  ASSERT_TRUE(store.add(7, text(std::string(limits::chunk_bytes + 3, 'x')), Terms()));
  const auto granted = store.acquire(7, reader(2), ids(1), at(0s));
  ASSERT_TRUE(granted);
  EXPECT_EQ(granted->chunks, 2U);
  EXPECT_EQ(granted->total_bytes, limits::chunk_bytes + 3);
  EXPECT_EQ(store.under_way(at(1s), 2s), 1U);
  EXPECT_EQ(store.under_way(at(3s), 2s), 0U) << "nothing was asked for lately";
  EXPECT_EQ(store.piece(1001, 0, reader(2), at(0s))->size, limits::chunk_bytes);
  EXPECT_EQ(store.under_way(at(1s), 2s), 1U);
  const auto last = store.piece(1001, 1, reader(2), at(0s));
  ASSERT_TRUE(last);
  EXPECT_EQ(last->offset, limits::chunk_bytes);
  EXPECT_EQ(last->bytes.text(), "xxx");
  EXPECT_EQ(store.under_way(at(1s), 2s), 0U) << "all of it was asked for";
  EXPECT_TRUE(store.piece(1001, 2, reader(2), at(0s)).error().is(velo::Errc::invalid_argument));
}

TEST(RendezvousStore, EmptyDataHasNoChunks) {
  Store store;
  ASSERT_TRUE(store.add(7, text(""), Terms()));
  const auto granted = store.acquire(7, reader(2), ids(1), at(0s));
  ASSERT_TRUE(granted);
  EXPECT_EQ(granted->chunks, 0U);
  EXPECT_EQ(store.piece(1001, 0, reader(2), at(0s))->size, 0U) << "a peer may ask all the same";
}

}  // namespace velo::rendezvous::store_test
