# SPDX-License-Identifier: Apache-2.0
# Removes the files that the last `cmake --install` of a build directory wrote, and the folders that it leaves empty.
#   cmake -Dmanifest=build/release/install_manifest.txt -P cmake/velo_uninstall.cmake
if(NOT EXISTS "${manifest}")
  message(FATAL_ERROR "nothing was installed from here: no ${manifest}")
endif()
file(STRINGS "${manifest}" files)
foreach(file IN LISTS files)
  set(file "$ENV{DESTDIR}${file}")
  if(EXISTS "${file}" OR IS_SYMLINK "${file}")
    file(REMOVE "${file}")
    message(STATUS "Removed ${file}")
  endif()
  cmake_path(GET file PARENT_PATH directory)
  # Only folders of velo's own: what others may use stays, even empty.
  while(directory MATCHES "/velo(/|$)")
    file(GLOB left "${directory}/*")
    if(left OR NOT IS_DIRECTORY "${directory}")
      break()
    endif()
    file(REMOVE_RECURSE "${directory}")
    cmake_path(GET directory PARENT_PATH directory)
  endwhile()
endforeach()
