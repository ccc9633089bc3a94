// SPDX-License-Identifier: Apache-2.0
// The demo's work: every file is read once, sent to a worker, and its answer compared with what was
// computed here of the same bytes. A bounded number of calls is outstanding per worker; what a
// failed call leaves open goes to another one. Not the report: see demo_report.hpp.
// Threading: the main thread.
#pragma once

#include "demo_cluster.hpp"
#include "demo_files.hpp"
#include "digest.hpp"

#include <velo/base/histogram.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace velo::cli {

class DemoJob {
 public:
  enum class End : std::uint8_t { finished, interrupted, no_workers };

  struct Share {
    std::uint64_t files = 0;
    std::uint64_t bytes = 0;
    bool killed = false;  ///< by the demo
  };
  /// What the report says; complete once run() returned.
  struct Outcome {
    std::vector<std::optional<Digest>> results;  ///< as FileList::paths; nothing for those below
    std::uint64_t failed = 0;
    std::uint64_t unreadable = 0;
    std::uint64_t changed = 0;  ///< while being read; their results are of what was read
    std::uint64_t wrong = 0;
    std::uint64_t duplicates = 0;
    std::uint64_t retries = 0;
    std::uint64_t kills = 0;
    std::vector<std::string> complaints;  ///< the first few
    std::vector<Share> shares;
    Histogram latency;
    Duration elapsed{0};
  };

  DemoJob(DemoCluster& cluster, const FileList& files, const DemoOptions& options,
          Progress& progress);
  DemoJob(const DemoJob&) = delete;
  DemoJob& operator=(const DemoJob&) = delete;

  End run();
  const Outcome& outcome() const noexcept { return outcome_; }
  int signal() const noexcept { return signal_; }

 private:
  /// A file that is too large for one message. `part` is the next to send, or in flight.
  struct Large {
    OpenFile file;
    Digester digester;
    std::uint64_t id = 0;
    std::uint64_t offset = 0;
    Bytes part;

    explicit Large(OpenFile opened) : file(std::move(opened)) {}
  };
  /// A file that was read and has no result yet.
  struct Active {
    unsigned attempts = 0;
    std::size_t worker = 0;
    std::uint64_t charged = 0;  ///< bytes in flight
    Bytes contents;
    Digest local;
    std::unique_ptr<Large> large;
  };
  struct Lane {
    std::size_t outstanding = 0;
    std::uint64_t bytes = 0;
    unsigned failures = 0;  ///< in a row
    TimePoint not_before;
  };

  bool start_one();
  std::optional<std::size_t> choose_worker() const;
  std::optional<std::size_t> next_file();
  bool read(std::size_t file);
  bool reopen(std::size_t file, Active& active);
  void send(std::size_t file, std::size_t worker);
  void send_whole(std::size_t file, Active& active);
  void send_part(std::size_t file, Active& active);
  void send_end(std::size_t file, Active& active);
  void on_part(std::size_t file, const Result<PartReply>& reply);
  void on_digest(std::size_t file, const Result<Digest>& reply);
  void on_error(std::size_t file, const Error& error);
  void accept(std::size_t file, const Active& active, const Digest& digest);
  void leave_lane(const Active& active);
  void give_up(std::size_t file, const std::string& why);
  void unreadable(std::size_t file);
  void finish(std::size_t file);
  void maybe_kill();
  void draw();
  Duration patience() const;
  std::string path(std::size_t file) const;
  void complain(std::string what);

  DemoCluster& cluster_;
  const FileList& files_;
  const DemoOptions& options_;
  Progress& progress_;
  TimePoint started_;
  std::vector<Lane> lanes_;
  std::map<std::size_t, Active> active_;
  std::multimap<TimePoint, std::size_t> waiting_;  ///< for another send, by when it is due
  std::size_t next_ = 0;
  std::uint64_t next_id_ = 1;
  std::uint64_t finished_ = 0;
  std::uint64_t bytes_done_ = 0;
  bool kill_due_;
  int signal_ = 0;
  Outcome outcome_;
};

}  // namespace velo::cli
