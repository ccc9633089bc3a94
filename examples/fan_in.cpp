// SPDX-License-Identifier: Apache-2.0
// Many to one: workers send their results into one stream, each in its own order and with its own
// end; one of them goes away without a word, and the reader hears of it.

#include <velo/velo.hpp>

#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace fan_in {

struct Work {
  velo::StreamAnchorHandle results;
  int first = 0;
  int count = 0;
  bool give_up = false;
};
VELO_DESCRIBE(Work, results, first, count, give_up);

/// A worker's task: attach to where the results shall go, and send them.
static velo::Task<velo::Result<void>> work(velo::Context context, velo::Velo* node) {
  auto job = velo::from_msgpack<Work>(context.payload_bytes());
  if (!job) co_return job.error();
  auto attach = node->attach_mpsc_anchor<int>(job->results);
  auto sender = co_await attach;
  if (!sender) co_return sender.error();
  for (int i = job->first; i < job->first + job->count; ++i) {
    auto op = sender->send(i * i);
    auto sent = co_await op;
    if (!sent) co_return sent.error();
  }
  if (job->give_up) co_return velo::Result<void>();  // the sender is dropped
  auto op = sender->finalize();
  auto finalized = co_await op;
  co_return finalized;
}

static velo::Result<std::unique_ptr<velo::Velo>> make_worker() {
  auto worker = velo::Velo::builder().build();
  if (!worker) return worker;
  auto run = [node = worker->get()](velo::Context context) {
    return work(std::move(context), node);
  };
  auto added =
      (*worker)->register_handler(velo::Handler::am_handler_async("work", std::move(run)).build());
  if (!added) return added.error();
  return worker;
}

static velo::Result<void> run() {
  auto leader = velo::Velo::builder().build();
  if (!leader) return leader.error();
  auto results = (*leader)->create_mpsc_anchor<int>();
  if (!results) return results.error();

  std::vector<std::unique_ptr<velo::Velo>> workers;
  for (int i = 0; i < 3; ++i) {
    auto worker = make_worker();
    if (!worker) return worker.error();
    auto known = (*leader)->register_peer((*worker)->peer_info());
    if (!known) return known;
    Work job;
    job.results = results->handle();
    job.first = i * 100;
    job.count = 100;
    job.give_up = i == 2;
    auto sent = (*leader)
                    ->am_send("work")
                    .raw_payload(velo::to_msgpack(job))
                    .instance((*worker)->instance_id())
                    .send()
                    .get();
    if (!sent) return sent;
    workers.push_back(std::move(*worker));
  }

  long long sum = 0;
  int items = 0;
  std::map<std::string, int> ends;
  while (ends["finalized"] + ends["dropped"] < 3) {
    auto frame = results->next().get();
    if (!frame) return frame.error();
    if (frame->is_item()) {
      sum += frame->item();
      ++items;
    } else if (!frame->frame()) {
      ++ends["dropped"];
    } else {
      ++ends["finalized"];
    }
  }
  std::printf("%d results, their sum is %lld\n", items, sum);
  std::printf("%d finished, %d gave up\n", ends["finalized"], ends["dropped"]);
  return {};
}

}  // namespace fan_in

int main() {
  auto ended = fan_in::run();
  if (!ended) std::fprintf(stderr, "fan_in: %s\n", ended.error().to_string().c_str());
  return ended ? 0 : 1;
}
