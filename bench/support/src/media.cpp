// SPDX-License-Identifier: Apache-2.0
// A case for each medium: a new backend adds its own here.

#include "media.hpp"
#include "bench_identity.hpp"

#include <velo/transport/backends/quic.hpp>
#include <velo/transport/backends/shm.hpp>
#include <velo/transport/backends/tcp.hpp>
#include <velo/transport/backends/tls.hpp>
#include <velo/transport/backends/uds.hpp>

#include <fmt/format.h>

#include <cstdio>
#include <utility>

#include <unistd.h>

namespace velo::bench {

runtime::RuntimeOptions runtime_options(const Spec& spec) {
  runtime::RuntimeOptions options;
  if (spec.spin) options.spin = std::chrono::seconds(1);
  return options;
}

std::unique_ptr<transport::Transport> make_medium(const Spec& spec, std::string_view name) {
  switch (spec.medium) {
    case Medium::tcp: return transport::make_tcp();
    case Medium::uds: {
      transport::UdsOptions options;
      options.path = fmt::format("@velo-bench-{}-{}", name, ::getpid());
      return transport::make_uds(options);
    }
    case Medium::shm: {
      transport::ShmOptions options;
      options.path = fmt::format("@velo-bench-{}-{}", name, ::getpid());
      return transport::make_shm(options);
    }
    case Medium::tls: {
      transport::TlsOptions options;
      options.credentials = bench_credentials(name);
      return transport::make_tls(std::move(options));
    }
    case Medium::quic: {
      transport::QuicOptions options;
      options.credentials = bench_credentials(name);
      return transport::make_quic(std::move(options));
    }
    case Medium::inproc: break;  // measured within one process (inproc.cpp)
  }
  std::fputs("bench: this medium is not built in\n", stderr);
  ::_exit(3);
}

}  // namespace velo::bench
