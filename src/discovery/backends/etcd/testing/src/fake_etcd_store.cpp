// SPDX-License-Identifier: Apache-2.0
// Keys, leases and history of the server for tests.

#include <velo/discovery/testing/fake_etcd.hpp>

namespace velo::discovery::testing {

void FakeEtcdStore::put(const std::string& key, const std::string& value, std::int64_t lease) {
  keys[key] = Value{value, ++revision, lease};
  history.push_back(Event{revision, false, key, value});
}

void FakeEtcdStore::remove(const std::string& key) {
  if (keys.erase(key) == 0) return;
  history.push_back(Event{++revision, true, key, {}});
}

void FakeEtcdStore::revoke(std::int64_t lease) {
  leases.erase(lease);
  std::vector<std::string> doomed;
  for (const auto& [key, value] : keys) {
    if (value.lease == lease) doomed.push_back(key);
  }
  for (const std::string& key : doomed) remove(key);
}

void FakeEtcdStore::compact() {
  compacted = revision;
  history.clear();
}

}  // namespace velo::discovery::testing
