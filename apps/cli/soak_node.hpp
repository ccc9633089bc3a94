// SPDX-License-Identifier: Apache-2.0
// What a process of the soak is made of: a node, its file, and its part, the hub's or a worker's;
// and what they say to each other.
// Threading: parts are made and ended on the main thread.
#pragma once

#include "soak.hpp"
#include "soak_log.hpp"

#include <velo/velo.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace velo::cli {

/// To "soak_call", "soak_event", "soak_stream" and "soak_offer"; each uses what it needs.
struct SoakRequest {
  std::uint64_t id = 0;
  std::uint64_t count = 0;  ///< items of a stream, bytes of an offer
  bool poison = false;
  std::string event;  ///< empty: the hub is to make one
  Bytes filler;
};
VELO_DESCRIBE(SoakRequest, id, count, poison, event, filler);

struct SoakReply {
  std::uint64_t id = 0;
  std::string handle;  ///< of the event, or of the data
  Bytes filler;
};
VELO_DESCRIBE(SoakReply, id, handle, filler);

struct SoakItem {
  std::uint64_t id = 0;
  std::uint64_t index = 0;
};
VELO_DESCRIBE(SoakItem, id, index);

constexpr const char* soak_queue = "soak";

/// Bytes that belong to an id, and to no other.
Bytes soak_content(std::uint64_t id, std::size_t bytes);

class SoakPart {
 public:
  virtual ~SoakPart() = default;
  /// Begins nothing any longer, and returns when what it began has ended.
  virtual void become_quiet() = 0;
  /// Uses the node no longer; what others ask it is still answered.
  virtual void leave() = 0;
};

Result<std::unique_ptr<SoakPart>> start_soak_hub(Velo& node, const SoakLog& log);
std::unique_ptr<SoakPart> start_soak_worker(Velo& node, const SoakLog& log, const InstanceId& hub,
                                            std::uint64_t number);

}  // namespace velo::cli
