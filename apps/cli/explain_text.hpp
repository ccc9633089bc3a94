// SPDX-License-Identifier: Apache-2.0
// What `velo explain path` prints of a report for people.
// Threading: pure functions.
#pragma once

#include <velo/messenger/paths.hpp>

#include <string>

namespace velo::cli {

/// Lines, without the last one's end. The report may be another machine's.
std::string explain_text(const PathReport& report);

}  // namespace velo::cli
