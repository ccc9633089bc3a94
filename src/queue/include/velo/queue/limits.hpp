// SPDX-License-Identifier: Apache-2.0
// Limits of the queue room, each with what happens when it is reached.
// Threading: constants.
#pragma once

#include <velo/base/time.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace velo::queue::limits {

/// Items of one queue, leased ones included, unless told otherwise. Policy: as
/// QueueOptions::overflow says.
constexpr std::size_t items_max = 65'536;
/// Their bytes (payload, id, headers), unless told otherwise. Policy: as above.
constexpr std::size_t bytes_max = std::size_t{64} << 20;
/// An item's payload. Policy: a larger one is refused as Errc::too_large; send a handle of it.
constexpr std::size_t payload_bytes_max = std::size_t{8} << 20;
/// An item's id. Policy: a longer one is velo::Errc::invalid_argument.
constexpr std::size_t id_bytes_max = 256;
/// An item's headers, names and values. Policy: more is velo::Errc::invalid_argument.
constexpr std::size_t header_bytes_max = 16'384;
/// Ids that are remembered so that an item is not queued twice. Policy: the oldest is forgotten.
constexpr std::size_t remembered_ids_max = 262'144;
/// Receivers, and senders of a full queue, that wait at once. Policy: a further one ends as
/// velo::Errc::overloaded.
constexpr std::size_t waiting_max = 4'096;
/// Items of one delivery. Policy: a larger batch is clamped to this.
constexpr std::size_t batch_max = 1'024;
/// Bytes of one delivery. Policy: it ends with the item that goes beyond this, which is left for
/// the next; the first always goes.
constexpr std::size_t batch_bytes_max = std::size_t{8} << 20;
/// The longest that a receiver waits, and an item is leased or delayed. Policy: more is clamped to
/// this.
constexpr Duration wait_max = std::chrono::hours(12);
/// How long an item that its dead-letter sink did not take is kept back. Policy: then it is offered
/// again.
constexpr Duration dead_letter_pause = std::chrono::seconds(5);

/// A queue's name in NATS. Policy: a longer one is velo::Errc::invalid_argument.
constexpr std::size_t nats_name_bytes_max = 64;
/// Servers of one NATS cluster. Policy: more are velo::Errc::invalid_argument.
constexpr std::size_t nats_servers_max = 16;
/// Requests to a NATS server that have no answer yet. Policy: a further operation ends as
/// velo::Errc::overloaded.
constexpr std::size_t nats_requests_max = 16'384;
/// Their bytes. Policy: as above.
constexpr std::size_t nats_request_bytes_max = std::size_t{64} << 20;
/// How often a request without an answer is repeated while there is a connection. Policy: all can
/// be repeated without being done twice.
constexpr Duration nats_repeat_every = std::chrono::seconds(2);
/// How long a receiver waits in one request to a NATS server. Policy: then it asks again.
constexpr Duration nats_pull_max = std::chrono::seconds(10);
/// By how much a NATS server waits longer for a receiver than its lease holds, at least. Policy: a
/// delivery that travels longer may be handled twice.
constexpr Duration nats_lease_slack_min = std::chrono::milliseconds(500);
/// Pause of a sender before it looks whether a full queue in NATS has room again, when nothing told
/// it. Policy: the first in line looks, for all.
constexpr Duration nats_room_pause = std::chrono::milliseconds(100);

}  // namespace velo::queue::limits
