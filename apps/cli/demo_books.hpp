// SPDX-License-Identifier: Apache-2.0
// Double entry between the demo's coordinator and one of its workers: what we say we sent against
// what the worker says it received. Not what the answers said: see demo_job.hpp.
// Threading: the main thread.
#pragma once

#include "demo_cluster.hpp"
#include "demo_report.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>

namespace velo::cli {

struct WorkerBooks {
  std::uint64_t taken = 0;                ///< our calls that a connection to it took
  std::optional<std::uint64_t> received;  ///< its own count; nothing when it is gone
  std::optional<ReportCheck> check;       ///< nothing when it is gone: there is nobody to ask
};

/// All calls to the worker are over. One that lives must tell, and agree: exactly while no
/// connection between us broke, otherwise within what can have been lost. `miscounted`, for tests:
/// as if it had counted one request more.
WorkerBooks compare_with_worker(DemoCluster& cluster, std::size_t index, bool miscounted);

}  // namespace velo::cli
