// SPDX-License-Identifier: Apache-2.0
// A Gate behind a lock, and its counts.

#include <velo/transport/gatekeeper.hpp>

namespace velo::transport {

GatePass::~GatePass() {
  if (keeper_ == nullptr) return;
  const std::lock_guard lock(keeper_->mutex_);
  keeper_->gate_.leave(source_, authenticated_);
}

void GatePass::authenticate() noexcept {
  if (keeper_ == nullptr || authenticated_) return;
  authenticated_ = true;
  const std::lock_guard lock(keeper_->mutex_);
  keeper_->gate_.authenticate(source_);
  ++keeper_->authenticated_;
}

std::expected<GatePass, GateRefusal> Gatekeeper::admit(const std::shared_ptr<Gatekeeper>& keeper,
                                                       const GateSource& source, TimePoint now) {
  const std::lock_guard lock(keeper->mutex_);
  if (const auto refusal = keeper->gate_.arrive(source, now)) {
    keeper->count(*refusal);
    return std::unexpected(*refusal);
  }
  ++keeper->admitted_;
  return GatePass(keeper, source, false);
}

std::expected<GatePass, GateRefusal> Gatekeeper::admit_unasked(
    const std::shared_ptr<Gatekeeper>& keeper, const GateSource& source, TimePoint now) {
  const std::lock_guard lock(keeper->mutex_);
  if (const auto refusal = keeper->gate_.arrive_unasked(source, now)) {
    keeper->count(*refusal);
    return std::unexpected(*refusal);
  }
  ++keeper->admitted_;
  ++keeper->authenticated_;
  return GatePass(keeper, source, true);
}

GateCounts Gatekeeper::counts() const {
  GateCounts counts;
  for (std::size_t i = 0; i < refused_.size(); ++i) {
    counts.refused.at(i) = refused_.at(i).load(std::memory_order_relaxed);
  }
  const std::lock_guard lock(mutex_);
  counts.admitted = admitted_;
  counts.authenticated = authenticated_;
  counts.connections = gate_.connections();
  counts.unauthenticated = gate_.unauthenticated();
  return counts;
}

}  // namespace velo::transport
