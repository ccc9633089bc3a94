// SPDX-License-Identifier: Apache-2.0
// What is announced below a prefix, followed for as long as it runs: a listing, then the changes
// since its revision. A watch that breaks goes on where it was; if the server has forgotten that
// far back, has other data, or turns out to have told too little, it starts with a new listing.
// Threading: on the channel's shard's thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "etcd_channel.hpp"
#include "etcd_list.hpp"

namespace velo::discovery::etcd {

class WatchSink {
 public:
  /// A part of a listing; with `first`, those before are void.
  virtual void on_page(bool first, std::vector<KeyValue> entries) = 0;
  /// The listing is complete and replaces everything.
  virtual void on_listed() = 0;
  virtual void on_event(const WatchEvent& event) = 0;

 protected:
  ~WatchSink() = default;
};

class Watch final : HttpExchange::Owner {
 public:
  /// `sink` must not stop or destroy the watch from its functions.
  Watch(Channel& channel, std::string prefix, WatchSink& sink);
  Watch(const Watch&) = delete;
  ~Watch() { stop(); }

  void start();
  void stop();
  bool running() const noexcept { return running_; }

 private:
  void relist();
  void listed(const Result<Listed>& result);
  void open();
  void on_exchange(HttpExchange& exchange) override;
  /// False: the exchange is gone.
  bool take(const WatchMessage& message);
  void take_events(const WatchMessage& message);
  /// Goes on after a pause: with a new listing, or where it was.
  void break_off(const Error& error, bool anew);
  void check();
  void checked(Result<Answer> answer);
  void drop_exchange();

  Channel& channel_;
  const std::string prefix_;
  WatchSink& sink_;
  bool running_ = false;
  bool known_ = false;  ///< there is a listing to go on from
  bool live_ = false;
  bool told_ = false;          ///< something came since the last check
  bool behind_ = false;        ///< the last check found that something is missing
  std::uint64_t attempt_ = 0;  ///< answers for earlier ones are stale
  std::uint64_t cluster_ = 0;
  std::int64_t revision_ = 0;  ///< everything up to it has been told
  std::set<std::string, std::less<>> keys_;
  std::size_t endpoint_ = 0;
  Backoff backoff_;
  LineSplitter lines_;
  std::shared_ptr<HttpExchange> exchange_;
  ShardTimer timer_;
  ShardTimer check_timer_;
};

}  // namespace velo::discovery::etcd
