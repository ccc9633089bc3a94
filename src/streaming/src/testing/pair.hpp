// SPDX-License-Identifier: Apache-2.0
// Test support: simulated nodes with streams, and tasks that send and read.
// Threading: the test's own thread drives the simulation.
#pragma once

#include <velo/base/task.hpp>
#include <velo/streaming/streams.hpp>

#include "testing/cluster.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace velo::streaming::testing {

using messenger::testing::Cluster;
using messenger::testing::ClusterOptions;
using messenger::testing::NodeSetup;
using messenger::testing::outcome;
using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

/// A cluster whose nodes all have streams.
struct StreamCluster : Cluster {
  explicit StreamCluster(std::size_t count, ClusterOptions options = ClusterOptions(),
                         StreamingOptions streaming = StreamingOptions())
      : Cluster(count, std::move(options)) {
    for (const auto& messenger : messengers) {
      auto made = Streams::of(*messenger, streaming);
      EXPECT_TRUE(made) << made.error().to_string();
      nodes.push_back(*made);
    }
  }

  Streams& on(std::size_t index) { return nodes[index]; }

  template <class T = int>
  StreamAnchor<T> anchor(std::size_t node, StreamOptions options = StreamOptions()) {
    auto made = on(node).create_anchor<T>(options);
    EXPECT_TRUE(made) << made.error().to_string();
    return std::move(*made);
  }
  template <class T = int>
  StreamSender<T> sender(std::size_t node, const StreamAnchorHandle& handle) {
    auto made = wait(handle.many_to_one() ? on(node).attach_mpsc_anchor<T>(handle)
                                          : on(node).attach_anchor<T>(handle));
    EXPECT_TRUE(made) << made.error().to_string();
    return std::move(*made);
  }
  /// The next of the stream as text: the item, "finalized", "detached", or the error's code.
  template <class T>
  std::string next(StreamAnchor<T>& anchor, Duration limit = 5min) {
    return text_of(wait(anchor.next(), limit));
  }
  template <class T>
  static std::string text_of(const Result<StreamFrame<T>>& frame) {
    if (!frame) return error_code_name(frame.error().code());
    if (frame->finalized()) return "finalized";
    if (frame->detached()) return "detached";
    return std::to_string(frame->item());
  }
  /// Everything of the stream up to its end.
  template <class T>
  std::vector<std::string> rest(StreamAnchor<T>& anchor) {
    std::vector<std::string> all;
    do {
      all.push_back(next(anchor));
    } while (all.back() != "streaming.stream_over" && all.back() != "finalized" &&
             !all.back().starts_with("base.") && all.back() != "streaming.sender_dropped" &&
             all.back() != "streaming.transport_error");
    return all;
  }

  std::vector<Streams> nodes;
};

/// A task's end, once it has one.
struct Ended {
  bool over = false;
  Result<void> result;
  int sent = 0;
};

inline Task<Result<void>> produce(StreamSender<int>* sender, int first, int count,
                                  std::shared_ptr<Ended> ended) {
  for (int i = first; i < first + count; ++i) {
    auto op = sender->send(i);
    const Result<void> sent = co_await op;
    if (!sent) co_return sent.error();
    ++ended->sent;
  }
  co_return Result<void>();
}

inline std::shared_ptr<Ended> start_producing(StreamSender<int>& sender, int first, int count) {
  auto ended = std::make_shared<Ended>();
  start(produce(&sender, first, count, ended), [out = ended](Result<Result<void>> result) {
    out->result = result ? *result : Result<void>(result.error());
    out->over = true;
  });
  return ended;
}

inline std::vector<std::string> numbers(int first, int count, const std::string& end) {
  std::vector<std::string> all;
  for (int i = first; i < first + count; ++i) all.push_back(std::to_string(i));
  all.push_back(end);
  return all;
}

}  // namespace velo::streaming::testing
