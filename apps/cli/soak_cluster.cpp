// SPDX-License-Identifier: Apache-2.0
// Starts, harms and reads the processes of a soak.

#include "soak_cluster.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <utility>

namespace velo::cli {

namespace soak_cluster_detail {

constexpr Duration start_patience = std::chrono::seconds(60);
/// Every call has a deadline of a few seconds; transfers and items may need several attempts.
constexpr Duration quiet_patience = std::chrono::seconds(120);
constexpr Duration look = std::chrono::milliseconds(50);

}  // namespace soak_cluster_detail

double SoakCluster::seconds() const noexcept {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
}

Result<void> SoakCluster::spawn(Member& member) {
  const bool hub = member.number == 0;
  member.log = fmt::format("{}/{}", directory_->path(),
                           hub ? std::string("hub") : fmt::format("worker{}", member.number));
  member.reader.emplace(member.log);
  member.child = processes_.size();
  std::vector<std::string> arguments = {"soak-node",
                                        "--discovery",
                                        directory_->path(),
                                        "--log",
                                        member.log,
                                        "--number",
                                        std::to_string(member.number),
                                        "--parent",
                                        std::to_string(::getpid())};
  if (!hub) arguments.insert(arguments.end(), {"--hub", hub_id_});
  return processes_.spawn(std::move(arguments));
}

int SoakCluster::start() {
  auto directory = TemporaryDirectory::create("velo-soak-");
  if (!directory) return fail("cannot make a temporary directory", directory.error());
  directory_.emplace(std::move(*directory));
  if (auto spawned = spawn(hub_); !spawned) return fail("cannot start", spawned.error());
  const auto hub_ready = [this] { return hub_.ready || hub_.gone; };
  if (const auto number =
          wait_until(soak_cluster_detail::start_patience, hub_ready, "the hub starts")) {
    return exit_signal + *number;
  }
  workers_.resize(options_.workers);
  for (Member& worker : workers_) {
    worker.number = ++next_number_;
    if (auto spawned = spawn(worker); !spawned) return fail("cannot start", spawned.error());
  }
  const auto all_ready = [this] {
    return std::ranges::all_of(workers_,
                               [](const Member& each) { return each.ready || each.gone; });
  };
  if (const auto number =
          wait_until(soak_cluster_detail::start_patience, all_ready, "the workers start")) {
    return exit_signal + *number;
  }
  if (!complaints_.empty()) {
    return fail(exit_failed, complaints_.front(), "VELO_LOG=debug shows what the processes do");
  }
  started_ = std::chrono::steady_clock::now();
  return exit_ok;
}

void SoakCluster::read(Member& member) {
  if (!member.reader) return;
  const std::vector<SoakLine> lines = member.reader->more();
  for (const SoakLine& line : lines) {
    if (line.word == SoakWord::quiet) member.quiet = true;
    if (line.word != SoakWord::ready) continue;
    member.ready = true;
    if (member.number == 0) hub_id_ = line.more;
  }
  oracle_.add(member.number, lines);
}

void SoakCluster::notice_ends() {
  for (const std::size_t child : processes_.reap()) {
    const auto ended = [this, child](Member& member) {
      if (member.child != child || member.gone || !member.reader) return;
      member.gone = true;
      complaints_.push_back(member.number == 0
                                ? std::string("the hub ended by itself")
                                : fmt::format("worker {} ended by itself", member.number));
    };
    ended(hub_);
    for (Member& worker : workers_) ended(worker);
  }
}

void SoakCluster::thaw_due(bool all) {
  const Instant now = std::chrono::steady_clock::now();
  const auto thaw = [this, all, now](Member& member) {
    if (!member.thaws || (!all && *member.thaws > now)) return;
    processes_.thaw(member.child);
    member.thaws.reset();
  };
  thaw(hub_);
  for (Member& worker : workers_) thaw(worker);
}

std::optional<int> SoakCluster::turn(Duration patience) {
  const auto asked = signals_.wait(patience);
  thaw_due(false);
  notice_ends();
  read(hub_);
  for (Member& worker : workers_) read(worker);
  return asked;
}

Result<void> SoakCluster::replace(Member& member) {
  processes_.kill(member.child);
  member.gone = true;
  // It has written all that it ever will.
  while (processes_.alive(member.child)) (void)turn(soak_cluster_detail::look);
  read(member);
  oracle_.killed(member.number);
  member = Member();
  member.number = ++next_number_;
  return spawn(member);
}

int SoakCluster::kill_worker(std::size_t worker) {
  if (auto replaced = replace(workers_[worker]); !replaced) {
    return fail("cannot start a worker in the place of the killed one", replaced.error());
  }
  ++faults_.killed;
  return exit_ok;
}

void SoakCluster::cut(std::size_t member) {
  const Member& cut = member == 0 ? hub_ : workers_[member - 1];
  if (processes_.tell(cut.child, "c")) ++faults_.cut;
}

void SoakCluster::freeze(std::size_t member, Duration duration) {
  Member& frozen = member == 0 ? hub_ : workers_[member - 1];
  if (frozen.thaws || !processes_.freeze(frozen.child)) return;
  frozen.thaws = std::chrono::steady_clock::now() + duration;
  ++faults_.frozen;
}

template <class Done>
std::optional<int> SoakCluster::wait_until(Duration patience, const Done& done,
                                           const std::string& what) {
  const Instant until = std::chrono::steady_clock::now() + patience;
  while (!done()) {
    if (const auto number = turn(soak_cluster_detail::look)) return number;
    if (std::chrono::steady_clock::now() > until) {
      complaints_.push_back("did not happen in time: " + what);
      return {};
    }
  }
  return {};
}

std::optional<int> SoakCluster::settle() {
  thaw_due(true);
  for (const Member& worker : workers_) (void)processes_.tell(worker.child, "q");
  const auto all_quiet = [this] {
    return std::ranges::all_of(workers_,
                               [](const Member& each) { return each.quiet || each.gone; });
  };
  if (const auto number = wait_until(soak_cluster_detail::quiet_patience, all_quiet,
                                     "every operation that was begun ends")) {
    return number;
  }
  const auto all_taken = [this] { return oracle_.untaken() == 0; };
  if (const auto number = wait_until(soak_cluster_detail::quiet_patience, all_taken,
                                     "every item is given to somebody")) {
    return number;
  }
  const auto leave = [this](Member& member) {
    if (member.gone) return;
    member.gone = true;
    processes_.let_go(member.child);
  };
  for (Member& worker : workers_) leave(worker);
  const auto workers_over = [this] {
    return std::ranges::none_of(
        workers_, [this](const Member& each) { return processes_.alive(each.child); });
  };
  if (const auto number =
          wait_until(soak_cluster_detail::start_patience, workers_over, "the workers end")) {
    return number;
  }
  leave(hub_);
  const auto hub_over = [this] { return !processes_.alive(hub_.child); };
  const auto number = wait_until(soak_cluster_detail::start_patience, hub_over, "the hub ends");
  (void)turn(Duration(0));
  if (!options_.keep.empty()) {
    std::error_code failed;
    std::filesystem::copy(directory_->path(), options_.keep,
                          std::filesystem::copy_options::recursive |
                              std::filesystem::copy_options::overwrite_existing,
                          failed);
    if (failed) complaints_.push_back("the files could not be kept: " + failed.message());
  }
  return number;
}

void SoakCluster::sample() {
  const auto take = [this](const Member& member, std::vector<MemorySample>& to) {
    if (member.gone) return;
    if (const auto mib = resident_mib(processes_.pid(member.child)))
      to.push_back({seconds(), *mib});
  };
  take(hub_, hub_memory_);
  take(workers_.front(), worker_memory_);
}

std::vector<MemoryTrend> SoakCluster::memory() const {
  return {trend_of("hub", hub_memory_), trend_of("worker 1", worker_memory_)};
}

}  // namespace velo::cli
