// SPDX-License-Identifier: Apache-2.0
// The view of services: a Table that also knows which names it has.
// Threading: a value; belongs to one owner.
#pragma once

#include <velo/discovery/table.hpp>

#include <string>
#include <vector>

namespace velo::discovery {

class ServiceTable final : public Table<ServiceSubject> {
 public:
  using Table::Table;

  /// In their order, each once.
  std::vector<std::string> names() const;
};

}  // namespace velo::discovery
