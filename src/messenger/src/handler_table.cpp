// SPDX-License-Identifier: Apache-2.0
// Registration copies the table only when it doubles it, so all tables together are less than twice
// the last one.

#include "handler_table.hpp"

#include <velo/messenger/limits.hpp>

#include "protocol.hpp"

#include <algorithm>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace velo::messenger {
namespace handler_table_detail {

/// What a name takes in a list: itself, quotes and a comma. At most six bytes for one that JSON
/// escapes.
static std::size_t listed_bytes(std::string_view name) noexcept {
  std::size_t bytes = 3;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      bytes += 6;
    } else {
      bytes += byte == '"' || byte == '\\' || byte == '/' ? 2 : 1;
    }
  }
  return bytes;
}

}  // namespace handler_table_detail

void HandlerTable::Table::insert(std::uint64_t hash, const Handler* handler) noexcept {
  std::size_t at = hash & (entries.size() - 1);
  while (entries[at].handler.load(std::memory_order_relaxed) != nullptr) {
    at = (at + 1) & (entries.size() - 1);
  }
  entries[at].hash = hash;
  entries[at].handler.store(handler, std::memory_order_release);
  ++used;
}

HandlerTable::HandlerTable() {
  tables_.push_back(std::make_unique<Table>(64));
  table_.store(tables_.back().get(), std::memory_order_release);
}

HandlerTable::~HandlerTable() = default;

std::uint64_t HandlerTable::hash_of(std::string_view name) noexcept {
  return XXH3_64bits(name.data(), name.size());
}

const Handler* HandlerTable::find(std::string_view name) const noexcept {
  const Table& table = *table_.load(std::memory_order_acquire);
  const std::uint64_t hash = hash_of(name);
  const std::size_t mask = table.entries.size() - 1;
  for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
    const Entry& entry = table.entries[at];
    const Handler* handler = entry.handler.load(std::memory_order_acquire);
    if (handler == nullptr) return nullptr;
    if (entry.hash == hash && handler->name() == name) return handler;
  }
}

Result<void> HandlerTable::check(const Handler& handler, bool system) const {
  const std::string& name = handler.name();
  if (!protocol::valid_name(name)) {
    return velo::make_error(velo::Errc::invalid_argument,
                            "a handler's name has 1 to 65,535 bytes of UTF-8");
  }
  if (handler.callers().size() > limits::access_callers_max) {
    return velo::make_error(velo::Errc::invalid_argument, "access_callers_max is reached");
  }
  if (system != (name.front() == '_')) {
    return make_error(Errc::reserved_name,
                      "\"" + name + "\": names starting with _ are velo's own, and only those");
  }
  if (find(name) != nullptr) return make_error(Errc::duplicate_handler, "\"" + name + "\"");
  return {};
}

Result<void> HandlerTable::add(std::vector<Handler> handlers, bool system) {
  const std::lock_guard lock(mutex_);
  std::size_t name_bytes = 0;
  for (std::size_t i = 0; i < handlers.size(); ++i) {
    const Handler& handler = handlers[i];
    if (auto sound = check(handler, system); !sound) return sound;
    for (std::size_t before = 0; before < i; ++before) {
      if (handlers[before].name() != handler.name()) continue;
      return make_error(Errc::duplicate_handler, "\"" + handler.name() + "\"");
    }
    name_bytes += handler_table_detail::listed_bytes(handler.name());
  }
  if (handlers_.size() + handlers.size() > limits::handlers_max) {
    return velo::make_error(velo::Errc::overloaded, "handlers_max is reached");
  }
  if (name_bytes_ + name_bytes > limits::handler_names_bytes_max) {
    return velo::make_error(velo::Errc::overloaded, "handler_names_bytes_max is reached");
  }
  name_bytes_ += name_bytes;
  for (Handler& handler : handlers) insert(std::move(handler));
  return {};
}

void HandlerTable::insert(Handler handler) {
  handlers_.push_back(std::make_unique<const Handler>(std::move(handler)));
  const Handler* added = handlers_.back().get();
  Table* current = table_.load(std::memory_order_relaxed);
  if ((current->used + 1) * 2 > current->entries.size()) {
    auto grown = std::make_unique<Table>(current->entries.size() * 2);
    for (const Entry& entry : current->entries) {
      const Handler* moved = entry.handler.load(std::memory_order_relaxed);
      if (moved != nullptr) grown->insert(entry.hash, moved);
    }
    current = grown.get();
    tables_.push_back(std::move(grown));
  }
  current->insert(hash_of(added->name()), added);
  table_.store(current, std::memory_order_release);
}

std::vector<std::string> HandlerTable::names() const {
  return names_where([](const Handler& /*handler*/) { return true; });
}

bool HandlerTable::hides_from(const ConnectionIdentity& caller) const {
  bool hides = false;
  for_each([&](const Handler& handler) { hides = hides || !handler.may_be_called_by(caller); });
  return hides;
}

}  // namespace velo::messenger
