// SPDX-License-Identifier: Apache-2.0
// velo in a program built on Boost.Asio: operations of velo are awaited in Asio's coroutines beside
// timers, and the node's I/O runs on the program's own io_context, so that there is one thread and
// no locks between the two.

#include <velo/asio.hpp>
#include <velo/velo.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <thread>
#include <vector>

namespace asio_coroutines {

namespace asio = boost::asio;

struct Program {
  velo::Velo& node;
  velo::AsioDriver& driver;
  velo::InstanceId peer;
  int sessions = 3;
  std::vector<std::string> failures;

  Program(velo::Velo& n, velo::AsioDriver& d, const velo::InstanceId& p)
      : node(n), driver(d), peer(p) {}
};

/// Pings three times, with a pause that blocks nobody.
static asio::awaitable<void> session(Program& program, int number) {
  auto executor = co_await asio::this_coro::executor;
  asio::steady_timer pause(executor);
  for (int i = 0; i < 3; ++i) {
    // With g++ 12 an operation is awaited as a named local (docs/guides/coroutines.md).
    auto call = program.node.unary("ping").raw_payload("hello").instance(program.peer).send();
    auto reply = co_await std::move(call);
    if (!reply) program.failures.push_back(reply.error().to_string());
    pause.expires_after(std::chrono::milliseconds(1));
    co_await pause.async_wait(asio::use_awaitable);
  }
  std::printf("session %d: done\n", number);
  if (--program.sessions > 0) co_return;
  // The last one closes the node, and lets the context's run() return.
  auto closing = program.node.shutdown();
  auto closed = co_await std::move(closing);
  if (!closed) program.failures.push_back(closed.error().to_string());
  program.driver.stop();
}

static velo::Result<void> run() {
  // A World whose I/O has no thread of its own but runs where the context runs.
  velo::RuntimeOptions options;
  options.external_first_shard = true;
  auto world = velo::RealWorld::create(options);
  if (!world) return world.error();
  asio::io_context io;
  auto driver = velo::AsioDriver::start(io.get_executor(), **world);
  if (!driver) return driver.error();
  auto node = velo::Velo::builder().world(**world).build();
  if (!node) return node.error();

  // Somebody to talk to: a node with threads of its own, which asks back.
  auto other = velo::Velo::builder().build();
  if (!other) return other.error();
  auto ping = velo::Handler::unary_handler_async(
                  "ping",
                  [](velo::Context context) -> velo::Task<velo::Result<velo::Bytes>> {
                    const auto caller = context.sender_instance_id();
                    if (!caller) co_return velo::make_error(velo::Errc::not_found, "caller");
                    auto question = context.msg().unary("thread").instance(*caller).send();
                    auto answer = co_await question;
                    co_return answer;
                  })
                  .build();
  if (auto added = (*other)->register_handler(std::move(ping)); !added) return added;

  // An inline handler runs on the thread that runs the context, between Asio's own handlers.
  const std::thread::id this_thread = std::this_thread::get_id();
  int answered_here = 0;
  auto thread = velo::Handler::unary_handler("thread",
                                             [&](velo::Context&) {
                                               if (std::this_thread::get_id() == this_thread)
                                                 ++answered_here;
                                               return velo::Bytes();
                                             })
                    .inline_()
                    .build();
  if (auto added = (*node)->register_handler(std::move(thread)); !added) return added;
  if (auto known = (*node)->register_peer((*other)->peer_info()); !known) return known;

  Program program(**node, *driver, (*other)->instance_id());
  const int sessions = program.sessions;
  for (int i = 1; i <= sessions; ++i) {
    asio::co_spawn(io, session(program, i), [](std::exception_ptr thrown) {
      if (thrown) std::rethrow_exception(thrown);
    });
  }
  io.run();
  for (const std::string& failure : program.failures) std::fprintf(stderr, "%s\n", failure.c_str());
  if (!program.failures.empty()) return velo::make_error(velo::Errc::internal, "a call failed");
  std::printf("answered on this thread: %d\n", answered_here);
  return {};
}

}  // namespace asio_coroutines

int main() {
  auto ended = asio_coroutines::run();
  if (!ended) std::fprintf(stderr, "asio_coroutines: %s\n", ended.error().to_string().c_str());
  return ended ? 0 : 1;
}
