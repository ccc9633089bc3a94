// SPDX-License-Identifier: Apache-2.0
// Which number of a NodeWatch is which series.

#include "watch_metrics.hpp"

#include <velo/messenger/error.hpp>

#include <algorithm>

namespace velo::messenger {
namespace watch_metrics_detail {

constexpr auto gauge = metrics::Kind::gauge;
constexpr auto counter = metrics::Kind::counter;

static std::uint64_t rejected_as(const NodeWatch& watch, Errc reason) {
  const auto found = watch.books.rejected_by.find(error_code_name(error_code(reason)));
  return found == watch.books.rejected_by.end() ? 0 : found->second;
}

static void add_calls(ObservedState<NodeWatch>& to) {
  to.add(gauge, "velo_messenger_pending_responses", "Calls of its own that wait for an answer.", {},
         [](const NodeWatch& watch) {
           return watch.books.sync.in_flight + watch.books.unary.in_flight;
         });
  to.add(counter, "velo_messenger_response_slot_exhausted_total",
         "Sends that found every call slot taken: they waited, or were rejected.", {},
         [](const NodeWatch& watch) {
           return watch.books.stages.waited_for_slot + rejected_as(watch, Errc::too_many_calls);
         });
  to.add(gauge, "velo_messenger_handler_in_flight", "Requests that run or wait for their turn.", {},
         [](const NodeWatch& watch) { return watch.books.received.running; });
  to.add(gauge, "velo_messenger_waiting_sends", "Sends that wait for a call slot.", {},
         [](const NodeWatch& watch) { return watch.waiting_sends; });
  to.add(gauge, "velo_messenger_queued_sends",
         "Sends that wait to be connected, or for a peer's request window.", {},
         [](const NodeWatch& watch) {
           std::uint64_t sum = 0;
           for (const PeerWatch& peer : watch.peers) sum += peer.queued_sends;
           return sum;
         });
  to.add(gauge, "velo_messenger_ordered_lanes", "Lanes of ordered handlers, idle ones included.",
         {}, [](const NodeWatch& watch) { return watch.lanes; });
  to.add(gauge, "velo_messenger_ordered_lane_depth",
         "Requests that wait in lanes, or for a handler that is limited in concurrency.", {},
         [](const NodeWatch& watch) { return watch.lane_depth; });
  to.add(gauge, "velo_messenger_oldest_call_seconds",
         "How long ago the oldest call in flight began.", {}, [](const NodeWatch& watch) {
           return static_cast<std::uint64_t>(watch.oldest_call_ns / 1'000'000'000);
         });
  to.add(gauge, "velo_messenger_oldest_request_seconds",
         "How long ago the oldest request came that is not over.", {}, [](const NodeWatch& watch) {
           return static_cast<std::uint64_t>(watch.oldest_request_ns / 1'000'000'000);
         });
}

static void add_memory(ObservedState<NodeWatch>& to) {
  to.add(gauge, "velo_memory_used_bytes", "Held for others, of the memory budget.", {},
         [](const NodeWatch& watch) { return watch.memory_used; });
  to.add(gauge, "velo_memory_max_bytes", "The memory budget.", {},
         [](const NodeWatch& watch) { return watch.memory_max; });
  to.add(counter, "velo_memory_refused_total", "What the memory budget had no room for.", {},
         [](const NodeWatch& watch) { return watch.memory_refused; });
}

}  // namespace watch_metrics_detail

void add_watch_metrics(ObservedState<NodeWatch>& to, const std::vector<std::string>& transports) {
  using namespace watch_metrics_detail;
  add_calls(to);
  add_memory(to);
  to.add(gauge, "velo_transport_registered_peers", "Peers that are known.", {},
         [](const NodeWatch& watch) { return watch.known_peers; });
  to.add(gauge, "velo_transport_queued_bytes", "Frames that wait to be written.", {},
         [](const NodeWatch& watch) { return watch.queued_bytes; });
  for (const std::string& key : transports) {
    to.add(gauge, "velo_transport_active_connections", "Greeted connections, either way.",
           {{"transport", key}}, [key](const NodeWatch& watch) {
             std::uint64_t count = 0;
             for (const PeerWatch& peer : watch.peers) {
               count += static_cast<std::uint64_t>(std::ranges::count(peer.transports, key));
             }
             return count;
           });
  }
}

}  // namespace velo::messenger
