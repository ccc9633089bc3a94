// SPDX-License-Identifier: Apache-2.0
// A work queue with workers in processes of their own, one of which is killed in the middle of its
// work: what it held is delivered to another one when its lease is over, and nothing is lost.

#include <velo/velo.hpp>

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

extern char** environ;  // NOLINT(readability-redundant-declaration): of POSIX, which no header has

namespace work_queue {

struct Job {
  int number = 0;
};
VELO_DESCRIBE(Job, number);

constexpr int jobs = 60;
constexpr int workers = 3;

/// Takes jobs until the queue is closed. The clumsy one takes a job and never finishes it.
static velo::Result<void> work(const std::string& folder, const std::string& host, bool clumsy) {
  auto node = velo::Velo::builder().filesystem_discovery(folder).build();
  if (!node) return node.error();
  auto id = velo::InstanceId::parse(host);
  if (!id) return id.error();
  velo::WorkQueueReceiver<Job> receiver(
      velo::queue::make_remote_queue((*node)->messenger(), *id, "jobs"));
  for (;;) {
    auto batch = receiver.next().get();
    if (!batch && batch.error().is(velo::queue::Errc::closed)) return {};
    if (!batch) return batch.error();
    for (const velo::queue::Delivery& delivery : *batch) {
      auto job = receiver.decode(delivery);
      if (!job) return job.error();
      if (clumsy) {
        std::printf("%d\n", job->number);
        std::fflush(stdout);
        ::pause();
      }
      // Here the job is done; only then. Who took too long may have lost it to another worker,
      // which does it again: that is what at least once means.
      auto done = receiver.ack(delivery.lease).get();
      if (!done && !done.error().is(velo::queue::Errc::lease_lost)) return done;
    }
  }
}

/// The worker's process and, of the clumsy one, what it says.
static std::pair<pid_t, int> start_worker(const char* self, const std::string& folder,
                                          const std::string& host, bool clumsy) {
  std::array<int, 2> pipe{};
  if (::pipe(pipe.data()) != 0) return {-1, -1};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, pipe[1], 1);
  posix_spawn_file_actions_addclose(&actions, pipe[0]);
  std::string kind = clumsy ? "clumsy" : "careful";
  std::string word = "worker";
  std::string folder_text = folder;
  std::string host_text = host;
  std::string program = self;
  std::array<char*, 6> arguments{program.data(),   word.data(), folder_text.data(),
                                 host_text.data(), kind.data(), nullptr};
  pid_t pid = -1;
  if (::posix_spawn(&pid, self, &actions, nullptr, arguments.data(), environ) != 0) pid = -1;
  posix_spawn_file_actions_destroy(&actions);
  ::close(pipe[1]);
  return {pid, pipe[0]};
}

static std::string line_from(int file) {
  std::string line;
  char c = 0;
  while (::read(file, &c, 1) == 1 && c != '\n') line += c;
  return line;
}

static velo::Result<void> coordinate(const char* self, const std::string& folder) {
  auto node = velo::Velo::builder().filesystem_discovery(folder).build();
  if (!node) return node.error();
  velo::queue::QueueOptions options;
  options.visibility = std::chrono::seconds(1);
  auto queue = velo::queue::make_memory_queue((*node)->world(), "jobs", options);
  auto host = velo::queue::QueueHost::create((*node)->messenger());
  if (!host) return host.error();
  if (auto served = (*host)->serve("jobs", queue); !served) return served;

  velo::WorkQueueSender<Job> sender(queue);
  for (int number = 1; number <= jobs; ++number) {
    if (auto sent = sender.enqueue(Job{number}).get(); !sent) return sent.error();
  }
  std::printf("%d jobs are queued\n", jobs);

  const std::string id = (*node)->instance_id().to_string();
  const auto [clumsy, says] = start_worker(self, folder, id, true);
  const std::string held = line_from(says);
  ::kill(clumsy, SIGKILL);
  ::waitpid(clumsy, nullptr, 0);
  std::printf("a worker was killed with job %s in its hands\n", held.c_str());

  std::vector<pid_t> careful;
  for (int i = 1; i < workers; ++i) {
    careful.push_back(start_worker(self, folder, id, false).first);
  }
  if (auto closed = sender.close().get(); !closed) return closed;
  bool all_well = true;
  for (const pid_t pid : careful) {
    int status = 0;
    all_well = ::waitpid(pid, &status, 0) == pid && status == 0 && all_well;
  }
  const auto state = queue->state().get();
  if (!state) return state.error();
  std::printf("%llu done, %llu delivered again, %llu left\n",
              static_cast<unsigned long long>(state->acked),
              static_cast<unsigned long long>(state->redelivered),
              static_cast<unsigned long long>(state->ready + state->leased));
  if (!all_well) return velo::make_error(velo::Errc::internal, "a worker did not end well");
  return {};
}

static velo::Result<void> run(const char* self) {
  std::string folder = std::filesystem::temp_directory_path() / "velo-work-queue-XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr) {
    return velo::make_error(velo::Errc::io, "cannot make a temporary folder");
  }
  auto ended = coordinate(self, folder);
  std::filesystem::remove_all(folder);
  return ended;
}

}  // namespace work_queue

int main(int argc, char** argv) {
  const bool worker = argc == 5 && std::string_view(argv[1]) == "worker";
  auto ended = worker ? work_queue::work(argv[2], argv[3], std::string_view(argv[4]) == "clumsy")
                      : work_queue::run("/proc/self/exe");
  if (!ended) std::fprintf(stderr, "work_queue: %s\n", ended.error().to_string().c_str());
  return ended ? 0 : 1;
}
