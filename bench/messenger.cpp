// SPDX-License-Identifier: Apache-2.0
// bench messenger: each case as a ratio to plain sockets that do the same work.

#include <velo/bench/suite.hpp>

#include <string>
#include <utility>
#include <vector>

namespace velo::bench {
namespace messenger_suite {

static std::vector<Case> cases(double seconds) {
  std::vector<Case> all;
  const auto add = [&](std::string name, Medium medium, Shape shape, std::size_t bytes,
                       std::size_t outstanding, bool one_core, bool spawn) {
    Spec spec;
    spec.medium = medium;
    spec.shape = shape;
    spec.payload_bytes = bytes;
    spec.outstanding = outstanding;
    spec.one_core = one_core;
    spec.spawn = spawn;
    spec.seconds = seconds;
    all.emplace_back(std::move(name), spec);
  };
  add("tcp_rtt_64", Medium::tcp, Shape::rtt, 64, 1, true, false);
  add("tcp_rtt_64_caller", Medium::tcp, Shape::rtt_caller, 64, 1, true, false);
  add("tcp_rtt_64_spawn", Medium::tcp, Shape::rtt_caller, 64, 1, true, true);
  add("uds_rtt_64", Medium::uds, Shape::rtt, 64, 1, true, false);
  add("tcp_rtt_64k", Medium::tcp, Shape::rtt, 65536, 1, true, false);
  add("tcp_pipeline_64", Medium::tcp, Shape::pipeline, 64, 64, false, false);
  add("tcp_pipeline_256", Medium::tcp, Shape::pipeline, 64, 256, false, false);
  add("tcp_pipeline_1024", Medium::tcp, Shape::pipeline, 64, 1024, false, false);
  add("tcp_oneway_64", Medium::tcp, Shape::one_way, 64, 256, false, false);
  add("tcp_bulk_1m", Medium::tcp, Shape::one_way, std::size_t{1} << 20, 8, false, false);
  add("tcp_deep_256k", Medium::tcp, Shape::pipeline, std::size_t{256} << 10, 64, false, false);
  // The floor is a call through std::function that hands the payload on; the bound is absolute.
  add("inproc_typed", Medium::inproc, Shape::rtt, 64, 1, true, false);
  all.back().spec.rung = Rung::typed;
  return all;
}

}  // namespace messenger_suite
}  // namespace velo::bench

int main(int count, char** arguments) {
  return velo::bench::run_suite("messenger", count, arguments, velo::bench::messenger_suite::cases);
}
