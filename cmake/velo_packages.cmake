# SPDX-License-Identifier: Apache-2.0
# Third-party packages, all from the distribution (`./dev setup` installs them).
include_guard(GLOBAL)

find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
if(VELO_PROGRAMS)
  find_package(CLI11 REQUIRED)
endif()
if(VELO_TESTS)
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()
# Inside the etcd backend (its HTTP parser), and for <velo/asio.hpp>; users of the rest need no Boost.
find_package(Boost 1.81 CONFIG REQUIRED COMPONENTS headers)

# Header-only use: the including source defines XXH_INLINE_ALL.
find_path(VELO_XXHASH_INCLUDE xxhash.h REQUIRED)
mark_as_advanced(VELO_XXHASH_INCLUDE)
add_library(velo_xxhash INTERFACE)
add_library(velo::xxhash ALIAS velo_xxhash)
target_include_directories(velo_xxhash SYSTEM INTERFACE "${VELO_XXHASH_INCLUDE}")
