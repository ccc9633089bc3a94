// SPDX-License-Identifier: Apache-2.0
// Fire-and-forget: am_send completes once the message was handed to the operating system; nobody
// answers. The sender's books say afterwards how its sends ended.

#include <velo/velo.hpp>

#include <chrono>
#include <cstdio>
#include <future>
#include <mutex>
#include <string>
#include <vector>

namespace am_send {

struct Notice {
  std::string topic;
  int level = 0;
};
VELO_DESCRIBE(Notice, topic, level);

/// What the handler fills; made before the node that runs the handler, so that it outlives it.
struct Inbox {
  std::mutex mutex;
  std::vector<Notice> notices;
  std::promise<void> full;
};
constexpr std::size_t expected = 3;

static velo::Result<void> listen(velo::Velo& node, Inbox& inbox) {
  auto notify =
      velo::Handler::am_handler("notify", [&inbox](velo::Context& context) -> velo::Result<void> {
        auto notice = velo::from_msgpack<Notice>(context.payload());
        if (!notice) return notice.error();
        const std::scoped_lock lock(inbox.mutex);
        inbox.notices.push_back(std::move(*notice));
        if (inbox.notices.size() == expected) inbox.full.set_value();
        return {};
      }).build();
  return node.register_handler(std::move(notify));
}

static velo::Result<void> run() {
  Inbox inbox;
  auto receiver = velo::Velo::builder().build();
  if (!receiver) return receiver.error();
  if (auto listening = listen(**receiver, inbox); !listening) return listening;

  auto sender = velo::Velo::builder().build();
  if (!sender) return sender.error();
  auto known = (*sender)->register_peer((*receiver)->peer_info());
  if (!known) return known;

  const velo::InstanceId peer = (*receiver)->instance_id();
  for (std::size_t i = 1; i <= expected; ++i) {
    Notice notice;
    notice.topic = "disk";
    notice.level = static_cast<int>(i);
    auto sent = (*sender)->am_send("notify").payload(notice).instance(peer).send().get();
    if (!sent) return sent;
  }
  const velo::Books books = (*sender)->books();
  std::printf("sent %llu, written %llu\n", static_cast<unsigned long long>(books.fire.sent),
              static_cast<unsigned long long>(books.fire[velo::Fate::written]));

  // That a message was written does not say that it arrived: only the receiver knows.
  if (inbox.full.get_future().wait_for(std::chrono::seconds(10)) != std::future_status::ready) {
    return velo::make_error(velo::Errc::deadline_exceeded, "not every notice arrived");
  }
  const std::scoped_lock lock(inbox.mutex);
  int levels = 0;  // handlers run on the worker pool: of two messages either may be first
  for (const Notice& notice : inbox.notices) levels += notice.level;
  std::printf("received %zu notices, their levels add up to %d\n", inbox.notices.size(), levels);
  return {};
}

}  // namespace am_send

int main() {
  auto ended = am_send::run();
  if (!ended) std::fprintf(stderr, "am_send: %s\n", ended.error().to_string().c_str());
  return ended ? 0 : 1;
}
