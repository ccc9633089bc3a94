// SPDX-License-Identifier: Apache-2.0
// An inference server's answer: each request is answered by a stream of small tokens. The server
// works in steps; a step adds one token to every open stream, and what a step says to one client
// leaves together.

#include <velo/velo.hpp>

#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace token_streaming {

struct Prompt {
  std::string text;
  int tokens_max = 0;
};
VELO_DESCRIBE(Prompt, text, tokens_max);

struct Token {
  int index = 0;
  std::string text;
};
VELO_DESCRIBE(Token, index, text);

/// Says the words of its prompt again and again, one a step on each stream.
class Engine {
 public:
  void add(Prompt prompt, velo::StreamSender<Token> sender) {
    const std::lock_guard lock(mutex_);
    sessions_.push_back({std::move(prompt), std::move(sender), 0});
  }

  /// False when there is nothing left to say.
  bool step() {
    const std::lock_guard lock(mutex_);
    for (auto session = sessions_.begin(); session != sessions_.end();) {
      session = say(*session) ? session + 1 : sessions_.erase(session);
    }
    return !sessions_.empty();
  }

 private:
  struct Session {
    Prompt prompt;
    velo::StreamSender<Token> sender;
    int said = 0;
  };

  static bool say(Session& session) {
    // A client that hangs up costs nothing further.
    if (session.sender.cancellation_token().stop_requested()) return false;
    if (session.said == session.prompt.tokens_max) {
      session.sender.finalize().then([](const velo::Result<void>&) {});
      return false;
    }
    const std::string_view text = session.prompt.text;
    Token token;
    token.index = session.said;
    token.text = text.substr(static_cast<std::size_t>(session.said) % text.size(), 1);
    auto sent = session.sender.try_send(token);
    // Without credit the client is slow: it gets this token in a later step.
    if (sent) ++session.said;
    return sent || sent.error().is(velo::streaming::Errc::no_credit);
  }

  std::mutex mutex_;
  std::vector<Session> sessions_;
};

/// Steps on the server's shard for as long as there is something to say.
static void run_steps(velo::World& world, std::shared_ptr<Engine> engine) {
  velo::post(world.shard(0), [&world, engine = std::move(engine)] {
    if (engine->step()) run_steps(world, engine);
  });
}

static velo::Result<std::string> read(velo::StreamAnchor<Token>& stream) {
  std::string text;
  for (;;) {
    auto frame = stream.next().get();
    if (!frame) return frame.error();
    if (frame->finalized()) return text;
    text += frame->item().text;
  }
}

static velo::Result<void> run() {
  auto server = velo::Velo::builder().build();
  if (!server) return server.error();
  auto client = velo::Velo::builder().build();
  if (!client) return client.error();
  auto known = (*client)->register_peer((*server)->peer_info());
  if (!known) return known;

  auto serving = (*server)->streams();
  if (!serving) return serving.error();
  auto engine = std::make_shared<Engine>();
  auto generate = [engine, &world = (*server)->world()](Prompt prompt,
                                                        velo::StreamSender<Token> sender) {
    engine->add(std::move(prompt), std::move(sender));
    run_steps(world, engine);
  };
  auto added = (*server)->register_handler(
      velo::stream_handler<Prompt, Token>(*serving, "generate", std::move(generate)));
  if (!added) return added;

  auto streams = (*client)->streams();
  if (!streams) return streams.error();
  std::vector<velo::StreamAnchor<Token>> answers;
  for (int i = 0; i < 8; ++i) {
    Prompt prompt;
    prompt.text = std::string("velo") + std::to_string(i);
    prompt.tokens_max = 500;
    auto answer = velo::stream_call<Token>(*streams, "generate")
                      .payload(prompt)
                      .send_to((*server)->instance_id());
    if (!answer) return answer.error();
    answers.push_back(std::move(*answer));
  }
  answers.back().cancel();  // one of the clients hangs up
  answers.pop_back();
  std::size_t tokens = 0;
  for (auto& answer : answers) {
    auto text = read(answer);
    if (!text) return text.error();
    if (text->substr(0, 4) != "velo") return velo::make_error(velo::Errc::internal, *text);
    tokens += text->size();
  }
  std::printf("%zu streams, %zu tokens\n", answers.size(), tokens);
  return {};
}

}  // namespace token_streaming

int main() {
  auto ended = token_streaming::run();
  if (!ended) std::fprintf(stderr, "token_streaming: %s\n", ended.error().to_string().c_str());
  return ended ? 0 : 1;
}
