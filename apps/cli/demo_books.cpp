// SPDX-License-Identifier: Apache-2.0
// Asks a worker for its books and compares.

#include "demo_books.hpp"

#include "console.hpp"

#include <velo/messenger/balance.hpp>

#include <fmt/format.h>

namespace velo::cli {

namespace demo_books_detail {

/// A worker counts the end of a call after it has written the answer, and one that is being killed
/// may seem to live; so whoever disagrees is asked again.
constexpr int asks_max = 20;
constexpr Duration pause_between = std::chrono::milliseconds(20);

static std::uint64_t sum(const std::array<std::uint64_t, 3>& counts) {
  return counts[0] + counts[1] + counts[2];
}

static std::uint64_t taken_by(const NodeBooks& ours, const InstanceId& worker) {
  const PeerBooks* books = ours.with(worker);
  return books == nullptr ? 0 : books->fire.accepted + books->sync.accepted + books->unary.accepted;
}

static PeerBooks account_of(const NodeBooks& theirs, const InstanceId& us) {
  const PeerBooks* books = theirs.with(us);
  return books == nullptr ? PeerBooks() : *books;
}

static void miscount(NodeBooks& theirs, const InstanceId& us) {
  for (PeerBooks& peer : theirs.peers) {
    if (peer.peer == us) ++peer.requests[2];
  }
}

static ReportCheck judge(const DemoCluster::Worker& worker, std::size_t index,
                         const NodeBooks& ours, const NodeBooks& theirs) {
  const NodeBooks both[] = {ours, theirs};
  const messenger::Balance balance = messenger::compare(both, messenger::Moving::no);
  const PeerBooks account = account_of(theirs, ours.instance);
  ReportCheck check;
  check.name = fmt::format("worker {}'s books agree", index);
  check.detail =
      fmt::format("we sent {}, it received {}; it handled {}, we had {} answers",
                  show_count(taken_by(ours, worker.id)), show_count(sum(account.requests)),
                  show_count(account.succeeded), show_count(worker.answers));
  for (const std::string& complaint : balance.complaints) check.detail += "; " + complaint;
  // An answer that we did not get may have been given.
  const bool answers_agree = worker.uncertain == 0 ? account.succeeded == worker.answers
                                                   : account.succeeded >= worker.answers;
  check.ok = balance.ok() && answers_agree;
  return check;
}

}  // namespace demo_books_detail

WorkerBooks compare_with_worker(DemoCluster& cluster, std::size_t index, bool miscounted) {
  namespace detail = demo_books_detail;
  WorkerBooks result;
  const DemoCluster::Worker& worker = cluster.workers()[index];
  if (!worker.known) return result;
  for (int asked = 0; asked < detail::asks_max && cluster.processes().alive(index); ++asked) {
    if (asked > 0) cluster.turn(detail::pause_between);
    auto theirs = cluster.books_of(index);
    if (!theirs) {
      result.check = ReportCheck{fmt::format("worker {}'s books agree", index), false,
                                 "it does not tell: " + theirs.error().to_string()};
      continue;
    }
    const NodeBooks ours = cluster.node().node_books();
    if (miscounted) detail::miscount(*theirs, ours.instance);
    result.received = detail::sum(detail::account_of(*theirs, ours.instance).requests);
    result.check = detail::judge(worker, index, ours, *theirs);
    if (result.check->ok) break;
  }
  // What somebody said who is gone now is not the end of his books.
  if (!cluster.processes().alive(index)) {
    result.received.reset();
    result.check.reset();
  }
  result.taken = detail::taken_by(cluster.node().node_books(), worker.id);
  return result;
}

}  // namespace velo::cli
