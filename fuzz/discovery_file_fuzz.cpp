// SPDX-License-Identifier: Apache-2.0
// Any bytes as a file, and as a file's name, of the discovery folder; what is accepted must be
// written and read back the same.

#include <velo/base/check.hpp>
#include <velo/discovery/backends/filesystem/entry.hpp>
#include <velo/discovery/limits.hpp>

namespace velo::discovery_file_fuzz {

template <class Subject>
static void check_name(std::string_view name) {
  if (const auto key = discovery::parse_filesystem_entry_name<Subject>(name)) {
    VELO_CHECK(discovery::filesystem_entry_name<Subject>(*key) == name);
  }
  if (const auto lock = discovery::parse_filesystem_lock_name<Subject>(name)) {
    VELO_CHECK(discovery::filesystem_lock_name<Subject>(lock->key, lock->announcement) == name);
  }
}

template <class Subject>
static void check_contents(ByteSpan contents) {
  const auto entry = discovery::decode_filesystem_entry<Subject>(contents);
  if (!entry) return;
  VELO_CHECK(contents.size() <= discovery::limits::file_bytes_max);
  VELO_CHECK(Subject::valid(entry->info));
  const std::string written = discovery::encode_filesystem_entry(*entry);
  if (written.size() > discovery::limits::file_bytes_max) return;
  const auto again = discovery::decode_filesystem_entry<Subject>(as_bytes(written));
  VELO_CHECK(again.has_value());
  VELO_CHECK(*again == *entry);
}

}  // namespace velo::discovery_file_fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  using velo::discovery::PeerSubject;
  using velo::discovery::ServiceSubject;
  namespace fuzzed = velo::discovery_file_fuzz;
  fuzzed::check_name<PeerSubject>(text);
  fuzzed::check_name<ServiceSubject>(text);
  fuzzed::check_contents<PeerSubject>(velo::as_bytes(text));
  fuzzed::check_contents<ServiceSubject>(velo::as_bytes(text));
  return 0;
}
