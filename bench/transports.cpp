// SPDX-License-Identifier: Apache-2.0
// bench transports: calls over each medium, as a ratio to the floor of that medium: the same work
// done plainly, without velo; of an encrypted stream: velo over the plain one.

#include <velo/bench/suite.hpp>

#include <string>
#include <utility>
#include <vector>

namespace velo::bench {
namespace transports_suite {

static Spec spec_of(Medium medium, Shape shape, std::size_t bytes, std::size_t outstanding,
                    bool one_core, double seconds) {
  Spec spec;
  spec.medium = medium;
  spec.shape = shape;
  spec.payload_bytes = bytes;
  spec.outstanding = outstanding;
  spec.one_core = one_core;
  spec.seconds = seconds;
  return spec;
}

static std::vector<Case> cases(double seconds) {
  std::vector<Case> all;
  constexpr std::size_t mebibyte = std::size_t{1} << 20;
  all.emplace_back("tcp_rtt_64", spec_of(Medium::tcp, Shape::rtt, 64, 1, true, seconds));
  all.emplace_back("tcp_bulk_1m",
                   spec_of(Medium::tcp, Shape::one_way, mebibyte, 8, false, seconds));
  // Against ours over TCP: its bound is what encryption may add.
  const Spec plain = spec_of(Medium::tcp, Shape::rtt, 64, 1, true, seconds);
  all.emplace_back("tls_rtt_64", spec_of(Medium::tls, Shape::rtt, 64, 1, true, seconds),
                   [plain] { return run_ours(plain); });
  all.emplace_back("uds_rtt_64", spec_of(Medium::uds, Shape::rtt, 64, 1, true, seconds));
  all.emplace_back("shm_rtt_64", spec_of(Medium::shm, Shape::rtt, 64, 1, true, seconds));
  Spec spinning = spec_of(Medium::shm, Shape::rtt, 64, 1, false, seconds);
  spinning.spin = true;
  all.emplace_back("shm_rtt_64_spin_messenger", spinning);
  // The connection alone, as its bound says.
  spinning.rung = Rung::transport;
  all.emplace_back("shm_rtt_64_spin", spinning);
  // The same: its bound is how much faster this is.
  const Spec bulk = spec_of(Medium::tcp, Shape::one_way, mebibyte, 8, false, seconds);
  all.emplace_back("shm_bulk_1m", spec_of(Medium::shm, Shape::one_way, mebibyte, 8, false, seconds),
                   [bulk] { return run_ours(bulk); });
  all.emplace_back("tls_bulk_1m", spec_of(Medium::tls, Shape::one_way, mebibyte, 8, false, seconds),
                   [bulk] { return run_ours(bulk); });
  all.emplace_back("quic_rtt_64", spec_of(Medium::quic, Shape::rtt, 64, 1, true, seconds));
  all.emplace_back("quic_pipeline_64",
                   spec_of(Medium::quic, Shape::pipeline, 64, 64, false, seconds));
  all.emplace_back("quic_bulk_1m",
                   spec_of(Medium::quic, Shape::one_way, mebibyte, 8, false, seconds));
  return all;
}

}  // namespace transports_suite
}  // namespace velo::bench

int main(int count, char** arguments) {
  return velo::bench::run_suite("transports", count, arguments,
                                velo::bench::transports_suite::cases);
}
