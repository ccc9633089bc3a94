// SPDX-License-Identifier: Apache-2.0
// The hidden command `velo demo-worker`: one worker process of the demo. It ends when its standard
// input does, and dies with the coordinator.

#include "commands.hpp"
#include "demo_protocol.hpp"
#include "node_setup.hpp"

#include <velo/velo.hpp>

#include <fmt/format.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <mutex>
#include <unordered_map>

namespace velo::cli {

namespace demo_worker_detail {

/// Large files of which parts have come. Handlers run on several threads, the parts of one file one
/// after the other.
class OpenFiles {
 public:
  Result<PartReply> add(const PartRequest& part) {
    std::unique_lock lock(mutex_);
    if (part.offset == 0 && open_.size() >= open_files_max) {
      return make_error(messenger::Errc::overloaded, "too many unfinished files");
    }
    auto node = part.offset == 0 ? Files::node_type() : open_.extract(part.file);
    if (part.offset == 0) {
      Files fresh;
      fresh.try_emplace(part.file);
      node = fresh.extract(part.file);
    }
    lock.unlock();
    if (node.empty() || node.mapped().bytes() != part.offset) return out_of_order();
    node.mapped().update(part.contents);
    const std::uint64_t bytes = node.mapped().bytes();
    lock.lock();
    open_.insert(std::move(node));
    return PartReply{bytes};
  }

  Result<Digest> end(const EndRequest& request) {
    std::unique_lock lock(mutex_);
    auto node = open_.extract(request.file);
    lock.unlock();
    if (node.empty() || node.mapped().bytes() != request.bytes) return out_of_order();
    return node.mapped().finish();
  }

 private:
  using Files = std::unordered_map<std::uint64_t, Digester>;

  static Error out_of_order() {
    return make_error(messenger::Errc::failed, "a part of the file is missing");
  }

  std::mutex mutex_;
  Files open_;
};

static Result<void> register_handlers(Velo& node, OpenFiles& files,
                                      const DemoWorkerOptions& options) {
  std::vector<Handler> handlers;
  handlers.push_back(Handler::typed_unary("digest", [&](TypedContext<DigestRequest>& context) {
                       Digest digest = digest_of(context.input.contents);
                       if (context.input.path == options.spoil) ++digest.lines;
                       return digest;
                     }).build());
  handlers.push_back(Handler::typed_unary("digest_part", [&](TypedContext<PartRequest>& context) {
                       return files.add(context.input);
                     }).build());
  handlers.push_back(Handler::typed_unary("digest_end", [&](TypedContext<EndRequest>& context) {
                       return files.end(context.input);
                     }).build());
  for (Handler& handler : handlers) {
    auto registered = node.register_handler(std::move(handler));
    if (!registered) return registered;
  }
  return {};
}

static Result<JoinReply> join(Velo& node, const DemoWorkerOptions& options) {
  auto coordinator = InstanceId::parse(options.coordinator);
  if (!coordinator) return coordinator.error();
  const JoinRequest request{options.index, node.instance_id().to_string()};
  return node.typed_unary<JoinReply>("join").payload(request).instance(*coordinator).send().get();
}

static void wait_for_end_of_input() {
  char ignored[64];
  for (;;) {
    const ssize_t got = ::read(STDIN_FILENO, ignored, sizeof ignored);
    if (got == 0 || (got < 0 && errno != EINTR)) return;
  }
}

}  // namespace demo_worker_detail

int run_demo_worker(const DemoWorkerOptions& options) {
  // Even a coordinator that is killed leaves no worker behind; the pipe alone would do unless a
  // worker hangs.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (options.parent != 0 && ::getppid() != options.parent) return exit_failed;

  auto built = Velo::builder()
                   .add_transport(make_transport(options.transport, options.where.directory))
                   .filesystem_discovery(options.where.directory, options.where.cluster)
                   .build();
  if (!built) return fail("a worker cannot start", built.error());
  Velo& node = **built;
  demo_worker_detail::OpenFiles files;
  auto registered = demo_worker_detail::register_handlers(node, files, options);
  if (!registered) return fail("a worker cannot register its handlers", registered.error());
  auto joined = demo_worker_detail::join(node, options);
  if (!joined) return fail("a worker cannot reach the coordinator", joined.error());
  demo_worker_detail::wait_for_end_of_input();
  auto drained = node.shutdown(ShutdownPolicy(std::chrono::seconds(1))).get();
  built->reset();
  return drained ? exit_ok : exit_failed;
}

}  // namespace velo::cli
