// SPDX-License-Identifier: Apache-2.0
// The scenarios of the suite, by file.
// Threading: the test's own thread.
#pragma once

#include <velo/queue/conformance.hpp>

#include <gtest/gtest.h>

#include <span>
#include <string>
#include <vector>

namespace velo::queue::conformance {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

struct Scenario {
  const char* name;
  void (*run)(Ground& ground);
};

std::span<const Scenario> delivery_scenarios();
std::span<const Scenario> bound_scenarios();
std::span<const Scenario> crowd_scenarios();

/// Leases of the suite: short, so that scenarios end soon where time is real.
constexpr Duration short_lease = std::chrono::milliseconds(400);

inline QueueOptions with_short_leases() {
  QueueOptions options;
  options.visibility = short_lease;
  return options;
}

inline ReceiveOptions waiting(Duration wait, std::size_t batch = 1) {
  ReceiveOptions options;
  options.wait = wait;
  options.batch = batch;
  return options;
}

inline Result<Receipt> send(Ground& ground, WorkQueue& queue, std::string_view text,
                            const std::string& id = {}) {
  SendOptions options;
  options.id = id;
  return ground.wait(queue.send(Bytes::copy(text), options));
}

inline std::vector<Delivery> receive(Ground& ground, WorkQueue& queue, std::size_t batch = 1,
                                     Duration wait = std::chrono::seconds(20)) {
  auto received = ground.wait(queue.receive(waiting(wait, batch)));
  EXPECT_TRUE(received) << received.error().to_string();
  return received ? std::move(*received) : std::vector<Delivery>();
}

/// One item, which must come.
inline Delivery receive_one(Ground& ground, WorkQueue& queue) {
  auto items = receive(ground, queue);
  EXPECT_EQ(items.size(), 1u);
  return items.empty() ? Delivery() : std::move(items.front());
}

inline bool nothing_comes(Ground& ground, WorkQueue& queue, Duration within) {
  return receive(ground, queue, 1, within).empty();
}

inline std::string text_of(const Delivery& delivery) {
  return std::string(delivery.payload.text());
}

}  // namespace velo::queue::conformance
