// SPDX-License-Identifier: Apache-2.0
// What an operator asks a messenger from elsewhere: `_watch`, how it is, and `_drain`, to end.
// Threading: any thread.
#pragma once

#include <velo/base/op.hpp>
#include <velo/messenger/watch.hpp>

namespace velo::messenger {

class Impl;
class Link;

struct Watching {
  static void register_handlers(Impl& impl);
  static NodeWatch look(const Impl& impl);
  static Op<NodeWatch> ask(Impl& impl, const InstanceId& peer, Duration timeout);
  static Op<DrainReport> drain(Impl& impl, const InstanceId& peer, const ShutdownPolicy& policy);
  /// Ends when the messenger is closed.
  static Op<void> closed(Impl& impl);

 private:
  static void look_at_links(const Impl& impl, NodeWatch& watch, TimePoint now);
  static void look_at_peers(const Impl& impl, NodeWatch& watch);
  static void look_at_calls(const Impl& impl, NodeWatch& watch, TimePoint now);
};

}  // namespace velo::messenger
