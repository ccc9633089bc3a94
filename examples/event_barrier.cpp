// SPDX-License-Identifier: Apache-2.0
// A barrier of three processes: nobody goes on before everybody has arrived. One of them makes an
// event for each and merges them; whoever knows a handle may trigger its event or await the
// barrier, so the handles are all that the others are given. With --fail one of them cannot arrive,
// and all learn why at once instead of waiting.

#include <velo/codec/peer_info.hpp>
#include <velo/velo.hpp>

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace event_barrier {

constexpr int processes = 3;

/// What another process is told, as a line of JSON through a pipe.
struct Invitation {
  velo::PeerInfo owner;
  std::string own_event;
  std::string barrier;
};
VELO_DESCRIBE(Invitation, owner, own_event, barrier);

static void arrive(velo::Velo& node, int self, bool fails, const velo::EventHandle& own,
                   const velo::EventHandle& barrier) {
  const velo::EventManager& events = node.event_manager();
  auto arrived = fails ? events.poison(own, "process " + std::to_string(self) + " has no paper")
                       : events.trigger(own);
  if (auto done = std::move(arrived).get(); !done) {
    std::printf("process %d cannot arrive: %s\n", self, done.error().to_string().c_str());
  }
  const velo::Result<void> open = events.awaiter(barrier).get();
  if (open) {
    std::printf("process %d is through\n", self);
  } else {
    std::printf("process %d: the barrier broke: %s\n", self, open.error().context().c_str());
  }
  std::fflush(stdout);
}

/// One of the others: reads its invitation from the pipe.
static int join(int self, bool fails, int pipe) {
  std::string line;
  for (char letter = 0; ::read(pipe, &letter, 1) == 1;) line += letter;
  const auto invitation = velo::from_json<Invitation>(line);
  if (!invitation) return 1;
  const auto own = velo::EventHandle::parse(invitation->own_event);
  const auto barrier = velo::EventHandle::parse(invitation->barrier);
  auto node = velo::Velo::builder().build();
  if (!node || !own || !barrier || !(*node)->register_peer(invitation->owner)) return 1;
  arrive(**node, self, fails, *own, *barrier);
  return 0;
}

/// Before any node exists, since threads do not survive a fork. Returns the pipes to the others.
static std::vector<int> start_others(bool fails) {
  std::vector<int> pipes;
  for (int i = 1; i < processes; ++i) {
    int ends[2];
    if (::pipe(ends) != 0) std::_Exit(1);
    if (::fork() == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // ends with this process
      ::close(ends[1]);
      for (const int other : pipes) ::close(other);
      std::_Exit(join(i, fails && i == processes - 1, ends[0]));
    }
    ::close(ends[0]);
    pipes.push_back(ends[1]);
  }
  return pipes;
}

static velo::Result<void> run(bool fails) {
  const std::vector<int> pipes = start_others(fails);
  auto node = velo::Velo::builder().build();
  if (!node) return node.error();
  const velo::EventManager& events = (*node)->event_manager();
  std::vector<velo::EventHandle> arrivals;
  for (int i = 0; i < processes; ++i) {
    auto event = events.new_event();
    if (!event) return event.error();
    // From here on it is completed by whoever has the handle.
    arrivals.push_back(std::move(*event).into_handle());
  }
  const auto barrier = events.merge_events(arrivals);
  if (!barrier) return barrier.error();
  for (std::size_t i = 0; i < pipes.size(); ++i) {
    const Invitation invitation{(*node)->peer_info(), arrivals[i + 1].to_string(),
                                barrier->to_string()};
    const std::string line = velo::to_json(invitation);
    if (::write(pipes[i], line.data(), line.size()) < 0) return velo::make_error(velo::Errc::io);
    ::close(pipes[i]);
  }
  arrive(**node, 0, false, arrivals[0], *barrier);
  bool all_well = true;
  for (int i = 1; i < processes; ++i) {
    int status = 0;
    all_well = ::wait(&status) > 0 && status == 0 && all_well;
  }
  std::puts(all_well ? "all three have ended" : "a process failed");
  return all_well ? velo::Result<void>() : velo::make_error(velo::Errc::internal);
}

}  // namespace event_barrier

int main(int count, char** arguments) {
  const bool fails = count == 2 && std::string_view(arguments[1]) == "--fail";
  if (count > 2 || (count == 2 && !fails)) {
    std::puts("usage: event_barrier [--fail]");
    return 2;
  }
  auto ended = event_barrier::run(fails);
  if (!ended) std::fprintf(stderr, "event_barrier: %s\n", ended.error().to_string().c_str());
  return ended ? 0 : 1;
}
