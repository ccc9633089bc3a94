# SPDX-License-Identifier: Apache-2.0
# The functions with which a directory says what it is: velo_room, velo_backend, velo_support, velo_test,
# velo_fuzz, velo_program. Each room has its own include root, so a header of a room that is not linked
# cannot be included; `all_verify_interface_header_sets` proves that each public header stands alone.
include_guard(GLOBAL)

# velo_room([NAME] messenger [DEPS velo::base ...] [PRIVATE_DEPS ...] [TEST_DEPS ...])
#   The static library velo_NAME (velo::NAME) from src/*.cpp with the public headers of include/, and
#   the test program velo_NAME_test from src/*_test.cpp. DEPS are part of the public headers' contract.
function(velo_room)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME" "DEPS;PUBLIC_DEPS;PRIVATE_DEPS;TEST_DEPS")
  if(NOT arg_NAME)
    list(POP_FRONT arg_UNPARSED_ARGUMENTS arg_NAME)
  endif()
  velo_detail_reject_unknown(velo_room "${arg_UNPARSED_ARGUMENTS}")
  velo_detail_library("${arg_NAME}" "${CMAKE_CURRENT_SOURCE_DIR}/src" "${CMAKE_CURRENT_SOURCE_DIR}/include"
    "${arg_DEPS};${arg_PUBLIC_DEPS}" "${arg_PRIVATE_DEPS}" "${arg_TEST_DEPS}")
  velo_detail_ship(velo velo_${arg_NAME} "${CMAKE_CURRENT_SOURCE_DIR}/include"
    ${arg_DEPS} ${arg_PUBLIC_DEPS} ${arg_PRIVATE_DEPS})
endfunction()

# velo_backend(ROOM transport NAME tcp [DEPS ...] [PRIVATE_DEPS ...] [TEST_DEPS ...] [COMPONENT PKG_CONFIG module ...])
#   The same for src/ROOM/backends/NAME: target velo_ROOM_NAME (velo::ROOM_NAME), sources in src/ or
#   beside the CMakeLists.txt, headers <velo/ROOM/backends/NAME.hpp>. Links velo::ROOM by itself. COMPONENT: what it
#   needs is too heavy for everybody's library: it is installed as libvelo_NAME, found as component NAME, and linked by
#   who asks for it; PKG_CONFIG: the modules that it links.
function(velo_backend)
  cmake_parse_arguments(PARSE_ARGV 0 arg "COMPONENT" "ROOM;NAME" "DEPS;PUBLIC_DEPS;PRIVATE_DEPS;TEST_DEPS;PKG_CONFIG")
  velo_detail_reject_unknown(velo_backend "${arg_UNPARSED_ARGUMENTS}")
  set(sources "${CMAKE_CURRENT_SOURCE_DIR}")
  if(IS_DIRECTORY "${sources}/src")
    string(APPEND sources "/src")
  endif()
  set(library velo)
  if(arg_COMPONENT)
    set(library ${arg_NAME})
    find_package(PkgConfig REQUIRED)
    pkg_check_modules(velo_${arg_NAME} REQUIRED IMPORTED_TARGET GLOBAL ${arg_PKG_CONFIG})
    list(APPEND arg_PRIVATE_DEPS PkgConfig::velo_${arg_NAME})
    set_property(GLOBAL APPEND PROPERTY velo_component_libraries ${arg_NAME})
    set_property(GLOBAL PROPERTY velo_${arg_NAME}_pkg_config ${arg_PKG_CONFIG})
  endif()
  velo_detail_library("${arg_ROOM}_${arg_NAME}" "${sources}" "${CMAKE_CURRENT_SOURCE_DIR}/include"
    "velo::${arg_ROOM};${arg_DEPS};${arg_PUBLIC_DEPS}" "${arg_PRIVATE_DEPS}" "${arg_TEST_DEPS}")
  velo_detail_ship(${library} velo_${arg_ROOM}_${arg_NAME} "${CMAKE_CURRENT_SOURCE_DIR}/include"
    ${arg_DEPS} ${arg_PUBLIC_DEPS} ${arg_PRIVATE_DEPS})
endfunction()

# velo_support(NAME transport_conformance DIR conformance [CONFORMANCE] [DEPS ...] [PRIVATE_DEPS ...] [TEST_DEPS ...])
#   A library that is not a room (a conformance suite, test support): target velo_NAME (velo::NAME) from
#   DIR/*.cpp, or DIR/src/*.cpp, with the headers of DIR/include. CONFORMANCE: for the authors of
#   backends, so it is installed; there when VELO_TESTS is on.
function(velo_support)
  cmake_parse_arguments(PARSE_ARGV 0 arg "CONFORMANCE" "NAME;DIR" "DEPS;PUBLIC_DEPS;PRIVATE_DEPS;TEST_DEPS")
  velo_detail_reject_unknown(velo_support "${arg_UNPARSED_ARGUMENTS}")
  if(arg_CONFORMANCE AND NOT VELO_TESTS)
    return()
  endif()
  set(directory "${CMAKE_CURRENT_SOURCE_DIR}/${arg_DIR}")
  set(sources "${directory}")
  if(IS_DIRECTORY "${sources}/src")
    string(APPEND sources "/src")
  endif()
  velo_detail_library("${arg_NAME}" "${sources}" "${directory}/include"
    "${arg_DEPS};${arg_PUBLIC_DEPS}" "${arg_PRIVATE_DEPS}" "${arg_TEST_DEPS}")
  if(arg_CONFORMANCE)
    velo_detail_ship(conformance velo_${arg_NAME} "${directory}/include"
      ${arg_DEPS} ${arg_PUBLIC_DEPS} ${arg_PRIVATE_DEPS})
  endif()
endfunction()

# velo_test(NAME cluster SOURCES a_test.cpp ... [DEPS ...] [LABELS ...] [DEFINES ...] [TIMEOUT seconds])
#   A GoogleTest program velo_NAME_test whose cases are ctest tests. Tests find the tree and the programs
#   through the environment: VELO_SOURCE_DIR and VELO_BIN_DIR.
function(velo_test)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME;TIMEOUT" "SOURCES;DEPS;LABELS;DEFINES")
  velo_detail_reject_unknown(velo_test "${arg_UNPARSED_ARGUMENTS}")
  velo_detail_need_deps("velo_test ${arg_NAME}" ${arg_DEPS})
  velo_detail_test_program("velo_${arg_NAME}_test" "${arg_SOURCES}" "${arg_DEPS}" "${arg_LABELS}" "${arg_TIMEOUT}")
  if(TARGET velo_${arg_NAME}_test)
    target_compile_definitions(velo_${arg_NAME}_test PRIVATE ${arg_DEFINES})
  endif()
endfunction()

# velo_fuzz(NAME frame SOURCES frame_fuzz.cpp DEPS velo::transport CORPUS corpus/frame [MUTATIONS 2000])
#   With VELO_FUZZ the libFuzzer program velo_fuzz_NAME; otherwise the same entry point behind a driver that
#   replays the corpus and a fixed set of mutations of it, as one ctest test, so that every crasher found stays
#   a test. `./dev coverage` replays the corpora alone and judges what they reach (tools/coverage.toml).
function(velo_fuzz)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME;CORPUS;MUTATIONS" "SOURCES;DEPS;PRIVATE_DEPS")
  velo_detail_reject_unknown(velo_fuzz "${arg_UNPARSED_ARGUMENTS}")
  velo_detail_need_deps("velo_fuzz ${arg_NAME}" ${arg_DEPS} ${arg_PRIVATE_DEPS})
  set(target velo_fuzz_${arg_NAME})
  get_filename_component(corpus "${arg_CORPUS}" ABSOLUTE)
  # `./dev nightly fuzz` and `./dev coverage` read this list: program and corpus, tab separated.
  set_property(GLOBAL APPEND_STRING PROPERTY velo_fuzz_list "${target}\t${corpus}\n")
  get_property(fuzz_list GLOBAL PROPERTY velo_fuzz_list)
  file(WRITE "${CMAKE_BINARY_DIR}/fuzz_targets.txt" "${fuzz_list}")
  add_executable(${target} ${arg_SOURCES})
  # Every fuzz source defines the same entry point and often the same helpers.
  set_target_properties(${target} PROPERTIES UNITY_BUILD OFF)
  target_link_libraries(${target} PRIVATE ${arg_DEPS} ${arg_PRIVATE_DEPS} fmt::fmt)
  if(VELO_FUZZ)
    target_link_options(${target} PRIVATE -fsanitize=fuzzer)
  else()
    target_sources(${target} PRIVATE "${PROJECT_SOURCE_DIR}/cmake/fuzz_replay.cpp")
    if(NOT arg_MUTATIONS)
      set(arg_MUTATIONS 2000)
    endif()
    add_test(NAME fuzz_corpus.${arg_NAME} COMMAND ${target} --mutations ${arg_MUTATIONS} "${corpus}")
    set_tests_properties(fuzz_corpus.${arg_NAME} PROPERTIES LABELS fuzz TIMEOUT 120)
  endif()
endfunction()

# velo_program(NAME velo SOURCES main.cpp ... [DEPS ...])
#   The program bin/NAME: the command line, an example (example_NAME) or a bench (velo_bench_NAME).
function(velo_program)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME" "SOURCES;DEPS;PRIVATE_DEPS;DEFINES")
  velo_detail_reject_unknown(velo_program "${arg_UNPARSED_ARGUMENTS}")
  velo_detail_need_deps("velo_program ${arg_NAME}" ${arg_DEPS} ${arg_PRIVATE_DEPS})
  if(VELO_FUZZ)
    return()
  endif()
  add_executable(${arg_NAME} ${arg_SOURCES})
  target_include_directories(${arg_NAME} PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}")
  target_link_libraries(${arg_NAME} PRIVATE ${arg_DEPS} ${arg_PRIVATE_DEPS} fmt::fmt Threads::Threads)
  target_compile_definitions(${arg_NAME} PRIVATE ${arg_DEFINES})
  velo_detail_precompile(${arg_NAME} velo_pch)
endfunction()

# velo_program_parts(NAME velo_cli_parts SOURCES ... [DEPS ...] [PRIVATE_DEPS ...] [DEFINES ...])
#   What several programs share, main() included: an object library that velo_program takes as a dependency.
function(velo_program_parts)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME" "SOURCES;DEPS;PRIVATE_DEPS;DEFINES")
  velo_detail_reject_unknown(velo_program_parts "${arg_UNPARSED_ARGUMENTS}")
  velo_detail_need_deps("velo_program_parts ${arg_NAME}" ${arg_DEPS} ${arg_PRIVATE_DEPS})
  if(VELO_FUZZ)
    return()
  endif()
  add_library(${arg_NAME} OBJECT ${arg_SOURCES})
  target_link_libraries(${arg_NAME} PUBLIC ${arg_DEPS} ${arg_PRIVATE_DEPS} fmt::fmt Threads::Threads)
  target_compile_definitions(${arg_NAME} PRIVATE ${arg_DEFINES})
  velo_detail_precompile(${arg_NAME} velo_pch)
endfunction()

# ---- details ----------------------------------------------------------------------------------------

function(velo_detail_reject_unknown function arguments)
  if(arguments)
    message(FATAL_ERROR "${function}: unknown arguments: ${arguments}")
  endif()
endfunction()

# A dependency must already be defined, which is what makes a link to an upper room impossible: rooms are
# added in layer order.
function(velo_detail_need_deps who)
  foreach(dep IN LISTS ARGN)
    if(dep MATCHES "::" AND NOT TARGET ${dep})
      message(FATAL_ERROR "${who}: ${dep} is not defined (yet): is it a room of an upper layer?")
    endif()
  endforeach()
endfunction()

# Notes for velo_install.cmake what is part of which installed library: targets, include roots, and
# third-party libraries.
function(velo_detail_ship library target include_dir)
  set_property(GLOBAL APPEND PROPERTY velo_${library}_targets ${target})
  if(IS_DIRECTORY "${include_dir}")
    set_property(GLOBAL APPEND PROPERTY velo_${library}_include_dirs "${include_dir}")
  endif()
  foreach(dep IN LISTS ARGN)
    if(NOT dep MATCHES "^velo::")
      set_property(GLOBAL APPEND PROPERTY velo_${library}_third_party ${dep})
    endif()
  endforeach()
endfunction()

function(velo_detail_library name source_dir include_dir public_deps private_deps test_deps)
  velo_detail_need_deps("velo::${name}" ${public_deps} ${private_deps})
  file(GLOB sources CONFIGURE_DEPENDS "${source_dir}/*.cpp")
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS "${include_dir}/*.hpp")
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  list(FILTER sources EXCLUDE REGEX "_(test|fuzz|bench)\\.cpp$")

  set(target velo_${name})
  if(sources)
    add_library(${target} STATIC ${sources})
    set(public PUBLIC)
    target_include_directories(${target} PRIVATE "${source_dir}")
    target_link_libraries(${target} PRIVATE ${private_deps} fmt::fmt Threads::Threads)
    velo_detail_precompile(${target} velo_pch)
  else()
    add_library(${target} INTERFACE)
    set(public INTERFACE)
    target_link_libraries(${target} INTERFACE ${private_deps})
  endif()
  add_library(velo::${name} ALIAS ${target})
  target_link_libraries(${target} ${public} ${public_deps})
  target_compile_features(${target} ${public} cxx_std_23)
  if(headers)
    target_sources(${target} ${public} FILE_SET HEADERS BASE_DIRS "${include_dir}" FILES ${headers})
    set_target_properties(${target} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)
  elseif(IS_DIRECTORY "${include_dir}")
    target_include_directories(${target} ${public} "${include_dir}")
  endif()

  if(tests AND VELO_TESTS)
    velo_detail_need_deps("velo_${name}_test" ${test_deps})
    velo_detail_test_program(velo_${name}_test "${tests}" "velo::${name};${private_deps};${test_deps}" "unit" "")
    if(TARGET velo_${name}_test)
      target_include_directories(velo_${name}_test PRIVATE "${source_dir}")
    endif()
  endif()
endfunction()

function(velo_detail_test_program target sources deps labels timeout)
  if(VELO_FUZZ)
    return()
  endif()
  add_executable(${target} ${sources})
  target_link_libraries(${target} PRIVATE ${deps} fmt::fmt GTest::gmock_main Threads::Threads)
  velo_detail_precompile(${target} velo_pch_test)
  set(properties "")
  if(timeout)
    # Only where a test says so: a property would override the `--timeout` that each leg passes to ctest.
    set(properties TIMEOUT ${timeout})
  endif()
  gtest_discover_tests(${target} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
    PROPERTIES ${properties} LABELS "${labels}"
    ENVIRONMENT "VELO_SOURCE_DIR=${PROJECT_SOURCE_DIR};VELO_BIN_DIR=${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
endfunction()

# Targets share one of two precompiled headers; both must be built with the flags of their users.
function(velo_detail_precompile target pch)
  if(NOT VELO_PCH)
    return()
  endif()
  if(NOT TARGET ${pch})
    file(WRITE "${CMAKE_BINARY_DIR}/${pch}.cpp" "// Carries the precompiled header.\n")
    add_library(${pch} STATIC "${CMAKE_BINARY_DIR}/${pch}.cpp")
    target_link_libraries(${pch} PRIVATE fmt::fmt Threads::Threads)
    target_precompile_headers(${pch} PRIVATE "${PROJECT_SOURCE_DIR}/cmake/${pch}.hpp")
    if(pch STREQUAL "velo_pch_test")
      target_link_libraries(${pch} PRIVATE GTest::gmock)
    endif()
    if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
      # Without these ccache cannot reuse objects across rebuilds of an unchanged precompiled header.
      target_compile_options(${pch} PRIVATE "SHELL:-Xclang -fno-pch-timestamp" -fpch-instantiate-templates)
    endif()
  endif()
  target_precompile_headers(${target} REUSE_FROM ${pch})
endfunction()
