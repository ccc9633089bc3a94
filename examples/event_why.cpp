// SPDX-License-Identifier: Apache-2.0
// Why nothing happens: events that wait for each other, and the report that shows it. With a FOLDER
// the node announces itself there and stays until its input ends, so that
// `velo why HANDLE --discovery FOLDER` can ask it from elsewhere.

#include <velo/velo.hpp>

#include <cstdio>
#include <memory>
#include <string>
#include <utility>

namespace event_why {

static velo::Result<void> run(const char* folder) {
  auto builder = velo::Velo::builder();
  if (folder != nullptr) builder.filesystem_discovery(folder);
  auto node = builder.build();
  if (!node) return node.error();
  const velo::EventManager& events = (*node)->event_manager();

  auto loaded = events.new_event();
  if (!loaded) return loaded.error();
  const auto ready = events.merge_events({loaded->handle()});
  if (!ready) return ready.error();
  // What only the application knows: it begins to load when everything is ready.
  velo::EventNote note;
  note.text = "loading begins when all is ready";
  note.waits_for = {*ready};
  if (auto noted = events.annotate(loaded->handle(), note); !noted) return noted;
  const velo::EventAwaiter waiting = events.awaiter(*ready);

  const auto why = events.why(*ready).get();
  if (!why) return why.error();
  for (const velo::EventReport& report : why->events) {
    std::printf("%s: %s, %s%s%s\n", report.event.to_string().c_str(), report.kind.c_str(),
                report.status.c_str(), report.note.empty() ? "" : ", ", report.note.c_str());
  }
  std::printf("%zu circle of %zu events\n", why->cycles.size(),
              why->cycles.empty() ? 0 : why->cycles[0].size());
  std::printf("handle: %s\n", ready->to_string().c_str());
  std::fflush(stdout);
  while (folder != nullptr && std::getchar() != EOF) {
  }
  return {};
}

}  // namespace event_why

int main(int count, char** arguments) {
  auto ended = event_why::run(count > 1 ? arguments[1] : nullptr);
  if (!ended) std::fprintf(stderr, "event_why: %s\n", ended.error().to_string().c_str());
  return ended ? 0 : 1;
}
