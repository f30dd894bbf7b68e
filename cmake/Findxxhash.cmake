# SPDX-License-Identifier: Apache-2.0
# Finds xxHash (Debian: libxxhash-dev), which ships no CMake package of its own.
# Defines the imported target xxhash::inline: the header alone, all of it inlined.
find_path(xxhash_INCLUDE_DIR xxhash.h)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(xxhash DEFAULT_MSG xxhash_INCLUDE_DIR)
if(xxhash_FOUND AND NOT TARGET xxhash::inline)
  add_library(xxhash::inline INTERFACE IMPORTED)
  set_target_properties(xxhash::inline PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES ${xxhash_INCLUDE_DIR}
    INTERFACE_COMPILE_DEFINITIONS XXH_INLINE_ALL)
endif()
mark_as_advanced(xxhash_INCLUDE_DIR)
