// SPDX-License-Identifier: Apache-2.0
// Every call ends: by its deadline, by a stop token, or because its Op was dropped. The handler
// sees all three through its own stop token, and passes the time that is left on to calls of its
// own.

#include <velo/velo.hpp>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <stop_token>
#include <string>

namespace deadlines_and_cancel {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// How many handlers have begun, and how many saw that their caller gave up.
class Tally {
 public:
  /// What the handler does: nothing, until the caller gives up.
  void work_until_stopped(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    ++begun_;
    changed_.notify_all();
    changed_.wait(lock, stop, [] { return false; });
    ++stopped_;
    changed_.notify_all();
  }
  bool wait_for(int begun, int stopped) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, seconds(10),
                             [&] { return begun_ >= begun && stopped_ >= stopped; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable_any changed_;
  int begun_ = 0;
  int stopped_ = 0;
};

static velo::Result<void> register_handlers(velo::Velo& node, Tally& tally) {
  auto endless = velo::Handler::unary_handler("endless",
                                              [&tally](velo::Context& context) {
                                                tally.work_until_stopped(context.stop_token());
                                                return velo::Bytes();
                                              })
                     .spawn()
                     .build();
  if (auto added = node.register_handler(std::move(endless)); !added) return added;
  // Asks another handler and leaves it only the time that it has itself.
  auto relay = velo::Handler::unary_handler_async(
                   "relay",
                   [](velo::Context context) -> velo::Task<velo::Result<velo::Bytes>> {
                     velo::Messenger& messenger = context.msg();
                     auto call = messenger.unary("endless")
                                     .instance(messenger.instance_id())
                                     .timeout(context.time_left())
                                     .stop(context.stop_token())
                                     .send();
                     auto reply = co_await call;
                     co_return reply;
                   })
                   .build();
  return node.register_handler(std::move(relay));
}

static velo::Error late(const char* what) {
  return velo::make_error(velo::Errc::deadline_exceeded, what);
}

static velo::Result<void> give_up_three_times(velo::Velo& client, const velo::InstanceId& peer,
                                              Tally& tally) {
  // A deadline of 200 ms; the default is 30 s.
  auto slow = client.unary("relay").instance(peer).timeout(milliseconds(200)).send().get();
  if (slow) return velo::make_error(velo::Errc::internal, "the endless handler ended");
  std::printf("deadline: %s\n", slow.error().to_string().c_str());
  if (!tally.wait_for(1, 1)) return late("the handler did not see the deadline");

  // A stop token, which may stop any number of calls.
  std::stop_source stop;
  auto call = client.unary("endless").instance(peer).stop(stop.get_token()).send();
  if (!tally.wait_for(2, 1)) return late("the second handler did not begin");
  stop.request_stop();
  auto stopped = std::move(call).get();
  if (stopped) return velo::make_error(velo::Errc::internal, "the endless handler ended");
  std::printf("stop token: %s\n", stopped.error().to_string().c_str());
  if (!tally.wait_for(2, 2)) return late("the handler did not see the cancellation");

  // Dropping the Op cancels the call.
  {
    auto dropped = client.unary("endless").instance(peer).send();
    if (!tally.wait_for(3, 2)) return late("the third handler did not begin");
  }
  if (!tally.wait_for(3, 3)) return late("the handler did not see that its caller left");
  std::puts("dropped: the handler saw it");
  return {};
}

static velo::Result<void> run() {
  Tally tally;  // outlives the node whose handlers use it
  auto server = velo::Velo::builder().build();
  if (!server) return server.error();
  if (auto added = register_handlers(**server, tally); !added) return added;
  auto client = velo::Velo::builder().build();
  if (!client) return client.error();
  auto known = (*client)->register_peer((*server)->peer_info());
  if (!known) return known;
  return give_up_three_times(**client, (*server)->instance_id(), tally);
}

}  // namespace deadlines_and_cancel

int main() {
  auto ended = deadlines_and_cancel::run();
  if (!ended) {
    std::fprintf(stderr, "deadlines_and_cancel: %s\n", ended.error().to_string().c_str());
  }
  return ended ? 0 : 1;
}
