# SPDX-License-Identifier: Apache-2.0
# What a user gets: libvelo from every room and backend, libvelo_conformance for the authors of backends, all
# public headers, the CMake package, velo.pc, the program with its completions. In the tree programs link the
# rooms; what is made here is only installed. Guide: docs/guides/install.md.
include_guard(GLOBAL)
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(velo_cmake_dir "${CMAKE_INSTALL_LIBDIR}/cmake/velo")
set(velo_doc_dir "${CMAKE_INSTALL_DATADIR}/doc/velo")
# While 0.x a minor version may break, so the ABI is named by both numbers.
set(velo_abi "${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}")

# ---- the libraries ----------------------------------------------------------------------------------

# velo_install_library(velo velo_library STATIC): the target from the objects of what was noted under that name.
# Leaves in <name>_third_party what it links besides.
function(velo_install_library name target kind)
  get_property(parts GLOBAL PROPERTY velo_${name}_targets)
  get_property(include_dirs GLOBAL PROPERTY velo_${name}_include_dirs)
  get_property(third_party GLOBAL PROPERTY velo_${name}_third_party)
  list(APPEND third_party fmt::fmt Threads::Threads)
  list(REMOVE_DUPLICATES third_party)
  add_library(${target} ${kind})
  set_target_properties(${target} PROPERTIES LINKER_LANGUAGE CXX)
  foreach(part IN LISTS parts)
    get_target_property(type ${part} TYPE)
    if(NOT type STREQUAL INTERFACE_LIBRARY)
      target_sources(${target} PRIVATE $<TARGET_OBJECTS:${part}>)
    endif()
  endforeach()
  target_compile_features(${target} INTERFACE cxx_std_23)
  target_include_directories(${target} INTERFACE "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
  target_link_libraries(${target} PRIVATE ${third_party})
  foreach(directory IN LISTS include_dirs)
    install(DIRECTORY "${directory}/" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" FILES_MATCHING PATTERN "*.hpp")
  endforeach()
  set(${name}_third_party ${third_party} PARENT_SCOPE)
endfunction()

# velo_install_names(RESULT velo): under which names the parts are linked in the tree, without "velo::".
function(velo_install_names result name)
  get_property(parts GLOBAL PROPERTY velo_${name}_targets)
  list(TRANSFORM parts REPLACE "^velo_" "")
  list(REMOVE_ITEM parts ${name})
  set(${result} ${parts} PARENT_SCOPE)
endfunction()

if(VELO_SHARED)
  velo_install_library(velo velo_library SHARED)
  # Only names of namespace velo leave the library, under a version of their own.
  set(velo_version_script "${CMAKE_CURRENT_BINARY_DIR}/velo.version")
  file(CONFIGURE OUTPUT "${velo_version_script}" CONTENT "VELO_@velo_abi@ { global: _Z*4velo*; local: *; };\n" @ONLY)
  target_link_options(velo_library PRIVATE "LINKER:--version-script=${velo_version_script}" "LINKER:-z,defs")
  set_target_properties(velo_library PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${velo_abi}
    LINK_DEPENDS "${velo_version_script}")
else()
  velo_install_library(velo velo_library STATIC)
endif()
set_target_properties(velo_library PROPERTIES OUTPUT_NAME velo EXPORT_NAME velo)
install(TARGETS velo_library EXPORT velo_export)
install(EXPORT velo_export FILE veloTargets.cmake NAMESPACE velo:: DESTINATION "${velo_cmake_dir}")
velo_install_names(velo_components velo)

# Backends that bring libraries which not everybody wants: a library each.
get_property(velo_component_libraries GLOBAL PROPERTY velo_component_libraries)
set(velo_component_packages "")
foreach(component IN LISTS velo_component_libraries)
  if(VELO_SHARED)
    velo_install_library(${component} velo_component_${component} SHARED)
    target_link_options(velo_component_${component} PRIVATE
      "LINKER:--version-script=${velo_version_script}" "LINKER:-z,defs")
    set_target_properties(velo_component_${component} PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${velo_abi})
  else()
    velo_install_library(${component} velo_component_${component} STATIC)
  endif()
  target_link_libraries(velo_component_${component} PUBLIC velo_library)
  set_target_properties(velo_component_${component} PROPERTIES OUTPUT_NAME velo_${component} EXPORT_NAME ${component})
  install(TARGETS velo_component_${component} EXPORT velo_${component}_export)
  install(EXPORT velo_${component}_export FILE velo_${component}.cmake NAMESPACE velo:: DESTINATION "${velo_cmake_dir}")
  get_property(modules GLOBAL PROPERTY velo_${component}_pkg_config)
  if(VELO_SHARED)
    set(modules "")
  endif()
  list(JOIN modules " " modules)
  string(APPEND velo_component_packages "set(velo_${component}_modules ${modules})\n")
endforeach()

if(VELO_TESTS)
  velo_install_library(conformance velo_conformance STATIC)
  set_target_properties(velo_conformance PROPERTIES EXPORT_NAME conformance)
  target_link_libraries(velo_conformance PUBLIC velo_library)
  install(TARGETS velo_conformance EXPORT velo_conformance_export)
  install(EXPORT velo_conformance_export FILE veloConformance.cmake NAMESPACE velo:: DESTINATION "${velo_cmake_dir}")
  velo_install_names(velo_conformance_names conformance)
endif()

# ---- the CMake package and velo.pc ------------------------------------------------------------------

# A shared library brings along what it links.
set(velo_dependencies "")
set(velo_pc_requires "")
set(velo_pc_libs "")
foreach(library IN LISTS velo_third_party)
  if(library STREQUAL "fmt::fmt")
    set(package fmt)
    set(pc_requires fmt)
  elseif(library STREQUAL "Threads::Threads")
    set(package Threads)
    set(pc_requires "")
    string(APPEND velo_pc_libs " -pthread")
  elseif(library MATCHES "^OpenSSL::(SSL|Crypto)$")
    set(package OpenSSL)
    string(TOLOWER "lib${CMAKE_MATCH_1}" pc_requires)
  else()
    message(FATAL_ERROR "velo_install: how do users find ${library}? Say it here.")
  endif()
  list(APPEND velo_dependencies ${package})
  list(APPEND velo_pc_requires ${pc_requires})
endforeach()
list(REMOVE_DUPLICATES velo_dependencies)
list(JOIN velo_pc_requires ", " velo_pc_requires)
list(TRANSFORM velo_dependencies REPLACE "(.+)" "find_dependency(\\1)")
list(JOIN velo_dependencies "\n" velo_dependencies)
if(VELO_SHARED)
  set(velo_dependencies "")
  set(velo_pc_requires "")
  set(velo_pc_libs "")
endif()

configure_package_config_file(cmake/veloConfig.cmake.in "${CMAKE_CURRENT_BINARY_DIR}/veloConfig.cmake"
  INSTALL_DESTINATION "${velo_cmake_dir}" NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file("${CMAKE_CURRENT_BINARY_DIR}/veloConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/veloConfig.cmake" "${CMAKE_CURRENT_BINARY_DIR}/veloConfigVersion.cmake"
  DESTINATION "${velo_cmake_dir}")

file(RELATIVE_PATH velo_pc_prefix "/p/${CMAKE_INSTALL_LIBDIR}/pkgconfig" /p)
string(REGEX REPLACE "/$" "" velo_pc_prefix "${velo_pc_prefix}")
configure_file(cmake/velo.pc.in "${CMAKE_CURRENT_BINARY_DIR}/velo.pc" @ONLY)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/velo.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

# ---- the program and the papers ---------------------------------------------------------------------

if(TARGET velo)
  install(TARGETS velo)
  # Shells look for these names; the program writes them itself, so that they know every command.
  foreach(shell_file IN ITEMS bash:velo zsh:_velo fish:velo.fish)
    string(REGEX MATCH "^(.*):(.*)$" ignored "${shell_file}")
    set(shell ${CMAKE_MATCH_1})
    set(file "${CMAKE_CURRENT_BINARY_DIR}/completions/${shell}/${CMAKE_MATCH_2}")
    file(MAKE_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/completions/${shell}")
    add_custom_command(OUTPUT "${file}" COMMAND velo completion ${shell} > "${file}" DEPENDS velo VERBATIM)
    list(APPEND velo_completions "${file}")
  endforeach()
  add_custom_target(velo_completions ALL DEPENDS ${velo_completions})
  install(DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/completions/bash/"
    DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions")
  install(DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/completions/zsh/"
    DESTINATION "${CMAKE_INSTALL_DATADIR}/zsh/site-functions")
  install(DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/completions/fish/"
    DESTINATION "${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d")
endif()
install(FILES LICENSE README.md CHANGELOG.md DESTINATION "${velo_doc_dir}")

add_custom_target(uninstall VERBATIM
  COMMAND ${CMAKE_COMMAND} "-Dmanifest=${CMAKE_BINARY_DIR}/install_manifest.txt" -P
          "${CMAKE_CURRENT_SOURCE_DIR}/cmake/velo_uninstall.cmake")
