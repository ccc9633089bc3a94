// SPDX-License-Identifier: Apache-2.0
// The awaiting side: others' events of which the end was heard here and whose owners are still to
// be told so. Gathered, so that one message acknowledges many. Core.
// Threading: guarded by the owner.
#pragma once

#include <velo/base/ids.hpp>
#include <velo/events/handle.hpp>

#include <cstddef>
#include <map>
#include <vector>

namespace velo::events {

/// One message: all of one owner.
struct Receipt {
  WorkerId owner;
  std::vector<EventHandle> events;
};

class Receipts {
 public:
  /// What has to leave at once: its owner's when limits::receipts_per_message have come together,
  /// everybody's at limits::receipts_max. The rest leaves with take_all().
  std::vector<Receipt> add(const EventHandle& event);
  /// In the order of owners.
  std::vector<Receipt> take_all();
  std::size_t size() const noexcept { return count_; }

 private:
  std::map<WorkerId, std::vector<EventHandle>> by_owner_;
  std::size_t count_ = 0;
};

}  // namespace velo::events
