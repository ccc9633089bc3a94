// SPDX-License-Identifier: Apache-2.0
// Assertions for programmer errors; never for input from a peer, a file or a user (those get an
// Error). VELO_CHECK stays on in every build, VELO_DCHECK only where NDEBUG is not defined.
// Threading: any thread; a failed check ends the process.
#pragma once

namespace velo::base_detail {
[[noreturn]] void check_failed(const char* expression, const char* file, int line) noexcept;
}

#define VELO_CHECK(expression)   \
  (static_cast<bool>(expression) \
       ? static_cast<void>(0)    \
       : ::velo::base_detail::check_failed(#expression, __FILE__, __LINE__))

#ifdef NDEBUG
#define VELO_DCHECK(expression) static_cast<void>(sizeof(static_cast<bool>(expression)))
#else
#define VELO_DCHECK(expression) VELO_CHECK(expression)
#endif
