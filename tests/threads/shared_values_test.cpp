// SPDX-License-Identifier: Apache-2.0
// What eight threads may share without a World: bytes, promises, metrics, the log, pure functions.

#include "crew.hpp"

#include <velo/base/budget.hpp>
#include <velo/base/bytes.hpp>
#include <velo/base/check.hpp>
#include <velo/base/log.hpp>
#include <velo/base/metrics.hpp>
#include <velo/base/op.hpp>
#include <velo/codec/base58.hpp>
#include <velo/codec/base64.hpp>
#include <velo/codec/hex.hpp>
#include <velo/codec/json.hpp>
#include <velo/codec/msgpack.hpp>
#include <velo/codec/peer_info.hpp>
#include <velo/codec/varint.hpp>
#include <velo/transport/framing.hpp>
#include <velo/transport/transport.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace velo::threads_test {

TEST(SharedValues, BytesOfOneBlock) {
  const Bytes whole = Bytes::own(std::string(4096, 'b'));
  std::atomic<int> different{0};
  in_eight_threads([&](int thread) {
    std::vector<Bytes> slices;
    for (std::size_t i = 0; i < 2000; ++i) {
      slices.push_back(whole.slice(static_cast<std::size_t>(thread), i % 64));
      if (slices.back().data() != whole.data() + thread) ++different;
      if (slices.size() == 100) slices.clear();
    }
  });
  EXPECT_EQ(different.load(), 0);
  EXPECT_EQ(whole.text(), std::string(4096, 'b'));
}

TEST(SharedValues, ABudgetIsNeverOverdrawn) {
  constexpr std::size_t block = std::size_t{96} << 10;
  MemoryBudget budget(std::size_t{1} << 20);
  std::atomic<std::size_t> held{0};
  std::atomic<std::uint64_t> taken{0};
  std::atomic<std::uint64_t> overdrawn{0};
  in_eight_threads([&](int thread) {
    const Lane lane = thread % 2 == 0 ? Lane::requests : Lane::replies;
    for (int i = 0; i < 5000; ++i) {
      if (!budget.try_take(block, lane)) continue;
      ++taken;
      if (held.fetch_add(block) + block > budget.bytes_max()) ++overdrawn;
      held.fetch_sub(block);
      budget.give_back(block);
    }
  });
  EXPECT_GT(taken.load(), 0u);
  EXPECT_EQ(overdrawn.load(), 0u);
  EXPECT_EQ(budget.used(), 0u);
}

TEST(SharedValues, APromiseIsSetOnce) {
  constexpr int rounds = 500;
  for (int round = 0; round < rounds; ++round) {
    Promise<int> promise(inline_executor());
    std::atomic<int> cancels{0};
    promise.on_cancel([&cancels]() noexcept { ++cancels; });
    Op<int> op = promise.op();
    std::atomic<int> winners{0};
    std::atomic<int> winner{-1};
    in_eight_threads([&](int thread) {
      if (thread == 0) op.cancel();
      static_cast<void>(promise.ended());
      if (promise.set(thread)) {
        ++winners;
        winner = thread;
      }
    });
    ASSERT_EQ(winners.load(), 1);
    ASSERT_LE(cancels.load(), 1);
    ASSERT_EQ(std::move(op).get().value(), winner.load());
  }
}

TEST(SharedValues, MetricsOfOneRegistry) {
  metrics::Registry registry;
  std::atomic<std::int64_t> observed{0};
  auto watching = registry.observe(metrics::Kind::gauge, "observed", "Told when asked.", {},
                                   [&observed] { return observed.load(); });
  ASSERT_TRUE(watching);
  constexpr int rounds = 1000;
  in_eight_threads([&](int thread) {
    const std::string own = std::to_string(thread);
    for (int i = 0; i < rounds; ++i) {
      const auto counter = registry.counter("calls_total", "Calls.");
      const auto labelled = registry.counter("by_thread_total", "By thread.", {{"thread", own}});
      const auto gauge = registry.gauge("depth", "Depth.");
      const auto latency = registry.latency("took_seconds", "Duration.");
      ASSERT_TRUE(counter && labelled && gauge && latency);
      counter->add();
      labelled->add(2);
      gauge->add(thread % 2 == 0 ? 1 : -1);
      latency->record(std::chrono::microseconds(i));
      observed.fetch_add(1);
      if (i % 100 == 0) {
        EXPECT_FALSE(registry.to_prometheus().empty());
      }
      if (i % 100 == 50) {
        const auto name = "own_" + own;
        EXPECT_TRUE(registry.observe(metrics::Kind::gauge, name, "Own.", {}, [] { return 1; }));
      }
    }
  });
  const metrics::Snapshot snapshot = registry.snapshot();
  EXPECT_EQ(snapshot.value("calls_total"), crew_size * rounds);
  EXPECT_EQ(snapshot.value("by_thread_total", {{"thread", "3"}}), 2 * rounds);
  EXPECT_EQ(snapshot.value("depth"), 0);
  EXPECT_EQ(snapshot.value("observed"), crew_size * rounds);
  EXPECT_EQ(snapshot.find("took_seconds")->latency.count, std::uint64_t{crew_size} * rounds);
}

TEST(SharedValues, LogLines) {
  constexpr int rounds = 200;
  log::set_level(Room::base, log::Level::info);
  {
    const log::Capture capture;
    in_eight_threads([&](int thread) {
      for (int i = 0; i < rounds; ++i) {
        VELO_LOG_INFO(base, "shared line", {"thread", thread}, {"i", i});
        VELO_LOG_DEBUG(base, "not let through", {"thread", thread});
        if (thread == 0 && i % 50 == 0) {
          log::set_format(i % 100 == 0 ? log::Format::json : log::Format::text);
          log::set_clock([] { return WallTime(); });
        }
        static_cast<void>(log::level(Room::base));
      }
    });
    EXPECT_EQ(capture.lines().size(), std::size_t{crew_size} * rounds);
    for (const std::string& line : capture.lines()) {
      EXPECT_NE(line.find("shared line"), std::string::npos);
    }
  }
  log::set_clock({});
  log::set_format(log::Format::text);
  log::set_level(Room::base, log::Level::warn);
}

TEST(SharedValues, PureFunctionsOfTheCodec) {
  const Bytes data = Bytes::copy("any bytes at all, of which every thread reads the same");
  PeerInfo peer;
  peer.instance_id = InstanceId::parse("00112233-4455-4677-8899-aabbccddeeff").value();
  peer.address.emplace("tcp", data);
  std::atomic<int> wrong{0};
  in_eight_threads([&](int /*thread*/) {
    const auto same = [&](const auto& decoded) {
      return decoded && std::equal(decoded->begin(), decoded->end(), data.begin(), data.end());
    };
    for (std::uint64_t i = 0; i < 200; ++i) {
      bool right = same(codec::from_base58(codec::to_base58(data)));
      right = right && same(codec::from_base64(codec::to_base64(data)));
      right = right && same(codec::from_hex(codec::to_hex(data)));
      right =
          right && codec::decode_varint(codec::encode_varint(i << 40U).span()).value == i << 40U;
      right = right && from_json<PeerInfo>(to_json(peer)).value() == peer;
      right = right && from_msgpack<PeerInfo>(to_msgpack(peer)).value() == peer;
      right = right && from_json<codec::U128>(to_json(codec::U128(i))).value() == codec::U128(i);
      right = right && !from_json<int>("no number").error().to_string().empty();
      std::array<std::byte, transport::preamble_bytes> preamble;
      transport::encode_preamble(preamble, transport::FrameType::message, i, i);
      transport::FrameParser parser(preamble);
      VELO_CHECK(parser.next() != transport::FrameParser::Status::malformed);
      right = right && !error_code_name(transport::error_code(transport::Errc::queue_full)).empty();
      if (!right) ++wrong;
    }
  });
  EXPECT_EQ(wrong.load(), 0);
}

}  // namespace velo::threads_test
