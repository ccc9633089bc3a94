// SPDX-License-Identifier: Apache-2.0
// Another process with a messenger (endings_peer.cpp), which can be told what to do, frozen and
// killed; and sockets of peers that do not even speak the protocol.
// Threading: one thread.
#pragma once

#include <velo/base/ids.hpp>

#include <sys/types.h>
#include <cstdio>
#include <string>

namespace velo::endings_test {

class PeerProcess {
 public:
  /// `kind` is "tcp" or "uds"; sockets of the latter stand in `folder`.
  PeerProcess(const std::string& kind, const std::string& folder);
  PeerProcess(const PeerProcess&) = delete;
  PeerProcess& operator=(const PeerProcess&) = delete;
  ~PeerProcess();

  const PeerInfo& info() const noexcept { return info_; }
  const InstanceId& id() const noexcept { return info_.instance_id; }

  /// Sends an order and waits for its answer.
  std::string ask(const std::string& order);
  void tell(const std::string& order);
  std::string answer();
  /// Asks until the answer is `wanted`.
  bool ask_until(const std::string& order, const std::string& wanted);

  void kill();
  void freeze();
  void thaw();

 private:
  pid_t child_ = -1;
  std::FILE* to_ = nullptr;
  std::FILE* from_ = nullptr;
  PeerInfo info_;
};

/// Somebody who listens on TCP and is no messenger.
class Stranger {
 public:
  enum class Manner {
    never_accepts,  ///< the system completes the connection, and nobody takes it
    silent,         ///< accepts and says nothing
    babbles,        ///< sends what is no frame
    half_closes,    ///< says that it will send nothing, and keeps listening
    hangs_up,       ///< closes at once
  };
  explicit Stranger(Manner manner);
  Stranger(const Stranger&) = delete;
  Stranger& operator=(const Stranger&) = delete;
  ~Stranger();

  const PeerInfo& info() const noexcept { return info_; }
  /// Takes the connection that was made, and treats it as it does.
  void receive();

 private:
  Manner manner_;
  int listening_ = -1;
  int accepted_ = -1;
  PeerInfo info_;
};

/// A private folder that goes with the object.
class Folder {
 public:
  Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder();
  const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

}  // namespace velo::endings_test
