// SPDX-License-Identifier: Apache-2.0
// Gathering acknowledgements, as values.

#include "receipts.hpp"

#include <velo/events/limits.hpp>

#include <utility>

namespace velo::events {

std::vector<Receipt> Receipts::add(const EventHandle& event) {
  const auto place = by_owner_.try_emplace(event.system()).first;
  place->second.push_back(event);
  ++count_;
  if (count_ >= limits::receipts_max) return take_all();
  std::vector<Receipt> full;
  if (place->second.size() < limits::receipts_per_message) return full;
  count_ -= place->second.size();
  full.push_back({place->first, std::move(place->second)});
  by_owner_.erase(place);
  return full;
}

std::vector<Receipt> Receipts::take_all() {
  std::vector<Receipt> all;
  all.reserve(by_owner_.size());
  for (auto& [owner, events] : by_owner_) all.push_back({owner, std::move(events)});
  by_owner_.clear();
  count_ = 0;
  return all;
}

}  // namespace velo::events
