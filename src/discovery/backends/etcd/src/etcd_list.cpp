// SPDX-License-Identifier: Apache-2.0
// Pages of one revision; fewer entries at a time when an answer was too long, anew when the
// revision was compacted meanwhile.

#include "etcd_list.hpp"

#include <velo/discovery/error.hpp>
#include <velo/discovery/limits.hpp>

#include <memory>
#include <utility>

namespace velo::discovery::etcd {
namespace etcd_list_detail {

constexpr int restarts_max = 3;

struct Job {
  Channel& channel;
  std::string prefix;
  std::string end;
  std::function<bool()> wanted;
  ListPage page;
  ListDone done;
  std::string from;
  std::size_t entries_at_once = limits::etcd_page_entries;
  int restarts = 0;
  Listed listed;
  TimePoint deadline;

  static void ask(const std::shared_ptr<Job>& job);
  static void answered(const std::shared_ptr<Job>& job, Result<Answer> answer);
  void fail(Error error) { done(std::move(error)); }
};

void Job::ask(const std::shared_ptr<Job>& job) {
  Channel::Call call;
  call.path = path::range;
  call.body = range_request(job->from, job->end, job->entries_at_once, job->listed.revision);
  call.deadline = job->deadline;
  call.wanted = job->wanted;
  call.done = [job](Result<Answer> answer) { answered(job, std::move(answer)); };
  if (Result<void> submitted = job->channel.submit(std::move(call)); !submitted) {
    job->channel.fail_soon([job](const Result<Answer>& refused) { job->fail(refused.error()); },
                           std::move(submitted).error());
  }
}

void Job::answered(const std::shared_ptr<Job>& job, Result<Answer> answer) {
  const bool too_long =
      answer ? answer->refusal.code == 8 : answer.error().is(velo::Errc::overloaded);
  if (too_long && job->entries_at_once > 1) {
    job->entries_at_once /= 2;
    return ask(job);
  }
  if (!answer) return job->fail(std::move(answer).error());
  if (answer->refusal.code == grpc_code::out_of_range && job->restarts++ < restarts_max) {
    job->from = job->prefix;
    job->listed = {};
    return ask(job);
  }
  if (!answer->ok()) return job->fail(to_error(answer->refusal));
  Result<RangeReply> reply = read_range(answer->body);
  if (!reply) return job->fail(std::move(reply).error());
  const bool first = job->listed.revision == 0;
  if (first) job->listed = Listed{reply->cluster, reply->revision};
  const bool more = reply->more && !reply->entries.empty();
  if (more) {
    const std::string_view last = reply->entries.back().key.text();
    // Otherwise a server could keep this going for ever.
    if (last < job->from || !last.starts_with(job->prefix)) {
      return job->fail(make_error(Errc::malformed_entry, "etcd: keys out of order"));
    }
    job->from = std::string(last) + '\0';
  }
  job->page(first, std::move(reply->entries));
  if (more) return ask(job);
  job->done(job->listed);
}

}  // namespace etcd_list_detail

void list_keys(Channel& channel, std::string prefix, std::function<bool()> wanted, ListPage page,
               ListDone done) {
  using etcd_list_detail::Job;
  auto job = std::make_shared<Job>(Job{.channel = channel,
                                       .prefix = prefix,
                                       .end = prefix_end(prefix),
                                       .wanted = std::move(wanted),
                                       .page = std::move(page),
                                       .done = std::move(done),
                                       .from = prefix,
                                       .listed = {},
                                       .deadline = channel.usual_deadline()});
  Job::ask(job);
}

}  // namespace velo::discovery::etcd
