// SPDX-License-Identifier: Apache-2.0
// One message to many nodes, and all their answers: each target has an end of its own, so that one
// that is missing does not spoil the others; and the first good answer, if that is enough.

#include <velo/velo.hpp>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace broadcast {

static velo::Result<std::unique_ptr<velo::Velo>> make_worker(const std::string& name) {
  auto worker = velo::Velo::builder().build();
  if (!worker) return worker;
  auto name_it = [name](velo::Context&) { return velo::Bytes::copy(name); };
  auto added =
      (*worker)->register_handler(velo::Handler::unary_handler("name", std::move(name_it)).build());
  if (!added) return added.error();
  return worker;
}

static velo::Result<void> run() {
  auto client = velo::Velo::builder().build();
  if (!client) return client.error();
  velo::Velo& node = **client;

  std::vector<std::unique_ptr<velo::Velo>> workers;
  std::vector<velo::InstanceId> targets;
  for (const char* name : {"ant", "bee", "cat"}) {
    auto worker = make_worker(name);
    if (!worker) return worker.error();
    auto known = node.register_peer((*worker)->peer_info());
    if (!known) return known;
    targets.push_back((*worker)->instance_id());
    workers.push_back(std::move(*worker));
  }
  workers[1].reset();  // one of them is gone, and nobody told the client

  auto all = node.broadcast("name").to(targets).timeout(std::chrono::seconds(10)).send().get();
  if (!all) return all.error();
  for (const auto& answer : *all) {
    if (answer.result) {
      std::printf("answer: %s\n", std::string(velo::as_text(*answer.result)).c_str());
    } else {
      std::printf("%s: %s, it may have been handled: %s\n",
                  std::string(velo::fate_name(answer.status.fate)).c_str(),
                  velo::error_code_name(answer.result.error().code()).c_str(),
                  answer.status.may_have_been_handled ? "yes" : "no");
    }
  }

  auto first = node.broadcast("name").to(targets).enough_with(1).send().get();
  if (!first) return first.error();
  int well = 0;
  for (const auto& answer : *first) well += answer.result ? 1 : 0;
  std::printf("at least one answered: %s\n", well >= 1 ? "yes" : "no");
  return {};
}

}  // namespace broadcast

int main() {
  auto ended = broadcast::run();
  if (!ended) std::fprintf(stderr, "broadcast: %s\n", ended.error().to_string().c_str());
  return ended ? 0 : 1;
}
