// SPDX-License-Identifier: Apache-2.0
// Boost.Asio's completion tokens on velo's operations, and velo on a user's io_context.

#include <velo/asio.hpp>
#include <velo/velo.hpp>

#include <gtest/gtest.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <string>
#include <thread>

namespace velo::asio_test {

namespace asio = boost::asio;

static std::unique_ptr<Velo> must(Result<std::unique_ptr<Velo>> built) {
  if (!built) {
    ADD_FAILURE() << built.error().to_string();
    return nullptr;
  }
  return std::move(*built);
}

static Handler ping() {
  return Handler::unary_handler("ping", [](Context&) { return Bytes::of_static("pong"); })
      .inline_()
      .build();
}

static asio::awaitable<void> ping_twice(Velo* node, InstanceId peer, std::string* log) {
  Op<Bytes> plain = node->unary("ping").raw_payload("").instance(peer).send();
  auto first = co_await std::move(plain);
  *log += first ? first->text() : "error";
  Op<Bytes> named = node->unary("ping").raw_payload("").instance(peer).send();
  auto second = co_await std::move(named)(asio::use_awaitable);
  *log += second ? second->text() : "error";
}

TEST(Asio, AwaitsAnOpPlainlyAndByToken) {
  auto node = must(Velo::builder().build());
  ASSERT_NE(node, nullptr);
  ASSERT_TRUE(node->register_handler(ping()));
  asio::io_context context;
  std::string log;
  asio::co_spawn(context, ping_twice(node.get(), node->instance_id(), &log), asio::detached);
  context.run();
  EXPECT_EQ(log, "pongpong");
}

TEST(Asio, TheFutureOfAnOpHoldsItsResult) {
  auto node = must(Velo::builder().build());
  ASSERT_NE(node, nullptr);
  auto future =
      node->unary("nothing").raw_payload("").instance(node->instance_id()).send()(asio::use_future);
  Result<Bytes> result = future.get();
  ASSERT_FALSE(result);
  EXPECT_TRUE(result.error().is(messenger::Errc::unknown_handler)) << result.error().to_string();
}

TEST(Asio, TheHandlerRunsOnItsExecutorAndNeverInsideTheCall) {
  auto world = RealWorld::create();
  ASSERT_TRUE(world);
  asio::io_context context;
  auto strand = asio::make_strand(context);
  bool ran = false;
  auto op = Op<int>::ready((*world)->pool(), 7);
  std::move(op)(asio::bind_executor(strand, [&](Result<int> result) {
    EXPECT_TRUE(strand.running_in_this_thread());
    EXPECT_EQ(result.value(), 7);
    ran = true;
  }));
  EXPECT_FALSE(ran);
  context.run();
  EXPECT_TRUE(ran);
}

TEST(Asio, PendingOperationsKeepTheContextRunning) {
  auto world = RealWorld::create();
  ASSERT_TRUE(world);
  asio::io_context context;
  Promise<std::string> promise((*world)->pool());
  std::string got;
  promise.op()(asio::bind_executor(
      context, [&](Result<std::string> result) { got = result ? *result : "error"; }));
  EXPECT_EQ(context.poll(), 0U);
  EXPECT_FALSE(context.stopped());
  std::thread setter([&] { promise.set(std::string("done")); });
  context.run();
  setter.join();
  EXPECT_EQ(got, "done");
}

TEST(Asio, TheCancellationSlotCancelsTheOperation) {
  auto node = must(Velo::builder().build());
  ASSERT_NE(node, nullptr);
  ASSERT_TRUE(node->register_handler(
      Handler::unary_handler_async("never", [](Context context) -> Task<Bytes> {
        // Ends only by the caller's cancellation, which the token shows.
        const std::stop_token token = context.stop_token();
        Promise<void> promise(context.msg().world().pool());
        Op<void> op = promise.op();
        const std::stop_callback stopped(token, [&promise] { promise.set({}); });
        auto ended = co_await op;
        EXPECT_TRUE(ended);
        co_return Bytes();
      }).build()));
  asio::io_context context;
  asio::cancellation_signal signal;
  bool cancelled = false;
  node->unary("never")
      .raw_payload("")
      .instance(node->instance_id())
      .send()(asio::bind_executor(
          context, asio::bind_cancellation_slot(signal.slot(), [&](Result<Bytes> result) {
            ASSERT_FALSE(result);
            cancelled =
                result.error().is(messenger::Errc::cancelled) || result.error().is(Errc::cancelled);
          })));
  asio::post(context, [&] { signal.emit(asio::cancellation_type::terminal); });
  context.run();
  EXPECT_TRUE(cancelled);
  // The operation is over: a late signal finds nothing to cancel.
  signal.emit(asio::cancellation_type::terminal);
}

TEST(Asio, AQueuedEndThatNeverRunsIsFreedWithItsContext) {
  auto world = RealWorld::create();
  ASSERT_TRUE(world);
  auto token = std::make_shared<int>(1);
  {
    asio::io_context context;
    auto op = Op<int>::ready((*world)->pool(), 7);
    std::move(op)(asio::bind_executor(context, [token](const Result<int>&) { FAIL(); }));
    EXPECT_EQ(token.use_count(), 2);
  }
  EXPECT_EQ(token.use_count(), 1);
}

TEST(Asio, AUsersContextDrivesTheShard) {
  RuntimeOptions options;
  options.external_first_shard = true;
  auto world = RealWorld::create(options);
  ASSERT_TRUE(world);
  asio::io_context context;
  auto driver = AsioDriver::start(context.get_executor(), **world);
  ASSERT_TRUE(driver) << driver.error().to_string();

  // A node of its own World, so that calls really travel.
  auto peer = must(Velo::builder().build());
  ASSERT_NE(peer, nullptr);
  std::thread::id handled_on;
  auto node = must(Velo::builder().world(**world).build());
  ASSERT_NE(node, nullptr);
  ASSERT_TRUE(node->register_handler(Handler::unary_handler("where",
                                                            [&](Context&) {
                                                              handled_on =
                                                                  std::this_thread::get_id();
                                                              return Bytes::of_static("here");
                                                            })
                                         .inline_()
                                         .build()));
  ASSERT_TRUE(peer->register_peer(node->peer_info()));
  std::string got;
  peer->unary("where")
      .raw_payload("")
      .instance(node->instance_id())
      .send()(asio::bind_executor(context, [&](Result<Bytes> result) {
        got = result ? result->text() : result.error().to_string();
        node->shutdown()(asio::bind_executor(context, [&](const Result<void>& ended) {
          EXPECT_TRUE(ended);
          driver->stop();
        }));
      }));
  context.run();
  EXPECT_EQ(got, "here");
  EXPECT_EQ(handled_on, std::this_thread::get_id());
}

TEST(Asio, OnlyAWorldWithAnExternalShardCanBeDriven) {
  auto world = RealWorld::create();
  ASSERT_TRUE(world);
  asio::io_context context;
  auto driver = AsioDriver::start(context.get_executor(), **world);
  ASSERT_FALSE(driver);
  EXPECT_TRUE(driver.error().is(Errc::invalid_argument));
}

}  // namespace velo::asio_test
