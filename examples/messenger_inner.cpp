// SPDX-License-Identifier: Apache-2.0
// `velo.messenger()` is the inner Messenger, for code that needs messaging and nothing else: it
// then works with any messenger, however that was put together.

#include <velo/velo.hpp>

#include <cstdio>

namespace messenger_inner {

/// Library code: knows messengers, not nodes.
static velo::Result<void> offer_time(velo::Messenger& messenger) {
  auto uptime = velo::Handler::unary_handler("uptime", [](velo::Context& context) {
                  const velo::TimePoint now = context.msg().world().clock().now();
                  return velo::Bytes::own(now > velo::TimePoint() ? "running" : "just started");
                }).build();
  return messenger.register_handler(std::move(uptime));
}

static velo::Result<velo::Bytes> ask_for_time(velo::Messenger& messenger,
                                              const velo::InstanceId& peer) {
  return messenger.unary("uptime").instance(peer).send().get();
}

static velo::Result<void> run() {
  auto built = velo::Velo::builder().build();
  if (!built) return built.error();
  velo::Velo& node = **built;
  velo::Messenger& messenger = node.messenger();
  std::printf("same instance: %s\n", messenger.instance_id() == node.instance_id() ? "yes" : "no");

  if (auto offered = offer_time(messenger); !offered) return offered;
  auto answer = ask_for_time(messenger, node.instance_id());
  if (!answer) return answer.error();
  std::printf("uptime: %s\n", answer->to_string().c_str());
  return {};
}

}  // namespace messenger_inner

int main() {
  auto ended = messenger_inner::run();
  if (!ended) std::fprintf(stderr, "messenger_inner: %s\n", ended.error().to_string().c_str());
  return ended ? 0 : 1;
}
