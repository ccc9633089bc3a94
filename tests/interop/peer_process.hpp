// SPDX-License-Identifier: Apache-2.0
// One of the peers in Python as a child process, commanded by lines of JSON (see README.md). Not a
// transport: the frames go over the network between the two processes.
// Threading: one thread.
#pragma once

#include <velo/base/ids.hpp>
#include <velo/codec/json_value.hpp>

#include <sys/types.h>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace velo::interop {

class PeerProcess {
 public:
  /// `script` stands beside this file; `python` runs it.
  explicit PeerProcess(const std::string& script, const std::vector<std::string>& options = {},
                       const std::string& python = "python3");
  /// Ends the child and waits for it.
  ~PeerProcess();
  PeerProcess(const PeerProcess&) = delete;
  PeerProcess& operator=(const PeerProcess&) = delete;

  /// Why it cannot be had on this machine; empty if it is there.
  const std::string& missing() const noexcept { return missing_; }
  const PeerInfo& peer_info() const noexcept { return peer_info_; }

  /// Sends a command, an object without its "id", and returns at once.
  void start(codec::JsonValue command);
  /// The "result" of the next answer; blocks. Null once the child is gone.
  codec::JsonValue answer();
  /// start() and answer().
  codec::JsonValue run(codec::JsonValue command);
  /// Calls a handler of `target`; `more` are further members of the command, as JSON.
  codec::JsonValue call(const PeerInfo& target, std::string_view handler, std::string_view kind,
                        std::string_view more = "{}");
  /// How often `what` happened.
  std::uint64_t count(std::string_view what);

 private:
  std::string read_line();

  pid_t child_ = -1;
  std::FILE* to_ = nullptr;
  std::FILE* from_ = nullptr;
  std::string missing_;
  PeerInfo peer_info_;
};

/// The text of member `name`, or nothing.
std::string text_of(const codec::JsonValue& object, std::string_view name);
bool is_true(const codec::JsonValue& object, std::string_view name);

}  // namespace velo::interop
