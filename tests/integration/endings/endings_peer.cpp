// SPDX-License-Identifier: Apache-2.0
// The other process of endings_test: a messenger that does as it is told, line by line, and whose
// handlers end in every way. Prints its PeerInfo first; ends with its standard input.

#include <velo/codec/json.hpp>
#include <velo/codec/peer_info.hpp>
#include <velo/messenger/messenger.hpp>
#include <velo/runtime/real_world.hpp>
#include <velo/transport/backends/tcp.hpp>
#include <velo/transport/backends/uds.hpp>

#include <cstdio>
#include <iostream>
#include <memory>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace velo::endings_peer {

/// Requests that were let in and not answered.
struct Held {
  std::mutex mutex;
  std::vector<HandlerDone> dones;
  std::vector<Context> contexts;

  std::size_t size() {
    const std::lock_guard lock(mutex);
    return dones.size() + contexts.size();
  }
  void release() {
    std::vector<HandlerDone> answered;
    {
      const std::lock_guard lock(mutex);
      answered.swap(dones);
    }
    for (HandlerDone& done : answered) done(std::optional<Bytes>(Bytes::copy("released")));
  }
};

static Handler asynchronous(const char* name, Handler::Async function) {
  return Handler::Builder(name, HandlerKind::unary, std::move(function)).build();
}

static std::vector<Handler> handlers(Held& held) {
  std::vector<Handler> all;
  all.push_back(
      Handler::unary_handler("echo", [](Context& context) { return context.payload_bytes(); })
          .inline_()
          .build());
  all.push_back(Handler::unary_handler("throw", [](Context&) -> Bytes {
                  throw std::runtime_error("on purpose");
                }).build());
  all.push_back(Handler::unary_handler("flood", [](Context&) {
                  return Bytes::own(std::vector<std::byte>(velo::limits::frame_bytes_max));
                }).build());
  all.push_back(asynchronous("hold", [&held](const Context&, HandlerDone done) {
    const std::lock_guard lock(held.mutex);
    held.dones.push_back(std::move(done));
  }));
  all.push_back(asynchronous("drop", [](const Context&, const HandlerDone&) {}));
  // The end is forgotten, and the request is kept for ever.
  all.push_back(asynchronous("keep", [&held](Context context, const HandlerDone&) {
    const std::lock_guard lock(held.mutex);
    held.contexts.push_back(std::move(context));
  }));
  return all;
}

static void say(const std::string& line) {
  std::cout << line << '\n';
  std::cout.flush();
}

static std::string outcome(const Result<void>& result) {
  return result ? "ok" : error_code_name(result.error().code());
}

/// One line of orders, one line of answer.
static std::string obey(const std::string& line, Messenger& messenger, Held& held) {
  std::istringstream words(line);
  std::string order;
  words >> order;
  if (order == "held") return std::to_string(held.size());
  if (order == "release") {
    held.release();
    return "released";
  }
  if (order == "books") {
    const ReceivedBooks books = messenger.books().received;
    std::ostringstream text;
    text << books.succeeded << ' ' << books.failed << ' ' << books.rejected << ' '
         << books.abandoned << ' ' << books.running;
    return text.str();
  }
  if (order == "drain") {
    int milliseconds = 0;
    words >> milliseconds;
    const ShutdownPolicy policy{Duration(std::chrono::milliseconds(milliseconds))};
    return outcome(messenger.shutdown(policy).get());
  }
  if (order == "call") {
    std::string handler;
    std::string json;
    words >> handler;
    std::getline(words, json);
    const auto peer = codec::from_json<PeerInfo>(json);
    if (!peer || !messenger.register_peer(*peer)) return "no such peer";
    messenger.unary(handler).instance(peer->instance_id).send().then([](Result<Bytes>) {});
    return "called";
  }
  return "what?";
}

static int serve(const std::string& kind, const std::string& folder) {
  auto world = runtime::RealWorld::create();
  if (!world) return 1;
  auto builder = Messenger::builder(**world);
  if (kind == "uds") {
    transport::UdsOptions options;
    options.folder = folder;
    builder.add_transport(transport::make_uds(std::move(options)));
  } else {
    builder.add_transport(transport::make_tcp());
  }
  Held held;
  auto messenger = builder.build();
  if (!messenger) return 1;
  for (Handler& handler : handlers(held)) {
    if (!(*messenger)->register_handler(std::move(handler))) return 1;
  }
  say(codec::to_json((*messenger)->peer_info()));
  for (std::string line; std::getline(std::cin, line);) say(obey(line, **messenger, held));
  held.release();
  return 0;
}

}  // namespace velo::endings_peer

int main(int count, char** arguments) {
  if (count != 3) return 2;
  return velo::endings_peer::serve(arguments[1], arguments[2]);
}
