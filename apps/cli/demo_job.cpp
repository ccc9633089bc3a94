// SPDX-License-Identifier: Apache-2.0
// Deals files out to workers until each has a result.

#include "demo_job.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace velo::cli {

namespace demo_job_detail {

/// Unless a worker has nothing else to do: keeps a large file from standing behind many others.
constexpr std::uint64_t lane_bytes_max = std::uint64_t{16} << 20;
/// Sends of one file. A killed worker costs a file one or two.
constexpr unsigned attempts_max = 12;
constexpr Duration pause_first = std::chrono::milliseconds(5);
constexpr unsigned pause_doublings_max = 6;
constexpr std::size_t complaints_max = 8;

}  // namespace demo_job_detail

DemoJob::DemoJob(DemoCluster& cluster, const FileList& files, const DemoOptions& options,
                 Progress& progress)
    : cluster_(cluster),
      files_(files),
      options_(options),
      progress_(progress),
      started_(cluster.now()),
      lanes_(cluster.workers().size()),
      kill_due_(options.kill) {
  outcome_.results.resize(files.paths.size());
  outcome_.shares.resize(lanes_.size());
}

DemoJob::End DemoJob::run() {
  while (finished_ < files_.paths.size()) {
    const bool started = start_one();
    maybe_kill();
    draw();
    // While there is something to start, only a look at what came.
    if (const auto number = cluster_.turn(started ? Duration::zero() : patience())) {
      signal_ = *number;
      return End::interrupted;
    }
    if (cluster_.processes().alive_count() == 0 && finished_ < files_.paths.size()) {
      return End::no_workers;
    }
  }
  outcome_.elapsed = cluster_.now() - started_;
  progress_.clear();
  return End::finished;
}

bool DemoJob::start_one() {
  const auto worker = choose_worker();
  if (!worker) return false;
  const auto file = next_file();
  if (!file) return false;
  const auto known = active_.find(*file);
  if (known == active_.end()) {
    if (!read(*file)) return true;
  } else if (known->second.large != nullptr && !reopen(*file, known->second)) {
    return true;
  }
  send(*file, *worker);
  return true;
}

std::optional<std::size_t> DemoJob::choose_worker() const {
  std::optional<std::size_t> best;
  const TimePoint now = cluster_.now();
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    const Lane& lane = lanes_[i];
    if (!cluster_.processes().alive(i) || !cluster_.workers()[i].known) continue;
    if (lane.not_before > now || lane.outstanding >= options_.outstanding) continue;
    if (lane.outstanding > 0 && lane.bytes >= demo_job_detail::lane_bytes_max) continue;
    if (!best || lane.outstanding < lanes_[*best].outstanding ||
        (lane.outstanding == lanes_[*best].outstanding &&
         outcome_.shares[i].files < outcome_.shares[*best].files)) {
      best = i;
    }
  }
  return best;
}

std::optional<std::size_t> DemoJob::next_file() {
  if (!waiting_.empty() && waiting_.begin()->first <= cluster_.now()) {
    return waiting_.extract(waiting_.begin()).mapped();
  }
  if (next_ == files_.paths.size()) return std::nullopt;
  return next_++;
}

std::string DemoJob::path(std::size_t file) const { return files_.root + "/" + files_.paths[file]; }

bool DemoJob::read(std::size_t file) {
  auto opened = OpenFile::open(path(file));
  if (!opened) {
    unreadable(file);
    return false;
  }
  auto contents = opened->read(part_bytes);
  if (!contents) {
    unreadable(file);
    return false;
  }
  Active active;
  if (opened->at_end()) {
    outcome_.changed += opened->changed() ? 1 : 0;
    active.local = digest_of(*contents);
    active.contents = std::move(*contents);
  } else {
    active.large = std::make_unique<Large>(std::move(*opened));
    active.large->id = next_id_++;
    active.large->part = std::move(*contents);
  }
  active_.emplace(file, std::move(active));
  return true;
}

/// Another worker knows nothing of the parts that were sent: the file starts again, under a new id.
bool DemoJob::reopen(std::size_t file, Active& active) {
  auto opened = OpenFile::open(path(file));
  auto first = opened ? opened->read(part_bytes) : Result<Bytes>(opened.error());
  if (!first) {
    unreadable(file);
    return false;
  }
  active.large = std::make_unique<Large>(std::move(*opened));
  active.large->id = next_id_++;
  active.large->part = std::move(*first);
  return true;
}

void DemoJob::send(std::size_t file, std::size_t worker) {
  Active& active = active_.at(file);
  active.worker = worker;
  ++active.attempts;
  active.charged = active.large != nullptr ? part_bytes : active.contents.size();
  ++lanes_[worker].outstanding;
  lanes_[worker].bytes += active.charged;
  if (active.large != nullptr) {
    send_part(file, active);
  } else {
    send_whole(file, active);
  }
}

void DemoJob::send_whole(std::size_t file, Active& active) {
  const DigestRequest request{files_.paths[file], active.contents};
  cluster_.call<Digest>(
      active.worker, "digest", request,
      [this, file](const Result<Digest>& reply, TimePoint sent, TimePoint received) {
        if (reply) outcome_.latency.record(received - sent);
        on_digest(file, reply);
      });
}

void DemoJob::send_part(std::size_t file, Active& active) {
  Large& large = *active.large;
  large.digester.update(large.part);
  const PartRequest request{large.id, large.offset, large.part};
  large.offset += large.part.size();
  cluster_.call<PartReply>(
      active.worker, "digest_part", request,
      [this, file](const Result<PartReply>& reply, TimePoint sent, TimePoint received) {
        if (reply) outcome_.latency.record(received - sent);
        on_part(file, reply);
      });
}

void DemoJob::send_end(std::size_t file, Active& active) {
  Large& large = *active.large;
  active.local = large.digester.finish();
  outcome_.changed += large.file.changed() ? 1 : 0;
  const EndRequest request{files_.paths[file], large.id, large.offset};
  cluster_.call<Digest>(
      active.worker, "digest_end", request,
      [this, file](const Result<Digest>& reply, TimePoint sent, TimePoint received) {
        if (reply) outcome_.latency.record(received - sent);
        on_digest(file, reply);
      });
}

void DemoJob::on_part(std::size_t file, const Result<PartReply>& reply) {
  if (!reply) return on_error(file, reply.error());
  Active& active = active_.at(file);
  Large& large = *active.large;
  auto next = large.file.read(part_bytes);
  if (!next) {
    leave_lane(active);
    return unreadable(file);
  }
  large.part = std::move(*next);
  if (large.part.empty()) {
    send_end(file, active);
  } else {
    send_part(file, active);
  }
}

void DemoJob::on_digest(std::size_t file, const Result<Digest>& reply) {
  if (!reply) return on_error(file, reply.error());
  const auto found = active_.find(file);
  if (found == active_.end() || outcome_.results[file]) {
    ++outcome_.duplicates;
    return;
  }
  leave_lane(found->second);
  lanes_[found->second.worker].failures = 0;
  accept(file, found->second, *reply);
  finish(file);
}

void DemoJob::accept(std::size_t file, const Active& active, const Digest& digest) {
  if (digest != active.local) {
    ++outcome_.wrong;
    complain(fmt::format("{}: worker {} answered {}, but it is {}", files_.paths[file],
                         active.worker, digest.sha256, active.local.sha256));
  }
  outcome_.results[file] = digest;
  bytes_done_ += digest.bytes;
  ++outcome_.shares[active.worker].files;
  outcome_.shares[active.worker].bytes += digest.bytes;
}

/// `digest` may run twice, so any error that another worker or another moment may not have is worth
/// a new send.
void DemoJob::on_error(std::size_t file, const Error& error) {
  Active& active = active_.at(file);
  leave_lane(active);
  Lane& lane = lanes_[active.worker];
  const unsigned doublings = std::min(lane.failures, demo_job_detail::pause_doublings_max);
  ++lane.failures;
  const TimePoint later = cluster_.now() + demo_job_detail::pause_first * (1 << doublings);
  lane.not_before = later;
  const bool worker_lives = cluster_.processes().alive(active.worker);
  if ((worker_lives && error.retry() == Retry::never) ||
      active.attempts >= demo_job_detail::attempts_max) {
    return give_up(file, error.to_string());
  }
  ++outcome_.retries;
  // Another worker may take it at once, unless it was refused for want of room.
  const bool at_once =
      error.retry() != Retry::later || error.is(messenger::Errc::connection_lost) || !worker_lives;
  waiting_.emplace(at_once ? cluster_.now() : later, file);
}

void DemoJob::leave_lane(const Active& active) {
  --lanes_[active.worker].outstanding;
  lanes_[active.worker].bytes -= active.charged;
}

void DemoJob::give_up(std::size_t file, const std::string& why) {
  ++outcome_.failed;
  complain(fmt::format("{}: {}", files_.paths[file], why));
  finish(file);
}

void DemoJob::unreadable(std::size_t file) {
  ++outcome_.unreadable;
  finish(file);
}

void DemoJob::finish(std::size_t file) {
  active_.erase(file);
  ++finished_;
  maybe_kill();
}

void DemoJob::maybe_kill() {
  const auto due = options_.kill_at * static_cast<double>(files_.paths.size());
  if (!kill_due_ || static_cast<double>(finished_) < due) return;
  kill_due_ = false;
  if (!cluster_.processes().kill(options_.kill_worker)) return;
  ++outcome_.kills;
  outcome_.shares[options_.kill_worker].killed = true;
}

void DemoJob::draw() {
  const double seconds = std::chrono::duration<double>(cluster_.now() - started_).count();
  const double rate = seconds > 0 ? static_cast<double>(bytes_done_) / seconds : 0;
  progress_.draw(finished_, files_.paths.size(),
                 fmt::format("{}/s  {} of {} workers", show_bytes(static_cast<std::uint64_t>(rate)),
                             cluster_.processes().alive_count(), cluster_.processes().size()));
}

Duration DemoJob::patience() const {
  Duration longest = std::chrono::milliseconds(100);
  const TimePoint now = cluster_.now();
  if (!waiting_.empty()) {
    longest = std::min(
        longest, std::max(Duration(std::chrono::milliseconds(1)), waiting_.begin()->first - now));
  }
  for (const Lane& lane : lanes_) {
    if (lane.not_before > now) longest = std::min(longest, lane.not_before - now);
  }
  return longest;
}

void DemoJob::complain(std::string what) {
  if (outcome_.complaints.size() < demo_job_detail::complaints_max) {
    outcome_.complaints.push_back(std::move(what));
  }
}

}  // namespace velo::cli
