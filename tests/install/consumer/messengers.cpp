// SPDX-License-Identifier: Apache-2.0
// Two nodes of a user's program, one of which asks the other over TCP.

#include <velo/velo.hpp>

#include <cstdio>
#include <memory>
#include <string>

namespace messengers {

struct Sum {
  int a = 0;
  int b = 0;
};
VELO_DESCRIBE(Sum, a, b);

static velo::Result<std::unique_ptr<velo::Velo>> make_node() {
  return velo::Velo::builder().add_transport(velo::transport::make_tcp()).build();
}

static velo::Result<int> run() {
  auto server = make_node();
  if (!server) return server.error();
  auto client = make_node();
  if (!client) return client.error();
  auto add = velo::Handler::typed_unary("add", [](velo::TypedContext<Sum>& context) -> int {
               return context.input.a + context.input.b;
             }).build();
  if (auto done = (*server)->register_handler(std::move(add)); !done) return done.error();
  if (auto done = (*client)->register_peer((*server)->peer_info()); !done) return done.error();
  Sum question;
  question.a = 40;
  question.b = 2;
  return (*client)
      ->typed_unary<int>("add")
      .payload(question)
      .instance((*server)->instance_id())
      .send()
      .get();
}

}  // namespace messengers

int main() {
  auto answer = messengers::run();
  if (!answer) {
    std::fprintf(stderr, "%s\n", answer.error().to_string().c_str());
    return 1;
  }
  std::printf("answer %d\n", *answer);
  return 0;
}
