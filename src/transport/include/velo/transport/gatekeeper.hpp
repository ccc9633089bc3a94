// SPDX-License-Identifier: Apache-2.0
// Gatekeeper: the Gate of one listening transport as its parts share it, with the count of what was
// let in and what was refused, and why. GatePass: one connection's place; giving it up tells the
// gate.
// Threading: Gatekeeper from any thread; a GatePass belongs to whoever holds it.
#pragma once

#include <velo/transport/gate.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <expected>
#include <memory>
#include <mutex>
#include <utility>

namespace velo::transport {

/// What a gate has seen. Numbers only grow, but for the last two.
struct GateCounts {
  std::uint64_t admitted = 0;       ///< were let in, to authenticate themselves if asked to
  std::uint64_t authenticated = 0;  ///< of these, proved who they are; or were never asked
  std::array<std::uint64_t, gate_refusals> refused{};  ///< by GateRefusal
  std::uint64_t connections = 0;                       ///< now
  std::uint64_t unauthenticated = 0;                   ///< now

  std::uint64_t refused_for(GateRefusal reason) const {
    return refused.at(static_cast<std::size_t>(reason));
  }
};

class Gatekeeper;

/// The place of one connection among those that a gate let in.
class GatePass {
 public:
  /// Of a connection that no gate counts, as this end's own are.
  GatePass() noexcept = default;
  GatePass(GatePass&& other) noexcept
      : keeper_(std::move(other.keeper_)),
        source_(other.source_),
        authenticated_(other.authenticated_) {}
  GatePass& operator=(GatePass&& other) noexcept {
    std::swap(keeper_, other.keeper_);
    std::swap(source_, other.source_);
    std::swap(authenticated_, other.authenticated_);
    return *this;
  }
  ~GatePass();

  /// The other end has proved who it is. Once.
  void authenticate() noexcept;

 private:
  friend class Gatekeeper;
  GatePass(std::shared_ptr<Gatekeeper> keeper, const GateSource& source, bool authenticated)
      : keeper_(std::move(keeper)), source_(source), authenticated_(authenticated) {}

  std::shared_ptr<Gatekeeper> keeper_;
  GateSource source_;
  bool authenticated_ = false;
};

class Gatekeeper {
 public:
  explicit Gatekeeper(const GateOptions& options) noexcept : options_(options), gate_(options) {}

  /// A place for somebody who has yet to prove who he is; why not is counted already.
  static std::expected<GatePass, GateRefusal> admit(const std::shared_ptr<Gatekeeper>& keeper,
                                                    const GateSource& source, TimePoint now);
  /// The same for a transport that asks nobody for a proof.
  static std::expected<GatePass, GateRefusal> admit_unasked(
      const std::shared_ptr<Gatekeeper>& keeper, const GateSource& source, TimePoint now);
  /// Counts a connection that was let in and then put out.
  void count(GateRefusal reason) noexcept {
    refused_.at(static_cast<std::size_t>(reason)).fetch_add(1, std::memory_order_relaxed);
  }

  GateCounts counts() const;
  const GateOptions& options() const noexcept { return options_; }

 private:
  friend class GatePass;

  const GateOptions options_;
  std::array<std::atomic<std::uint64_t>, gate_refusals> refused_{};
  mutable std::mutex mutex_;
  // Guarded by mutex_.
  Gate gate_;
  std::uint64_t admitted_ = 0;
  std::uint64_t authenticated_ = 0;
};

}  // namespace velo::transport
