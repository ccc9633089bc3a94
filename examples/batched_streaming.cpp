// SPDX-License-Identifier: Apache-2.0
// Batched streaming: with the manual flush policy the items of a step wait for its end, so that
// they leave in one message however long the step takes.

#include <velo/velo.hpp>

#include <cstdio>
#include <utility>
#include <vector>

namespace batched_streaming {

constexpr int streams_count = 16;
constexpr int steps = 50;

static velo::Result<void> run() {
  auto consumer = velo::Velo::builder().build();
  if (!consumer) return consumer.error();
  auto producer = velo::Velo::builder().build();
  if (!producer) return producer.error();
  auto known = (*producer)->register_peer((*consumer)->peer_info());
  if (!known) return known;

  velo::StreamingOptions manual;
  manual.flush = velo::FlushPolicy::manual;
  auto streams = (*producer)->streams(manual);
  if (!streams) return streams.error();

  std::vector<velo::StreamAnchor<int>> anchors;
  std::vector<velo::StreamSender<int>> senders;
  for (int i = 0; i < streams_count; ++i) {
    auto anchor = (*consumer)->create_anchor<int>();
    if (!anchor) return anchor.error();
    auto sender = streams->attach_anchor<int>(anchor->handle()).get();
    if (!sender) return sender.error();
    anchors.push_back(std::move(*anchor));
    senders.push_back(std::move(*sender));
  }

  int read = 0;
  for (int step = 0; step < steps; ++step) {
    for (auto& sender : senders) {
      auto sent = sender.try_send(step);
      if (!sent) return sent;
    }
    streams->flush_batch();
    for (auto& anchor : anchors) {
      auto frame = anchor.next().get();
      if (!frame) return frame.error();
      if (frame->is_item() && frame->item() == step) ++read;
    }
  }
  const auto counts = streams->counts();
  std::printf("%d items read\n", read);
  std::printf("%s items a message on average\n",
              counts.frames_out >= 8 * counts.batches_out ? "8 or more" : "few");
  return {};
}

}  // namespace batched_streaming

int main() {
  auto ended = batched_streaming::run();
  if (!ended) std::fprintf(stderr, "batched_streaming: %s\n", ended.error().to_string().c_str());
  return ended ? 0 : 1;
}
