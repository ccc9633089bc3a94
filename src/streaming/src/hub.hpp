// SPDX-License-Identifier: Apache-2.0
// Hub: streaming's part in a messenger: its anchors by local id, one PeerMux a peer, the handlers
// of the wire, and the messenger's drain and end.
// Threading: any thread; its mutex is a leaf but for anchors' own.
#pragma once

#include "alarm.hpp"
#include "anchor_state.hpp"
#include "peer_mux.hpp"
#include "tally.hpp"

#include <velo/base/budget.hpp>
#include <velo/messenger/messenger.hpp>
#include <velo/messenger/subsystem.hpp>
#include <velo/streaming/options.hpp>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>

namespace velo::streaming {

class Hub final : public messenger::Subsystem {
 public:
  static Result<std::shared_ptr<Hub>> attach_to(Messenger& messenger, StreamingOptions options);

  std::string_view name() const noexcept override { return "streaming"; }
  void on_peer_up(const InstanceId& peer) override;
  void on_peer_down(const InstanceId& peer, const Error& why) override;
  void on_drain() override { draining_.store(true, std::memory_order_release); }
  std::uint64_t unfinished() const noexcept override;
  void on_stop(const Error& reason) override;
  Result<std::shared_ptr<void>> publish_metrics(metrics::Registry& registry) override;

  Result<std::shared_ptr<Anchor>> create(bool many, StreamOptions options);
  static Op<SenderEnd> attach(const std::shared_ptr<Hub>& hub, const StreamAnchorHandle& handle,
                              bool many);
  void flush_all();
  StreamCounts counts() const;

  // For PeerMux.
  std::shared_ptr<Anchor> find(std::uint64_t local) const;
  /// True: `then` will run on `shard`. False: it is written already, or this is after the end.
  bool send_batch(const InstanceId& peer, Bytes batch, Duration timeout, Shard& shard,
                  std::move_only_function<void(Result<void>)> then);
  World& world() const noexcept { return world_; }
  Messenger& messenger() const noexcept { return messenger_; }
  const StreamingOptions& options() const noexcept { return options_; }
  const std::shared_ptr<MemoryBudget>& memory() const noexcept { return memory_; }
  std::uint64_t draw();
  /// The peer's, if it is still that one; what it counted is kept.
  void forget(const InstanceId& peer, const std::shared_ptr<PeerMux>& mux);

 private:
  Hub(Messenger& messenger, StreamingOptions options);

  std::vector<Handler> handlers();
  Result<std::shared_ptr<Anchor>> make_anchor(bool many, StreamOptions options);
  Result<Bytes> on_attach(Context& context, bool many);
  void on_batch(Context& context);
  std::shared_ptr<PeerMux> mux_for(const InstanceId& peer);
  std::vector<std::shared_ptr<PeerMux>> muxes() const;
  /// Null: there is none.
  std::shared_ptr<PeerMux> find_mux(const InstanceId& peer) const;
  Result<std::shared_ptr<Sender>> attached(const StreamAnchorHandle& handle, std::uint64_t session,
                                           Result<Bytes> reply);
  void look_after_anchors();
  std::optional<Error> closed() const;

  Messenger& messenger_;  ///< for its user; everything here takes shared_
  const std::weak_ptr<Messenger> shared_;
  const InstanceId self_id_;
  World& world_;
  const StreamingOptions options_;
  const std::shared_ptr<MemoryBudget> memory_;
  const std::shared_ptr<Tally> tally_ = std::make_shared<Tally>();
  std::weak_ptr<Hub> self_;
  std::shared_ptr<Alarm> alarm_;
  std::atomic<bool> draining_{false};
  std::atomic<bool> stopped_{false};

  mutable std::mutex mutex_;
  std::map<std::uint64_t, std::shared_ptr<Anchor>> anchors_;
  std::map<InstanceId, std::shared_ptr<PeerMux>> muxes_;
  StreamCounts gone_;  ///< of those that were forgotten
  std::size_t next_shard_ = 0;
};

}  // namespace velo::streaming
