// SPDX-License-Identifier: Apache-2.0
// What a messenger is made with, and a send as it passes through it.
// Threading: value types.
#pragma once

#include "call_table.hpp"
#include "guard.hpp"
#include "hello.hpp"

#include <velo/base/budget.hpp>
#include <velo/base/trace.hpp>
#include <velo/discovery/discovery.hpp>
#include <velo/messenger/paths.hpp>
#include <velo/messenger/payload_resolver.hpp>
#include <velo/transport/transport.hpp>

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace velo::messenger {

struct ImplOptions {
  std::vector<std::unique_ptr<transport::Transport>> transports;
  std::shared_ptr<discovery::PeerDiscovery> discovery;
  std::size_t calls_max = limits::calls_max;
  std::size_t memory_bytes = velo::limits::memory_budget_bytes_default;
  std::size_t peer_memory_bytes = 0;  ///< 0: as MemoryBudget has it
  bool extensions = true;
  std::uint64_t window_calls = window_calls_default;
  std::uint64_t window_bytes = window_bytes_default;
  PathPolicy paths;
  GuardOptions guard;
  std::shared_ptr<PayloadResolver> resolver;
  std::shared_ptr<trace::SpanSink> spans;  ///< null: nothing is recorded
  trace::Sampling sampling;
};

enum class Transmitted : std::uint8_t { done, link_closed, window_full };
/// Whether the Op is not handed out yet, so that the slot stays this call's whatever ends it.
enum class SlotHold : std::uint8_t { held, loose };

/// A send on its way to a link; borrows from the caller.
struct Outgoing {
  Pattern pattern = Pattern::fire;
  bool system = false;
  bool typed = false;
  std::string_view handler;
  ByteSpan headers;
  const Bytes* payload = nullptr;
  bool held_back = false;    ///< comes from the window's queue
  bool may_be_lost = false;  ///< fire only
  /// Another lane than the name's, where lanes matter.
  std::optional<std::uint32_t> lane;
  bool again = false;  ///< was counted when a connection took it that is dead now
};

}  // namespace velo::messenger
