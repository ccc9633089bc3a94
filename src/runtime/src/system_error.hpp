// SPDX-License-Identifier: Apache-2.0
// Turns errno into Error: the code and retry class that the errno usually means, and its text as
// context.
// Threading: any thread.
#pragma once

#include <velo/base/error.hpp>

#include <string>
#include <string_view>

namespace velo::runtime {

/// "what: text of the errno".
std::string system_error_text(std::string_view what, int system_error);

Error system_error(std::string_view what, int system_error);

/// For a peer that cannot be reached: a missing socket file or a refusal is Errc::io, worth trying
/// elsewhere.
Error connect_error(std::string_view what, int system_error);

}  // namespace velo::runtime
