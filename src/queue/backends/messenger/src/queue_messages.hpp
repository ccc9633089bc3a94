// SPDX-License-Identifier: Apache-2.0
// What a queue's host and its users say to each other (docs/protocols/queue.md).
// Threading: value types.
#pragma once

#include <velo/codec/describe.hpp>
#include <velo/queue/queue.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace velo::queue::wire {

constexpr std::string_view handler = "velo.queue.rpc";

struct Request {
  std::string queue;
  std::string what;  ///< send, receive, ack, nack, extend, state, close
  std::string id;
  Bytes payload;
  std::map<std::string, std::string, std::less<>> headers;
  std::int64_t timeout_us = 0;     ///< of send, and how long receive waits
  std::int64_t delay_us = 0;       ///< of send and nack
  std::int64_t visibility_us = 0;  ///< of receive and extend; 0: the queue's
  std::uint64_t batch = 1;
  std::uint64_t item = 0;
  std::uint64_t token = 0;
};
VELO_DESCRIBE(Request, queue, what, id, payload, headers, timeout_us, delay_us, visibility_us,
              batch, item, token);

struct Item {
  std::uint64_t item = 0;
  std::uint64_t token = 0;
  std::string id;
  Bytes payload;
  std::map<std::string, std::string, std::less<>> headers;
  std::uint32_t deliveries = 1;
};
VELO_DESCRIBE(Item, item, token, id, payload, headers, deliveries);

struct Counts {
  std::uint64_t ready = 0;
  std::uint64_t leased = 0;
  std::uint64_t delayed = 0;
  std::uint64_t bytes = 0;
  std::uint64_t queued = 0;
  std::uint64_t acked = 0;
  std::uint64_t dead = 0;
  std::uint64_t duplicates = 0;
  std::uint64_t redelivered = 0;
  std::uint64_t rejected = 0;
  std::int64_t oldest_us = 0;
};
VELO_DESCRIBE(Counts, ready, leased, delayed, bytes, queued, acked, dead, duplicates, redelivered,
              rejected, oldest_us);

struct Answer {
  std::string id;
  bool duplicate = false;
  std::vector<Item> items;
  Counts counts;
};
VELO_DESCRIBE(Answer, id, duplicate, items, counts);

}  // namespace velo::queue::wire
