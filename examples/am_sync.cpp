// SPDX-License-Identifier: Apache-2.0
// Send and wait until the remote handler has finished: am_sync ends with success (ack) or with the
// handler's own error (nack), which arrives with its code.

#include <velo/velo.hpp>

#include <cstdio>
#include <string>

namespace am_sync {

struct Job {
  std::string name;
  int copies = 1;
};
VELO_DESCRIBE(Job, name, copies);

static velo::Result<void> process(velo::Context& context) {
  auto job = velo::from_msgpack<Job>(context.payload());
  if (!job) return job.error();
  if (job->copies < 1) {
    return velo::make_error(velo::Errc::invalid_argument, job->name + " has nothing to print");
  }
  std::printf("worker: %s, %d copies\n", job->name.c_str(), job->copies);
  return {};
}

static velo::Result<void> run() {
  auto worker = velo::Velo::builder().build();
  if (!worker) return worker.error();
  auto registered =
      (*worker)->register_handler(velo::Handler::am_handler("process", process).build());
  if (!registered) return registered;

  auto client = velo::Velo::builder().build();
  if (!client) return client.error();
  auto known = (*client)->register_peer((*worker)->peer_info());
  if (!known) return known;

  const velo::InstanceId peer = (*worker)->instance_id();
  Job job;
  job.name = "report";
  job.copies = 2;
  auto done = (*client)->am_sync("process").payload(job).instance(peer).send().get();
  if (!done) return done;
  std::puts("client: the worker has finished");

  job.copies = 0;
  auto refused = (*client)->am_sync("process").payload(job).instance(peer).send().get();
  if (refused) return velo::make_error(velo::Errc::internal, "an empty job was accepted");
  std::printf("client: refused, %s\n", refused.error().context().c_str());
  return {};
}

}  // namespace am_sync

int main() {
  auto ended = am_sync::run();
  if (!ended) std::fprintf(stderr, "am_sync: %s\n", ended.error().to_string().c_str());
  return ended ? 0 : 1;
}
