# SPDX-License-Identifier: Apache-2.0
# Build options and the flags every target shares.
include_guard(GLOBAL)

set(VELO_SANITIZE "" CACHE STRING "Sanitizers for every target: 'address,undefined' or 'thread'")
option(VELO_UNITY "Unity builds: several sources of a target per translation unit" OFF)
set(VELO_UNITY_BATCH 8 CACHE STRING "Sources per translation unit of a unity build; 0: all of a target")
option(VELO_PCH "Precompile the standard headers, fmt and (for tests) GoogleTest" OFF)
option(VELO_FUZZ "Build the fuzz targets with libFuzzer (clang only)" OFF)
option(VELO_COVERAGE "Count which lines run (clang only), for ./dev coverage" OFF)

# A project that takes velo in with add_subdirectory or FetchContent wants the library and nothing else.
set(velo_installable ${PROJECT_IS_TOP_LEVEL})
if(VELO_SANITIZE OR VELO_FUZZ)
  set(velo_installable OFF)
endif()
option(VELO_TESTS "Tests and conformance suites (GoogleTest)" ${PROJECT_IS_TOP_LEVEL})
option(VELO_PROGRAMS "The command line program (CLI11), benches and examples" ${PROJECT_IS_TOP_LEVEL})
option(VELO_INSTALL "The one library that is installed, and the install rules" ${velo_installable})
option(VELO_WITH_NATS "The queue backend for NATS JetStream, a library of its own (libnats)" ${PROJECT_IS_TOP_LEVEL})
option(VELO_SHARED "The installed library is shared" OFF)
if(VELO_TESTS)
  set(VELO_PROGRAMS ON) # which they run
endif()

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CXX_FLAGS)
  set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
if(PROJECT_IS_TOP_LEVEL)
  set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
endif()
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
if(VELO_SHARED)
  set(CMAKE_POSITION_INDEPENDENT_CODE ON)
endif()

# VELO_CHECK stays on in every build; NDEBUG only silences VELO_DCHECK and assert.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -DNDEBUG")

add_compile_options(-Wall -Wextra -Wshadow)
if(PROJECT_IS_TOP_LEVEL)
  add_compile_options(-Werror)
endif()
# What is installed names no folder of the machine that built it. Debug builds keep the paths for debuggers.
add_compile_options(
  "$<$<CONFIG:Release,RelWithDebInfo,MinSizeRel>:-fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=>"
  "$<$<CONFIG:Release,RelWithDebInfo,MinSizeRel>:-fdebug-prefix-map=${PROJECT_SOURCE_DIR}=.>")
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  add_compile_options(-fcolor-diagnostics)
else()
  add_compile_options(-fdiagnostics-color=always)
endif()

find_program(VELO_MOLD mold)
mark_as_advanced(VELO_MOLD)
if(VELO_COVERAGE)
  # mold lays a TLS segment of one byte out so that programs with counters cannot be loaded.
  add_link_options(-fuse-ld=lld)
elseif(VELO_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

if(VELO_SANITIZE)
  add_compile_options(-fsanitize=${VELO_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${VELO_SANITIZE})
endif()

if(VELO_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "VELO_FUZZ needs clang: libFuzzer is part of it")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

if(VELO_COVERAGE)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "VELO_COVERAGE needs clang: the report is llvm-cov's")
  endif()
  add_compile_options(-fprofile-instr-generate -fcoverage-mapping)
  add_link_options(-fprofile-instr-generate)
endif()

if(VELO_UNITY)
  set(CMAKE_UNITY_BUILD ON)
  set(CMAKE_UNITY_BUILD_BATCH_SIZE ${VELO_UNITY_BATCH})
endif()
