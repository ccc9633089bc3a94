// SPDX-License-Identifier: Apache-2.0
// Request and response as raw bytes, with headers in both directions. The reply is awaited in three
// ways: by blocking, by a callback, and by sending several requests before reading any reply.

#include <velo/velo.hpp>

#include <cstdio>
#include <future>
#include <string>
#include <vector>

namespace unary {

/// Answers in capitals and says in a header how many bytes it saw.
static velo::Bytes shout(velo::Context& context) {
  std::string text(velo::as_text(context.payload()));
  for (char& letter : text) {
    if (letter >= 'a' && letter <= 'z') letter = static_cast<char>(letter - 'a' + 'A');
  }
  if (context.header("mood") == "angry") text += '!';
  context.set_response_header("bytes", std::to_string(context.payload().size()));
  return velo::Bytes::own(std::move(text));
}

static velo::Result<void> call(velo::Velo& client, const velo::InstanceId& peer) {
  // Blocking, and with the headers of the reply.
  auto response = client.unary("shout")
                      .raw_payload("hello")
                      .header("mood", "angry")
                      .instance(peer)
                      .send_for_response()
                      .get();
  if (!response) return response.error();
  std::printf("%s (%s bytes)\n", response->payload.to_string().c_str(),
              response->headers["bytes"].c_str());

  // By callback. It runs on the node's worker pool, since this thread has no executor.
  std::promise<velo::Result<velo::Bytes>> promise;
  client.unary("shout").raw_payload("later").instance(peer).send().then(
      [&promise](velo::Result<velo::Bytes> reply) { promise.set_value(std::move(reply)); });
  auto later = promise.get_future().get();
  if (!later) return later.error();
  std::printf("%s\n", later->to_string().c_str());

  // Several at once: the requests leave before the first reply is read.
  std::vector<velo::Op<velo::Bytes>> calls;
  for (const char* word : {"one", "two", "three"}) {
    calls.push_back(client.unary("shout").raw_payload(word).instance(peer).send());
  }
  std::string words;
  for (auto& each : calls) {
    auto reply = std::move(each).get();
    if (!reply) return reply.error();
    words += reply->to_string() + ' ';
  }
  std::printf("%s\n", words.c_str());
  return {};
}

static velo::Result<void> run() {
  auto server = velo::Velo::builder().build();
  if (!server) return server.error();
  auto registered =
      (*server)->register_handler(velo::Handler::unary_handler("shout", shout).build());
  if (!registered) return registered;

  auto client = velo::Velo::builder().build();
  if (!client) return client.error();
  auto known = (*client)->register_peer((*server)->peer_info());
  if (!known) return known;
  return call(**client, (*server)->instance_id());
}

}  // namespace unary

int main() {
  auto ended = unary::run();
  if (!ended) std::fprintf(stderr, "unary: %s\n", ended.error().to_string().c_str());
  return ended ? 0 : 1;
}
