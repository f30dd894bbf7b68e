# SPDX-License-Identifier: Apache-2.0
# What every target of convgen is compiled with, and convgen_add_library, which says it once.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

add_library(convgen_options INTERFACE)
target_compile_options(convgen_options INTERFACE
  -Wall -Wextra -Wshadow -Werror=unused-result
  $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor -Woverloaded-virtual>
  # g++ 12 warns of its own std::string operator+ (GCC bug 105651).
  $<$<AND:$<CXX_COMPILER_ID:GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-restrict>
  $<$<BOOL:${CONVGEN_WERROR}>:-Werror>)
if(CONVGEN_SANITIZER)
  # CONVGEN_SANITIZE_ADDRESS: what must know that it runs under a sanitizer asks by this name.
  string(TOUPPER CONVGEN_SANITIZE_${CONVGEN_SANITIZER} sanitize)
  target_compile_definitions(convgen_options INTERFACE ${sanitize})
  # Plain UBSan checks on function types stumble over calls into JIT code.
  target_compile_options(convgen_options INTERFACE
    -fsanitize=${CONVGEN_SANITIZER} -fno-omit-frame-pointer
    $<$<STREQUAL:${CONVGEN_SANITIZER},undefined>:-fno-sanitize-recover=all>)
  target_link_options(convgen_options INTERFACE -fsanitize=${CONVGEN_SANITIZER})
endif()

# convgen_add_library(ir SOURCES a.cpp HEADERS a.h): the target convgen_ir, alias convgen::ir,
# whose headers are included as "ir/a.h".
function(convgen_add_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;HEADERS" ${ARGN})
  add_library(convgen_${name} ${arg_SOURCES})
  add_library(convgen::${name} ALIAS convgen_${name})
  target_sources(convgen_${name} PUBLIC
    FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR} FILES ${arg_HEADERS})
  target_link_libraries(convgen_${name} PRIVATE convgen_options)
endfunction()
